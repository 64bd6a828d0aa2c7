//! Short names for the parts of a commit.

use bytes::Bytes;
use events::{Headers, PayloadHash, Uid};
use ledger::*;
use std::collections::BTreeMap;

/// 2026-11-23T00:00:00Z
pub const TODAY: i64 = 1_795_392_000_000;
pub const DAY: i64 = 86_400_000;

pub fn batch(slice: i32, epoch: i64, entry: i64) -> SliceCommit {
    SliceCommit { slice, epoch, entry, at_ms: TODAY, ..SliceCommit::default() }
}

/// A uid with a time in front.
pub fn timed(ms: i64, n: u64) -> Uid {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    bytes[6] = 1;
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Uid(bytes)
}

/// One without.
pub fn untimed(n: u64) -> Uid {
    Uid::derive("urn:test", &n.to_string())
}

pub fn identity(uid: Uid, hash: i64) -> IdentityRow {
    IdentityRow { uid, hash: PayloadHash(hash) }
}

pub fn position(topic: &str, next_offset: i64) -> Position {
    Position { topic: topic.into(), topic_id: Some("id-1".into()), next_offset }
}

pub fn document(kind: &str, key: &str, body: Option<&str>) -> DocumentChange {
    DocumentChange {
        key: DocumentKey::new(kind, key),
        status: "open".into(),
        account_id: format!("A-{key}"),
        body: body.map(str::to_owned),
    }
}

pub fn sequence(slice: i32, name: &str) -> ParkedSequence {
    ParkedSequence {
        slice,
        sequence: name.into(),
        class: failure::Class::Business,
        code: "PERIOD_CLOSED".into(),
        reason: "period 2026-01 is closed".into(),
        owner: Some("finance".into()),
        field: None,
        awaits: Some("C-7".into()),
        attempts: 2,
        next_attempt_ms: None,
        since_ms: TODAY,
        head_no: -1,
        tail_no: 4,
        depth: 5,
    }
}

pub fn fate(state: ParkedState) -> ParkedFate {
    ParkedFate {
        state,
        failure: Some(failure::Failure::business("PERIOD_CLOSED", "finance", "closed").at_field("period")),
        attempts: 1,
        refusals: 3,
        receipts: BTreeMap::from([("effect/1".to_owned(), "{\"id\":\"7\"}".to_owned())]),
        unknown: vec!["effect/2".into()],
        changed_ms: TODAY,
        version: 2,
        fingerprint: Some("v1:00ff".into()),
        edit: None,
        first: Some(FirstFailure { at_ms: TODAY - 9, class: failure::Class::NotYet, code: "ORDER_MISSING".into() }),
    }
}

pub fn parked(slice: i32, name: &str, no: i64) -> ParkedRecord {
    ParkedRecord {
        slice,
        sequence: name.into(),
        no,
        topic: "invoice.posted.v1".into(),
        partition: slice,
        offset: 100 + no,
        timestamp_ms: TODAY - 5,
        key: Some(Bytes::from_static(b"A-1")),
        value: Some(Bytes::from_static(b"\0\x01body")),
        headers: Headers(vec![("ce_id".into(), Some(Bytes::from_static(b"1")))]),
        uid: Some(untimed(no.unsigned_abs())),
        hash: PayloadHash(no),
        parked_ms: TODAY + no,
        fate: fate(ParkedState::Waiting),
    }
}

pub fn intent(key: &str, state: &str) -> IntentRow {
    IntentRow {
        effect_key: key.into(),
        sequence: "s".into(),
        entity: "invoice/1".into(),
        state: state.into(),
        attempts: 3,
        code: Some("TIMEOUT".into()),
        reason: None,
        since_ms: TODAY,
    }
}

pub fn timer(id: &str, due_ms: i64) -> TimerRow {
    TimerRow { id: id.into(), due_ms, sequence: "s".into(), payload: "{\"n\":1}".into() }
}

pub fn mark(topic: &str, number: i64) -> PublishedMark {
    PublishedMark { topic: topic.into(), partition: 3, number, offset: number * 10 }
}

pub fn outgoing(topic: &str, number: i64) -> Outgoing {
    let event = NewOutgoing {
        topic: topic.into(),
        partition: 3,
        key: Some(Bytes::from_static(b"A-1")),
        value: None,
        headers: Headers::default(),
        timestamp_ms: TODAY,
    };
    Outgoing { number, event, letter_of: Some(("s".into(), 1)) }
}

/// A body with one record of each disposition.
pub fn body(first_offset: i64) -> Entry {
    let record = |(n, disposition): (usize, Disposition)| EntryRecord {
        topic: 0,
        offset: first_offset + n as i64,
        uid: (n % 2 == 0).then(|| timed(TODAY, n as u64)),
        hash: PayloadHash(n as i64),
        disposition,
    };
    Entry {
        topics: vec!["contract.activated.v1".into()],
        records: Disposition::ALL.into_iter().enumerate().map(record).collect(),
        ..Entry::default()
    }
}

pub fn audit(action: &str) -> NewAudit {
    NewAudit {
        at_ms: TODAY,
        actor: "ops@example".into(),
        action: action.into(),
        subject: "slice 0".into(),
        reason: "the topic was recreated".into(),
        before: Some("{\"next_offset\":7}".into()),
        after: None,
    }
}

/// A commit that writes into every table.
pub fn full(slice: i32, epoch: i64, entry: i64) -> SliceCommit {
    SliceCommit {
        body: Entry { outgoing: vec![outgoing("out.v1", entry)], ..body(entry * 100) },
        positions: vec![position("contract.activated.v1", entry * 100 + 8)],
        identities: vec![identity(timed(TODAY, entry as u64), 1), identity(untimed(entry as u64), 2)],
        documents: vec![document("contract", &format!("C-{slice}"), Some("{\"total\":1}"))],
        sequences: vec![SequenceChange::Put(sequence(slice, &format!("seq-{entry}")))],
        parked: vec![ParkedChange::Insert(parked(slice, &format!("seq-{entry}"), 1))],
        intents: vec![IntentChange::Put(intent(&format!("effect-{entry}"), "unknown"))],
        timers: vec![TimerChange::Set(timer(&format!("timer-{entry}"), TODAY + 5))],
        published: vec![mark("out.v1", entry - 1)],
        ..batch(slice, epoch, entry)
    }
}

/// Everything that can be read, except whose handle read it and when slices were taken.
pub async fn everything(ledger: &dyn Ledger) -> String {
    let mut slices = ledger.slices().await.unwrap();
    let mut entries = Vec::new();
    for slice in &mut slices {
        slice.taken_ms = 0;
        entries.extend(ledger.entries(slice.slice, 0, 10_000).await.unwrap());
    }
    let documents = ledger.documents(&DocumentFilter { limit: 10_000, ..DocumentFilter::default() }).await.unwrap();
    let sequences = ledger.sequences(None).await.unwrap();
    let parked = ledger.parked_records(&ParkedFilter { limit: 10_000, ..ParkedFilter::default() }).await.unwrap();
    let audit = ledger.audit(10_000).await.unwrap();
    let floor = ledger.floor_ms().await.unwrap();
    format!("{slices:#?}\n{entries:#?}\n{documents:#?}\n{sequences:#?}\n{parked:#?}\n{audit:#?}\n{floor}")
}

/// Hashes of these uids, in their order.
pub async fn hashes(ledger: &dyn Ledger, uids: &[Uid]) -> Vec<Option<i64>> {
    let request = LoadRequest { slice: 0, uids: uids.to_vec(), documents: Vec::new() };
    let loaded = ledger.load(&request).await.unwrap();
    uids.iter().map(|uid| loaded.identities.get(uid).map(|hash| hash.0)).collect()
}
