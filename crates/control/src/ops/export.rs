//! Letters for a file: with headers and masked bodies.

use super::{
    page::{self, Page},
    typed,
};
use crate::{
    app::Session,
    error::Result,
    letters::{Selection, headers},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    #[serde(flatten)]
    selection: Selection,
    #[serde(flatten)]
    page: Page,
}

pub(super) async fn page(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { selection, page } = typed(input)?;
    selection.must_choose()?;
    let (letters, next) = page.cut(page::selected(session, &selection, true).await?, page::mark)?;
    let rows: Vec<Value> = letters
        .iter()
        .map(|letter| {
            let mut row = letter.summary();
            row["body"] = json!(letter.body);
            row["headers"] = headers(&letter.record.headers);
            row
        })
        .collect();
    Ok(json!({ "letters": rows, "next": next }))
}
