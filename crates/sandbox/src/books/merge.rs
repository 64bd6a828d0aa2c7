//! How an update meets what is stored: fields overwrite, sublists merge unless the caller asks to replace them.
//!
//! The merge is the vendor's trap: lines without a key are *appended*, so repeating an update without `?replace=item`
//! doubles the document.

use serde_json::{Value, json};

use super::body::Fields;

/// The stored fields after `patch`. Sublists named in `replace` are taken from the patch alone.
pub fn merge(mut stored: Fields, patch: Fields, replace: &[String]) -> Fields {
    for (name, value) in patch {
        if value.is_null() {
            stored.remove(&name);
            continue;
        }
        let is_list = value.get("items").is_some_and(Value::is_array);
        let merged = match stored.get_mut(&name) {
            Some(old) if is_list && !replace.contains(&name) => merge_list(&name, old.take(), value),
            _ => value,
        };
        stored.insert(name, merged);
    }
    number_lines(&mut stored);
    stored
}

/// Lines with a known key are updated, all others appended.
fn merge_list(name: &str, old: Value, new: Value) -> Value {
    let mut lines = into_items(old);
    for line in into_items(new) {
        match lines.iter_mut().find(|stored| same_line(name, stored, &line)) {
            Some(stored) => overlay(stored, line),
            None => lines.push(line),
        }
    }
    json!({ "items": lines })
}

fn into_items(mut list: Value) -> Vec<Value> {
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Applications are keyed by the invoice, currencies and subsidiaries by themselves, all other lines by their number.
fn same_line(list: &str, a: &Value, b: &Value) -> bool {
    let key = match list {
        "apply" => "/doc/id",
        "currencyList" => "/currency/id",
        "subsidiaryList" => "/subsidiary/id",
        "addressBook" => "/label",
        "revenueElement" => "/custcol_tl_line_id",
        _ => "/line",
    };
    matches!((a.pointer(key), b.pointer(key)), (Some(a), Some(b)) if a == b)
}

fn overlay(stored: &mut Value, line: Value) {
    if let (Value::Object(stored), Value::Object(line)) = (stored, line) {
        for (name, value) in line {
            if value.is_null() {
                stored.remove(&name);
            } else {
                stored.insert(name, value);
            }
        }
    }
}

/// Gives every line of `item` its number, from 1.
fn number_lines(fields: &mut Fields) {
    let Some(Value::Array(lines)) = fields.get_mut("item").and_then(|list| list.get_mut("items")) else { return };
    for (index, line) in lines.iter_mut().enumerate() {
        if let Value::Object(line) = line {
            line.insert("line".to_owned(), Value::from(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(fields) => fields,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn lines_without_a_key_are_appended_and_replaced_on_request() {
        let stored = || merge(Fields::new(), fields(json!({ "item": { "items": [{ "amount": 1 }] } })), &[]);
        let patch = || fields(json!({ "item": { "items": [{ "amount": 2 }] } }));
        let appended = merge(stored(), patch(), &[]);
        assert_eq!(appended["item"]["items"], json!([{ "amount": 1, "line": 1 }, { "amount": 2, "line": 2 }]));
        let replaced = merge(stored(), patch(), &["item".to_owned()]);
        assert_eq!(replaced["item"]["items"], json!([{ "amount": 2, "line": 1 }]));
    }

    #[test]
    fn a_numbered_line_is_updated_and_null_clears() {
        let stored = merge(
            Fields::new(),
            fields(json!({ "memo": "a", "item": { "items": [{ "amount": 1, "description": "x" }] } })),
            &[],
        );
        let patch = fields(json!({ "memo": null, "item": { "items": [{ "line": 1, "amount": 5 }] } }));
        let merged = merge(stored, patch, &[]);
        assert_eq!(
            Value::Object(merged),
            json!({ "item": { "items": [{ "amount": 5, "description": "x", "line": 1 }] } })
        );
    }
}
