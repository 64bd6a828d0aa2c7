//! Letters counted by one property.

use super::{
    page::{self, Letters},
    typed,
};
use crate::{
    app::Session,
    error::Result,
    letters::{Money, Seen, Selection, time},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Input {
    #[serde(flatten)]
    selection: Selection,
    by: String,
}

const HOUR_MS: i64 = 3_600_000;

pub(super) async fn count(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { selection, by } = typed(input)?;
    let left_out = page::too_many_for_money(session, &selection).await?;
    let letters = Letters::of(session, &selection, left_out.is_none()).await?;
    let (mut counts, mut total) = (BTreeMap::<String, (u64, Money)>::new(), 0_u64);
    letters
        .each(|letter| {
            let (count, money) = counts.entry(property(&letter, &by)).or_default();
            *count += 1;
            total += 1;
            money.add_all(&letter.money);
            Ok(())
        })
        .await?;
    let worth = |money: Money| left_out.is_none().then_some(money);
    let rows: Vec<Value> = counts
        .into_iter()
        .map(|(name, (count, money))| json!({ "by": by, "value": name, "count": count, "at_risk": worth(money) }))
        .collect();
    Ok(json!({ "stats": rows, "total": total, "money": left_out }))
}

fn property(letter: &Seen, by: &str) -> String {
    let failure = letter.record.fate.failure.as_ref();
    let none = || "-".to_owned();
    match by {
        "class" => failure.map_or_else(none, |failure| failure.class.to_string()),
        "code" => failure.map_or_else(none, |failure| failure.code.to_string()),
        "step" => failure.and_then(|failure| failure.stage).map_or_else(none, |stage| stage.as_str().to_owned()),
        "topic" => letter.record.topic.clone(),
        "service" => letter.id.service.clone(),
        "hour" => time(letter.record.parked_ms.div_euclid(HOUR_MS) * HOUR_MS).unwrap_or_default(),
        _ => json!(letter.state).as_str().unwrap_or_default().to_owned(),
    }
}
