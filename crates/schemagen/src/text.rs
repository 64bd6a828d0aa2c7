//! Writes a schema as one text with every shared type inlined at its first use: what registries get.
//! The order of attributes is fixed, so the same schema always gives the same text.

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The inlined text, and the full names of the shared types in it.
pub fn inline(json: &Value, common: &BTreeMap<String, Value>) -> Result<(String, BTreeSet<String>)> {
    let mut used = BTreeSet::new();
    let expanded = expand(json, common, &mut used)?;
    let mut out = String::new();
    write(&expanded, &mut out);
    Ok((out, used))
}

/// Replaces the first use of each shared type by its definition. Types stand in `type`, `items`, `fields` and unions only.
fn expand(json: &Value, common: &BTreeMap<String, Value>, used: &mut BTreeSet<String>) -> Result<Value> {
    Ok(match json {
        Value::String(name) if name.starts_with("throughline.common.") => {
            if !used.insert(name.clone()) {
                return Ok(json.clone());
            }
            let definition = common.get(name).with_context(|| format!("schemas/common has no {name}"))?;
            expand(definition, common, used)?
        }
        Value::Array(branches) => {
            Value::Array(branches.iter().map(|branch| expand(branch, common, used)).collect::<Result<_>>()?)
        }
        Value::Object(object) => {
            let mut copy = Map::new();
            for (key, value) in object {
                let has_types = matches!(key.as_str(), "type" | "items" | "fields");
                copy.insert(key.clone(), if has_types { expand(value, common, used)? } else { value.clone() });
            }
            Value::Object(copy)
        }
        other => other.clone(),
    })
}

/// JSON on one line, attributes in the order people read them.
pub fn write(json: &Value, out: &mut String) {
    match json {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(&object[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

fn rank(key: &str) -> usize {
    const ORDER: &[&str] =
        &["type", "name", "namespace", "items", "logicalType", "precision", "scale", "symbols", "default", "doc"];
    if key == "fields" {
        return usize::MAX;
    }
    ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shared_type_is_inlined_once_and_named_afterwards() {
        let money = json!({"type": "record", "name": "Money", "namespace": "throughline.common", "fields": []});
        let common = BTreeMap::from([("throughline.common.Money".to_owned(), money)]);
        let event = json!({"type": "record", "name": "E", "fields": [
            {"name": "a", "type": "throughline.common.Money"},
            {"name": "b", "type": ["null", "throughline.common.Money"], "default": null}]});
        let (text, used) = inline(&event, &common).expect("both uses resolve");
        assert_eq!(used.len(), 1);
        assert_eq!(
            text,
            r#"{"type":"record","name":"E","fields":[{"type":{"type":"record","name":"Money","namespace":"throughline.common","fields":[]},"name":"a"},{"type":["null","throughline.common.Money"],"name":"b","default":null}]}"#
        );
    }

    #[test]
    fn an_unknown_shared_type_is_named() {
        let event =
            json!({"type": "record", "name": "E", "fields": [{"name": "a", "type": "throughline.common.Nope"}]});
        let error = inline(&event, &BTreeMap::new()).expect_err("there is no such type").to_string();
        assert!(error.contains("throughline.common.Nope"), "{error}");
    }
}
