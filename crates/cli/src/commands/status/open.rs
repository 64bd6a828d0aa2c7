//! What a slice has begun and not finished, from its journal: effects without a last outcome, events the broker has not
//! acknowledged. The closing of an entry rides with the next one, so an open entry alone says nothing.

use ledger::{EffectResult, Ledger, SliceStatus, StepId, StoredEntry};
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries read in one go.
const PAGE: usize = 500;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Open {
    /// Effects that may be sent, or were sent without a known outcome.
    pub(crate) effects: usize,
    /// Outgoing events that are committed and not acknowledged.
    pub(crate) unpublished: usize,
}

pub(crate) async fn of(ledger: &dyn Ledger, status: &SliceStatus) -> ledger::Result<Open> {
    let (mut entries, mut from) = (Vec::new(), status.closed_entry + 1);
    loop {
        let page = ledger.entries(status.slice, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.entry + 1;
        entries.extend(page);
    }
    Ok(count(&entries, status))
}

fn count(entries: &[StoredEntry], status: &SliceStatus) -> Open {
    // Effects of each step: done already or not.
    let mut steps: BTreeMap<StepId, Vec<bool>> = BTreeMap::new();
    for entry in entries {
        for (index, step) in (0..).zip(&entry.body.steps) {
            let done = step.effects.iter().map(|effect| effect.receipt.is_some()).collect();
            steps.insert(StepId { entry: entry.entry, index }, done);
        }
    }
    for outcome in entries.iter().flat_map(|entry| &entry.body.outcomes) {
        match &outcome.result {
            EffectResult::Done { .. } => {
                let effects = steps.get_mut(&outcome.step);
                let effect = usize::try_from(outcome.effect).ok().and_then(|i| effects?.get_mut(i));
                if let Some(done) = effect {
                    *done = true;
                }
            }
            // A refused effect ends its step.
            EffectResult::Refused { .. } => {
                steps.remove(&outcome.step);
            }
            EffectResult::Unknown => {}
        }
    }
    let acknowledged = |topic: &str, partition: i32| {
        let mark = status.published.iter().find(|mark| mark.topic == topic && mark.partition == partition);
        mark.map_or(0, |mark| mark.number)
    };
    let outgoing = entries.iter().flat_map(|entry| &entry.body.outgoing);
    Open {
        effects: steps.values().flatten().filter(|done| !**done).count(),
        unpublished: outgoing.filter(|o| o.number > acknowledged(&o.event.topic, o.event.partition)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{EffectRow, Entry, NewOutgoing, Outcome, Outgoing, PublishedMark, Staged, Step};

    fn status() -> SliceStatus {
        SliceStatus {
            slice: 0,
            epoch: 1,
            owner: "a".to_owned(),
            taken_ms: 0,
            next_entry: 3,
            closed_entry: 0,
            positions: vec![],
            published: vec![PublishedMark { topic: "t".to_owned(), partition: 0, number: 1, offset: 0 }],
            stopped: None,
            intents: vec![],
            timers: 0,
        }
    }

    fn effect(key: &str) -> EffectRow {
        let (key, entity) = (key.to_owned(), "e".to_owned());
        EffectRow { key, entity, payload: "{}".to_owned(), receipt: None, look_up: false }
    }

    fn outgoing(number: i64) -> Outgoing {
        let headers = events::Headers::default();
        let event =
            NewOutgoing { topic: "t".to_owned(), partition: 0, key: None, value: None, headers, timestamp_ms: 0 };
        Outgoing { number, event, letter_of: None }
    }

    fn entry(number: i64, body: Entry) -> StoredEntry {
        StoredEntry { slice: 0, entry: number, epoch: 1, at_ms: 0, body }
    }

    #[test]
    fn effects_without_a_last_outcome_and_unacknowledged_events_are_open() {
        let effects = vec![effect("a"), effect("b"), effect("c")];
        let step = Step { sequence: "s".to_owned(), causes: vec![], effects, staged: Staged::default() };
        let refused = Step { effects: vec![effect("d")], ..step.clone() };
        let steps = vec![step, refused];
        let first = Entry { steps, outgoing: vec![outgoing(1), outgoing(2)], ..Entry::default() };
        let outcome = |index, effect, result| Outcome { step: StepId { entry: 1, index }, effect, result };
        let outcomes = vec![
            outcome(0, 0, EffectResult::Done { receipt: "{}".to_owned() }),
            outcome(0, 1, EffectResult::Unknown),
            outcome(1, 0, EffectResult::Refused { code: "X".to_owned() }),
        ];
        let second = Entry { outcomes, ..Entry::default() };
        let entries = [entry(1, first), entry(2, second)];
        assert_eq!(count(&entries, &status()), Open { effects: 2, unpublished: 1 });
    }
}
