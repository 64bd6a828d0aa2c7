//! The same datums for a decoder in another language: fastavro, in a Python process that is asked line by line.

use super::wire::{Datum, is_stricter};
use crate::Target;
use anyhow::{Context as _, Result, ensure};
use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

const PROGRAM: &str = include_str!("../../../../tests/foreign/decode.py");

/// What the other side says of a datum.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// It reads all of it and nothing more, and would write it so.
    is_plain: bool,
    /// It reads all of it and nothing more.
    is_read: bool,
    /// What we wrote is the same value.
    is_same: bool,
}

pub struct Abroad {
    datum: Datum,
    /// The process, and the pipes to it.
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Drop for Abroad {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.0.kill().ok();
        process.0.wait().ok();
    }
}

/// The interpreter that `make setup` gives fastavro.
fn interpreter() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || {
        variable("THROUGHLINE_CACHE")
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("throughline")))
            .or_else(|| Some(variable("HOME")?.join(".cache/throughline")))
    };
    variable("THROUGHLINE_PYTHON").or_else(|| Some(cache()?.join("python/bin/python"))).filter(|path| path.is_file())
}

impl Abroad {
    /// # Errors
    /// If there is no interpreter with fastavro.
    pub fn start() -> Result<Self> {
        let datum = Datum::new();
        let python = interpreter().context("no interpreter with fastavro: `make setup` makes one")?;
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut questions = child.stdin.take().context("its input")?;
        let answers = BufReader::new(child.stdout.take().context("its output")?);
        let schemas: Vec<&str> = datum.schemas().collect();
        writeln!(questions, "{}", serde_json::to_string(&schemas)?)?;
        let abroad = Self { datum, process: Mutex::new((child, questions, answers)) };
        let ready = abroad.ask(0, &[], None).context("fastavro does not answer: run `make setup` again")?;
        ensure!(!ready.is_read, "no schema of ours is that of nothing");
        Ok(abroad)
    }

    fn ask(&self, schema: usize, datum: &[u8], again: Option<&[u8]>) -> Result<Verdict> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, questions, answers) = &mut *process;
        writeln!(questions, "{schema} {} {}", hex(datum), again.map_or_else(|| "-".to_owned(), hex))?;
        questions.flush()?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        let says = |word: &str| answer.split_whitespace().any(|one| one == word);
        ensure!(answer.ends_with('\n'), "it ended");
        Ok(Verdict { is_plain: says("plain"), is_read: says("read"), is_same: says("same") })
    }
}

fn hex(bytes: &[u8]) -> String {
    // A letter first, so that nothing is not no word.
    bytes.iter().fold("x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Target for Abroad {
    fn name(&self) -> &'static str {
        "datum-fastavro"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        crate::inputs_of(&self.datum).unwrap_or_else(|_| self.datum.seeds())
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let Some((place, topic, datum)) = self.datum.chosen(input) else { return Ok("nothing".to_owned()) };
        let ours = self.datum.decode(place, datum);
        let again = ours.as_ref().ok().map(Vec::as_slice);
        let theirs = self.ask(place, datum, again).map_err(|error| format!("{error:#}"))?;
        match (&ours, theirs) {
            (Ok(_), Verdict { is_read: false, .. }) => {
                Err(format!("{topic}: we read what fastavro refuses, or not all of it"))
            }
            (Ok(_), Verdict { is_same: false, .. }) => {
                Err(format!("{topic}: what we write is another value for fastavro"))
            }
            (Ok(_), _) => Ok(format!("{topic} read")),
            (Err(failure), Verdict { is_plain: true, .. }) if !is_stricter(failure) => {
                Err(format!("{topic}: fastavro reads what we refuse: {failure}"))
            }
            (Err(failure), _) => Ok(format!("{topic} {}", super::told(failure))),
        }
    }
}
