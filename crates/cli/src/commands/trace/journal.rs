//! What one service did with records, from its journal and its parked rows.

use super::records::{self, Found};
use events::Uid;
use ledger::{Cause, Disposition, EffectResult, Entry, Ledger, ParkedFilter, ParkedRecord, Step, StepId};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Journal entries read in one go.
const PAGE: usize = 500;

/// A record's way through one service.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Journey {
    service: String,
    /// Where it ended at first; `parked` tells where a parked one is now. Absent: not read yet (or its entry was pruned).
    disposition: Option<Disposition>,
    entry: Option<i64>,
    at: Option<String>,
    parked: Option<Parked>,
    effects: Vec<Effect>,
    /// Topics that events were published to because of it.
    published: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Parked {
    sequence: String,
    no: i64,
    state: ledger::ParkedState,
    attempts: i32,
    failure: Option<failure::Failure>,
    since: String,
    changed: String,
}

#[derive(Debug, Clone, Serialize)]
struct Effect {
    key: String,
    entity: String,
    /// `open`, `done`, `refused` or `unknown`, then what is known of it. The last one counts.
    results: Vec<Result>,
}

#[derive(Debug, Clone, Serialize)]
struct Result {
    at: String,
    state: &'static str,
    detail: Option<String>,
}

/// One journey for each record, in the order given.
pub(super) async fn of(ledger: &dyn Ledger, service: &str, found: &[Found]) -> ledger::Result<Vec<Journey>> {
    let mut journeys: Vec<Journey> = found.iter().map(|_| Journey::new(service)).collect();
    for (record, journey) in found.iter().zip(&mut journeys) {
        journey.parked = parked(ledger, record).await?;
    }
    let places =
        found.iter().enumerate().map(|(i, record)| ((record.topic.as_str(), record.partition, record.offset), i));
    let mut reader = Reader { places: places.collect(), steps: BTreeMap::new(), parked: BTreeMap::new(), journeys };
    for (i, journey) in reader.journeys.iter().enumerate() {
        if let Some(parked) = &journey.parked {
            reader.parked.insert((found[i].partition, parked.sequence.clone(), parked.no), i);
        }
    }
    let slices: BTreeSet<i32> = found.iter().map(|record| record.partition).collect();
    for slice in slices {
        let mut from = 0;
        loop {
            let page = ledger.entries(slice, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.entry + 1;
            for stored in &page {
                reader.entry(slice, stored.entry, &records::time(stored.at_ms), &stored.body);
            }
        }
    }
    Ok(reader.journeys)
}

async fn parked(ledger: &dyn Ledger, record: &Found) -> ledger::Result<Option<Parked>> {
    let slice = Some(record.partition);
    let filter = match (&record.source, &record.id) {
        (Some(source), Some(id)) => {
            ParkedFilter { slice, uid: Some(Uid::derive(source, id)), limit: 100, ..ParkedFilter::default() }
        }
        // Nobody can read who it is: it is found by its place.
        _ => ParkedFilter { slice, limit: 10_000, ..ParkedFilter::default() },
    };
    let rows = ledger.parked_records(&filter).await?;
    let is_this = |row: &&ParkedRecord| row.topic == record.topic && row.offset == record.offset;
    Ok(rows.iter().find(is_this).map(|row| Parked {
        sequence: row.sequence.clone(),
        no: row.no,
        state: row.fate.state,
        attempts: row.fate.attempts,
        failure: row.fate.failure.clone(),
        since: records::time(row.parked_ms),
        changed: records::time(row.fate.changed_ms),
    }))
}

/// Goes through the journal once and puts each step to the record that caused it.
struct Reader<'a> {
    places: BTreeMap<(&'a str, i32, i64), usize>,
    /// Steps of our records: where their effects begin in the journey.
    steps: BTreeMap<(i32, StepId), (usize, usize)>,
    parked: BTreeMap<(i32, String, i64), usize>,
    journeys: Vec<Journey>,
}

impl Reader<'_> {
    fn entry(&mut self, slice: i32, number: i64, at: &str, body: &Entry) {
        for record in &body.records {
            let Some(topic) = body.topics.get(usize::from(record.topic)) else { continue };
            if let Some(&i) = self.places.get(&(topic.as_str(), slice, record.offset)) {
                let journey = &mut self.journeys[i];
                journey.disposition = Some(record.disposition);
                journey.entry = Some(number);
                journey.at = Some(at.to_owned());
            }
        }
        for (index, step) in (0..).zip(&body.steps) {
            if let Some(i) = self.cause(slice, step) {
                let first = self.journeys[i].effects.len();
                self.steps.insert((slice, StepId { entry: number, index }), (i, first));
                self.journeys[i].effects.extend(step.effects.iter().map(|effect| Effect::open(effect, at)));
                let topics = step.staged.outgoing.iter().map(|outgoing| outgoing.topic.clone());
                self.journeys[i].published.extend(topics);
            }
        }
        for outcome in &body.outcomes {
            let Some(&(i, first)) = self.steps.get(&(slice, outcome.step)) else { continue };
            let place = usize::try_from(outcome.effect).map(|effect| first + effect);
            if let Some(effect) = place.ok().and_then(|place| self.journeys[i].effects.get_mut(place)) {
                effect.results.push(Result::of(&outcome.result, at));
            }
        }
    }

    /// The last of our records among the causes: of coalesced ones only the last takes effect.
    fn cause(&self, slice: i32, step: &Step) -> Option<usize> {
        step.causes.iter().rev().find_map(|cause| match cause {
            Cause::Record(record) => {
                self.places.get(&(record.topic.as_str(), record.partition, record.offset)).copied()
            }
            Cause::Parked { no } => self.parked.get(&(slice, step.sequence.clone(), *no)).copied(),
            Cause::Timer { .. } => None,
        })
    }
}

impl Effect {
    fn open(row: &ledger::EffectRow, at: &str) -> Self {
        let first = match &row.receipt {
            Some(receipt) => Result { at: at.to_owned(), state: "done", detail: Some(receipt.clone()) },
            None => Result { at: at.to_owned(), state: "open", detail: None },
        };
        Self { key: row.key.clone(), entity: row.entity.clone(), results: vec![first] }
    }
}

impl Result {
    fn of(result: &EffectResult, at: &str) -> Self {
        let (state, detail) = match result {
            EffectResult::Done { receipt } => ("done", Some(receipt.clone())),
            EffectResult::Refused { code } => ("refused", Some(code.clone())),
            EffectResult::Unknown => ("unknown", None),
        };
        Self { at: at.to_owned(), state, detail }
    }
}

impl Journey {
    fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            disposition: None,
            entry: None,
            at: None,
            parked: None,
            effects: Vec::new(),
            published: Vec::new(),
        }
    }

    /// Duplicates and conflicts change nothing outside.
    pub(super) fn may_have_effects(&self) -> bool {
        match self.disposition {
            Some(Disposition::Applied | Disposition::Parked | Disposition::DeadLettered) => true,
            None => !self.effects.is_empty(),
            Some(
                Disposition::Duplicate
                | Disposition::Superseded
                | Disposition::Conflict
                | Disposition::Skipped
                | Disposition::OutsideHorizon,
            ) => false,
        }
    }

    /// Adds lines for people.
    pub(super) fn tell(&self, text: &mut String) {
        let end = self.disposition.map_or("not read yet", Disposition::as_str);
        let entry = self.entry.map(|entry| format!("  (entry {entry})")).unwrap_or_default();
        let at = self.at.as_deref().map(|at| format!("  {at}")).unwrap_or_default();
        // Writing into a string does not fail.
        let _ = writeln!(text, "    {}  {end}{at}{entry}", self.service);
        if let Some(Parked { sequence, no, state, attempts, failure, changed, .. }) = &self.parked {
            let why = failure.as_ref().map(why).unwrap_or_default();
            let _ = writeln!(
                text,
                "    parked    {} in {sequence} as no. {no}, {attempts} attempts, {changed}{why}",
                state.as_str()
            );
        }
        for Effect { key, results, .. } in &self.effects {
            for Result { at, state, detail } in results {
                let detail = detail.as_deref().unwrap_or_default();
                let _ = writeln!(text, "    effect    {key}  {state} {detail}  {at}");
            }
        }
        for topic in &self.published {
            let _ = writeln!(text, "    published {topic}");
        }
    }
}

/// The reason, with both sides of a refused change, and who decides.
fn why(failure: &failure::Failure) -> String {
    let owner = failure.owner.as_deref().map(|owner| format!(", for {owner}")).unwrap_or_default();
    format!(": {failure}{owner}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Headers, PayloadHash};
    use ledger::{
        CommitOutcome, EffectRow, EntryRecord, Outcome, SliceCommit, SourceRecord, Staged, memory::MemoryLedger,
    };

    const TOPIC: &str = "invoice.posted.v1";

    fn found(offset: i64) -> Found {
        Found {
            topic: TOPIC.to_owned(),
            partition: 0,
            offset,
            at: String::new(),
            timestamp_ms: 0,
            time: None,
            account: None,
            id: Some("e".to_owned()),
            source: Some("s".to_owned()),
            subject: None,
            correlation_id: None,
            bytes: 0,
        }
    }

    fn record(offset: i64, disposition: Disposition) -> EntryRecord {
        EntryRecord { topic: 0, offset, uid: Some(Uid::derive("s", "e")), hash: PayloadHash(1), disposition }
    }

    fn step(offset: i64) -> Step {
        let cause = SourceRecord {
            topic: TOPIC.to_owned(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Headers::default(),
            uid: None,
            hash: PayloadHash(1),
        };
        let (key, entity, payload) = ("invoice:1".to_owned(), "invoice:1".to_owned(), "{}".to_owned());
        let effects = vec![EffectRow { key, entity, payload, receipt: None, look_up: false }];
        Step { sequence: "A".to_owned(), causes: vec![Cause::Record(cause)], effects, staged: Staged::default() }
    }

    async fn commit(ledger: &MemoryLedger, epoch: i64, entry: i64, body: Entry) {
        let batch = SliceCommit { slice: 0, epoch, entry, at_ms: entry, body, ..SliceCommit::default() };
        assert_eq!(ledger.commit(&[batch]).await.unwrap(), [CommitOutcome::Committed]);
    }

    #[test]
    fn a_refused_edit_is_told_with_both_sides_its_field_and_its_owner() {
        let reason = "currency of order `C-1` is the ERP's: GBP there, EUR in the event";
        let refused = failure::Failure::business("FIELD_PROTECTED", "finance", reason).at_field("currency");
        assert_eq!(why(&refused), format!(": FIELD_PROTECTED (business): {reason} [currency], for finance"));
    }

    #[tokio::test]
    async fn a_journey_tells_disposition_and_effects_of_its_own_record_only() {
        let ledger = MemoryLedger::new();
        let taken = ledger.take_over(0, "test").await.unwrap();
        let (epoch, first) = (taken.epoch, taken.next_entry);
        let records = vec![record(4, Disposition::Applied), record(5, Disposition::Duplicate)];
        let body = Entry { topics: vec![TOPIC.to_owned()], records, steps: vec![step(4)], ..Entry::default() };
        commit(&ledger, epoch, first, body).await;
        let result = EffectResult::Done { receipt: "{\"external_id\":\"77\"}".to_owned() };
        let outcome = Outcome { step: StepId { entry: first, index: 0 }, effect: 0, result };
        commit(&ledger, epoch, first + 1, Entry { outcomes: vec![outcome], ..Entry::default() }).await;
        let journeys = of(&ledger, "erp-sync", &[found(4), found(5), found(6)]).await.unwrap();
        assert_eq!(journeys[0].disposition, Some(Disposition::Applied));
        let states: Vec<_> = journeys[0].effects[0].results.iter().map(|result| result.state).collect();
        assert_eq!(states, ["open", "done"]);
        assert_eq!(journeys[1].disposition, Some(Disposition::Duplicate));
        assert!(journeys[1].effects.is_empty() && !journeys[1].may_have_effects());
        let mut text = String::new();
        journeys[0].tell(&mut text);
        journeys[2].tell(&mut text);
        assert!(text.contains("done {\"external_id\":\"77\"}") && text.contains("erp-sync  not read yet"), "{text}");
    }
}
