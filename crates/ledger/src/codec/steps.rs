//! Steps: what is about to be sent, why, and what takes hold afterwards.

use super::avro::{Reader, Writer};
use super::{read_event, read_hash, read_uid, write_event, write_hash, write_uid};
use crate::Result;
use crate::journal::{Cause, EffectRow, SourceRecord, Staged, Step};
use crate::types::{DocumentChange, DocumentKey, TimerChange, TimerRow};

pub(super) fn write(w: &mut Writer, step: &Step) {
    w.text(&step.sequence);
    w.array(&step.causes, write_cause);
    w.array(&step.effects, write_effect);
    w.array(&step.staged.documents, write_document);
    w.array(&step.staged.outgoing, write_event);
    w.array(&step.staged.timers, write_timer);
}

pub(super) fn read(r: &mut Reader<'_>) -> Result<Step> {
    Ok(Step {
        sequence: r.text()?,
        causes: r.array(2, read_cause)?,
        effects: r.array(5, read_effect)?,
        staged: Staged {
            documents: r.array(5, read_document)?,
            outgoing: r.array(6, read_event)?,
            timers: r.array(2, read_timer)?,
        },
    })
}

fn write_cause(w: &mut Writer, cause: &Cause) {
    match cause {
        Cause::Record(record) => {
            w.long(0);
            write_source(w, record);
        }
        Cause::Parked { no } => {
            w.long(1);
            w.long(*no);
        }
        Cause::Timer { id, payload } => {
            w.long(2);
            w.text(id);
            w.text(payload);
        }
    }
}

fn read_cause(r: &mut Reader<'_>) -> Result<Cause> {
    match r.long()? {
        0 => read_source(r).map(Cause::Record),
        1 => Ok(Cause::Parked { no: r.long()? }),
        2 => Ok(Cause::Timer { id: r.text()?, payload: r.text()? }),
        _ => Err(r.damaged("a cause is unknown")),
    }
}

fn write_source(w: &mut Writer, record: &SourceRecord) {
    w.text(&record.topic);
    w.long(i64::from(record.partition));
    w.long(record.offset);
    w.long(record.timestamp_ms);
    w.option(record.key.as_ref(), |w, key| w.bytes(key));
    w.option(record.value.as_ref(), |w, value| w.bytes(value));
    w.headers(&record.headers);
    write_uid(w, record.uid);
    write_hash(w, record.hash);
}

fn read_source(r: &mut Reader<'_>) -> Result<SourceRecord> {
    Ok(SourceRecord {
        topic: r.text()?,
        partition: r.int()?,
        offset: r.long()?,
        timestamp_ms: r.long()?,
        key: r.option(Reader::blob)?,
        value: r.option(Reader::blob)?,
        headers: r.headers()?,
        uid: read_uid(r)?,
        hash: read_hash(r)?,
    })
}

fn write_effect(w: &mut Writer, effect: &EffectRow) {
    w.text(&effect.key);
    w.text(&effect.entity);
    w.text(&effect.payload);
    w.option(effect.receipt.as_ref(), |w, receipt| w.text(receipt));
    w.boolean(effect.look_up);
}

fn read_effect(r: &mut Reader<'_>) -> Result<EffectRow> {
    Ok(EffectRow {
        key: r.text()?,
        entity: r.text()?,
        payload: r.text()?,
        receipt: r.option(Reader::text)?,
        look_up: r.boolean()?,
    })
}

fn write_document(w: &mut Writer, change: &DocumentChange) {
    w.text(&change.key.kind);
    w.text(&change.key.key);
    w.text(&change.status);
    w.text(&change.account_id);
    w.option(change.body.as_ref(), |w, body| w.text(body));
}

fn read_document(r: &mut Reader<'_>) -> Result<DocumentChange> {
    Ok(DocumentChange {
        key: DocumentKey { kind: r.text()?, key: r.text()? },
        status: r.text()?,
        account_id: r.text()?,
        body: r.option(Reader::text)?,
    })
}

fn write_timer(w: &mut Writer, change: &TimerChange) {
    match change {
        TimerChange::Set(row) => {
            w.long(0);
            w.text(&row.id);
            w.long(row.due_ms);
            w.text(&row.sequence);
            w.text(&row.payload);
        }
        TimerChange::Clear { id } => {
            w.long(1);
            w.text(id);
        }
    }
}

fn read_timer(r: &mut Reader<'_>) -> Result<TimerChange> {
    match r.long()? {
        0 => {
            Ok(TimerChange::Set(TimerRow { id: r.text()?, due_ms: r.long()?, sequence: r.text()?, payload: r.text()? }))
        }
        1 => Ok(TimerChange::Clear { id: r.text()? }),
        _ => Err(r.damaged("a timer change is unknown")),
    }
}
