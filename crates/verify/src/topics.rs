//! What is in the topics, read by a client that belongs to no group, one record after another: first what the service published,
//! then what it reads. Nothing of a record is kept that no check compares.

use crate::{
    Error, Known, Sources,
    checks::{Checks, Ranges},
    input::Input,
    places::Place,
};
use events::{
    Dataset, Envelope, Event, EventSet, Generation, Record, Reply, Request, Saga,
    topics::{Family, find},
    wire,
};
use kafka::{Admin, Lookup, Registry, drain::Drain};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// For one topic. The comparison sets the pace of the reading.
const READ_DEADLINE: Duration = Duration::from_secs(3_600);

pub async fn compare(sources: &Sources, known: Known) -> Result<Vec<crate::Check>, Error> {
    let registry = Registry::connect(sources.registry.clone()).map_err(|error| Error::Registry(error.to_string()))?;
    let mut reading = Reading {
        drain: Drain::new(sources.kafka.clone(), READ_DEADLINE),
        registry,
        checks: Checks::new(&known),
        ranges: Ranges::new(),
        known,
    };
    reading.outputs().await?;
    reading.inputs(sources).await?;
    let Reading { checks, ranges, known, .. } = reading;
    let mut known = known;
    let untold = std::mem::take(&mut known.journal.told);
    Ok(checks.finish(&known, &ranges, untold.into_places()))
}

struct Reading {
    drain: Drain,
    registry: Registry,
    checks: Checks,
    ranges: Ranges,
    known: Known,
}

impl Reading {
    async fn outputs(&mut self) -> Result<(), Error> {
        let letters: Arc<str> = format!("dlq.{}", self.known.service).into();
        let mut topics: BTreeSet<Arc<str>> = self.known.journal.outgoing.keys().map(|place| place.1.clone()).collect();
        topics.insert(letters.clone());
        for topic in topics {
            let family = find(Generation::split(&topic).0).map(|subject| subject.family);
            let mut stream = self.drain.stream(&topic).await?;
            while let Some(batch) = stream.recv().await {
                for record in batch? {
                    self.checks.published(&self.known, &record);
                    match family {
                        Some(Family::Analytics) => self.row(&record).await?,
                        Some(Family::Reply) if self.known.access.is_some() => self.reply(&record).await?,
                        Some(family) if self.known.course.is_some() => self.course(family, &record).await?,
                        _ => {}
                    }
                    if topic == letters {
                        self.checks.letter(record);
                    }
                }
            }
        }
        Ok(())
    }

    async fn row(&mut self, record: &Record) -> Result<(), Error> {
        let Ok(parsed) = wire::parse(record, &wire::Limits::default()) else { return Ok(()) };
        if let Some(row) = read::<Dataset>(record, parsed.body, &self.registry).await? {
            self.checks.row(&parsed.envelope, &row);
        }
        Ok(())
    }

    async fn reply(&mut self, record: &Record) -> Result<(), Error> {
        let Ok(parsed) = wire::parse(record, &wire::Limits::default()) else { return Ok(()) };
        if let Some(reply) = read::<Reply>(record, parsed.body, &self.registry).await? {
            self.checks.reply(&reply);
        }
        Ok(())
    }

    async fn course(&mut self, family: Family, record: &Record) -> Result<(), Error> {
        let Ok(parsed) = wire::parse(record, &wire::Limits::default()) else { return Ok(()) };
        match family {
            Family::Request => {
                let request = read::<Request>(record, parsed.body, &self.registry).await?;
                request.iter().for_each(|request| self.checks.request(request));
            }
            Family::Commercial => {
                let event = read::<Event>(record, parsed.body, &self.registry).await?;
                event.iter().for_each(|event| self.checks.contract(event));
            }
            Family::Saga => {
                let saga = read::<Saga>(record, parsed.body, &self.registry).await?;
                saga.iter().for_each(|saga| self.checks.saga(saga));
            }
            Family::Reply | Family::Analytics | Family::Deal | Family::Case | Family::Notice => {}
        }
        Ok(())
    }

    async fn inputs(&mut self, sources: &Sources) -> Result<(), Error> {
        let admin = Admin::connect(&sources.kafka)?;
        for topic in crate::inputs_of(&self.known.service) {
            let topic: Arc<str> = topic.into();
            for partition in 0..admin.partitions(&topic).await? {
                let range = admin.watermarks(&topic, partition).await?;
                self.ranges.insert((topic.clone(), partition), range);
            }
            let mut stream = self.drain.stream(&topic).await?;
            while let Some(batch) = stream.recv().await {
                for record in batch? {
                    self.input(record).await?;
                }
            }
        }
        Ok(())
    }

    async fn input(&mut self, record: Record) -> Result<(), Error> {
        let place = Place::of(&record);
        let parsed = wire::parse(&record, &wire::Limits::default());
        let envelope = match &parsed {
            Ok(parsed) => Some(parsed.envelope.clone()),
            Err(_) => Envelope::from_headers(&record.headers).ok(),
        };
        let event = match parsed {
            Ok(parsed) => read::<Event>(&record, parsed.body, &self.registry).await?,
            Err(_) => None,
        };
        let input = Input {
            told: self.known.journal.told.remove(&place),
            parked: self.known.journal.parked.get(&place).copied(),
            uid: envelope.as_ref().map(Envelope::uid),
            event_id: envelope.map(|envelope| envelope.id),
            key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default(),
            event,
            place,
        };
        self.checks.input(&self.known, &input, &record);
        Ok(())
    }
}

/// The event or row, if anybody can read it.
async fn read<E: EventSet>(record: &Record, body: wire::Body, registry: &Registry) -> Result<Option<E>, Error> {
    let (topic, _) = Generation::split(&record.topic);
    match body {
        wire::Body::Json(data) => Ok(E::decode_json(topic, &data).ok()),
        wire::Body::Avro { schema, datum } => match registry.lookup(schema).await {
            Lookup::Found(schema) => Ok(E::decode_avro(topic, &schema, &datum).ok()),
            Lookup::Unavailable(reason) => Err(Error::Registry(reason.to_string())),
            _ => Ok(None),
        },
    }
}
