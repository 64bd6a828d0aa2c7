//! The servers of a benchmark: a real Kafka, a real PostgreSQL and a registry, in a folder that goes away, and topics filled before
//! anything is measured.

use crate::{
    handlers::SERVICE,
    job::Place,
    publish::send,
    record::{Maker, register},
};
use anyhow::{Context as _, Result};
use devstack::{
    kafka_broker::Kafka,
    postgres::Postgres,
    registry::{self, Registry},
};
use kafka::{Admin, ClientConfig, Producer, ProducerConfig, TopicSpec};
use std::{collections::BTreeMap, time::Duration};
use testkit::scratch::Scratch;

/// Of every topic: as many as the installation declares by default.
pub const PARTITIONS: i32 = 12;
/// Records handed to the producer at once.
const CHUNK: u64 = 50_000;

pub struct Servers {
    kafka: Kafka,
    postgres: Postgres,
    registry: Registry,
    scratch: Scratch,
    admin: Admin,
}

/// A topic to be drained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filled {
    pub name: String,
    pub keys: u64,
    pub records: u64,
}

impl Servers {
    pub async fn start() -> Result<Self> {
        if let Some(missing) = devstack::missing().first() {
            anyhow::bail!("{} is not here: {}", missing.what, missing.install);
        }
        let scratch = Scratch::try_new("bench")?;
        let (kafka, postgres) = (scratch.join("kafka"), scratch.join("postgres"));
        let (kafka, postgres) = tokio::try_join!(Kafka::start(&kafka), Postgres::start(&postgres))?;
        let registry = Registry::start(registry::Config::default()).await?;
        let admin = Admin::connect(&ClientConfig::new(kafka.bootstrap()))?;
        let servers = Self { kafka, postgres, registry, scratch, admin };
        servers.create(&format!("dlq.{SERVICE}")).await?;
        Ok(servers)
    }

    pub fn place(&self) -> Place {
        Place {
            brokers: self.kafka.bootstrap(),
            registry: self.registry.url(),
            postgres: self.postgres.url(),
            stack: None,
        }
    }

    /// Major version of the server that runs.
    pub fn postgres_version(&self) -> String {
        let file = self.scratch.join("postgres/data/PG_VERSION");
        std::fs::read_to_string(file).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    }

    async fn create(&self, topic: &str) -> Result<()> {
        let settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        let spec = TopicSpec { name: topic.to_owned(), partitions: PARTITIONS, replication: Some(1), settings };
        self.admin.create(&spec).await.with_context(|| format!("create topic {topic}"))
    }

    /// Publishes a topic's records, and waits until the broker has them all.
    pub async fn fill(&self, topic: &Filled) -> Result<()> {
        self.create(&topic.name).await?;
        let schema_id = register(&self.registry.url(), &topic.name).await?;
        let start_ms = jiff::Timestamp::now().as_millisecond();
        let maker = Maker { topic: topic.name.as_str().into(), schema_id, keys: topic.keys, start_ms };
        let config = ProducerConfig { client: ClientConfig::new(self.kafka.bootstrap()), ..ProducerConfig::default() };
        let producer = Producer::start(&config)?;
        for first in (0..topic.records).step_by(usize::try_from(CHUNK)?) {
            let records: Vec<_> =
                (first..topic.records.min(first + CHUNK)).map(|number| maker.record(number)).collect::<Result<_>>()?;
            send(&producer, &records).await.context("fill the topic")?;
        }
        producer.close(Duration::from_secs(10)).await;
        Ok(())
    }

    pub async fn stop(mut self) -> Result<()> {
        self.registry.stop().await?;
        self.kafka.stop().await?;
        self.postgres.stop().await?;
        Ok(())
    }
}
