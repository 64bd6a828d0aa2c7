//! What the runtime tells of its own work, in a simulated run: each event that took effect outside is counted once, and each event that
//! failed and ended has its row, whatever the schedule was.

use super::{topic::Outputs, world::now_or_never};
use consumer::machine::{LATENCY_KIND, REPORTS};
use events::{Dataset, EventSet as _, WriterSchema};
use ledger::{DocumentKey, DocumentRow, Ledger, ParkedFilter, ParkedState, memory::MemoryLedger};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Events that took effect outside, by source: those of minutes that were told, and of the open one.
    pub in_step: BTreeMap<String, i64>,
}

/// Whether a topic holds what the runtime tells of itself.
pub fn is_report(topic: &str) -> bool {
    REPORTS.contains(&topic)
}

/// Whether a document holds minutes that are not told yet.
pub fn is_minutes(key: &DocumentKey) -> bool {
    key.kind == LATENCY_KIND
}

impl Work {
    pub(super) fn read(ledger: &MemoryLedger, reports: &Outputs, documents: &[DocumentRow]) -> Result<Self, String> {
        let mut work = Self::default();
        for row in documents.iter().filter(|row| is_minutes(&row.key)) {
            work.open(&row.body)?;
        }
        let (mut seen, mut recovered, mut minutes) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for row in rows(reports)? {
            match row {
                // After a crash a row may come again, with its id.
                Dataset::AnalyticsEventRecovery(row) => {
                    // Without the name of the service, which the ledger does not know.
                    recovered.extend(row.recovery_id.split_once('/').map(|(_, place)| place.to_owned()));
                }
                Dataset::AnalyticsSyncLatency(row) if seen.insert(row.event_id.clone()) => {
                    minutes.entry(row.latency_id).or_insert_with(Vec::new).push(row.entity_version);
                    *work.in_step.entry(row.source_system).or_default() += row.events;
                }
                Dataset::AnalyticsSyncLatency(_) => {}
                other => return Err(format!("{} is no report", other.topic())),
            }
        }
        for (id, numbers) in minutes {
            if !numbers.iter().copied().eq(1..=i64::try_from(numbers.len()).unwrap_or(i64::MAX)) {
                return Err(format!("minutes of {id} are missing or out of order: {numbers:?}"));
            }
        }
        let ended = ended(ledger)?;
        if ended != recovered {
            return Err(format!("failed and ended: {ended:?}, told: {recovered:?}"));
        }
        Ok(work)
    }

    fn open(&mut self, body: &str) -> Result<(), String> {
        let minutes: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(body).map_err(|error| error.to_string())?;
        for (source, minute) in minutes {
            *self.in_step.entry(source).or_default() += minute["events"].as_i64().unwrap_or_default();
        }
        Ok(())
    }
}

fn rows(reports: &Outputs) -> Result<Vec<Dataset>, String> {
    let mut rows = Vec::new();
    for ((topic, _), events) in reports {
        let schema = WriterSchema::own(topic).ok_or_else(|| format!("`{topic}` is no topic of ours"))?;
        for (_, event) in events {
            let datum = event.value.as_deref().and_then(|value| value.get(5..)).unwrap_or_default();
            rows.push(Dataset::decode_avro(topic, &schema, datum).map_err(|failure| failure.to_string())?);
        }
    }
    Ok(rows)
}

/// Where the events were parked that failed once and have ended.
fn ended(ledger: &MemoryLedger) -> Result<BTreeSet<String>, String> {
    let filter = ParkedFilter { limit: usize::MAX, ..ParkedFilter::default() };
    let parked = now_or_never(ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
    let failed = parked.into_iter().filter(|row| {
        let has_ended = !row.fate.state.is_alive() && row.fate.state != ParkedState::Moved;
        has_ended && row.fate.first.is_some()
    });
    Ok(failed.map(|row| format!("{}/{}/{}", row.slice, row.sequence, row.no)).collect())
}
