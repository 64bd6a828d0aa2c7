//! The history of a case as publishers, ledger, drains and the outside system's own log each tell it, for the history checker, which
//! shares no code with the runtime or with `verify`.

use crate::outcome::{End, Outcome};
use anyhow::Result;
use e2e::{Bench, erp::Erp};
use events::{Envelope, Headers, Record};
use history::{Appeared, Decided, Effect, Line, Place, Published};
use kafka::drain::Drain;
use ledger::ParkedFilter;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, time::Duration};

const READ: Duration = Duration::from_secs(120);
const PAGE: usize = 500;

/// Has the checker decide; what it compared goes into the outcome.
///
/// # Errors
/// Broken, with the first invariant that does not hold.
pub async fn judge(bench: &Bench, erp: &Erp, outcome: &mut Outcome) -> Result<(), End> {
    let lines = lines(bench, erp).await?;
    let report = history::check(&lines, None);
    for compared in &report.compared {
        outcome.compared.insert(format!("history {}", compared.invariant), compared.count);
    }
    match report.broken.first() {
        Some(broken) => Err(End::Broken(format!("history checker: {broken}"))),
        None => Ok(()),
    }
}

async fn lines(bench: &Bench, erp: &Erp) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let (inputs, outputs) = ledger_lines(bench, &mut lines).await?;
    let drain = Drain::new(bench.kafka().clone(), READ);
    for topic in inputs {
        lines.extend(drain.collect(&topic).await?.iter().map(|record| Line::Published(published(record))));
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

/// Topics that the service has read, and those it published to.
async fn ledger_lines(bench: &Bench, lines: &mut Vec<Line>) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::from(["dlq.erp-sync".to_owned()]));
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
        lines.push(Line::Parked { place, state: row.fate.state.as_str().to_owned() });
    }
    Ok((inputs, outputs))
}

fn place(record: &Record) -> Place {
    Place { topic: record.topic.to_string(), partition: record.partition, offset: record.offset }
}

fn published(record: &Record) -> Published {
    let envelope = Envelope::from_headers(&record.headers).ok();
    let sequence = envelope.is_some().then(|| record.key.as_deref().map(String::from_utf8_lossy)).flatten();
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
    let mut number = record.headers.text("tl-outbox")?.rsplitn(3, '/');
    let (number, slice) = (number.next()?.parse().ok()?, number.next()?.parse().ok()?);
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
