//! A subscription business that is always the same for the same seed, with everything that can go wrong in one.
//!
//! It guarantees: ids, versions (from 1, without gaps, per subject), times and sums are right unless an option breaks them; the
//! order of one key within one topic is kept; a document that is wrong on purpose is the last of its account. Memory grows with
//! the accounts that are alive, not with the events.

mod calendar;
mod catalog;
mod chance;
mod disturb;
mod effects;
mod expect;
mod life;
mod merge;
mod money;
mod names;
mod options;
mod poison;
mod rating;
mod sample;
mod shape;
mod tax;
#[cfg(test)]
mod tests;

pub use effects::Effects;
pub use expect::Expectations;
pub use options::{Faults, Options};
pub use sample::covering;

use chance::Chance;
use disturb::Disturb;
use events::{Envelope, Event, EventSet, Headers, common::DisputeStatus, topics};
use failure::Class;
use life::{Account, Flaw, Happening, Moment, Used};
use merge::Merge;
use names::Names;
use shape::Shaper;

/// One record to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    pub topic: &'static str,
    /// The account, for everything that can be read.
    pub key: String,
    pub item: Item,
    pub fate: Fate,
    /// What the usage that it replaces was rated at, in minor units: the event itself does not say it.
    pub replaced_minor: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Event {
        envelope: Envelope,
        event: Event,
    },
    /// Published as it is.
    Raw {
        value: Option<Vec<u8>>,
        headers: Headers,
    },
}

/// What must become of a record in `erp-sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Takes effect once.
    Applied,
    /// No effect in the ERP, by rule.
    Skipped,
    /// Takes effect; the same id comes again with other bytes.
    Original,
    /// The same id and bytes again: no effect.
    Duplicate,
    /// An id that was used before, with other bytes: no effect, a dead letter.
    Conflict,
    /// No effect: a dead letter, or for [`Class::Business`] a case for a person.
    Refused(Class),
}

/// Options that make no sense, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOptions(pub Vec<String>);

impl std::fmt::Display for BadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for BadOptions {}

/// Generates a business, record by record.
///
/// # Errors
/// All options that make no sense, at once.
pub fn stream(options: &Options) -> Result<Stream, BadOptions> {
    let problems = options.problems();
    if !problems.is_empty() {
        return Err(BadOptions(problems));
    }
    let names = Names::of_seed(options.seed);
    let source = Source { merge: Merge::new(options.clone()), names: names.clone(), left: options.max_events };
    let chance = Chance::of_disturbance(options.seed);
    let records = Disturb::new(source, names, options.faults.clone(), chance);
    Ok(Stream { records, expectations: Expectations::default() })
}

/// The records of a business, in the order of publication.
pub struct Stream {
    records: Disturb<Source>,
    expectations: Expectations,
}

impl Stream {
    /// Counts what is expected of each account too.
    #[must_use]
    pub fn counting_accounts(mut self) -> Self {
        self.expectations = Expectations::new(true);
        self
    }

    /// What must come of the records taken so far.
    #[must_use]
    pub const fn expectations(&self) -> &Expectations {
        &self.expectations
    }
}

impl Iterator for Stream {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        let generated = self.records.next()?;
        self.expectations.add(&generated);
        Some(generated)
    }
}

/// The undisturbed events of all accounts in the order of time.
struct Source {
    merge: Merge,
    names: Names,
    left: Option<u64>,
}

impl Iterator for Source {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.left == Some(0) {
            return None;
        }
        loop {
            let names = &self.names;
            if let Some(generated) = self.merge.step(|account, moment| generate(names, account, moment))? {
                self.left = self.left.map(|left| left - 1);
                return Some(generated);
            }
        }
    }
}

fn generate(names: &Names, account: &Account, moment: &Moment) -> Generated {
    let event = Shaper { names, account, moment }.event();
    let topic = event.topic();
    let flow = account.contracts[moment.contract].flow;
    let envelope = Envelope {
        id: moment.id.0.to_string(),
        source: source(topic).to_owned(),
        event_type: topics::event_type(topic),
        time_ms: moment.at_ms,
        subject: Some(event.subject().to_owned()),
        correlation_id: Some(flow.0.to_string()),
        causation_id: moment.cause.map(|cause| cause.0.to_string()),
        sequence: event.entity_version().map(|version| format!("{version:010}").into()),
        dataschema: None,
        change_origin: None,
        traceparent: None,
    };
    Generated {
        topic,
        key: event.account_id().to_owned(),
        fate: fate(&event, moment.flaw),
        replaced_minor: match &moment.happening {
            Happening::Used(Used { replaces: Some(wrong), .. }) => wrong.amount,
            _ => 0,
        },
        item: Item::Event { envelope, event },
    }
}

fn fate(event: &Event, flaw: Flaw) -> Fate {
    match flaw {
        Flaw::Contract => Fate::Refused(Class::Contract),
        Flaw::Business => Fate::Refused(Class::Business),
        Flaw::Conflict => Fate::Original,
        Flaw::None if books_nothing(event) => Fate::Skipped,
        Flaw::None => Fate::Applied,
    }
}

/// What moves nothing in the ERP. A draft that is voided was never posted, and a bank that looks again has not decided.
fn books_nothing(event: &Event) -> bool {
    match event {
        Event::PaymentFailed(_) | Event::UsageThresholdExceeded(_) | Event::InvoiceVoided(_) => true,
        Event::PaymentDisputed(dispute) => dispute.status == DisputeStatus::UnderReview,
        _ => false,
    }
}

/// The system that publishes a topic, by its owner.
fn source(topic: &str) -> &'static str {
    match topics::find(topic).map_or("", |subject| subject.owner) {
        "billing" => "urn:example:billing",
        "payments" => "urn:example:payments",
        "rating" => "urn:example:rating",
        _ => "urn:example:crm",
    }
}
