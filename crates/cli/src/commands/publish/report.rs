//! What a run of `publish` tells at its end: counts, and the refused lines with number and reason.

use super::lines::Line;
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use failure::Failure;
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

/// Refusals kept for the answer; the rejects file has all of them.
const SHOWN: usize = 100;

#[derive(Debug)]
pub(super) struct Report {
    begun: Instant,
    published: BTreeMap<String, u64>,
    refused: u64,
    unanswered: u64,
    by_code: BTreeMap<String, u64>,
    refusals: Vec<Refusal>,
    rejects: Option<BufWriter<File>>,
}

#[derive(Debug, Clone, Serialize)]
struct Refusal {
    line: u64,
    code: String,
    class: failure::Class,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Report {
    pub(super) fn new(rejects: Option<&Path>) -> Result<Self> {
        let create = |file: &Path| {
            File::create(file).map_err(|error| Trouble::usage(format!("--rejects {}: {error}", file.display())))
        };
        let rejects = rejects.map(create).transpose()?.map(BufWriter::new);
        let (published, by_code, refusals) = Default::default();
        Ok(Self { begun: Instant::now(), published, refused: 0, unanswered: 0, by_code, refusals, rejects })
    }

    pub(super) fn published(&mut self, topic: &str) {
        match self.published.get_mut(topic) {
            Some(count) => *count += 1,
            None => {
                self.published.insert(topic.to_owned(), 1);
            }
        }
    }

    /// A record that the broker did not answer for: it may be there or not.
    pub(super) const fn unanswered(&mut self) {
        self.unanswered += 1;
    }

    pub(super) fn refuse(&mut self, line: &Line, failure: &Failure) -> Result<()> {
        let refusal = Refusal {
            line: line.number,
            code: failure.code.to_string(),
            class: failure.class,
            reason: failure.reason.clone(),
            field: failure.field.clone(),
        };
        self.refused += 1;
        *self.by_code.entry(refusal.code.clone()).or_default() += 1;
        if let Some(rejects) = &mut self.rejects {
            let reject = json!({ "v": 1, "refusal": refusal, "event": String::from_utf8_lossy(&line.bytes) });
            writeln!(rejects, "{reject}")
                .map_err(|error| Trouble::failed("REJECTS", format!("the rejects file cannot be written: {error}")))?;
        }
        if self.refusals.len() < SHOWN {
            self.refusals.push(refusal);
        }
        Ok(())
    }

    /// Prints the counts, also where the run was stopped by an error or by Ctrl-C.
    pub(super) fn finish(mut self, ended: Result<Exit>, dry_run: bool, output: &Output) -> Result<Exit> {
        if let Some(mut rejects) = self.rejects.take() {
            rejects.flush().map_err(|error| Trouble::failed("REJECTS", format!("the rejects file: {error}")))?;
        }
        let published: u64 = self.published.values().sum();
        let counts = json!({
            "published": published, "refused": self.refused, "unanswered": self.unanswered, "dry_run": dry_run,
            "seconds": self.begun.elapsed().as_secs_f64(), "by_topic": self.published, "refused_by_code": self.by_code,
            "refusals": self.refusals,
        });
        output.answer(&Answer::fields(counts).said(self.text(published, dry_run)));
        match ended? {
            Exit::Done if self.refused > 0 => Ok(Exit::Partial),
            exit => Ok(exit),
        }
    }

    fn text(&self, published: u64, dry_run: bool) -> String {
        let mut text = String::new();
        for Refusal { line, code, reason, field, .. } in &self.refusals {
            let field = field.as_ref().map(|field| format!(" [{field}]")).unwrap_or_default();
            text.push_str(&format!("line {line}: {code}: {reason}{field}\n"));
        }
        let hidden = self.refused - self.refusals.len() as u64;
        if hidden > 0 {
            text.push_str(&format!("… and {hidden} more; --rejects FILE keeps them all\n"));
        }
        let verb = if dry_run { "would be published" } else { "published" };
        let seconds = self.begun.elapsed().as_secs_f64();
        text.push_str(&format!("{published} {verb}, {} refused in {seconds:.1} s", self.refused));
        if self.unanswered > 0 {
            text.push_str(&format!(
                "\n{} without an answer: they may be there; publish the same lines again, duplicates are harmless",
                self.unanswered
            ));
        }
        text
    }
}
