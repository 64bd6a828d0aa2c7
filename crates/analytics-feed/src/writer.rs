//! From a row to a record: id, framing, headers.

use crate::{identity, plan::Row};
use consumer::Publish;
use events::{Dataset, Envelope, EventSet as _, Generation, topics};
use std::collections::BTreeMap;

/// Our name, as owner of topics too.
pub const SERVICE: &str = "analytics-feed";
/// Who we are, as `ce_source`.
pub const SOURCE: &str = "urn:throughline:analytics-feed";

/// Writes rows with the schemas that the registry knows under these ids, to the topics of one generation.
///
/// A row's id, type and schema are those of the plain topic: made again in another generation, a row is the same row.
#[derive(Debug, Clone)]
pub struct Writer {
    ids: BTreeMap<&'static str, u32>,
    generation: Generation,
}

impl Writer {
    /// `ids`: of the newest schema of each analytics topic, by its plain name.
    #[must_use]
    pub const fn new(ids: BTreeMap<&'static str, u32>, generation: Generation) -> Self {
        Self { ids, generation }
    }

    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The analytics topics that this service fills; others tell of their own work.
    pub fn subjects() -> impl Iterator<Item = &'static topics::Subject> {
        topics::of_family(topics::Family::Analytics).filter(|subject| subject.owner == SERVICE)
    }

    /// For tests: any ids.
    #[must_use]
    pub fn numbered() -> Self {
        Self::new(Self::subjects().zip(1..).map(|(subject, id)| (subject.topic, id)).collect(), Generation::FIRST)
    }

    /// The records of the rows that one event brings, in order. `cause` is absent for what time brings.
    pub fn publish(&self, rows: Vec<Row>, cause: Option<&Envelope>) -> Vec<Publish> {
        let mut numbers: BTreeMap<&'static str, usize> = BTreeMap::new();
        rows.into_iter()
            .map(|row| match row {
                Row::Fact(mut fact) => {
                    let number = numbers.entry(fact.topic()).or_default();
                    *number += 1;
                    let id = cause.map_or_else(String::new, |cause| identity::of_fact(cause, fact.topic(), *number));
                    *event_id(&mut fact) = id;
                    let key = fact.account_id().to_owned();
                    self.record(&fact, key, cause)
                }
                Row::State(mut state) => {
                    let key = state.subject().to_owned();
                    event_id(&mut state).clear();
                    let id = identity::of_state(state.topic(), &key, &state.encode_avro());
                    *event_id(&mut state) = id;
                    self.record(&state, key, cause)
                }
                Row::Deleted { topic, key, at_ms } => self.deleted(topic, key, at_ms, cause),
            })
            .collect()
    }

    fn record(&self, row: &Dataset, key: String, cause: Option<&Envelope>) -> Publish {
        let topic = row.topic();
        let schema = self.ids.get(topic).copied().unwrap_or_default();
        let id = id_of(row).to_owned();
        let headers = envelope(topic, id, row.subject(), row.effective_at().as_millisecond(), cause).to_headers();
        let value = Some(events::wire::frame(schema, &row.encode_avro()));
        Publish { topic: self.generation.name(topic), key, value, headers }
    }

    fn deleted(&self, topic: &'static str, key: String, at_ms: i64, cause: Option<&Envelope>) -> Publish {
        let id = identity::of_state(topic, &key, &at_ms.to_be_bytes());
        let headers = envelope(topic, id, &key, at_ms, cause).to_headers();
        Publish { topic: self.generation.name(topic), key, value: None, headers }
    }
}

fn envelope(topic: &str, id: String, subject: &str, time_ms: i64, cause: Option<&Envelope>) -> Envelope {
    Envelope {
        id,
        source: SOURCE.to_owned(),
        event_type: topics::event_type(topic),
        time_ms,
        subject: Some(subject.to_owned()),
        correlation_id: cause.and_then(|cause| cause.correlation_id.clone()),
        causation_id: cause.map(|cause| cause.id.clone()),
        sequence: None,
        dataschema: None,
        change_origin: None,
        traceparent: cause.and_then(|cause| cause.traceparent.clone()),
    }
}

macro_rules! each {
    ($row:expr, $name:ident => $result:expr) => {
        match $row {
            Dataset::AnalyticsContract($name) => $result,
            Dataset::AnalyticsSubscription($name) => $result,
            Dataset::AnalyticsAccountBalance($name) => $result,
            Dataset::AnalyticsInvoiceLine($name) => $result,
            Dataset::AnalyticsPayment($name) => $result,
            Dataset::AnalyticsUsage($name) => $result,
            Dataset::AnalyticsMrrMovement($name) => $result,
            Dataset::AnalyticsOrderStep($name) => $result,
            Dataset::AnalyticsOrderToActivation($name) => $result,
            Dataset::AnalyticsInvoiceAccuracy($name) => $result,
            Dataset::AnalyticsEventRecovery($name) => $result,
            Dataset::AnalyticsSyncLatency($name) => $result,
        }
    };
}

fn event_id(row: &mut Dataset) -> &mut String {
    each!(row, row => &mut row.event_id)
}

fn id_of(row: &Dataset) -> &str {
    each!(row, row => &row.event_id)
}
