//! Record lists: ids and links only, page by page. Details need a read each, or SuiteQL.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    COLLECTION,
    column::Row,
    filter::{self, Condition},
};
use crate::{
    app::App,
    books::{
        kind::Kind,
        refusal::{At, Code, Refusal},
        store::{Record, Table},
    },
    call::{Call, Reply},
};

const MAX_PAGE: usize = 1_000;

/// A page asked for by `limit` and `offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Page {
    pub limit: usize,
    pub offset: usize,
}

impl Page {
    /// Reads the page of a call: 1 to 1 000 rows, at an offset that is a multiple of the limit.
    ///
    /// # Errors
    /// The parameter that is wrong.
    pub fn of(call: &Call) -> Result<Page, Refusal> {
        let invalid =
            |name: &'static str, detail: String| Refusal { code: Code::InvalidParameter, detail, at: At::Query(name) };
        let number = |name: &'static str, default: usize| match call.parameter(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| invalid(name, format!("{name} must be a whole number, not {text}.")))
            }
        };
        let (limit, offset) = (number("limit", MAX_PAGE)?, number("offset", 0)?);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(invalid("limit", format!("limit must be from 1 to {MAX_PAGE}.")));
        }
        if offset % limit != 0 {
            return Err(invalid("offset", "offset must be divisible by limit.".to_owned()));
        }
        Ok(Page { limit, offset })
    }

    /// `{links, count, hasMore, items, offset, totalResults}`.
    pub fn body(self, items: Vec<Value>, total: usize) -> Value {
        json!({
            "links": [], "count": items.len(), "hasMore": self.offset + items.len() < total, "items": items,
            "offset": self.offset, "totalResults": total,
        })
    }
}

/// `GET /record/v1/{type}?q=…&limit=…&offset=…`.
pub fn list(app: &App, call: &Call, kind: Kind) -> Result<Reply, Refusal> {
    let page = Page::of(call)?;
    let conditions = call.parameter("q").filter(|q| !q.trim().is_empty()).map_or(Ok(Vec::new()), filter::parse)?;
    let now = app.clock.now_ms();
    let base = app.record_base();
    let state = app.state();
    let mut total = 0;
    let mut items = Vec::new();
    for (id, record) in candidates(state.store.table(kind), &conditions) {
        let mut row = Row::new(kind, id, record);
        if record.visible_from_ms > now || !conditions.iter().all(|condition| condition.holds(&mut row)) {
            continue;
        }
        if (page.offset..page.offset + page.limit).contains(&total) {
            let link = json!({ "rel": "self", "href": format!("{base}/{}/{id}", kind.name()) });
            items.push(json!({ "id": id.to_string(), "links": [link] }));
        }
        total += 1;
    }
    Ok(Reply::json(200, COLLECTION, &page.body(items, total)))
}

/// All rows, or by the index those with the external ids a condition names.
fn candidates<'a>(table: &'a Table, conditions: &[Condition]) -> Vec<(u64, &'a Record)> {
    match conditions.iter().find_map(Condition::external_ids) {
        Some(wanted) => by_external(table, wanted),
        None => table.rows.iter().map(|(id, record)| (*id, record)).collect(),
    }
}

/// The rows with these external ids, by internal id.
pub fn by_external<'a>(table: &'a Table, wanted: &[String]) -> Vec<(u64, &'a Record)> {
    by_index(table, &table.external, wanted)
}

/// The rows with these numbers, by internal id.
pub fn by_number<'a>(table: &'a Table, wanted: &[String]) -> Vec<(u64, &'a Record)> {
    by_index(table, &table.numbers, wanted)
}

fn by_index<'a>(table: &'a Table, index: &HashMap<Box<str>, u64>, wanted: &[String]) -> Vec<(u64, &'a Record)> {
    let mut ids: Vec<u64> = wanted.iter().filter_map(|name| index.get(name.as_str()).copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().filter_map(|id| Some((id, table.rows.get(&id)?))).collect()
}
