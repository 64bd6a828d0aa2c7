//! The history of a simulated run, as publishers, ledger, outside system and a drain of the topics would each have written it.

use super::{
    Case,
    outside::Outside,
    topic::{Log, Outputs},
    work,
    world::now_or_never,
};
use consumer::Handler;
use events::{EventSet as _, Headers};
use history::{Appeared, Decided, Effect, Line, Money, Place, Published};
use ledger::{DocumentFilter, Ledger as _, NewOutgoing, ParkedFilter, memory::MemoryLedger};

const ALL: usize = usize::MAX;
const SLICE: i32 = 0;

pub fn lines<H: Handler>(
    case: &Case<H>,
    ledger: &MemoryLedger,
    log: &Log<H::Event>,
    outside: &Outside<H::Effect>,
    outputs: &Outputs,
) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    inputs(case, log, &mut lines);
    journal(ledger, &mut lines).map_err(|error| error.to_string())?;
    for (committed, effect) in outside.log.iter().zip(&outside.effects) {
        lines.push(Line::Effect(Effect {
            key: committed.key.clone(),
            event: committed.event_id.clone(),
            digest: committed.payload.clone(),
            money: case.money.and_then(|money| (money.moved)(effect)).map(amount),
        }));
    }
    lines.extend(outside.sent_again.iter().map(|key| Line::SentAgain { key: key.clone() }));
    for ((topic, partition), events) in outputs {
        for (offset, (number, event)) in (0..).zip(events) {
            let place = Place { topic: topic.clone(), partition: *partition, offset };
            let digest = digest(event.key.as_deref(), event.value.as_deref(), &event.headers);
            lines.push(Line::Appeared(Appeared {
                place,
                slice: SLICE,
                number: *number,
                digest,
                letter_of: letter_of(event),
            }));
        }
    }
    Ok(lines)
}

fn inputs<H: Handler>(case: &Case<H>, log: &Log<H::Event>, lines: &mut Vec<Line>) {
    for (topic, records) in log {
        for arrived in records {
            let record = &arrived.record;
            let event = arrived.event.as_ref().ok();
            lines.push(Line::Published(Published {
                place: place(topic, record.offset),
                event: arrived.envelope.as_ref().map(|envelope| envelope.id.clone()),
                sequence: event.map(|event| case.handler.sequence(event, arrived.key())),
                version: event.and_then(|event| Some((event.subject().to_owned(), event.entity_version()?))),
                digest: digest(record.key.as_deref(), record.value.as_deref(), &record.headers),
                money: event.and_then(|event| (case.money?.asked)(event)).map(amount),
            }));
        }
    }
}

fn journal(ledger: &MemoryLedger, lines: &mut Vec<Line>) -> ledger::Result<()> {
    for entry in now_or_never(ledger.entries(SLICE, 0, ALL))? {
        lines.push(Line::Entry { slice: SLICE, entry: entry.entry, epoch: entry.epoch });
        for record in &entry.body.records {
            let topic = entry.body.topics.get(usize::from(record.topic)).map_or("", String::as_str);
            let disposition = record.disposition.as_str().to_owned();
            lines.push(Line::Decided(Decided { entry: entry.entry, place: place(topic, record.offset), disposition }));
        }
        for outgoing in entry.body.outgoing {
            let (topic, partition) = (outgoing.event.topic, outgoing.event.partition);
            lines.push(Line::Committed { slice: SLICE, topic, partition, number: outgoing.number });
        }
    }
    for row in now_or_never(ledger.parked_records(&ParkedFilter { limit: ALL, ..ParkedFilter::default() }))? {
        lines.push(Line::Parked { place: place(&row.topic, row.offset), state: row.fate.state.as_str().to_owned() });
    }
    for slice in now_or_never(ledger.slices())? {
        for position in slice.positions {
            lines.push(Line::Position { topic: position.topic, partition: SLICE, next: position.next_offset });
        }
        for intent in slice.intents {
            lines.push(Line::Open { what: format!("intent {}", intent.effect_key) });
        }
        let entries = slice.next_entry - 1 - slice.closed_entry;
        if entries > 0 {
            lines.push(Line::Open { what: format!("{entries} journal entries: one") });
        }
    }
    let documents = now_or_never(ledger.documents(&DocumentFilter { limit: ALL, ..DocumentFilter::default() }))?;
    for row in documents.into_iter().filter(|row| !work::is_minutes(&row.key)) {
        lines.push(Line::Document { key: format!("{}/{}", row.key.kind, row.key.key), digest: row.body });
    }
    Ok(())
}

fn place(topic: &str, offset: i64) -> Place {
    Place { topic: topic.to_owned(), partition: SLICE, offset }
}

fn amount((currency, minor): (String, i64)) -> Money {
    Money { currency, minor }
}

/// Equal exactly where the bytes are; without the headers that a dead letter adds.
fn digest(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> String {
    let theirs: Vec<_> = headers.0.iter().filter(|(name, _)| !name.starts_with("dlq.")).collect();
    format!("{key:?} {value:?} {theirs:?}")
}

/// Where the source of a dead letter lies, as the letter says.
pub fn letter_of(event: &NewOutgoing) -> Option<Place> {
    Some(Place {
        topic: event.headers.text("dlq.original.topic")?.to_owned(),
        partition: event.headers.text("dlq.original.partition")?.parse().ok()?,
        offset: event.headers.text("dlq.original.offset")?.parse().ok()?,
    })
}
