//! Writing the headers of other families beside our own: by switch, and never over something that is there.

use super::{Family, families};
use crate::Headers;
use bytes::Bytes;

/// Says which families we wrote beside our own headers, so that they are written anew when the record comes back and fails again.
pub const ALIASES: &str = "dlq.aliases";

/// What a letter is to say in the words of another family.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    pub timestamp_ms: Option<i64>,
    pub consumer: &'a str,
    /// Failed attempts, from 1.
    pub attempts: i32,
    /// Where the family has the class of an exception.
    pub error: &'a str,
    pub message: &'a str,
    /// Whether nobody could read the value.
    pub is_unreadable: bool,
}

/// The words for families in a configuration; those that are not here are never written.
const WORDS: [(&str, Family); 6] = [
    ("spring", Family::SpringDeadLetter),
    ("spring-retry", Family::SpringRetry),
    ("connect", Family::KafkaConnect),
    ("streams", Family::KafkaStreams),
    ("share-group", Family::ShareGroup),
    ("smallrye", Family::SmallRye),
];

/// The family that a configuration names.
///
/// # Errors
/// Names the words there are.
pub fn alias(word: &str) -> Result<Family, String> {
    let known = WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, family)| *family).ok_or_else(|| {
        let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
        format!("`{word}` is no family of headers; there are {}", words.join(", "))
    })
}

fn word(family: Family) -> Option<&'static str> {
    WORDS.iter().find(|(_, known)| *known == family).map(|(word, _)| *word)
}

/// Adds the headers of the families to `letter`, whose own headers and whose source's are there already, as long as they fit into
/// `room` bytes. A family that the source has headers of is left as it is: of two failures the first counts, as its tools have it.
pub fn write(families: &[Family], claim: &Claim<'_>, letter: &mut Headers, mut room: usize) {
    let mut written = Vec::new();
    for family in families {
        let (Some(names), Some(word)) = (families::of(*family), word(*family)) else { continue };
        if names.is_in(letter) {
            continue;
        }
        let headers = of(names, claim);
        let size = headers.size_bytes() + word.len() + 1;
        if size <= room {
            room -= size;
            written.push((word, headers));
        }
    }
    if written.is_empty() {
        return;
    }
    let words: Vec<&str> = written.iter().map(|(word, _)| *word).collect();
    let words = words.join(",");
    letter.0.extend(written.into_iter().flat_map(|(_, headers)| headers.0));
    letter.push(ALIASES, words);
}

fn of(names: &families::Names, claim: &Claim<'_>) -> Headers {
    let mut headers = Headers::default();
    let mut put = |name: &'static str, value: Option<Bytes>| {
        if let Some(value) = value.filter(|_| !name.is_empty()) {
            headers.0.push((name.into(), Some(value)));
        }
    };
    let text = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    let number = |number: i64, width: usize| match names.binary {
        true => Bytes::copy_from_slice(&number.to_be_bytes()[8 - width..]),
        false => Bytes::from(number.to_string()),
    };
    put(names.topic, text(claim.topic));
    put(names.partition, claim.partition.map(|partition| number(i64::from(partition), 4)));
    put(names.offset, claim.offset.map(|offset| number(offset, 8)));
    put(names.timestamp, claim.timestamp_ms.map(|at| number(at, 8)));
    put(names.consumer, text(claim.consumer));
    put(names.attempts, Some(number(i64::from(claim.attempts), 4)));
    put(failed(names), text(claim.error));
    put(names.message.first().copied().unwrap_or_default(), text(claim.message));
    if names.family == Family::KafkaConnect {
        // Connect's own words for the step.
        put(names.stage, text(if claim.is_unreadable { "VALUE_CONVERTER" } else { "TASK_PUT" }));
    }
    headers
}

/// Where a family says what failed. Of several names the first is that of a cause behind it; the second one is in each letter.
fn failed(names: &families::Names) -> &'static str {
    names.error.get(1).or(names.error.first()).copied().unwrap_or_default()
}

/// The headers of a letter of ours that came back, without what its last failure said in the words of other families.
#[must_use]
pub fn without_aliases(headers: &Headers) -> Headers {
    let ours: Vec<&families::Names> = headers
        .text(ALIASES)
        .filter(|_| headers.text("dlq.id").is_some())
        .into_iter()
        .flat_map(|words| words.split(','))
        .filter_map(|word| alias(word).ok().and_then(families::of))
        .collect();
    let is_alias = |name: &str| ours.iter().any(|names| names.all().any(|known| known == name));
    Headers(headers.0.iter().filter(|(name, _)| !is_alias(name)).cloned().collect())
}
