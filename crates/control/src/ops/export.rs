//! Letters for a file: with headers and masked bodies.

use super::{
    page::{self, Page},
    typed,
};
use crate::{
    app::Session,
    error::Result,
    letters::{Body, Selection, headers},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Input {
    #[serde(flatten)]
    selection: Selection,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
struct Unmasked {
    #[serde(flatten)]
    input: Input,
    reason: String,
}

/// With personal data and raw bytes; on the record, in the ledger of each service, before anybody sees it.
pub(super) async fn unmasked(session: &Session<'_>, input: Value) -> Result<Value> {
    let Unmasked { input: Input { selection, page }, reason } = typed(input)?;
    selection.must_choose()?;
    let (letters, next) = page::of_letters(session, &selection, &page).await?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for letter in &letters {
        *counts.entry(&letter.id.service).or_default() += 1;
    }
    for (service, count) in counts {
        let mut audit = session.audit("letters.export.unmasked", service, &reason);
        audit.after = Some(json!({ "letters": count, "selection": selection }).to_string());
        session.ledger(service).await?.append_audit(&audit).await?;
    }
    let decoder = session.app.decoder();
    let mut rows = Vec::with_capacity(letters.len());
    for letter in letters {
        let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
        let mut row = letter.summary();
        row["headers"] = headers(&letter.record.headers);
        row["raw"] = json!({ "key": bytes(&letter.record.key), "value": bytes(&letter.record.value), "enc": "base64" });
        row["timestamp"] = json!(crate::letters::time(letter.record.timestamp_ms));
        row["body"] = match decoder.parked(&letter.record).await {
            Body::Read(body) => body,
            Body::Unreadable(_) => Value::Null,
        };
        rows.push(row);
    }
    Ok(json!({ "letters": rows, "next": next }))
}

pub(super) async fn page(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { selection, page } = typed(input)?;
    selection.must_choose()?;
    let (letters, next) = page::of_letters(session, &selection, &page).await?;
    let rows: Vec<Value> = letters
        .iter()
        .map(|letter| {
            let mut row = letter.summary();
            row["body"] = json!(letter.body);
            row["headers"] = headers(&letter.record.headers);
            row["timestamp"] = json!(crate::letters::time(letter.record.timestamp_ms));
            row
        })
        .collect();
    Ok(json!({ "letters": rows, "next": next }))
}
