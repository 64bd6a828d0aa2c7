//! What a service does about its letters by itself, slice by slice: it asks today's code about a sample of each cause and says so, or
//! retries where policy allows it; and it carries out the standing rules of people.
//!
//! All of it is jobs: bounded, in order, beside live traffic, on the record, done once by whoever owns the slice. What must never happen:
//! a letter is retried for ever although it fails each time; a rule acts beyond its end, or without a row of the audit; people find
//! something changed and nobody says why.

mod ask;
mod policy;
mod rules;

pub use policy::{Auto, Policy};

use ledger::{
    Creation, Destination, JobSpec, Ledger, Millis, NewAudit, NewItem, NewJob, ParkedFilter, ParkedRecord, ParkedState,
    Result, RowKey, StopRule, Verb,
};
use std::collections::{BTreeMap, HashSet};

/// The most letters that one job of ours has: the next look takes the rest.
const MOST: usize = 1_000;

/// The caretaker of one slice. Time is an argument; what it has to remember over a crash is in the ledger.
pub struct Upkeep {
    policy: Policy,
    slice: i32,
    /// What is asked is asked of this build.
    build: String,
    next_check: Millis,
    asked: Option<ask::Asked>,
    /// Causes that were retried by themselves, with the job: one that failed again is left to people.
    retried: BTreeMap<String, String>,
    /// The last firing of each rule that is over and done with.
    fired: BTreeMap<String, i64>,
}

impl Upkeep {
    /// A new owner looks at its letters soon: it may be another build.
    #[must_use]
    pub fn new(policy: Policy, slice: i32, build: &str, now: Millis) -> Self {
        let first = policy.every_ms.min(FIRST_MS);
        Self {
            policy,
            slice,
            build: build.to_owned(),
            next_check: now + first,
            asked: None,
            retried: BTreeMap::new(),
            fired: BTreeMap::new(),
        }
    }

    /// One look. To be called every few seconds.
    ///
    /// # Errors
    /// Of the ledger; the next look goes on.
    pub async fn tend(&mut self, ledger: &dyn Ledger, now: Millis) -> Result<()> {
        self.fire_rules(ledger, now).await?;
        if self.asked.is_some() {
            return self.hear(ledger, now).await;
        }
        if now >= self.next_check && self.policy.asks() {
            self.next_check = now + self.policy.every_ms;
            self.ask(ledger, now).await?;
        }
        Ok(())
    }

    /// Letters that wait for people, in the ledger's order.
    async fn open_letters(&self, ledger: &dyn Ledger, filter: ParkedFilter) -> Result<Vec<ParkedRecord>> {
        let states = ParkedState::ALL.into_iter().filter(|state| state.is_alive()).collect();
        let filter = ParkedFilter { slice: Some(self.slice), states, failed: true, ..filter };
        let mut rows = ledger.parked_records(&filter).await?;
        if rows.is_empty() {
            return Ok(rows);
        }
        let sequences = ledger.sequences(Some(self.slice)).await?;
        let retries: HashSet<&str> = sequences
            .iter()
            .filter(|sequence| sequence.next_attempt_ms.is_some())
            .map(|sequence| sequence.sequence.as_str())
            .collect();
        rows.retain(|row| !retries.contains(row.sequence.as_str()) && is_for_people(row));
        Ok(rows)
    }

    /// Makes a job of these letters; those that others hold, or that changed meanwhile, are left out.
    async fn start(&self, ledger: &dyn Ledger, new: Start<'_>, rows: &[ParkedRecord], now: Millis) -> Result<u64> {
        let mut items: Vec<NewItem> = rows.iter().map(item).collect();
        let is_try = new.verb == Verb::Retry;
        let spec = JobSpec {
            verb: new.verb,
            rate: Some(self.policy.rate),
            ramp: if is_try { vec![1, 10] } else { Vec::new() },
            max: None,
            stop: StopRule { same_fingerprint: is_try.then_some(SAME_CAUSE), ..StopRule::default() },
            plan_hash: None,
            who: new.who.to_owned(),
            reason: new.reason.to_owned(),
            ticket: None,
            approver: None,
            to: new.to.cloned(),
        };
        let audit = NewAudit {
            at_ms: now,
            actor: new.who.to_owned(),
            action: format!("job.{}", new.verb.as_str()),
            subject: new.id.to_owned(),
            reason: new.reason.to_owned(),
            before: None,
            after: Some(serde_json::json!({ "slice": self.slice, "letters": items.len() }).to_string()),
        };
        for _ in 0..ROUNDS {
            if items.is_empty() {
                return Ok(0);
            }
            let job = NewJob { id: new.id.to_owned(), at_ms: now, spec: spec.clone(), items: items.clone() };
            match ledger.create_job(&job, &audit).await? {
                Creation::Created(job) => return Ok(job.counts.total),
                Creation::Refused { held, changed } => {
                    let is_out = |row: &RowKey| held.iter().any(|(known, _)| known == row) || changed.contains(row);
                    items.retain(|item| !is_out(&item.row));
                }
            }
        }
        Ok(0)
    }
}

/// A job to be made.
struct Start<'a> {
    id: &'a str,
    verb: Verb,
    who: &'a str,
    reason: &'a str,
    /// For a move: where the letters go.
    to: Option<&'a Destination>,
}

/// After a take-over the first look comes after this.
const FIRST_MS: Millis = 10_000;
/// Letters of one cause that fail again one after another end a job of ours.
const SAME_CAUSE: u32 = 10;
/// A refusal names a bounded number of rows: so often what it names is left out.
const ROUNDS: usize = 12;

fn item(row: &ParkedRecord) -> NewItem {
    NewItem { row: key(row), version: row.fate.version, edit: None }
}

fn key(row: &ParkedRecord) -> RowKey {
    RowKey { slice: row.slice, sequence: row.sequence.clone(), no: row.no }
}

/// What may pass by itself is tried by itself.
fn is_for_people(row: &ParkedRecord) -> bool {
    row.fate.failure.as_ref().is_some_and(|failure| is_final(failure.class))
}

const fn is_final(class: failure::Class) -> bool {
    use failure::Class;
    match class {
        Class::Business | Class::Contract | Class::Poison | Class::Bug => true,
        Class::Dependency | Class::Unknown | Class::NotYet => false,
    }
}
