//! `--where`: a CEL expression over one letter. What it may not see, it cannot ask about: the body it is given is masked like the
//! one that is shown.

use crate::error::{Error, Kind, Result};
use cel::{Context, Program, Value as CelValue};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A condition that was checked once and is asked for each letter.
pub struct Condition {
    program: Program,
    /// Whether it looks at the body, which has to be decoded for it.
    pub reads_body: bool,
    text: String,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

/// What an expression may name.
const NAMES: [&str; 9] =
    ["key", "value", "headers", "error", "topic", "service", "attempts", "age_seconds", "sequence"];

impl Condition {
    /// Parses an expression.
    ///
    /// # Errors
    /// `Invalid`, with the place, for one that is no CEL, too long or too deep, or names what is not there.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: String| {
            let hint = format!("CEL over {}, such as error.code == \"PERIOD_CLOSED\"", NAMES.join(", "));
            Error::new(Kind::Invalid, "WHERE_INVALID", format!("--where: {what}")).hint(hint)
        };
        let program = rules::compile(text).map_err(wrong)?;
        let references = program.references();
        let names: Vec<String> = references.variables().into_iter().map(ToString::to_string).collect();
        if let Some(unknown) =
            names.iter().find(|name| !NAMES.contains(&name.as_str()) && !text.contains(&format!("({name},")))
        {
            return Err(wrong(format!("there is no `{unknown}`")));
        }
        let reads_body = names.iter().any(|name| name == "value");
        Ok(Self { program, reads_body, text: text.to_owned() })
    }

    /// Whether it holds for a letter. A field that the letter does not have makes it not hold.
    ///
    /// # Errors
    /// If the expression is not about truth.
    pub fn holds(&self, letter: &Value) -> Result<bool> {
        let mut context = Context::default();
        for name in NAMES {
            let value = letter.get(name).unwrap_or(&Value::Null);
            if context.add_variable(name, value).is_err() {
                return Ok(false);
            }
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.program.execute(&context)));
        match result {
            Ok(Ok(CelValue::Bool(holds))) => Ok(holds),
            Ok(Ok(_)) => {
                Err(Error::new(Kind::Invalid, "WHERE_INVALID", "--where: the expression is not true or false"))
            }
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }
}

/// What a condition sees of a letter.
#[must_use]
pub fn seen(summary: &Value, headers: &events::Headers, body: Option<&Value>, age_seconds: i64) -> Value {
    let texts = headers.0.iter().filter_map(|(name, value)| {
        let text = value.as_ref().and_then(|value| std::str::from_utf8(value).ok())?;
        Some((name.to_string(), json!(text)))
    });
    let error: Value = ["class", "code", "step", "reason", "owner", "field", "kind"]
        .into_iter()
        .map(|name| (name.to_owned(), summary[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "key": summary["key"], "topic": summary["topic"], "service": summary["service"], "error": error,
        "attempts": summary["attempts"], "sequence": summary["sequence"], "age_seconds": age_seconds,
        "headers": texts.collect::<serde_json::Map<_, _>>(), "value": body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Value {
        json!({ "key": "acct-1", "topic": "invoice.posted.v1", "service": "erp-sync", "attempts": 3, "age_seconds": 60,
            "sequence": "acct-1", "headers": { "ce_id": "e-1" }, "value": { "currency": "EUR", "totals": { "payable_minor": 120 } },
            "error": { "code": "PERIOD_CLOSED", "class": "business" } })
    }

    #[test]
    fn a_condition_sees_key_value_headers_and_error() {
        for (text, expected) in [
            ("error.code == 'PERIOD_CLOSED'", true),
            ("value.totals.payable_minor > 100 && value.currency == \"EUR\"", true),
            ("headers['ce_id'].startsWith('e-')", true),
            ("attempts >= 4", false),
            ("value.no_such_field == 1", false),
            ("key in ['acct-1', 'acct-2'] && !(error.class == 'poison')", true),
            ("has(value.currency)", true),
        ] {
            assert_eq!(Condition::parse(text).unwrap().holds(&letter()), Ok(expected), "{text}");
        }
        assert!(Condition::parse("value.currency == 'EUR'").unwrap().reads_body);
        assert!(!Condition::parse("key == 'x'").unwrap().reads_body);
    }

    #[test]
    fn a_broken_expression_is_refused_with_what_is_wrong() {
        let deep = "(".repeat(1_000);
        let loops = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))";
        let long = "x".repeat(3_000);
        for text in ["error.code ==", "no_such_name == 1", "'", "1 +", &deep, loops, &long, "a b c", "\u{0}"] {
            let error = Condition::parse(text).unwrap_err();
            assert!(error.message.starts_with("--where: "), "{error}");
            assert!(!error.hint.is_empty());
        }
        assert!(Condition::parse("key").unwrap().holds(&letter()).is_err(), "a text is no truth");
    }
}
