//! The outside system's own log of what took effect.

use crate::Error;
use serde::Deserialize;

/// One committed effect.
#[derive(Debug, Clone, Deserialize)]
pub struct Effect {
    pub seq: u64,
    pub operation: String,
    pub object: String,
    pub external_id: Option<String>,
    pub event_id: Option<String>,
    pub amount_minor: Option<i64>,
    pub currency: Option<String>,
}

/// Reads all of it.
pub async fn read(url: &str) -> Result<Vec<Effect>, Error> {
    let outside = |error: reqwest::Error| Error::Outside(error.to_string());
    let text = reqwest::get(format!("{url}/__admin/effects")).await.map_err(outside)?;
    let text = text.error_for_status().map_err(outside)?.text().await.map_err(outside)?;
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| Error::Outside(format!("{error}: {line}")));
    text.lines().filter(|line| !line.is_empty()).map(parse).collect()
}
