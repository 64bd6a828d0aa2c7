//! The `q` of a record list: `externalId IS "INV-1" AND total GREATER 10`.

use std::cmp::Ordering;

use super::column::{Row, compare};
use crate::books::refusal::{At, Code, Refusal};

/// One condition.
#[derive(Debug, PartialEq)]
pub struct Condition {
    pub field: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Is,
    IsNot,
    StartWith,
    EndWith,
    Contain,
    AnyOf,
    Empty,
    EmptyNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    fn parse(word: &str) -> Option<Operator> {
        Some(match word.to_ascii_uppercase().as_str() {
            "IS" | "EQUAL" | "ON" => Operator::Is,
            "IS_NOT" | "EQUAL_NOT" => Operator::IsNot,
            "START_WITH" => Operator::StartWith,
            "END_WITH" => Operator::EndWith,
            "CONTAIN" => Operator::Contain,
            "ANY_OF" => Operator::AnyOf,
            "EMPTY" => Operator::Empty,
            "EMPTY_NOT" => Operator::EmptyNot,
            "LESS" | "BEFORE" => Operator::Less,
            "LESS_OR_EQUAL" | "ON_OR_BEFORE" => Operator::LessOrEqual,
            "GREATER" | "AFTER" => Operator::Greater,
            "GREATER_OR_EQUAL" | "ON_OR_AFTER" => Operator::GreaterOrEqual,
            _ => return None,
        })
    }
}

impl Condition {
    /// Whether the row fulfils the condition.
    pub fn holds(&self, row: &mut Row<'_>) -> bool {
        let text = row.text(&self.field);
        let value = self.values.first().map(String::as_str).unwrap_or_default();
        match (self.operator, text.as_deref()) {
            (Operator::Empty, text) => text.is_none_or(str::is_empty),
            (Operator::IsNot, None) => true,
            (_, None) => false,
            (Operator::EmptyNot, Some(text)) => !text.is_empty(),
            (Operator::Is, Some(text)) => text == value,
            (Operator::IsNot, Some(text)) => text != value,
            (Operator::StartWith, Some(text)) => text.starts_with(value),
            (Operator::EndWith, Some(text)) => text.ends_with(value),
            (Operator::Contain, Some(text)) => text.contains(value),
            (Operator::AnyOf, Some(text)) => self.values.iter().any(|value| value == text),
            (Operator::Less, Some(text)) => compare(text, value) == Ordering::Less,
            (Operator::LessOrEqual, Some(text)) => compare(text, value) != Ordering::Greater,
            (Operator::Greater, Some(text)) => compare(text, value) == Ordering::Greater,
            (Operator::GreaterOrEqual, Some(text)) => compare(text, value) != Ordering::Less,
        }
    }

    /// The external ids the condition limits the list to, if it does.
    pub fn external_ids(&self) -> Option<&[String]> {
        let exact = matches!(self.operator, Operator::Is | Operator::AnyOf);
        (exact && self.field.eq_ignore_ascii_case("externalId")).then_some(&self.values)
    }
}

/// Parses a filter.
///
/// # Errors
/// What cannot be read, as a refusal of the query parameter `q`.
pub fn parse(q: &str) -> Result<Vec<Condition>, Refusal> {
    let invalid = |problem: String| Refusal {
        code: Code::InvalidParameter,
        detail: format!("Invalid query filter: {problem}"),
        at: At::Query("q"),
    };
    let words = words(q);
    let mut words = words.into_iter().peekable();
    let mut conditions = Vec::new();
    loop {
        let field = words.next().ok_or_else(|| invalid("a field name is missing".to_owned()))?;
        let word = words.next().ok_or_else(|| invalid(format!("{field} has no operator")))?;
        let operator = Operator::parse(&word).ok_or_else(|| invalid(format!("unknown operator {word}")))?;
        let values = match operator {
            Operator::Empty | Operator::EmptyNot => Vec::new(),
            _ => values(&words.next().ok_or_else(|| invalid(format!("{field} {word} has no value")))?),
        };
        conditions.push(Condition { field, operator, values });
        match words.next() {
            None => return Ok(conditions),
            Some(and) if and.eq_ignore_ascii_case("AND") => {}
            Some(other) => return Err(invalid(format!("only AND joins conditions here, not {other}"))),
        }
    }
}

/// Words outside quotes and brackets; quoted and bracketed text stays together with its marks.
fn words(q: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut bracketed) = (Vec::new(), String::new(), false, false);
    for character in q.chars() {
        match character {
            '"' => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            _ => {}
        }
        if character.is_whitespace() && !quoted && !bracketed {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        } else {
            word.push(character);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn values(word: &str) -> Vec<String> {
    let list = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    let unquote = |text: &str| text.trim().trim_matches('"').to_owned();
    match list {
        Some(list) => list.split(',').map(unquote).collect(),
        None => vec![unquote(word)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_keep_their_spaces() {
        let conditions = parse(r#"externalId IS "walk-in:United Kingdom" AND total GREATER 10"#).unwrap();
        assert_eq!(conditions.len(), 2);
        assert_eq!(conditions[0].external_ids(), Some(&["walk-in:United Kingdom".to_owned()][..]));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_wrong() {
        assert!(parse("total").unwrap_err().detail.contains("no operator"));
        assert!(parse("total ROUGHLY 5").unwrap_err().detail.contains("ROUGHLY"));
    }
}
