//! docs/errors.md says exactly what the code says. `make docs` writes it anew.

use std::{fmt::Write as _, path::Path};

use failure::{CODES, Class};

/// What becomes of a record, by class. Exhaustive: a new class needs its words.
const fn what_happens(class: Class) -> &'static str {
    match class {
        Class::Business => {
            "The business must decide. The sequence is parked, in order, as a case with an owner; nobody is paged."
        }
        Class::Dependency => {
            "The world is broken and the call changed nothing. The service backs off and waits; no position moves and \
             nothing becomes a dead letter."
        }
        Class::Unknown => {
            "A call was sent and its outcome is not known. It is looked up by external id before any second call."
        }
        Class::NotYet => {
            "Something that the event needs is not there yet. The sequence is parked and tried again by itself."
        }
        Class::Poison => "Nobody can read the record. Dead letter at once; it blocks nobody.",
        Class::Contract => {
            "Readable, but against the rules. Dead letter, the publisher named. Found while reading the record, it blocks nobody; \
             found by the service, its sequence waits behind it."
        }
        Class::Bug => "Our own fault. Dead letter; its sequence waits behind it, and too many in a row stop the slice.",
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Codes\n\n\
         Every failure has a class, which alone decides what becomes of the record, and a code, which stands in letters,\n\
         logs, metrics and the ledger. `throughline explain CODE` says the same as this page, which is generated from\n\
         `crates/failure/src/codes.rs` (`make docs`).\n",
    );
    for class in Class::ALL {
        let _ = write!(
            page,
            "\n## {class}\n\n{}\n\n| code | what happened | what to do |\n|---|---|---|\n",
            what_happens(class)
        );
        for entry in CODES.iter().filter(|entry| entry.class == class) {
            let _ = writeln!(page, "| `{}` | {} | {} |", entry.code, cell(entry.meaning), cell(entry.action));
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_page_of_codes_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/errors.md differs from failure::CODES: run `make docs` and commit the result");
}

#[test]
fn every_class_has_codes() {
    for class in Class::ALL {
        assert!(CODES.iter().any(|entry| entry.class == class), "{class}");
    }
}

#[test]
fn every_code_on_the_page_of_stopped_slices_is_in_the_runbook() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/stopped-slices.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split('`').next());
    // Codes are in capitals; the other table is of settings.
    let codes: Vec<&str> = rows.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    assert!(codes.len() > 3, "the page has its table: {codes:?}");
    for code in codes {
        assert!(failure::explain(code).is_some(), "{code} is not in failure::CODES");
    }
}
