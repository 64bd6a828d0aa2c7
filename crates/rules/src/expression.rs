//! Conditions of policies: CEL over a deal and the part of it that a rule is about.
//!
//! An expression is checked when its file is read: that it parses, names only what is there, and gives a truth for a sample.
//! What fails later all the same is an error of the rule, never a silent "no".

use cel::{Context, Program, Value as CelValue};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longer ones are programs.
const MAX_BYTES: usize = 2_000;
/// Brackets of brackets: the parser descends into each.
const MAX_DEPTH: usize = 50;
/// Loops in loops would multiply.
const MAX_LOOPS: usize = 3;

/// A program of bounded size. Whatever a text does to the parser, which is somebody else's, the process goes on.
///
/// # Errors
/// What is wrong, in words.
pub fn compile(text: &str) -> Result<Program, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("{} bytes, at most {MAX_BYTES} are read", text.len()));
    }
    if depth(text) > MAX_DEPTH {
        return Err(format!("brackets are nested deeper than {MAX_DEPTH}"));
    }
    if loops(text) > MAX_LOOPS {
        return Err(format!("more than {MAX_LOOPS} of all, exists, exists_one, map and filter"));
    }
    match catch_unwind(AssertUnwindSafe(|| Program::compile(text))) {
        Ok(Ok(program)) => Ok(program),
        Ok(Err(error)) => Err(error.to_string().trim().to_owned()),
        Err(_) => Err("the expression cannot be read".to_owned()),
    }
}

/// A condition that was checked once and is asked often.
pub struct Expression {
    program: Program,
    text: String,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl Expression {
    /// Parses `text`, which may name what `sample` has, and tries it on the sample.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, sample: &Value) -> Result<Self, String> {
        let program = compile(text).map_err(|error| error.replace('\n', " "))?;
        let expression = Self { program, text: text.to_owned() };
        expression.holds(sample)?;
        Ok(expression)
    }

    /// Whether it holds; `seen` is an object of the variables.
    ///
    /// # Errors
    /// If it cannot be worked out, or is not about truth.
    pub fn holds(&self, seen: &Value) -> Result<bool, String> {
        let mut context = Context::default();
        for (name, value) in seen.as_object().into_iter().flatten() {
            context.add_variable(name, value).map_err(|error| error.to_string())?;
        }
        match catch_unwind(AssertUnwindSafe(|| self.program.execute(&context))) {
            Ok(Ok(CelValue::Bool(holds))) => Ok(holds),
            Ok(Ok(_)) => Err(format!("`{}` is neither true nor false", self.text)),
            Ok(Err(error)) => Err(format!("`{}`: {error}", self.text)),
            Err(_) => Err(format!("`{}` cannot be worked out", self.text)),
        }
    }
}

fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'!' | b'-' | b'?' => now += 1,
            b')' | b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

fn loops(text: &str) -> usize {
    ["all", "exists", "exists_one", "map", "filter"].iter().map(|name| text.matches(&format!(".{name}(")).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({ "deal": { "currency": "EUR", "total_minor": 1_200, "share": 60.5, "country": null, "lines": [{ "id": "L1" }] } })
    }

    #[test]
    fn conditions_see_texts_numbers_lists_and_what_is_absent() {
        for (text, expected) in [
            ("deal.currency == 'EUR'", true),
            ("deal.total_minor > 1200", false),
            ("deal.share > 60.0", true),
            ("deal.country == null", true),
            ("deal.lines.exists(line, line.id == 'L1')", true),
        ] {
            assert_eq!(Expression::parse(text, &sample()).unwrap().holds(&sample()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_found_when_the_file_is_read() {
        let deep = "(".repeat(1_000);
        let long = "x".repeat(3_000);
        let loops = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))";
        for text in [
            "",
            "deal.currency ==",
            "deel.currency == 'EUR'",
            "deal.curency == 'EUR'",
            "deal.total_minor",
            "'",
            &deep,
            &long,
            loops,
            "\u{0}",
        ] {
            assert!(Expression::parse(text, &sample()).is_err(), "{text}");
        }
    }
}
