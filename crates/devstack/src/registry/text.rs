//! The text of a schema: one canonical form, so that the same schema has the same id whatever its spacing, and one
//! self-contained form with its references put in place, which is what parsers want.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Attributes in the order Avro's own writer uses; others follow by name.
const ORDER: [&str; 15] = [
    "type",
    "name",
    "namespace",
    "doc",
    "fields",
    "symbols",
    "items",
    "values",
    "size",
    "default",
    "order",
    "aliases",
    "logicalType",
    "precision",
    "scale",
];
/// A field starts with its name, so that people can read the text.
const FIELD_ORDER: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// The schema without spacing, attributes in a fixed order, `{"type":"string"}` as `"string"`.
/// Docs, defaults and other attributes stay: two schemas that differ in them are different schemas.
#[must_use]
pub fn canonical(schema: &Value) -> String {
    let mut out = String::new();
    write(schema, &ORDER, &mut out);
    out
}

fn write(value: &Value, order: &[&str], out: &mut String) {
    match value {
        Value::Object(map) if bare_primitive(map).is_some() => {
            write(&Value::from(bare_primitive(map).unwrap_or_default()), order, out);
        }
        Value::Object(map) => write_object(map, order, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, out);
                write(item, order, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

fn write_object(map: &Map<String, Value>, order: &[&str], out: &mut String) {
    let rank = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    out.push('{');
    for (index, key) in keys.into_iter().enumerate() {
        separate(index, out);
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        match (key.as_str(), &map[key]) {
            ("fields", fields) => write(fields, &FIELD_ORDER, out),
            // A default is data, not a schema: nothing in it may be shortened.
            ("default", data) => out.push_str(&data.to_string()),
            (_, inner) => write(inner, &ORDER, out),
        }
    }
    out.push('}');
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

fn bare_primitive(map: &Map<String, Value>) -> Option<&str> {
    let name = map.get("type")?.as_str()?;
    (map.len() == 1 && PRIMITIVES.contains(&name)).then_some(name)
}

/// Named types by full name, each with its namespace written out.
pub type Definitions = HashMap<String, Value>;

/// Adds every named type in `schema` to `into`.
pub fn collect(schema: &Value, namespace: &str, into: &mut Definitions) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, namespace, into)),
        Value::Object(map) => {
            let (full, inner) = named(map, namespace);
            if let Some(full) = full {
                let mut definition = map.clone();
                definition.insert("namespace".to_owned(), Value::from(inner.as_str()));
                definition.insert("name".to_owned(), Value::from(simple(&full)));
                into.entry(full).or_insert(Value::Object(definition));
            }
            for child in children(map) {
                collect(child, &inner, into);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `schema` with each referenced type put in at its first use.
#[must_use]
pub fn inline(schema: &Value, namespace: &str, definitions: &Definitions, defined: &mut HashSet<String>) -> Value {
    match schema {
        Value::String(name) => inline_name(name, namespace, definitions, defined),
        Value::Array(branches) => {
            Value::Array(branches.iter().map(|branch| inline(branch, namespace, definitions, defined)).collect())
        }
        Value::Object(map) => {
            let (full, inner) = named(map, namespace);
            if let Some(full) = full
                && !defined.insert(full.clone())
                && definitions.contains_key(&full)
            {
                return Value::from(full);
            }
            inline_object(map, &inner, definitions, defined)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => schema.clone(),
    }
}

fn inline_name(name: &str, namespace: &str, definitions: &Definitions, defined: &mut HashSet<String>) -> Value {
    if PRIMITIVES.contains(&name) {
        return Value::from(name);
    }
    let full = full_name(name, namespace);
    match definitions.get(&full) {
        Some(definition) if !defined.contains(&full) => inline(definition, "", definitions, defined),
        Some(_) => Value::from(full),
        None => Value::from(name),
    }
}

fn inline_object(
    map: &Map<String, Value>,
    namespace: &str,
    definitions: &Definitions,
    defined: &mut HashSet<String>,
) -> Value {
    let mut out = map.clone();
    for key in ["type", "items", "values"] {
        let is_kind = key == "type" && map.get("type").and_then(Value::as_str).is_some_and(is_complex);
        if let Some(inner) = map.get(key).filter(|_| !is_kind) {
            out.insert(key.to_owned(), inline(inner, namespace, definitions, defined));
        }
    }
    if let Some(Value::Array(fields)) = map.get("fields") {
        let fields = fields.iter().map(|field| match field {
            Value::Object(field) => {
                let mut field = field.clone();
                if let Some(of) = field.get("type") {
                    let of = inline(of, namespace, definitions, defined);
                    field.insert("type".to_owned(), of);
                }
                Value::Object(field)
            }
            other => other.clone(),
        });
        let fields = fields.collect();
        out.insert("fields".to_owned(), Value::Array(fields));
    }
    Value::Object(out)
}

/// The full name of a named type's definition, if it is one, and the namespace inside it.
fn named(map: &Map<String, Value>, enclosing: &str) -> (Option<String>, String) {
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    let name =
        map.get("name").and_then(Value::as_str).filter(|_| matches!(kind, "record" | "error" | "enum" | "fixed"));
    let Some(name) = name else { return (None, enclosing.to_owned()) };
    let namespace = map.get("namespace").and_then(Value::as_str).unwrap_or(enclosing);
    let full = full_name(name, namespace);
    let inner = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    (Some(full), inner)
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn simple(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, name)| name)
}

fn is_complex(kind: &str) -> bool {
    matches!(kind, "record" | "error" | "enum" | "fixed" | "array" | "map")
}

fn children(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let fields = map.get("fields").and_then(Value::as_array).into_iter().flatten();
    let of_fields = fields.filter_map(|field| field.get("type"));
    ["type", "items", "values"].into_iter().filter_map(|key| map.get(key)).chain(of_fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spacing_and_attribute_order_do_not_make_another_schema() {
        let a = json!({"name": "A", "type": "record", "fields": [{"type": {"type": "string"}, "name": "x"}]});
        let b: Value =
            serde_json::from_str(r#"{ "type":"record", "fields":[{"name":"x","type":"string"}], "name":"A"}"#)
                .expect("the literal is JSON");
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}"#);
    }

    #[test]
    fn a_default_keeps_its_form_even_if_it_looks_like_a_schema() {
        let a = json!({"type": "record", "name": "A", "fields": [
            {"name": "m", "type": {"type": "map", "values": "string"}, "default": {"type": "string"}}]});
        assert!(canonical(&a).contains(r#""default":{"type":"string"}"#));
    }

    #[test]
    fn a_reference_is_put_in_once_and_named_after_that() {
        let money = json!({"type": "record", "name": "Money", "namespace": "c", "fields": [
            {"name": "currency", "type": {"type": "enum", "name": "Currency", "symbols": ["EUR"]}}]});
        let mut definitions = Definitions::new();
        collect(&money, "", &mut definitions);
        let invoice = json!({"type": "record", "name": "I", "namespace": "d", "fields": [
            {"name": "a", "type": "c.Money"}, {"name": "b", "type": ["null", "c.Money"]}, {"name": "c", "type": "c.Currency"}]});
        let whole = inline(&invoice, "", &definitions, &mut HashSet::new());
        apache_avro::Schema::parse(&whole).expect("self-contained");
        assert_eq!(whole["fields"][1]["type"][1], json!("c.Money"));
        assert_eq!(whole["fields"][2]["type"], json!("c.Currency"));
    }
}
