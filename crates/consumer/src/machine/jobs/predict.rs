//! What a retry would do, by today's code on today's documents: the handler is asked, and nothing comes of it.
//!
//! A row behind another one is asked with the documents as the ones before it would leave them, as far as that can be known without
//! the outside system. Rows between two items are asked, too: they move by themselves, and one that fails blocks what lies behind it.

use super::{Flight, Phase};
use crate::handler::{Decision, Effect, Handler};
use crate::machine::{
    Arrived, Machine,
    decide::Group,
    lane::{Item, Work},
};
use failure::Failure;
use ledger::{DocumentKey, ItemResult, ItemState, Millis, ParkedFate, ParkedRecord, Prediction};
use std::sync::Arc;

/// The most a note says.
const NOTE_BYTES: usize = 1_024;

/// An item that is to be asked about, once its documents are here; the group holds what the ones before it would change.
pub(in crate::machine) struct Forecast<H: Handler> {
    item: Option<(i64, Item<H::Event>)>,
    group: Group<H>,
    /// The last row that was asked about.
    last: Option<i64>,
    /// The first row that would fail: those behind it would not have their turn.
    failed: bool,
}

impl<H: Handler> Default for Forecast<H> {
    fn default() -> Self {
        Self { item: None, group: Group::default(), last: None, failed: false }
    }
}

impl<H: Handler> Forecast<H> {
    pub(in crate::machine) fn reads(&self) -> &[DocumentKey] {
        self.item.as_ref().map_or(&[], |(_, item)| &item.reads)
    }

    /// The row behind which it goes on; `None` before the first one, and behind one that would fail.
    pub(super) fn goes_on_behind(&self) -> Option<i64> {
        self.last.filter(|_| !self.failed)
    }
}

impl<H: Handler> Machine<H> {
    pub(super) fn predict_item(
        &mut self,
        name: &Arc<str>,
        row: ParkedRecord,
        arrived: Arrived<H::Event>,
        is_head: bool,
        now: Millis,
    ) {
        let no = row.no;
        let mut forecast = self.jobs.forecasts.remove(name).unwrap_or_default();
        if forecast.failed || (!is_head && forecast.last.is_none()) {
            self.jobs.forecasts.insert(name.clone(), forecast);
            return self.predicted(
                name,
                no,
                Prediction::Blocked,
                None,
                "an earlier row stands in front of it".into(),
                now,
            );
        }
        let work = Work::Parked { no, fate: row.fate, arrived: Box::new(arrived) };
        forecast.item = Some((no, self.item(work)));
        self.phase(name, Phase::Predicting(Box::new(forecast)));
    }

    /// Asks, if all documents are here.
    pub(super) fn forecast(&mut self, name: &Arc<str>, now: Millis) {
        let is_ready = self.jobs.flights.get(name).is_some_and(|flight| match &flight.phase {
            Phase::Predicting(forecast) => forecast.reads().iter().all(|key| self.cache.contains(key)),
            Phase::Ready(_) | Phase::Loading | Phase::Trying => false,
        });
        if !is_ready {
            return;
        }
        let undurable = self.undurable();
        let Some(flight) = self.jobs.flights.get_mut(name) else { return };
        let Phase::Predicting(mut forecast) = std::mem::replace(&mut flight.phase, Phase::Ready(undurable)) else {
            return;
        };
        let Some((no, item)) = forecast.item.take() else { return };
        let decided = self.decide(&item, &forecast.group, now);
        let (kind, code, note) = verdict(&item, &decided);
        forecast.last = Some(no);
        match decided {
            Ok(decision) => forecast.group.assume(decision.documents),
            Err(_) => forecast.failed = true,
        }
        self.predicted(name, no, kind, code, note, now);
        if self.jobs.flights.get(name).is_some_and(Flight::has_more) {
            self.jobs.forecasts.insert(name.clone(), *forecast);
        }
    }

    fn predicted(
        &mut self,
        name: &Arc<str>,
        no: i64,
        kind: Prediction,
        code: Option<String>,
        note: String,
        now: Millis,
    ) {
        let result = ItemResult {
            prediction: Some(kind),
            code,
            note: Some(shortened(note)),
            ..ItemResult::new(ItemState::Predicted, now)
        };
        self.item_result(name, no, result, now);
    }
}

impl<H: Handler> Flight<H> {
    fn has_more(&self) -> bool {
        !self.items.is_empty()
    }
}

fn verdict<H: Handler>(
    item: &Item<H::Event>,
    decided: &Result<Decision<H>, Failure>,
) -> (Prediction, Option<String>, String) {
    let decision = match decided {
        Ok(decision) => decision,
        Err(failure) => return (Prediction::Refused, Some(failure.code.to_string()), failure.reason.clone()),
    };
    if let Some(rule) = decision.skipped {
        return (Prediction::Superseded, None, rule.to_owned());
    }
    let Work::Parked { fate, .. } = &item.work else { return (Prediction::Apply, None, String::new()) };
    let (prediction, note) = of_effects(&decision.effects.iter().map(Effect::key).collect::<Vec<_>>(), fate);
    (prediction, None, note)
}

/// What is left to do of a letter's effects, by their keys, and which they are: what is done is never sent again, and what may have been
/// done is looked up first.
fn of_effects(keys: &[String], fate: &ParkedFate) -> (Prediction, String) {
    let open: Vec<&str> = keys.iter().filter(|key| !fate.receipts.contains_key(*key)).map(String::as_str).collect();
    if open.is_empty() && !keys.is_empty() {
        return (Prediction::AlreadyApplied, keys.join(", "));
    }
    let is_unknown = open.iter().any(|key| fate.unknown.iter().any(|unknown| unknown == key));
    (if is_unknown { Prediction::NeedsLookUp } else { Prediction::Apply }, open.join(", "))
}

fn shortened(mut note: String) -> String {
    if note.len() > NOTE_BYTES {
        let mut end = NOTE_BYTES;
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::ParkedState;

    /// What an earlier try left behind.
    fn tried(done: &[&str], unknown: &[&str]) -> ParkedFate {
        ParkedFate {
            state: ParkedState::DeadLettered,
            failure: None,
            attempts: 1,
            refusals: 0,
            receipts: done.iter().map(|key| ((*key).to_owned(), "{}".to_owned())).collect(),
            unknown: unknown.iter().map(|key| (*key).to_owned()).collect(),
            changed_ms: 0,
            version: 1,
            fingerprint: None,
            edit: None,
            first: None,
        }
    }

    #[test]
    fn what_is_left_of_a_letters_effects_decides_what_is_foretold_of_it() {
        let said = |keys: &[&str], fate: &ParkedFate| {
            of_effects(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>(), fate)
        };
        let word = |prediction, note: &str| (prediction, note.to_owned());
        assert_eq!(said(&["a", "b"], &tried(&[], &[])), word(Prediction::Apply, "a, b"));
        assert_eq!(said(&["a", "b"], &tried(&["a"], &[])), word(Prediction::Apply, "b"));
        assert_eq!(said(&["a", "b"], &tried(&["a"], &["b"])), word(Prediction::NeedsLookUp, "b"));
        assert_eq!(said(&["a", "b"], &tried(&["a", "b"], &[])), word(Prediction::AlreadyApplied, "a, b"));
        // An effect that is not wanted any more, of unknown outcome, says nothing of those that are.
        assert_eq!(said(&["b"], &tried(&[], &["a"])), word(Prediction::Apply, "b"));
        assert_eq!(said(&[], &tried(&[], &[])), word(Prediction::Apply, ""));
    }
}
