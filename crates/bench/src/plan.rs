//! What is compared with what.

use crate::{job::Side, place::Filled};

/// Ours against a ceiling that is measured in the same rounds.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub case: &'static str,
    pub ours: (String, Side),
    pub ceiling: (String, Side),
    pub topic: Filled,
    /// Records a second that no implementation can exceed, where arithmetic tells.
    pub ideal: Option<f64>,
}

/// Calls that are measured: work in milliseconds, and how many of them may be out at once.
const CALLS: [(u64, usize); 4] = [(10, 100), (50, 100), (10, 500), (50, 500)];
/// Keys of the case with calls: more than any limit, so that the limit counts and not the order.
const CALL_KEYS: u64 = 1_000;
/// How long each measured run with calls should take, in seconds, and how many records it needs at least and at most.
const CALL_SECONDS: u64 = 5;
const CALL_RECORDS: (u64, u64) = (5_000, 60_000);

const KEYS: u64 = 10_000;

pub fn noop(records: u64) -> Vec<Comparison> {
    vec![Comparison {
        case: "noop",
        ours: ("runtime, handler that does nothing".to_owned(), Side::Noop),
        ceiling: ("bare drain by the client library".to_owned(), Side::Drain),
        topic: Filled { name: "bench.noop.v1".to_owned(), keys: KEYS, records },
        ideal: None,
    }]
}

pub fn ledger(records: u64) -> Vec<Comparison> {
    let topic = Filled { name: "bench.ledger.v1".to_owned(), keys: KEYS, records };
    [(false, "no documents"), (true, "a document per key")]
        .map(|(documents, what)| Comparison {
            case: "ledger",
            ours: (format!("Kafka → PostgreSQL, {what}"), Side::Ledger { documents }),
            ceiling: ("the same commits without Kafka".to_owned(), Side::Replay { documents }),
            topic: topic.clone(),
            ideal: None,
        })
        .into()
}

pub fn effects() -> Vec<Comparison> {
    CALLS
        .map(|(work_ms, limit)| {
            let ideal = limit as u64 * 1_000 / work_ms;
            let records = (ideal * CALL_SECONDS).clamp(CALL_RECORDS.0, CALL_RECORDS.1);
            Comparison {
                case: "effects",
                ours: (format!("calls of {work_ms} ms, {limit} at once"), Side::Effects { work_ms, limit }),
                ceiling: ("as many sleeps and nothing else".to_owned(), Side::Sleep { work_ms, limit }),
                topic: Filled { name: format!("bench.effects-{records}.v1"), keys: CALL_KEYS, records },
                ideal: Some(ideal as f64),
            }
        })
        .into()
}
