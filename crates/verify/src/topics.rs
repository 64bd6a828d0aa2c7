//! What is in the topics, read by a client that belongs to no group.

use crate::{Error, Sources, journal::JournalView};
use events::{
    Event, EventSet, Record, Uid,
    common::DisputeStatus,
    topics::{Family, of_family},
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
    /// Money of a readable financial event.
    pub money: Option<Money>,
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
    /// What each batch of usage counts for: a correction moves the difference.
    batches: BTreeMap<String, i64>,
    /// Sources of dead letters, byte for byte.
    pub letter_sources: BTreeMap<Place, Record>,
}

const READ_DEADLINE: Duration = Duration::from_secs(600);

impl TopicView {
    pub async fn read(sources: &Sources, journal: &JournalView) -> Result<Self, Error> {
        let drain = Drain::new(sources.kafka.clone(), READ_DEADLINE);
        let mut view = Self::default();
        view.read_outputs(&drain, sources, journal).await?;
        let wanted = view.letter_places();
        let registry =
            Registry::connect(sources.registry.clone()).map_err(|error| Error::Registry(error.to_string()))?;
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
        let money = match parsed {
            Ok(parsed) => event(&record, parsed.body, registry).await?.and_then(|event| self.money_of(&event)),
            Err(_) => None,
        };
        let input = Input {
            uid: envelope.as_ref().map(events::Envelope::uid),
            event_id: envelope.map(|envelope| envelope.id),
            key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
            money,
        };
        if wanted.contains(&place) {
            self.letter_sources.insert(place.clone(), record);
        }
        self.inputs.insert(place, input);
        Ok(())
    }

    async fn read_outputs(&mut self, drain: &Drain, sources: &Sources, journal: &JournalView) -> Result<(), Error> {
        let mut topics: BTreeSet<String> = journal.outgoing.keys().map(|(_, topic, _)| topic.clone()).collect();
        topics.insert(format!("dlq.{}", sources.service.name));
        for topic in topics {
            let records = drain
                .fold(&topic, Vec::new(), |records, record| {
                    records.push(record);
                    ControlFlow::Continue(())
                })
                .await?;
            for record in records {
                let prefix = format!("{}/", sources.service.name);
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

/// The event, if anybody can read it.
async fn event(record: &Record, body: wire::Body, registry: &Registry) -> Result<Option<Event>, Error> {
    match body {
        wire::Body::Json(data) => Ok(Event::decode_json(&record.topic, &data).ok()),
        wire::Body::Avro { schema, datum } => match registry.lookup(schema).await {
            Lookup::Found(schema) => Ok(Event::decode_avro(&record.topic, &schema, &datum).ok()),
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
        let before = self.batches.insert(usage.usage_batch_id.clone(), usage.amount_minor).unwrap_or(0);
        let corrected = usage.corrects_usage_batch_id.as_ref().and_then(|id| self.batches.insert(id.clone(), 0));
        usage.amount_minor - before - corrected.unwrap_or(0)
    }
}
