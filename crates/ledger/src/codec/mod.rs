//! Journal bodies and header lists as bytes: one format-version byte, then an Avro datum of `schema/journal.v1.avsc`.
//!
//! Old entries are read for ever: a change of the encoding gets a new version byte and a new schema file beside the old
//! one. Damaged bytes end in [`Error::Corrupt`], whatever they are.

mod avro;
mod steps;

use crate::journal::{Disposition, EffectResult, Entry, EntryRecord, NewOutgoing, Outcome, Outgoing, StepId};
use crate::types::Edit;
use crate::{Error, Result};
use avro::{Reader, Writer};
use events::{Headers, PayloadHash, Uid};

/// The Avro schema of what follows a leading byte [`VERSION`].
pub const SCHEMA_V1: &str = include_str!("../../schema/journal.v1.avsc");

const VERSION: u8 = 1;

/// What a record takes, roughly: room is made once.
const RECORD_BYTES: usize = 30;

/// The bytes of a journal body.
#[must_use]
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(64 + entry.records.len() * RECORD_BYTES));
    w.0.push(VERSION);
    w.array(&entry.topics, |w, topic| w.text(topic));
    let mut offsets = vec![0i64; entry.topics.len()];
    w.array(&entry.records, |w, record| write_record(w, record, &mut offsets));
    w.array(&entry.steps, steps::write);
    w.array(&entry.outcomes, write_outcome);
    w.array(&entry.outgoing, write_outgoing);
    w.0
}

/// Reads a journal body back.
pub fn decode(bytes: &[u8]) -> Result<Entry> {
    let (version, datum) = bytes.split_first().ok_or_else(|| Error::Corrupt("journal body: it is empty".into()))?;
    if *version != VERSION {
        return Err(Error::Corrupt(format!("journal body: format version {version}, this binary reads {VERSION}")));
    }
    let mut r = Reader::new(datum, "journal body");
    let topics = r.array(1, Reader::text)?;
    let mut offsets = vec![0i64; topics.len()];
    let records = r.array(12, |r| read_record(r, &mut offsets))?;
    let steps = r.array(6, steps::read)?;
    let outcomes = r.array(4, read_outcome)?;
    let outgoing = r.array(8, read_outgoing)?;
    r.end()?;
    Ok(Entry { topics, records, steps, outcomes, outgoing })
}

/// The bytes of a list of headers, as parked records keep it: the Avro array of the journal's `headers` fields.
pub(crate) fn encode_headers(headers: &Headers) -> Vec<u8> {
    let mut w = Writer::default();
    w.headers(headers);
    w.0
}

pub(crate) fn decode_headers(bytes: &[u8]) -> Result<Headers> {
    let mut r = Reader::new(bytes, "headers of a parked record");
    let headers = r.headers()?;
    r.end()?;
    Ok(headers)
}

/// The bytes of an edit of a parked record: number, job, value, headers.
pub(crate) fn encode_edit(edit: &Edit) -> Vec<u8> {
    let mut w = Writer::default();
    w.long(i64::from(edit.number));
    w.text(&edit.job);
    w.option(edit.value.as_ref(), |w, value| w.bytes(value));
    w.headers(&edit.headers);
    w.0
}

pub(crate) fn decode_edit(bytes: &[u8]) -> Result<Edit> {
    let mut r = Reader::new(bytes, "edit of a parked record");
    let edit = Edit { number: r.int()?, job: r.text()?, value: r.option(Reader::blob)?, headers: r.headers()? };
    r.end()?;
    Ok(edit)
}

fn write_record(w: &mut Writer, record: &EntryRecord, offsets: &mut [i64]) {
    w.long(i64::from(record.topic));
    match offsets.get_mut(usize::from(record.topic)) {
        Some(last) => {
            w.long(record.offset.wrapping_sub(*last));
            *last = record.offset;
        }
        // A commit with such a record was refused before; the decoder refuses the bytes.
        None => w.long(record.offset),
    }
    write_uid(w, record.uid);
    write_hash(w, record.hash);
    w.long(disposition_index(record.disposition));
}

fn read_record(r: &mut Reader<'_>, offsets: &mut [i64]) -> Result<EntryRecord> {
    let topic = r.long()?;
    let delta = r.long()?;
    let known = u16::try_from(topic).ok().and_then(|topic| Some((topic, offsets.get_mut(usize::from(topic))?)));
    let Some((topic, last)) = known else { return Err(r.damaged("a record points to no topic")) };
    *last = last.wrapping_add(delta);
    let offset = *last;
    let (uid, hash) = (read_uid(r)?, read_hash(r)?);
    let index = r.long()?;
    let disposition = usize::try_from(index).ok().and_then(|index| Disposition::ALL.get(index).copied());
    let disposition = disposition.ok_or_else(|| r.damaged("a disposition is unknown"))?;
    Ok(EntryRecord { topic, offset, uid, hash, disposition })
}

/// The place in the schema's enum, which is the order of [`Disposition::ALL`].
const fn disposition_index(disposition: Disposition) -> i64 {
    match disposition {
        Disposition::Applied => 0,
        Disposition::Duplicate => 1,
        Disposition::Superseded => 2,
        Disposition::Conflict => 3,
        Disposition::Parked => 4,
        Disposition::DeadLettered => 5,
        Disposition::Skipped => 6,
        Disposition::OutsideHorizon => 7,
    }
}

fn write_uid(w: &mut Writer, uid: Option<Uid>) {
    w.option(uid, |w, uid| w.fixed(&uid.0));
}

fn read_uid(r: &mut Reader<'_>) -> Result<Option<Uid>> {
    r.option(|r| r.fixed().map(Uid))
}

fn write_hash(w: &mut Writer, hash: PayloadHash) {
    w.fixed(&hash.0.to_be_bytes());
}

fn read_hash(r: &mut Reader<'_>) -> Result<PayloadHash> {
    Ok(PayloadHash(i64::from_be_bytes(r.fixed()?)))
}

fn write_outcome(w: &mut Writer, outcome: &Outcome) {
    w.long(outcome.step.entry);
    w.long(i64::from(outcome.step.index));
    w.long(i64::from(outcome.effect));
    match &outcome.result {
        EffectResult::Done { receipt } => {
            w.long(0);
            w.text(receipt);
        }
        EffectResult::Refused { code } => {
            w.long(1);
            w.text(code);
        }
        EffectResult::Unknown => w.long(2),
    }
}

fn read_outcome(r: &mut Reader<'_>) -> Result<Outcome> {
    let step = StepId { entry: r.long()?, index: r.int()? };
    let effect = r.int()?;
    let result = match r.long()? {
        0 => EffectResult::Done { receipt: r.text()? },
        1 => EffectResult::Refused { code: r.text()? },
        2 => EffectResult::Unknown,
        _ => return Err(r.damaged("an outcome is unknown")),
    };
    Ok(Outcome { step, effect, result })
}

fn write_event(w: &mut Writer, event: &NewOutgoing) {
    w.text(&event.topic);
    w.long(i64::from(event.partition));
    w.option(event.key.as_ref(), |w, key| w.bytes(key));
    w.option(event.value.as_ref(), |w, value| w.bytes(value));
    w.headers(&event.headers);
    w.long(event.timestamp_ms);
}

fn read_event(r: &mut Reader<'_>) -> Result<NewOutgoing> {
    Ok(NewOutgoing {
        topic: r.text()?,
        partition: r.int()?,
        key: r.option(Reader::blob)?,
        value: r.option(Reader::blob)?,
        headers: r.headers()?,
        timestamp_ms: r.long()?,
    })
}

fn write_outgoing(w: &mut Writer, outgoing: &Outgoing) {
    w.long(outgoing.number);
    write_event(w, &outgoing.event);
    w.option(outgoing.letter_of.as_ref(), |w, (sequence, no)| {
        w.text(sequence);
        w.long(*no);
    });
}

fn read_outgoing(r: &mut Reader<'_>) -> Result<Outgoing> {
    Ok(Outgoing { number: r.long()?, event: read_event(r)?, letter_of: r.option(|r| Ok((r.text()?, r.long()?)))? })
}

#[cfg(test)]
mod tests;
