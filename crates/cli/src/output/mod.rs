//! What a command says: answers on standard output in the format asked for, everything else on standard error.

mod answer;
mod progress;
mod table;

pub(crate) use answer::Answer;
pub(crate) use progress::{Progress, ProgressMode};

use crate::exit::{Exit, Trouble};
use serde_json::json;
use std::io::{self, IsTerminal, Write};

/// `-o`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One object, versioned by its field `v`
    Json,
    /// One object a line: each item of a list
    Ndjson,
    Csv,
    Tsv,
    /// An Avro file; `dlq export` alone writes one
    Avro,
}

impl Format {
    pub(crate) const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }

    /// Finds `-o FORMAT` in arguments that could not be parsed.
    pub(crate) fn asked_for_in(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let word = loop {
            let arg = args.next()?;
            if arg == "-o" || arg == "--output" {
                break args.next()?;
            }
            if let Some(word) = arg.strip_prefix("--output=").or_else(|| arg.strip_prefix("-o")) {
                break word.trim_start_matches('=').to_owned();
            }
        };
        clap::ValueEnum::from_str(&word, true).ok()
    }
}

/// Where a command speaks.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) format: Format,
    progress: ProgressMode,
    colour: bool,
}

impl Output {
    pub(crate) fn new(format: Format, progress: ProgressMode) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, progress, colour: !plain && io::stdout().is_terminal() }
    }

    /// Prints an answer.
    pub(crate) fn answer(&self, answer: &Answer) {
        let text = match self.format {
            Format::Table => answer.table(self.colour),
            Format::Json => format!("{:#}\n", answer.json()),
            Format::Ndjson | Format::Avro => answer.lines(),
            Format::Csv => answer.separated(','),
            Format::Tsv => answer.separated('\t'),
        };
        print(&text);
    }

    /// Prints text that has no other form, such as a completion script.
    pub(crate) fn text(&self, text: &str) {
        print(text);
    }

    /// Tells people something that is not part of the answer.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        complain(text.as_ref());
    }

    /// A line of progress on long work; ends when dropped.
    pub(crate) fn progress(&self, what: &'static str, total: Option<u64>) -> Progress {
        Progress::start(self.progress, what, total)
    }

    /// Tells why the command failed, and gives its exit code.
    pub(crate) fn trouble(&self, trouble: &Trouble) -> Exit {
        if self.format.is_json() {
            let Trouble { code, message, hint, retryable, exit: _ } = trouble;
            let error = json!({ "code": code, "message": message, "hint": hint, "retryable": retryable });
            complain(&json!({ "v": 1, "error": error }).to_string());
        } else {
            let hint = if trouble.hint.is_empty() { String::new() } else { format!("\nhint: {}", trouble.hint) };
            complain(&format!("error: {}{hint}", trouble.message));
        }
        trouble.exit
    }
}

/// A reader that has enough (`| head`) ends the command quietly.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(Exit::Done as i32);
    }
}

fn complain(line: &str) {
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_found_in_arguments_that_do_not_parse() {
        let asked = |args: &[&str]| Format::asked_for_in(args.iter().map(|arg| (*arg).to_owned()));
        assert_eq!(asked(&["topics", "-o", "json", "--nonsense"]), Some(Format::Json));
        assert_eq!(asked(&["-ondjson"]), Some(Format::Ndjson));
        assert_eq!(asked(&["--output=csv"]), Some(Format::Csv));
        assert_eq!(asked(&["topics"]), None);
        assert_eq!(asked(&["-o", "xml"]), None);
    }
}
