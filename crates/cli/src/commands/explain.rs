//! `throughline explain [CODE]`: the runbook, offline.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::Args;
use failure::{CODES, Class, Explanation};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code such as PERIOD_CLOSED; all of them if absent
    code: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs, output: &Output) -> Result<Exit> {
    let Some(code) = &args.code else {
        output.answer(&Answer::list("codes", CODES, &["code", "class", "meaning"]));
        return Ok(Exit::Done);
    };
    let Some(entry) = failure::explain(code) else {
        let close = similar(code);
        let hint = if close.is_empty() {
            "list them with `throughline explain`".to_owned()
        } else {
            format!("did you mean {}?", close.join(" or "))
        };
        return Err(Trouble::failed("CODE_UNKNOWN", format!("there is no code `{code}`")).hint(hint));
    };
    let Explanation { code, class, meaning, action } = entry;
    let text = format!("{code} ({class})\n\n  {meaning}\n  {}\n\nDo: {action}", consequence(*class));
    output.answer(&Answer::fields(entry).with("consequence", consequence(*class)).said(text));
    Ok(Exit::Done)
}

/// What the runtime does with a record that fails so.
const fn consequence(class: Class) -> &'static str {
    match class {
        Class::Business => "The sequence is parked with what follows it, and its owner decides; other sequences go on.",
        Class::Dependency => {
            "The service pauses and tries again by itself; no position moves and nothing is dead-lettered."
        }
        Class::Unknown => "The outside system is asked what became of the call before anything is sent again.",
        Class::NotYet => "The event waits, with what follows it, and is tried again by itself.",
        Class::Poison => "The record becomes a dead letter at once, byte for byte.",
        Class::Contract => "The record becomes a dead letter, and the owner of the topic is named.",
        Class::Bug => "The record becomes a dead letter; too many in a row stop the slice.",
    }
}

/// Codes that share a word with what was typed.
fn similar(code: &str) -> Vec<&'static str> {
    let typed = code.to_ascii_uppercase();
    let words: Vec<_> = typed.split(['_', '-', ' ']).filter(|word| word.len() > 3).collect();
    CODES.iter().map(|entry| entry.code).filter(|known| words.iter().any(|word| known.contains(word))).take(3).collect()
}
