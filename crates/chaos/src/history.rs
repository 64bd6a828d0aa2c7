//! The history of a case as publishers, ledger, drains and the outside system's own log each tell it, for the history checker, which
//! shares no code with the runtime or with `verify`.

use crate::{
    outcome::{End, Outcome},
    stage::ERP_SYNC,
};
use anyhow::{Result, ensure};
use e2e::{Bench, erp::Erp};
use events::{Envelope, Headers, Record};
use history::{Appeared, Decided, Effect, Line, Place, Published};
use kafka::drain::Drain;
use ledger::ParkedFilter;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, time::Duration};
use testkit::eventually;

const READ: Duration = Duration::from_secs(120);
/// Rows by the clock come once a minute at most.
const STILL: Duration = Duration::from_secs(120);
const PAGE: usize = 500;

/// Has the checker decide; what it compared goes into the outcome.
///
/// # Errors
/// Broken, with the first invariant that does not hold.
pub async fn judge(bench: &Bench, erp: &Erp, outcome: &mut Outcome) -> Result<(), End> {
    let lines = at_rest(bench, erp).await?;
    let report = history::check(&lines, None);
    for compared in &report.compared {
        outcome.compared.insert(format!("history {}", compared.invariant), compared.count);
    }
    match report.broken.first() {
        Some(broken) => Err(End::Broken(format!("history checker: {broken}"))),
        None => Ok(()),
    }
}

/// Ledger and topics are read one after the other, and rows that a clock makes due come at any time: what is compared must have stood still.
async fn at_rest(bench: &Bench, erp: &Erp) -> Result<Vec<Line>> {
    let entries = async || -> Result<Vec<i64>> {
        let mut slices = bench.ledger.slices().await?;
        slices.sort_unstable_by_key(|slice| slice.slice);
        Ok(slices.iter().map(|slice| slice.next_entry).collect())
    };
    let stood_still = async || {
        let before = entries().await?;
        let lines = lines(bench, erp).await?;
        ensure!(before == entries().await?, "it moved on while it was read");
        Ok(lines)
    };
    Ok(eventually("a history that stands still", STILL, stood_still).await?)
}

async fn lines(bench: &Bench, erp: &Erp) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let Told { inputs, outputs, alone } = ledger_lines(bench, &mut lines).await?;
    let drain = Drain::new(bench.kafka().clone(), READ);
    for topic in inputs {
        lines.extend(drain.collect(&topic).await?.iter().map(|record| Line::Published(published(record, &alone))));
    }
    for topic in outputs {
        lines.extend(drain.collect(&topic).await?.iter().filter_map(appeared).map(Line::Appeared));
    }
    for (number, effect) in erp.effects().await?.into_iter().enumerate() {
        // A record is made once; changes of it are told apart, for the same one may be right twice.
        let made = effect.operation == "create";
        let key = format!("{} {} {}", effect.operation, effect.object, effect.external_id);
        let key = if made { key } else { format!("{key} #{number}") };
        lines.push(Line::Effect(Effect { key, event: effect.event_id, digest: String::new(), money: None }));
    }
    Ok(lines)
}

/// What the ledger tells of the topics.
struct Told {
    /// Those that the service has read.
    inputs: BTreeSet<String>,
    /// Those that it published to.
    outputs: BTreeSet<String>,
    /// Records that nobody can read: each is a letter of its own, and no other waits behind it.
    alone: BTreeSet<Place>,
}

async fn ledger_lines(bench: &Bench, lines: &mut Vec<Line>) -> Result<Told> {
    let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::from([format!("dlq.{ERP_SYNC}")]));
    let mut alone = BTreeSet::new();
    for slice in bench.ledger.slices().await? {
        for position in slice.positions {
            inputs.insert(position.topic.clone());
            let (topic, next) = (position.topic, position.next_offset);
            lines.push(Line::Position { topic, partition: slice.slice, next });
        }
        lines.extend(
            slice.intents.into_iter().map(|intent| Line::Open { what: format!("intent {}", intent.effect_key) }),
        );
        let open = slice.next_entry - 1 - slice.closed_entry;
        lines.extend((open > 0).then(|| Line::Open { what: format!("slice {}: one of {open} entries", slice.slice) }));
        let mut from = 0;
        loop {
            let entries = bench.ledger.entries(slice.slice, from, PAGE).await?;
            let Some(last) = entries.last() else { break };
            from = last.entry + 1;
            for entry in entries {
                let number = entry.entry;
                lines.push(Line::Entry { slice: slice.slice, entry: number, epoch: entry.epoch });
                for record in &entry.body.records {
                    let topic = entry.body.topics.get(usize::from(record.topic)).cloned().unwrap_or_default();
                    let place = Place { topic, partition: slice.slice, offset: record.offset };
                    let disposition = record.disposition.as_str().to_owned();
                    lines.push(Line::Decided(Decided { entry: number, place, disposition }));
                }
                for outgoing in entry.body.outgoing {
                    let (topic, partition) = (outgoing.event.topic, outgoing.event.partition);
                    outputs.insert(topic.clone());
                    lines.push(Line::Committed { slice: slice.slice, topic, partition, number: outgoing.number });
                }
            }
        }
    }
    let parked = ParkedFilter { limit: usize::MAX >> 1, ..ParkedFilter::default() };
    for row in bench.ledger.parked_records(&parked).await? {
        let place = Place { topic: row.topic, partition: row.partition, offset: row.offset };
        if row.sequence.starts_with('!') {
            alone.insert(place.clone());
        }
        lines.push(Line::Parked { place, state: row.fate.state.as_str().to_owned() });
    }
    Ok(Told { inputs, outputs, alone })
}

fn place(record: &Record) -> Place {
    Place { topic: record.topic.to_string(), partition: record.partition, offset: record.offset }
}

fn published(record: &Record, alone: &BTreeSet<Place>) -> Published {
    let envelope = Envelope::from_headers(&record.headers).ok();
    let is_read = envelope.is_some() && !alone.contains(&place(record));
    let sequence = is_read.then(|| record.key.as_deref().map(String::from_utf8_lossy)).flatten();
    let version = envelope
        .as_ref()
        .and_then(|envelope| Some((envelope.subject.clone()?, envelope.sequence.as_deref()?.parse().ok()?)));
    Published {
        place: place(record),
        event: envelope.map(|envelope| envelope.id),
        sequence: sequence.map(|key| key.into_owned()),
        version,
        digest: digest(record),
        money: None,
    }
}

fn appeared(record: &Record) -> Option<Appeared> {
    // Several services publish to a topic such as that of latencies, and each numbers its own.
    let header = record.headers.text("tl-outbox")?;
    let (slice, number) = header.strip_prefix(ERP_SYNC)?.strip_prefix('/')?.split_once('/')?;
    let (slice, number) = (slice.parse().ok()?, number.parse().ok()?);
    let letter_of = letter_of(&record.headers);
    Some(Appeared { place: place(record), slice, number, digest: digest(record), letter_of })
}

fn letter_of(headers: &Headers) -> Option<Place> {
    Some(Place {
        topic: headers.text("dlq.original.topic")?.to_owned(),
        partition: headers.text("dlq.original.partition")?.parse().ok()?,
        offset: headers.text("dlq.original.offset")?.parse().ok()?,
    })
}

/// Equal exactly where key, value and headers are; without the headers that the relay and a dead letter add.
fn digest(record: &Record) -> String {
    let theirs = record.headers.0.iter().filter(|(name, _)| !name.starts_with("dlq.") && name != "tl-outbox");
    let theirs: Vec<_> = theirs.collect();
    let text = format!("{:?} {:?} {theirs:?}", record.key, record.value);
    format!("{:x}", Sha256::digest(text))
}
