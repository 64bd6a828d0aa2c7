//! The end of a run: the input is read once more where that is asked for, then the history is written and judged.

use super::{World, now_or_never};
use crate::simulation::{Observed, record, sometimes::Sometimes, sometimes::Window, work};
use consumer::{Handler, machine::Arrived};
use history::Line;
use ledger::{DocumentFilter, DocumentRow, Ledger as _};

/// All that is known of a run.
pub struct Outcome {
    pub end: Result<End, String>,
    pub sometimes: Sometimes,
    /// What happened, step by step, if the options ask for it.
    pub trace: Vec<String>,
}

/// A run that kept what it can be judged by alone.
pub struct End {
    pub observed: Observed,
    pub lines: Vec<Line>,
}

/// What there was before the input was read again.
pub struct Before {
    documents: Vec<DocumentRow>,
    effects: usize,
    published: usize,
    records: usize,
}

impl<H: Handler> World<'_, H> {
    /// Publishes the whole input once more, after all is done; false if that was done already or is not asked for.
    pub(super) fn read_again(&mut self) -> Result<bool, String> {
        if !self.options.rereads || self.reread.is_some() {
            return Ok(false);
        }
        self.note(|| "the whole input is published again".to_owned());
        let records = self.log.values().map(Vec::len).sum();
        self.reread = Some(Before {
            documents: self.documents()?,
            effects: self.outside.log.len(),
            published: self.published_by_the_handler(),
            records,
        });
        for arriveds in self.log.values_mut() {
            let copies: Vec<Arrived<H::Event>> = arriveds.clone();
            for (offset, mut copy) in (arriveds.len()..).zip(copies) {
                copy.record.offset = i64::try_from(offset).unwrap_or(i64::MAX);
                arriveds.push(copy);
            }
        }
        self.hit(Window::Reread);
        Ok(records > 0)
    }

    fn documents(&self) -> Result<Vec<DocumentRow>, String> {
        let filter = DocumentFilter { limit: usize::MAX, ..DocumentFilter::default() };
        let documents = now_or_never(self.ledger.documents(&filter)).map_err(|error| error.to_string())?;
        Ok(documents.into_iter().filter(|row| !work::is_minutes(&row.key)).collect())
    }

    /// Minutes that end meanwhile are told besides.
    fn published_by_the_handler(&self) -> usize {
        let topics = self.published.iter().filter(|((topic, _), _)| !work::is_report(topic));
        topics.map(|(_, events)| events.len()).sum()
    }

    fn reread_line(&self) -> Result<Option<Line>, String> {
        let Some(before) = &self.reread else { return Ok(None) };
        let documents = self.documents()?;
        let changed = documents.iter().filter(|row| !before.documents.contains(row)).count();
        let gone = before.documents.len().saturating_sub(documents.len());
        let published = self.published_by_the_handler();
        Ok(Some(Line::Reread {
            records: before.records as u64,
            documents_changed: (changed + gone) as u64,
            effects_added: (self.outside.log.len() - before.effects) as u64,
            published_added: (published - before.published) as u64,
        }))
    }

    pub(super) fn finish(&mut self, quiet_waits: u32) -> Result<End, String> {
        if let Some(member) = &self.member {
            if let Some(Some(reason)) = &member.over {
                return Err(format!("the slice stopped: {reason}"));
            }
            if !member.machine.is_quiet() {
                return Err(format!(
                    "I6: something stayed open: {}, read all: {}, {quiet_waits} waits",
                    self.describe(),
                    member.has_read_all(&self.log)
                ));
            }
        }
        let parked = now_or_never(self.ledger.sequences(None)).map_err(|error| error.to_string())?;
        if let Some(empty) = parked.iter().find(|sequence| sequence.depth <= 0) {
            return Err(format!("I6: sequence {} stays parked without a record", empty.sequence));
        }
        for _ in 0..self.outside.applied_late {
            self.hit(Window::AppliedLate);
        }
        let mut lines = record::lines(self.case, &self.ledger, &self.log, &self.outside, &self.published)?;
        lines.append(&mut self.seen);
        lines.extend(self.reread_line()?);
        let report = history::check(&lines, None);
        if let Some(broken) = report.broken.first() {
            return Err(broken.to_string());
        }
        let effects = std::mem::take(&mut self.outside.log);
        let observed = Observed::read(&self.ledger, &self.log, effects, std::mem::take(&mut self.published))?;
        Ok(End { observed, lines })
    }
}
