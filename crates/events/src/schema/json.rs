//! The JSON form of an event, checked against our schema before it is read, so that every fault names its field.

use super::{
    readable::describe,
    shape::{Node, NodeId, Shape},
};
use crate::{
    codec::{Budget, date, decimal, timestamp},
    payload::{Payload, unknown_topic},
};
use failure::Failure;
use serde_json::Value;

/// Reads one event; class `Poison`, code `JSON_INVALID` for what is not of its form.
pub fn decode<T: Payload>(data: &Value) -> Result<T, Failure> {
    let shape = super::reader(T::TOPIC).ok_or_else(|| unknown_topic(T::TOPIC))?;
    check(shape, shape.root(), data, &mut String::new())?;
    let _budget = Budget::start(super::MAX_ALLOC_BYTES);
    T::deserialize(data).map_err(|error| Failure::poison("JSON_INVALID", error.to_string()))
}

fn fault(path: &str, reason: String) -> Failure {
    let failure = Failure::poison("JSON_INVALID", reason);
    if path.is_empty() { failure } else { failure.at_field(path) }
}

/// Values never stand in a reason: they may be personal data.
fn check(shape: &Shape, id: NodeId, value: &Value, path: &mut String) -> Result<(), Failure> {
    let node = shape.node(id);
    let integer = |low: i64, high: i64| value.as_i64().is_some_and(|number| (low..=high).contains(&number));
    let fits = match node {
        Node::Record(_) => return check_record(shape, id, value, path),
        Node::Union(branches) => {
            let plain = branches.iter().find(|branch| *shape.node(**branch) != Node::Null);
            return match (value, plain) {
                (Value::Null, _) | (_, None) => Ok(()),
                (_, Some(branch)) => check(shape, *branch, value, path),
            };
        }
        Node::Array(items) => {
            let list = value.as_array().ok_or_else(|| fault(path, expected("a list", value)))?;
            let length = path.len();
            for (index, item) in list.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                check(shape, *items, item, path)?;
                path.truncate(length);
            }
            return Ok(());
        }
        Node::Boolean => value.is_boolean(),
        Node::Int => integer(i64::from(i32::MIN), i64::from(i32::MAX)),
        Node::Long => integer(i64::MIN, i64::MAX),
        Node::String => value.is_string(),
        Node::Enum(symbols) => {
            let known = |symbol: &str| symbols.iter().any(|candidate| candidate == symbol);
            if value.as_str().is_some_and(known) {
                return Ok(());
            }
            return Err(fault(path, format!("expected one of {}", symbols.join(", "))));
        }
        Node::Date => value.as_str().is_some_and(|text| date::parse(text).is_some()),
        Node::TimestampMicros => value.as_str().is_some_and(|text| timestamp::parse(text).is_some()),
        Node::Decimal { precision, scale } => {
            let number = value.as_str().and_then(decimal::parse);
            number.is_some_and(|number| decimal::fits(&number, *precision, *scale))
        }
        Node::Null | Node::Float | Node::Double | Node::Bytes | Node::Fixed(_) | Node::Map(_) | Node::Other(..) => {
            false
        }
    };
    if fits { Ok(()) } else { Err(fault(path, expected(&form(node), value))) }
}

fn check_record(shape: &Shape, id: NodeId, value: &Value, path: &mut String) -> Result<(), Failure> {
    let Node::Record(fields) = shape.node(id) else { return Ok(()) };
    let object = value.as_object().ok_or_else(|| fault(path, expected("an object", value)))?;
    if let Some(unknown) = object.keys().find(|key| fields.iter().all(|field| field.name != **key)) {
        let name: String = unknown.chars().filter(|letter| !letter.is_control()).take(64).collect();
        return Err(fault(path, format!("unknown field `{name}`")));
    }
    let length = path.len();
    for field in fields {
        if length > 0 {
            path.push('.');
        }
        path.push_str(&field.name);
        match object.get(&field.name) {
            Some(value) => check(shape, field.node, value, path)?,
            None if field.has_default => {}
            None => return Err(fault(path, "the field is missing".to_owned())),
        }
        path.truncate(length);
    }
    Ok(())
}

/// How a type is written in JSON.
fn form(node: &Node) -> String {
    match node {
        Node::Date => "a date as text, such as \"2026-01-31\"".to_owned(),
        Node::TimestampMicros => "a time as text with an offset, such as \"2026-01-31T12:00:00Z\"".to_owned(),
        Node::Decimal { precision, scale } => {
            format!(
                "a decimal as text, such as \"12.50\", with at most {} digits before and {scale} after the point",
                precision - scale
            )
        }
        Node::Int | Node::Long => "a whole number".to_owned(),
        other => format!("a {}", describe(other)),
    }
}

fn expected(form: &str, value: &Value) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!(
        "expected {form}, found {found}{}",
        if value.is_string() && !form.contains("string") { " of another form" } else { "" }
    )
}
