//! What the runtime tells data teams of its own work: how long events that failed took to their end, and how long changes took to the
//! outside system. Each row is part of the transaction in which that which it tells of becomes durable, so that there is one for each and
//! none for what a crash undid; an event that never failed, in a service without effects, costs nothing here.

use super::{
    Machine,
    lane::Item,
    latency::{Closed, KIND, UP_TO_MS},
};
use crate::handler::{Handler, Publish};
use events::{
    AnalyticsEventRecovery, AnalyticsSyncLatency, Dataset, Envelope, Headers, Payload, Record,
    common::RecoveryEnd,
    topics::{ANALYTICS_EVENT_RECOVERY, ANALYTICS_SYNC_LATENCY, event_type, find},
};
use jiff::Timestamp;
use ledger::{DocumentChange, DocumentKey, Millis, ParkedFate, ParkedState};
use std::sync::Arc;

/// Which reports a member makes: those whose topics are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// Schema id of `analytics.event_recovery.v1`.
    pub recovery: Option<u32>,
    /// Schema id of `analytics.sync_latency.v1`, and the outside system that the service keeps in step.
    pub latency: Option<(u32, &'static str)>,
}

/// The topics of all reports.
pub const REPORTS: [&str; 2] = [ANALYTICS_EVENT_RECOVERY, ANALYTICS_SYNC_LATENCY];

/// Where a parked record comes from, as its row and the record itself both say.
pub(super) struct Origin<'a> {
    pub topic: &'a str,
    pub key: Option<&'a [u8]>,
    pub headers: &'a Headers,
}

impl<'a> From<&'a Record> for Origin<'a> {
    fn from(record: &'a Record) -> Self {
        Self { topic: &record.topic, key: record.key.as_deref(), headers: &record.headers }
    }
}

impl<'a> From<&'a ledger::ParkedRecord> for Origin<'a> {
    fn from(row: &'a ledger::ParkedRecord) -> Self {
        Self { topic: &row.topic, key: row.key.as_deref(), headers: &row.headers }
    }
}

/// Where nobody can read whose event it is.
const NOBODY: &str = "unknown";

impl<H: Handler> Machine<H> {
    /// A parked record has ended. `fate`: as it is written.
    pub(super) fn report_recovery(
        &mut self,
        name: &Arc<str>,
        no: i64,
        fate: &ParkedFate,
        of: &Origin<'_>,
        now: Millis,
    ) {
        let Some(schema) = self.settings.reports.recovery else { return };
        let (Some(first), Some(last), Some(ended_as)) = (&fate.first, &fate.failure, end_of(fate.state)) else {
            return;
        };
        let service = self.handler.name();
        let recovery_id = format!("{service}/{}/{name}/{no}", self.slice);
        let row = AnalyticsEventRecovery {
            account_id: of.key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or(NOBODY).to_owned(),
            event_id: format!("{recovery_id}/{}", fate.version),
            entity_version: i64::from(fate.version),
            occurred_at: at(first.at_ms),
            recorded_at: at(now),
            recovery_id,
            service: service.to_owned(),
            topic: of.topic.to_owned(),
            source_event_id: of.headers.text("ce_id").map(str::to_owned),
            first_class: first.class.as_str().to_owned(),
            first_code: first.code.to_string(),
            last_class: last.class.as_str().to_owned(),
            last_code: last.code.to_string(),
            attempts: fate.attempts,
            was_edited: fate.edit.is_some(),
            ended_as,
            has_recovered: !matches!(ended_as, RecoveryEnd::Discarded | RecoveryEnd::Erased),
            recovery_ms: now.saturating_sub(first.at_ms).max(0),
        };
        let envelope = Envelope {
            correlation_id: of.headers.text("ce_correlationid").map(str::to_owned),
            causation_id: row.source_event_id.clone(),
            ..self.envelope_of(&row, &row.event_id)
        };
        self.tell(schema, row.account_id.clone(), row, &envelope);
    }

    /// All effects of these events are done.
    pub(super) fn report_in_step(&mut self, items: &[Item<H::Event>], now: Millis) {
        if self.settings.reports.latency.is_none() {
            return;
        }
        let mut closed = Vec::new();
        for arrived in items.iter().filter_map(|item| item.work.arrived()) {
            let record = &arrived.record;
            let source = find(&record.topic).map_or(NOBODY, |subject| subject.owner);
            closed.extend(self.latency.count(source, now.saturating_sub(record.timestamp_ms), now));
        }
        self.latency_changed(closed);
    }

    /// Minutes that are over are told without waiting for the next event.
    pub(super) fn close_minutes(&mut self, now: Millis) {
        if self.may_close_minutes() && self.latency.due().is_some_and(|due| due <= now) {
            let closed = self.latency.close(now);
            self.latency_changed(closed);
        }
    }

    /// When a minute has to be closed next.
    pub(super) fn minutes_wake(&self) -> Option<Millis> {
        self.latency.due().filter(|_| self.may_close_minutes())
    }

    const fn may_close_minutes(&self) -> bool {
        self.settings.reports.latency.is_some() && !self.draining && self.stopping.is_none()
    }

    /// The open minutes are a document, in the transaction of what they count: a crash neither loses nor repeats any of it.
    fn latency_changed(&mut self, closed: Vec<Closed>) {
        for minute in closed {
            self.tell_minute(&minute);
        }
        self.batch.document(DocumentChange {
            key: DocumentKey::new(KIND, self.slice.to_string()),
            status: "open".to_owned(),
            account_id: String::new(),
            body: Some(self.latency.to_json()),
        });
    }

    fn tell_minute(&mut self, closed: &Closed) {
        let Some((schema, target)) = self.settings.reports.latency else { return };
        let service = self.handler.name();
        let latency_id = format!("{service}/{}/{}", self.slice, closed.source);
        let up_to = |bound: Millis| {
            UP_TO_MS.iter().zip(closed.minute.up_to).find(|(of, _)| **of == bound).map_or(0, |(_, n)| n)
        };
        let row = AnalyticsSyncLatency {
            event_id: format!("{latency_id}/{}", closed.minute.number),
            entity_version: closed.minute.number,
            occurred_at: at(closed.minute.begin_ms),
            recorded_at: at(closed.minute.newest_ms),
            latency_id: latency_id.clone(),
            service: service.to_owned(),
            slice: self.slice,
            source_system: closed.source.clone(),
            target_system: target.to_owned(),
            events: closed.minute.events,
            sum_ms: closed.minute.sum_ms,
            max_ms: closed.minute.max_ms,
            up_to_100_ms: up_to(100),
            up_to_250_ms: up_to(250),
            up_to_500_ms: up_to(500),
            up_to_1000_ms: up_to(1_000),
            up_to_2500_ms: up_to(2_500),
            up_to_5000_ms: up_to(5_000),
            up_to_10000_ms: up_to(10_000),
            up_to_30000_ms: up_to(30_000),
            up_to_60000_ms: up_to(60_000),
            up_to_300000_ms: up_to(300_000),
        };
        let envelope = self.envelope_of(&row, &row.event_id);
        self.tell(schema, latency_id, row, &envelope);
    }

    fn envelope_of<P: Payload>(&self, row: &P, id: &str) -> Envelope {
        Envelope {
            id: id.to_owned(),
            source: format!("urn:throughline:{}", self.handler.name()),
            event_type: event_type(P::TOPIC),
            time_ms: row.effective_at().as_millisecond(),
            subject: Some(row.subject().to_owned()),
            ..Envelope::default()
        }
    }

    fn tell(&mut self, schema: u32, key: String, row: impl Into<Dataset>, envelope: &Envelope) {
        let row = row.into();
        let value = Some(events::wire::frame(schema, &row.encode_avro()));
        let publish = Publish { topic: row.topic().to_owned(), key, value, headers: envelope.to_headers() };
        let outgoing = self.outgoing(publish);
        self.outbox.add(&mut self.batch, outgoing, None);
    }
}

/// What goes on elsewhere has not ended.
const fn end_of(state: ParkedState) -> Option<RecoveryEnd> {
    match state {
        ParkedState::Applied => Some(RecoveryEnd::Applied),
        ParkedState::Superseded => Some(RecoveryEnd::Superseded),
        ParkedState::Skipped | ParkedState::Duplicate => Some(RecoveryEnd::Skipped),
        ParkedState::Discarded => Some(RecoveryEnd::Discarded),
        ParkedState::Erased => Some(RecoveryEnd::Erased),
        ParkedState::Moved | ParkedState::Waiting | ParkedState::LetterPending | ParkedState::DeadLettered => None,
    }
}

fn at(ms: Millis) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
