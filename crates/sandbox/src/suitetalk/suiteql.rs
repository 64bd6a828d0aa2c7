//! `POST /query/v1/suiteql`: runs a query over the books.

use std::{cmp::Ordering, collections::BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    COLLECTION,
    column::{Row, compare},
    listing::{self, Page},
    sql::{self, Columns, Condition, Query, Test},
};
use crate::{
    app::App,
    books::{
        kind::Kind,
        refusal::{At, Code, Refusal},
        store::Table,
    },
    call::{Call, Reply},
    state::State,
};

/// Answers a query; needs `Prefer: transient`, as the vendor does.
pub fn query(app: &App, call: &Call) -> Result<Reply, Refusal> {
    if !call.prefers("transient") {
        let detail = "The required request header 'Prefer' is missing or invalid. Use 'Prefer: transient'.".to_owned();
        return Err(Refusal { code: Code::InvalidHeader, detail, at: At::Header("Prefer") });
    }
    let page = Page::of(call)?;
    let most = app.settings().query_rows;
    if page.offset + page.limit > most {
        let detail = format!("A query gives at most {most} rows; narrow it instead of reading on.");
        return Err(Refusal { code: Code::InvalidParameter, detail, at: At::Query("offset") });
    }
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let text = body.get("q").and_then(Value::as_str).ok_or_else(|| Refusal::missing("q"))?;
    let invalid = |problem: String| {
        Refusal::field(
            Code::InvalidParameter,
            "q",
            format!("Invalid search query. Detailed unprocessed description: {problem}"),
        )
    };
    let query = sql::parse(text).map_err(invalid)?;
    let kinds = kinds(&query.table).ok_or_else(|| invalid(format!("Record '{}' was not found.", query.table)))?;
    let now = app.clock.now_ms();
    let state = app.state();
    let mut rows = rows(&state, &kinds, &query, now);
    sort(&mut rows, &query.order);
    if let Columns::Count { name } = &query.columns {
        let row = json!({ "links": [], name: rows.len().to_string() });
        return Ok(Reply::json(200, COLLECTION, &page.body(vec![row], 1)));
    }
    let total = rows.len();
    let items = rows.iter_mut().skip(page.offset).take(page.limit).map(|row| show(row, &query.columns)).collect();
    Ok(Reply::json(200, COLLECTION, &page.body(items, total)))
}

/// The record types behind a table name.
fn kinds(table: &str) -> Option<Vec<Kind>> {
    match table.to_ascii_lowercase().as_str() {
        "transaction" => Some(Kind::ALL.into_iter().filter(|kind| kind.is_transaction()).collect()),
        "item" => Some(vec![Kind::ServiceSaleItem]),
        "entity" => Some(vec![Kind::Customer]),
        name => Kind::parse(name).map(|kind| vec![kind]),
    }
}

fn rows<'a>(state: &'a State, kinds: &[Kind], query: &Query, now: i64) -> Vec<Row<'a>> {
    let limited = |column: &str| query.conditions.iter().find_map(|condition| wanted(condition, column));
    let (by_external, by_number, by_id) = (limited("externalid"), limited("tranid"), limited("id"));
    let mut found = Vec::new();
    for kind in kinds {
        let table = state.store.table(*kind);
        let candidates = match (&by_external, &by_number, &by_id) {
            (Some(names), _, _) => listing::by_external(table, names),
            (None, Some(numbers), _) if kind.is_transaction() => listing::by_number(table, numbers),
            (None, _, Some(ids)) => {
                let ids = ids.iter().filter_map(|id| id.parse().ok());
                ids.filter_map(|id: u64| Some((id, table.rows.get(&id)?))).collect()
            }
            (None, _, None) => match searched(*kind, table, query) {
                Some(ids) => ids.into_iter().filter_map(|id| Some((id, table.rows.get(&id)?))).collect(),
                None => table.rows.iter().map(|(id, record)| (*id, record)).collect(),
            },
        };
        let visible = candidates.into_iter().filter(|(_, record)| record.visible_from_ms <= now);
        found.extend(visible.map(|(id, record)| Row::new(*kind, id, record)));
    }
    found.retain_mut(|row| query.conditions.iter().all(|condition| holds(condition, row)));
    found
}

/// The rows that a condition on an indexed column leaves, if there is one.
fn searched(kind: Kind, table: &Table, query: &Query) -> Option<BTreeSet<u64>> {
    if kind != Kind::Customer {
        return None;
    }
    query.conditions.iter().find_map(|condition| {
        let texts = wanted(condition, &condition.column)?;
        table.searched.find(&condition.column, &texts)
    })
}

/// The values a condition limits `column` to, if it does.
fn wanted(condition: &Condition, column: &str) -> Option<Vec<String>> {
    match &condition.test {
        Test::Equal(value) if condition.column == column => Some(vec![value.clone()]),
        Test::In(values) if condition.column == column => Some(values.clone()),
        _ => None,
    }
}

fn holds(condition: &Condition, row: &mut Row<'_>) -> bool {
    let text = row.text(&condition.column);
    let Some(text) = text else { return condition.test == Test::Null };
    let order = |value: &str| compare(&text, value);
    match &condition.test {
        Test::Equal(value) => text == *value,
        Test::NotEqual(value) => text != *value,
        Test::Less(value) => order(value) == Ordering::Less,
        Test::LessOrEqual(value) => order(value) != Ordering::Greater,
        Test::Greater(value) => order(value) == Ordering::Greater,
        Test::GreaterOrEqual(value) => order(value) != Ordering::Less,
        Test::In(values) => values.contains(&text),
        Test::Like { text: part, before, after } => match (before, after) {
            (true, true) => text.contains(part),
            (true, false) => text.ends_with(part),
            (false, true) => text.starts_with(part),
            (false, false) => text == *part,
        },
        Test::Null => false,
        Test::NotNull => true,
    }
}

fn sort(rows: &mut [Row<'_>], order: &[(String, bool)]) {
    if order.is_empty() {
        return;
    }
    rows.sort_by_cached_key(|row| row.id);
    for (column, descending) in order.iter().rev() {
        let mut keyed: Vec<(Option<String>, usize)> =
            rows.iter_mut().enumerate().map(|(index, row)| (row.text(column), index)).collect();
        keyed.sort_by(|(a, _), (b, _)| {
            let order = compare(a.as_deref().unwrap_or_default(), b.as_deref().unwrap_or_default());
            if *descending { order.reverse() } else { order }
        });
        let mut position = vec![0; rows.len()];
        for (place, (_, index)) in keyed.into_iter().enumerate() {
            position[index] = place;
        }
        permute(rows, position);
    }
}

/// Moves each row to its position, in place.
fn permute(rows: &mut [Row<'_>], mut position: Vec<usize>) {
    for index in 0..rows.len() {
        while position[index] != index {
            let target = position[index];
            rows.swap(index, target);
            position.swap(index, target);
        }
    }
}

fn show(row: &mut Row<'_>, columns: &Columns) -> Value {
    let columns = match columns {
        Columns::Named(columns) => columns.clone(),
        _ => row.names().into_iter().map(|name| (name.clone(), name)).collect(),
    };
    let mut shown = Map::new();
    shown.insert("links".to_owned(), json!([]));
    for (column, name) in columns {
        // As the vendor's answers: a column without a value is left out.
        if let Some(text) = row.text(&column) {
            shown.insert(name, Value::String(text));
        }
    }
    Value::Object(shown)
}
