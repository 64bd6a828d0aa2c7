//! Hides personal data: what the schema tags as such is replaced before anybody without the right sees it (I13).

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How everything begins that stands for something hidden.
pub const MARK: &str = "‹masked";

/// Replaces every tagged value of `body` by what it is: `‹masked: email›`. Names that the schema does not have are hidden too.
#[must_use]
pub fn masked(topic: &str, body: &Value) -> Value {
    let schema = crate::topics::find(topic).and_then(|subject| serde_json::from_str(subject.schema).ok());
    let Some(schema) = schema else { return json!("‹masked: no schema says what is personal›") };
    let mut names = BTreeMap::new();
    collect(&schema, "", &mut names);
    walk(body, &schema, &names)
}

/// Every named type of the schema, under its full and its simple name.
fn collect<'a>(schema: &'a Value, space: &str, names: &mut BTreeMap<String, &'a Value>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, space, names)),
        Value::Object(fields) => {
            let space = fields.get("namespace").and_then(Value::as_str).unwrap_or(space);
            if let Some(name) = fields.get("name").and_then(Value::as_str)
                && fields.get("type").is_some_and(Value::is_string)
            {
                names.insert(format!("{space}.{name}"), schema);
                names.insert(name.to_owned(), schema);
            }
            for field in fields.get("fields").and_then(Value::as_array).into_iter().flatten() {
                collect(&field["type"], space, names);
            }
            for inner in ["type", "items", "values"] {
                if let Some(inner) = fields.get(inner).filter(|inner| !inner.is_string()) {
                    collect(inner, space, names);
                }
            }
        }
        _ => {}
    }
}

fn walk(value: &Value, schema: &Value, names: &BTreeMap<String, &Value>) -> Value {
    match (value, schema) {
        (Value::Null, _) => Value::Null,
        (_, Value::String(name)) => match names.get(name) {
            Some(named) => walk(value, named, names),
            None => value.clone(),
        },
        // Of a union only one branch is no null in our schemas.
        (_, Value::Array(branches)) => {
            let branch = branches.iter().find(|branch| branch.as_str() != Some("null"));
            branch.map_or(Value::Null, |branch| walk(value, branch, names))
        }
        (Value::Array(items), Value::Object(array)) => match array.get("items") {
            Some(inner) => items.iter().map(|item| walk(item, inner, names)).collect(),
            None => value.clone(),
        },
        (Value::Object(object), Value::Object(described)) => match described.get("fields").and_then(Value::as_array) {
            Some(fields) => Value::Object(record(object, fields, names)),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

fn record(object: &Map<String, Value>, fields: &[Value], names: &BTreeMap<String, &Value>) -> Map<String, Value> {
    let one = |(name, value): (&String, &Value)| {
        let field = fields.iter().find(|field| field["name"].as_str() == Some(name));
        let shown = match field {
            None => json!("‹masked: not in the schema›"),
            Some(field) => match field["pii"].as_str() {
                Some(kind) if !value.is_null() => json!(format!("‹masked: {kind}›")),
                _ => walk(value, &field["type"], names),
            },
        };
        (name.clone(), shown)
    };
    object.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_fields_are_hidden_wherever_they_are_and_nothing_else_is() {
        let party = json!({ "name": "Ada Lovelace", "tax_id": { "scheme": "gb_vat", "value": "GB1", "verified_at": null },
            "address": { "line1": "1 Street", "line2": null, "city": "London", "country": "GB" } });
        let body = json!({ "invoice_id": "INV-1", "buyer": party, "seller": party, "surprise": "Ada" });
        let masked = masked("invoice.posted.v1", &body);
        let text = masked.to_string();
        for personal in ["Ada", "GB1", "1 Street", "London"] {
            assert!(!text.contains(personal), "{personal} shows: {text}");
        }
        assert_eq!(masked["invoice_id"], "INV-1");
        assert_eq!(masked["buyer"]["tax_id"]["scheme"], "gb_vat");
        assert_eq!(masked["buyer"]["address"]["country"], "GB");
        assert_eq!(masked["buyer"]["address"]["line2"], Value::Null);
        assert_eq!(masked["seller"]["name"], "‹masked: name›");
    }

    #[test]
    fn without_a_schema_nothing_shows() {
        assert!(masked("somebody.elses.v1", &json!({ "name": "Ada" })).is_string());
    }

    #[test]
    fn every_tag_of_every_schema_is_honoured() {
        for subject in crate::topics::SUBJECTS {
            let schema: Value = serde_json::from_str(subject.schema).unwrap();
            for field in schema["fields"].as_array().unwrap() {
                let name = field["name"].as_str().unwrap();
                let masked = masked(subject.topic, &json!({ name: "x" }));
                assert_eq!(masked[name] != "x", field.get("pii").is_some(), "{} {name}", subject.topic);
            }
        }
    }
}
