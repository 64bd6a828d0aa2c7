//! What a route takes: one description that checks the input and is printed in the OpenAPI document.

use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// A value of a path, a query or a body.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub about: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text of at most so many bytes.
    Text(usize),
    Integer(i64, i64),
    Flag,
    /// One of these.
    Word(&'static [&'static str]),
    /// A point in time (RFC 3339) or a time before now (`2h`).
    Time,
    /// A list of texts: at most so many, of so many bytes each.
    Texts(usize, usize),
    /// Any JSON object; only in bodies.
    Object,
}

/// The longest id, topic, key or code.
pub const WORD: Kind = Kind::Text(512);

pub const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, required: false, about }
}

pub const fn required(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, required: true, about }
}

/// Reads texts from a path or a query into typed values.
///
/// # Errors
/// Names the first value that is unknown, missing, given twice or not as it should be.
pub fn from_texts(params: &[Param], texts: Vec<(String, String)>) -> Result<Map<String, Value>> {
    let mut values = Map::new();
    for (name, text) in texts {
        let param = find(params, &name)?;
        if let (Kind::Texts(..), Some(Value::Array(items))) = (param.kind, values.get_mut(&name)) {
            items.push(Value::String(text));
            continue;
        }
        let value = match param.kind {
            Kind::Integer(..) => text.parse::<i64>().map_or(Value::String(text), Value::from),
            Kind::Flag => text.parse::<bool>().map_or(Value::String(text), Value::Bool),
            Kind::Texts(..) => json!([text]),
            Kind::Text(_) | Kind::Word(_) | Kind::Time | Kind::Object => Value::String(text),
        };
        if values.insert(name.clone(), value).is_some() {
            return Err(Error::invalid(format!("`{name}` is given twice")));
        }
    }
    check(params, values)
}

/// Checks a body that was read as JSON.
///
/// # Errors
/// As [`from_texts`].
pub fn from_json(params: &[Param], body: Value) -> Result<Map<String, Value>> {
    let Value::Object(values) = body else { return Err(Error::invalid("the body is no JSON object")) };
    let unknown = values.keys().find(|name| find(params, name).is_err());
    match unknown {
        Some(name) => find(params, name).map(|_| Map::new()),
        None => check(params, values),
    }
}

fn find<'a>(params: &'a [Param], name: &str) -> Result<&'a Param> {
    params.iter().find(|param| param.name == name).ok_or_else(|| {
        let known: Vec<_> = params.iter().map(|param| param.name).collect();
        Error::invalid(format!("there is no `{name}` here")).hint(format!("known: {}", known.join(", ")))
    })
}

fn check(params: &[Param], values: Map<String, Value>) -> Result<Map<String, Value>> {
    for param in params {
        match values.get(param.name) {
            None | Some(Value::Null) if param.required => {
                return Err(Error::invalid(format!("`{}` is missing: {}", param.name, param.about)));
            }
            None | Some(Value::Null) => {}
            Some(value) => param.kind.check(value).map_err(|wanted| {
                Error::invalid(format!("`{}` is not {wanted}", param.name)).hint(param.about.to_owned())
            })?,
        }
    }
    Ok(values.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

impl Kind {
    fn check(self, value: &Value) -> std::result::Result<(), String> {
        let holds = match (self, value) {
            (Self::Text(most), Value::String(text)) => !text.is_empty() && text.len() <= most,
            (Self::Integer(least, most), Value::Number(number)) => {
                number.as_i64().is_some_and(|number| (least..=most).contains(&number))
            }
            (Self::Flag, Value::Bool(_)) | (Self::Object, Value::Object(_)) => true,
            (Self::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::Time, Value::String(text)) => {
                text.parse::<jiff::Timestamp>().is_ok() || service::config::parse_duration(text).is_ok()
            }
            (Self::Texts(most, each), Value::Array(items)) => {
                items.len() <= most
                    && items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty() && text.len() <= each))
            }
            _ => false,
        };
        if holds { Ok(()) } else { Err(self.wanted()) }
    }

    fn wanted(self) -> String {
        match self {
            Self::Text(most) => format!("text of 1 to {most} bytes"),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Time => "a time such as 2026-03-01T09:00:00Z, or 2h for two hours ago".to_owned(),
            Self::Texts(most, each) => format!("a list of at most {most} texts of 1 to {each} bytes"),
            Self::Object => "a JSON object".to_owned(),
        }
    }

    /// As JSON Schema.
    #[must_use]
    pub fn schema(self) -> Value {
        match self {
            Self::Text(most) => json!({ "type": "string", "minLength": 1, "maxLength": most }),
            Self::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Word(words) => json!({ "type": "string", "enum": words }),
            Self::Time => json!({ "type": "string", "description": "RFC 3339, or a duration before now such as 2h" }),
            Self::Texts(most, each) => json!({ "type": "array", "maxItems": most,
                "items": { "type": "string", "minLength": 1, "maxLength": each } }),
            Self::Object => json!({ "type": "object" }),
        }
    }
}

/// A time that [`Kind::Time`] let pass, in milliseconds.
#[must_use]
pub fn time_ms(text: &str, now_ms: i64) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let before = service::config::parse_duration(text).ok()?;
    Some(now_ms.saturating_sub(i64::try_from(before.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[Param] = &[
        required("id", WORD, "which one"),
        optional("limit", Kind::Integer(1, 10), "how many"),
        optional("ids", Kind::Texts(2, 3), "these"),
        optional("state", Kind::Word(&["open", "all"]), "in which state"),
        optional("since", Kind::Time, "not older than"),
    ];

    fn texts(pairs: &[(&str, &str)]) -> Result<Map<String, Value>> {
        from_texts(PARAMS, pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn texts_become_typed_values_and_lists_grow() {
        let read = texts(&[("id", "7"), ("limit", "3"), ("ids", "a"), ("ids", "b"), ("since", "2h")]).unwrap();
        assert_eq!(Value::Object(read), json!({ "id": "7", "limit": 3, "ids": ["a", "b"], "since": "2h" }));
    }

    #[test]
    fn every_wrong_value_is_named_with_what_is_wanted() {
        for (pairs, said) in [
            (&[][..], "`id` is missing"),
            (&[("id", "")], "`id` is not text of 1 to 512 bytes"),
            (&[("id", "7"), ("limit", "11")], "`limit` is not a whole number from 1 to 10"),
            (&[("id", "7"), ("limit", "many")], "`limit` is not a whole number"),
            (&[("id", "7"), ("id", "8")], "`id` is given twice"),
            (&[("id", "7"), ("colour", "red")], "there is no `colour` here"),
            (&[("id", "7"), ("state", "odd")], "`state` is not one of open, all"),
            (&[("id", "7"), ("since", "yesterday")], "`since` is not a time"),
            (&[("id", "7"), ("ids", "long")], "`ids` is not a list"),
        ] {
            let error = texts(pairs).unwrap_err();
            assert!(error.message.starts_with(said), "{pairs:?}: {error}");
        }
        assert!(from_json(PARAMS, json!([])).is_err());
        assert!(from_json(PARAMS, json!({ "id": 7 })).is_err());
    }
}
