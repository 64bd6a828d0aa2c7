//! `docs/publish.md` shows code and an event that really work.

use events::{Envelope, Event, EventSet, topics};
use std::{fs, path::Path};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The content of the first block of a language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("the page has such a block");
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn every_line_of_python_on_the_page_is_in_the_program() {
    let (page, program) = (read("docs/publish.md"), read("tests/foreign/publish.py"));
    for line in block(&page, "python").lines() {
        assert!(program.lines().any(|candidate| candidate == line), "not in publish.py: {line}");
    }
}

#[test]
fn the_event_on_the_page_is_sound() {
    let page = read("docs/publish.md");
    let json = serde_json::from_str(block(&page, "json")).expect("JSON");
    let (envelope, data) = Envelope::from_structured(&json).expect("a structured event");
    let topic = topics::of_type(&envelope.event_type).expect("a type of ours").topic;
    let event = Event::decode_json(topic, data).expect("a payment");
    event.check().expect("it keeps the rules");
    assert_eq!(envelope.subject.as_deref(), Some(event.subject()));
}

#[test]
fn every_code_on_the_page_is_in_the_runbook() {
    let page = read("docs/publish.md");
    let table = page.split_once("| code | what is wrong |").expect("the table of codes").1;
    let codes: Vec<&str> = table
        .split('`')
        .filter(|word| word.len() > 6 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        .collect();
    assert!(codes.len() > 15, "{codes:?}");
    for code in codes {
        assert!(failure::explain(code).is_some(), "{code}");
    }
}
