//! What is in the topics, read by a client that belongs to no group.

use crate::{
    Error, Sources,
    analytics::{self, Batches, Booked},
    disputes::{self, Step},
    journal::JournalView,
};
use events::{
    Dataset, Event, EventSet, Record, Uid,
    common::DisputeStatus,
    topics::{Family, find, of_family},
    wire,
};
use kafka::{Lookup, Registry, drain::Drain};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

/// Where a record is.
pub type Place = (String, i32, i64);

/// What is kept of an input record: enough to compare, not the payload.
#[derive(Debug, Clone)]
pub struct Input {
    pub uid: Option<Uid>,
    pub event_id: Option<String>,
    pub key: String,
    /// Subject and version of a readable event.
    pub version: Option<(String, i64)>,
    /// Money of a readable financial event.
    pub money: Option<Money>,
    /// Step of a dispute, which is booked by what was there before.
    pub dispute: Option<Step>,
    /// What it adds to an analytics dataset.
    pub booked: Option<Booked>,
    /// Usage batch that it takes back.
    pub replaces: Option<String>,
}

/// Money that an event moves, by the object it becomes outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    pub object: &'static str,
    pub currency: String,
    pub amount_minor: i64,
}

/// A record that this service published.
#[derive(Debug, Clone)]
pub struct Published {
    pub record: Record,
    pub number: Option<i64>,
}

#[derive(Debug, Default)]
pub struct TopicView {
    pub inputs: BTreeMap<Place, Input>,
    /// Start and end of each input partition.
    pub ranges: BTreeMap<(String, i32), (i64, i64)>,
    /// Topics this service publishes to, dead letters included.
    pub outputs: BTreeMap<(String, i32), Vec<Published>>,
    /// Rows of the analytics topics by their id: one that came again counts once.
    pub rows: BTreeMap<String, Booked>,
    /// Usage batches, for those that replace them.
    pub batches: Batches,
    /// What each batch of usage counts for: a correction moves the difference.
    charged: BTreeMap<String, i64>,
    /// Sources of dead letters, byte for byte.
    pub letter_sources: BTreeMap<Place, Record>,
}

const READ_DEADLINE: Duration = Duration::from_secs(600);

impl TopicView {
    pub async fn read(sources: &Sources, journal: &JournalView) -> Result<Self, Error> {
        let drain = Drain::new(sources.kafka.clone(), READ_DEADLINE);
        let mut view = Self::default();
        let registry =
            Registry::connect(sources.registry.clone()).map_err(|error| Error::Registry(error.to_string()))?;
        view.read_outputs(&drain, sources, journal, &registry).await?;
        let wanted = view.letter_places();
        let admin = kafka::Admin::connect(&sources.kafka)?;
        for subject in of_family(Family::Commercial) {
            for partition in 0..admin.partitions(subject.topic).await? {
                let range = admin.watermarks(subject.topic, partition).await?;
                view.ranges.insert((subject.topic.to_owned(), partition), range);
            }
            let records = drain.collect(subject.topic).await?;
            for record in records {
                view.take(record, &registry, &wanted).await?;
            }
        }
        Ok(view)
    }

    async fn take(&mut self, record: Record, registry: &Registry, wanted: &BTreeSet<Place>) -> Result<(), Error> {
        let place = (record.topic.to_string(), record.partition, record.offset);
        let parsed = wire::parse(&record, &wire::Limits::default());
        let envelope = match &parsed {
            Ok(parsed) => Some(parsed.envelope.clone()),
            Err(_) => events::Envelope::from_headers(&record.headers).ok(),
        };
        let event = match parsed {
            Ok(parsed) => read::<Event>(&record, parsed.body, registry).await?,
            Err(_) => None,
        };
        let money = event.as_ref().and_then(|event| self.money_of(event));
        let booked = event.as_ref().and_then(analytics::of_source);
        let replaces = event.as_ref().and_then(|event| analytics::replaced(event, &mut self.batches));
        let input = Input {
            uid: envelope.as_ref().map(events::Envelope::uid),
            event_id: envelope.map(|envelope| envelope.id),
            key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
            version: event.as_ref().and_then(|event| Some((event.subject().to_owned(), event.entity_version()?))),
            money,
            dispute: event.as_ref().and_then(disputes::step),
            booked,
            replaces,
        };
        if wanted.contains(&place) {
            self.letter_sources.insert(place.clone(), record);
        }
        self.inputs.insert(place, input);
        Ok(())
    }

    async fn read_outputs(
        &mut self,
        drain: &Drain,
        sources: &Sources,
        journal: &JournalView,
        registry: &Registry,
    ) -> Result<(), Error> {
        let prefix = format!("{}/", sources.service.name);
        let mut topics: BTreeSet<String> = journal.outgoing.keys().map(|(_, topic, _)| topic.clone()).collect();
        topics.insert(format!("dlq.{}", sources.service.name));
        for topic in topics {
            let records = drain
                .fold(&topic, Vec::new(), |records, record| {
                    records.push(record);
                    ControlFlow::Continue(())
                })
                .await?;
            for mut record in records {
                if is_analytics(&topic) {
                    self.rows.extend(row(&record, registry).await?);
                    // Thousands of rows to an invoice: only what is compared is kept.
                    record.value = None;
                    record.headers.0.retain(|(name, _)| name == consumer::runtime::NUMBER_HEADER);
                }
                let header = record.headers.text(consumer::runtime::NUMBER_HEADER);
                let number = header.and_then(|text| text.strip_prefix(&prefix)?.split_once('/')?.1.parse().ok());
                let place = (record.topic.to_string(), record.partition);
                self.outputs.entry(place).or_default().push(Published { record, number });
            }
        }
        Ok(())
    }

    fn letter_places(&self) -> BTreeSet<Place> {
        self.outputs.values().flatten().filter_map(|published| letter_place(&published.record)).collect()
    }
}

/// Where a dead letter says that it came from.
pub fn letter_place(letter: &Record) -> Option<Place> {
    let text = |name: &str| letter.headers.text(name);
    let topic = text("dlq.original.topic")?.to_owned();
    Some((topic, text("dlq.original.partition")?.parse().ok()?, text("dlq.original.offset")?.parse().ok()?))
}

fn is_analytics(topic: &str) -> bool {
    find(topic).is_some_and(|subject| subject.family == Family::Analytics)
}

/// A row that moves money, with its id.
async fn row(record: &Record, registry: &Registry) -> Result<Option<(String, Booked)>, Error> {
    let Ok(parsed) = wire::parse(record, &wire::Limits::default()) else { return Ok(None) };
    let id = parsed.envelope.id.clone();
    let row = read::<Dataset>(record, parsed.body, registry).await?;
    Ok(row.as_ref().and_then(analytics::of_row).map(|booked| (id, booked)))
}

/// The event or row, if anybody can read it.
async fn read<E: EventSet>(record: &Record, body: wire::Body, registry: &Registry) -> Result<Option<E>, Error> {
    match body {
        wire::Body::Json(data) => Ok(E::decode_json(&record.topic, &data).ok()),
        wire::Body::Avro { schema, datum } => match registry.lookup(schema).await {
            Lookup::Found(schema) => Ok(E::decode_avro(&record.topic, &schema, &datum).ok()),
            Lookup::Unavailable(reason) => Err(Error::Registry(reason.to_string())),
            _ => Ok(None),
        },
    }
}

impl TopicView {
    fn money_of(&mut self, event: &Event) -> Option<Money> {
        let (object, currency, amount_minor) = match event {
            Event::InvoicePosted(invoice) => ("invoice", &invoice.currency, invoice.totals.tax_inclusive_minor),
            Event::CreditNoteIssued(credit) => ("creditMemo", &credit.currency, credit.totals.tax_inclusive_minor),
            Event::PaymentReceived(payment) => ("customerPayment", &payment.currency, payment.amount_minor),
            Event::InvoiceMarkedUncollectible(off) => ("creditMemo", &off.currency, off.write_off_minor),
            Event::PaymentRefunded(refund) => ("customerRefund", &refund.currency, refund.amount_minor),
            Event::PaymentDisputed(dispute) if dispute.status == DisputeStatus::Lost => {
                ("customerRefund", &dispute.currency, dispute.amount_minor)
            }
            Event::UsageRated(usage) => ("charge", &usage.currency, self.rated(usage)),
            _ => return None,
        };
        Some(Money { object, currency: currency.clone(), amount_minor })
    }

    fn rated(&mut self, usage: &events::UsageRated) -> i64 {
        let before = self.charged.insert(usage.usage_batch_id.clone(), usage.amount_minor).unwrap_or(0);
        let corrected = usage.corrects_usage_batch_id.as_ref().and_then(|id| self.charged.insert(id.clone(), 0));
        usage.amount_minor - before - corrected.unwrap_or(0)
    }
}
