//! Reading parameters: known ones only, each with its type.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{form, refusal::wrong};
use crate::call::{Call, Reply};

/// The parameters of one object, with the place that they have in the request.
#[derive(Debug)]
pub struct Params {
    at: String,
    fields: Map<String, Value>,
}

impl Params {
    /// Those of a request, of which only `known` may be there.
    pub fn of(call: &Call, known: &[&str]) -> Result<Self, Reply> {
        let read = form::read(&call.body).map_err(|reason| wrong("parameter_unknown", "", &reason))?;
        Self::within(String::new(), read, known)
    }

    fn within(at: String, value: Value, known: &[&str]) -> Result<Self, Reply> {
        let fields = match value {
            Value::Object(fields) => fields,
            Value::Array(_) | Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
                return Err(wrong("parameter_unknown", &at, "must be an object"));
            }
        };
        let params = Self { at, fields };
        match params.fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => {
                let name = params.name(field);
                Err(wrong("parameter_unknown", &name, &format!("Received unknown parameter: {name}")))
            }
            None => Ok(params),
        }
    }

    pub fn name(&self, field: &str) -> String {
        if self.at.is_empty() { field.to_owned() } else { format!("{}[{field}]", self.at) }
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    pub fn text(&self, field: &str) -> Result<Option<&str>, Reply> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(wrong("parameter_invalid_empty", &self.name(field), "must be text that is not empty")),
        }
    }

    pub fn needed(&self, field: &str) -> Result<&str, Reply> {
        let missing = || {
            let name = self.name(field);
            wrong("parameter_missing", &name, &format!("Missing required param: {name}."))
        };
        self.text(field)?.ok_or_else(missing)
    }

    pub fn whole(&self, field: &str) -> Result<Option<i64>, Reply> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let wrong = || wrong("parameter_invalid_integer", &self.name(field), &format!("Invalid integer: {text}"));
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// A decimal of at most twelve places, as `unit_amount_decimal` is.
    pub fn decimal(&self, field: &str) -> Result<Option<Decimal>, Reply> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let read = text.parse::<Decimal>().ok().filter(|decimal| decimal.normalize().scale() <= 12);
        read.map(Some).ok_or_else(|| wrong("parameter_invalid_integer", &self.name(field), "Invalid decimal"))
    }

    pub fn one_of(&self, field: &str, words: &[&str], default: &str) -> Result<String, Reply> {
        let Some(text) = self.text(field)? else { return Ok(default.to_owned()) };
        if words.contains(&text) {
            return Ok(text.to_owned());
        }
        Err(wrong("invalid_request", &self.name(field), &format!("must be one of {}", words.join(", "))))
    }

    /// Key and value pairs: at most 50, keys of 40 and values of 500 characters.
    pub fn metadata(&self) -> Result<Value, Reply> {
        let Some(value) = self.fields.get("metadata") else { return Ok(json!({})) };
        let is_pair = |(key, value): (&String, &Value)| {
            key.chars().count() <= 40 && value.as_str().is_some_and(|text| text.chars().count() <= 500)
        };
        match value.as_object() {
            Some(pairs) if pairs.len() <= 50 && pairs.iter().all(is_pair) => Ok(value.clone()),
            Some(_) | None => {
                Err(wrong("invalid_request", &self.name("metadata"), "at most 50 keys of 40, values of 500 characters"))
            }
        }
    }

    pub fn object(&self, field: &str, known: &[&str]) -> Result<Option<Self>, Reply> {
        let Some(value) = self.fields.get(field) else { return Ok(None) };
        Self::within(self.name(field), value.clone(), known).map(Some)
    }

    pub fn list(&self, field: &str, known: &[&str]) -> Result<Vec<Self>, Reply> {
        let rows = match self.fields.get(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(rows)) => rows,
            Some(_) => return Err(wrong("invalid_request", &self.name(field), "Invalid array")),
        };
        let within =
            |(at, row): (usize, &Value)| Self::within(format!("{}[{at}]", self.name(field)), row.clone(), known);
        rows.iter().enumerate().map(within).collect()
    }
}
