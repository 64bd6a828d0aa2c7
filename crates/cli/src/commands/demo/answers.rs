//! Answers of the ERP that are lost on their way: it has done what was asked, and nobody is told.

use crate::{
    exit::{Result, Trouble},
    stack::Stack as Known,
};
use serde_json::{Value, json};

/// One in so many writes.
const EVERY: u32 = 97;

/// From now on.
pub(super) async fn drop_some(known: &Known) -> Result<()> {
    let Some(faults) = faults_of(known) else { return Ok(()) };
    let rule = json!({ "method": "POST", "path": "/services/rest/record/", "every": EVERY, "drop_after_commit": true });
    let answer = client()?.post(faults).json(&rule).send().await.map_err(|error| failed(&error))?;
    answer.error_for_status().map(|_| ()).map_err(|error| failed(&error))
}

/// How many were lost so far.
pub(super) async fn dropped(known: &Known) -> Result<u64> {
    let Some(faults) = faults_of(known) else { return Ok(0) };
    let answer = client()?.get(faults).send().await.and_then(reqwest::Response::error_for_status);
    let told: Value = answer.map_err(|error| failed(&error))?.json().await.map_err(|error| failed(&error))?;
    Ok(told.as_array().into_iter().flatten().filter_map(|rule| rule["hits"].as_u64()).sum())
}

fn faults_of(known: &Known) -> Option<String> {
    known.parts().erp.as_ref().map(|erp| format!("{erp}/__admin/faults"))
}

fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().build().map_err(|error| failed(&error))
}

fn failed(error: &reqwest::Error) -> Trouble {
    Trouble::unavailable("SANDBOX_UNAVAILABLE", error.to_string())
}
