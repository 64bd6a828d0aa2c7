//! Questions about topics and changes to them. Blocking calls of the client library run on the blocking pool.
//!
//! The in-process broker answers metadata and watermarks only; everything else times out there.

use crate::context::LogContext;
use crate::{ClientConfig, Error, Result, native};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection for questions; clones share it.
#[derive(Clone)]
pub struct Admin {
    client: Arc<AdminClient<LogContext>>,
    config: ClientConfig,
    embedded: bool,
}

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActualTopic {
    pub name: String,
    pub partitions: i32,
    pub replication: i32,
    /// Settings of its own; the broker's defaults are left out.
    pub settings: BTreeMap<String, String>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
    /// `None`: the broker's default.
    pub replication: Option<i32>,
    pub settings: BTreeMap<String, String>,
}

impl Admin {
    /// Fails only on a wrong configuration; connects when first asked.
    pub fn connect(config: &ClientConfig) -> Result<Self> {
        let client = config
            .native()?
            .create_with_context::<_, AdminClient<LogContext>>(LogContext)
            .map_err(|error| Error::Config(vec![format!("admin client: {error}")]))?;
        Ok(Self { client: Arc::new(client), config: config.clone(), embedded: config.embedded })
    }

    async fn blocking<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&AdminClient<LogContext>) -> Result<T> + Send + 'static,
    {
        let client = self.client.clone();
        tokio::task::spawn_blocking(move || job(&client)).await.unwrap_or(Err(Error::Closed))
    }

    /// First offset and end of a partition.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let topic = topic.to_owned();
        self.blocking(move |client| {
            let marks = client.inner().fetch_watermarks(&topic, partition, TIMEOUT);
            marks.map_err(|error| topic_error(&topic, "ask for watermarks", &error))
        })
        .await
    }

    /// Number of partitions of a topic.
    pub async fn partitions(&self, topic: &str) -> Result<i32> {
        let topic = topic.to_owned();
        self.blocking(move |client| {
            let metadata = client.inner().fetch_metadata(Some(&topic), TIMEOUT);
            let metadata = metadata.map_err(|error| topic_error(&topic, "ask for metadata", &error))?;
            let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
            let count = found.map_or(0, |t| i32::try_from(t.partitions().len()).unwrap_or(i32::MAX));
            if count == 0 { Err(Error::UnknownTopic { topic }) } else { Ok(count) }
        })
        .await
    }

    /// Names and partition counts of all topics, Kafka's own left out.
    pub async fn list(&self) -> Result<BTreeMap<String, i32>> {
        self.blocking(|client| {
            let metadata = client.inner().fetch_metadata(None, TIMEOUT);
            let metadata = metadata.map_err(|error| Error::from_client("list topics", &error))?;
            let topics = metadata.topics().iter().filter(|t| t.error().is_none() && !t.name().starts_with("__"));
            let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
            Ok(topics.map(|t| (t.name().to_owned(), count(t.partitions().len()))).collect())
        })
        .await
    }

    /// The consumer groups that read these topics, by topic: those with a committed offset there or a member that subscribes to it.
    /// `None` where the broker does not tell (the in-process one).
    pub async fn groups_of(&self, topics: &[&str]) -> Result<Option<BTreeMap<String, Vec<String>>>> {
        if self.embedded {
            return Ok(None);
        }
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let mut partitions = TopicPartitionList::new();
        for topic in &topics {
            for partition in 0..self.partitions(topic).await? {
                partitions.add_partition(topic, partition);
            }
        }
        let config = self.config.clone();
        self.blocking(move |client| {
            let failed = |error: KafkaError| Error::from_client("ask for consumer groups", &error);
            let groups = client.inner().fetch_group_list(None, TIMEOUT).map_err(failed)?;
            let mut found: BTreeMap<String, Vec<String>> =
                topics.iter().map(|topic| (topic.clone(), Vec::new())).collect();
            for group in groups.groups() {
                let committed = committed(&config, group.name(), &partitions)?;
                for (topic, readers) in &mut found {
                    let subscribes = group.members().iter().any(|member| {
                        [member.metadata(), member.assignment()].into_iter().flatten().any(|bytes| names(bytes, topic))
                    });
                    if subscribes || committed.contains(topic) {
                        readers.push(group.name().to_owned());
                    }
                }
            }
            Ok(Some(found))
        })
        .await
    }

    /// Kafka's ids of these topics, which change when a topic is deleted and made again; `None` where the broker tells none.
    pub async fn topic_ids(&self, topics: &[&str]) -> Result<BTreeMap<String, Option<String>>> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        if self.embedded {
            return Ok(topics.into_iter().map(|topic| (topic, None)).collect());
        }
        self.blocking(move |client| {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            let ids = native::topic_ids(client.inner(), &names, TIMEOUT);
            let ids = ids.map_err(|reason| Error::Unavailable { doing: "ask for topic ids".to_owned(), reason })?;
            Ok(topics.into_iter().zip(ids).collect())
        })
        .await
    }

    /// The topics of these names that exist, with their settings (which the in-process broker does not tell).
    pub async fn describe(&self, names: &[&str]) -> Result<Vec<ActualTopic>> {
        let existing = self.shapes(names).await?;
        if self.embedded || existing.is_empty() {
            return Ok(existing);
        }
        let specifiers: Vec<_> = existing.iter().map(|t| ResourceSpecifier::Topic(&t.name)).collect();
        let described = self.client.describe_configs(&specifiers, &options()).await;
        let described = described.map_err(|error| Error::from_client("describe topics", &error))?;
        let mut topics = existing.clone();
        for resource in described {
            let resource = resource.map_err(|code| Error::from_code("describe topics", code))?;
            let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
            if let Some(topic) = topics.iter_mut().find(|t| t.name == *name) {
                let own = resource.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
                topic.settings = own.filter_map(|entry| Some((entry.name, entry.value?))).collect();
            }
        }
        Ok(topics)
    }

    /// Partitions and replication, without settings.
    async fn shapes(&self, names: &[&str]) -> Result<Vec<ActualTopic>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.blocking(move |client| {
            let metadata = client.inner().fetch_metadata(None, TIMEOUT);
            let metadata = metadata.map_err(|error| Error::from_client("list topics", &error))?;
            let known = metadata.topics().iter().filter(|t| t.error().is_none() && names.iter().any(|n| n == t.name()));
            let shape = |t: &rdkafka::metadata::MetadataTopic| ActualTopic {
                name: t.name().to_owned(),
                partitions: i32::try_from(t.partitions().len()).unwrap_or(i32::MAX),
                replication: t.partitions().first().map_or(0, |p| i32::try_from(p.replicas().len()).unwrap_or(0)),
                settings: BTreeMap::new(),
            };
            Ok(known.map(shape).collect())
        })
        .await
    }

    /// Creates a topic; one that exists already is an error.
    pub async fn create(&self, spec: &TopicSpec) -> Result<()> {
        let replication = TopicReplication::Fixed(spec.replication.unwrap_or(-1));
        let topic = NewTopic::new(&spec.name, spec.partitions, replication);
        let topic = spec.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let results = self.client.create_topics([&topic], &options()).await;
        topic_results(&format!("create topic `{}`", spec.name), results)
    }

    /// Replaces all settings of a topic by these; what is not named goes back to the broker's default.
    pub async fn set_settings(&self, topic: &str, settings: &BTreeMap<String, String>) -> Result<()> {
        let alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let alter = settings.iter().fold(alter, |alter, (name, value)| alter.set(name, value));
        let doing = format!("alter topic `{topic}`");
        let results = self.client.alter_configs([&alter], &options()).await;
        let results = results.map_err(|error| Error::from_client(&doing, &error))?;
        results.into_iter().try_for_each(|result| match result {
            Ok(_) => Ok(()),
            Err((_, code)) => Err(Error::from_code(&doing, code)),
        })
    }

    /// Raises the number of partitions. Keys move to other partitions: only for topics without order per key.
    pub async fn grow(&self, topic: &str, partitions: i32) -> Result<()> {
        let count = usize::try_from(partitions).unwrap_or(0);
        let results = self.client.create_partitions([&NewPartitions::new(topic, count)], &options()).await;
        topic_results(&format!("grow topic `{topic}`"), results)
    }
}

/// Topics on which a group has committed an offset. Its group is asked without being joined.
fn committed(config: &ClientConfig, group: &str, partitions: &TopicPartitionList) -> Result<BTreeSet<String>> {
    let failed = |error: KafkaError| Error::from_client(format!("ask for the offsets of group `{group}`"), &error);
    let mut native = config.native()?;
    native.set("group.id", group).set("enable.auto.commit", "false");
    let consumer: BaseConsumer<LogContext> = native.create_with_context(LogContext).map_err(failed)?;
    let offsets = consumer.committed_offsets(partitions.clone(), TIMEOUT).map_err(failed)?;
    let known = offsets.elements().into_iter().filter(|one| matches!(one.offset(), Offset::Offset(_)));
    Ok(known.map(|one| one.topic().to_owned()).collect())
}

/// Whether a member's protocol bytes name a topic: its length in two bytes, then its name.
fn names(bytes: &[u8], topic: &str) -> bool {
    let Ok(length) = u16::try_from(topic.len()) else { return false };
    let wanted: Vec<u8> = length.to_be_bytes().into_iter().chain(topic.bytes()).collect();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn topic_results(doing: &str, results: KafkaResult<Vec<TopicResult>>) -> Result<()> {
    let results = results.map_err(|error| Error::from_client(doing, &error))?;
    results.into_iter().try_for_each(|result| match result {
        Ok(_) => Ok(()),
        Err((_, code)) => Err(Error::from_code(doing, code)),
    })
}

fn topic_error(topic: &str, doing: &str, error: &KafkaError) -> Error {
    const UNKNOWN: [RDKafkaRespErr; 3] = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    ];
    let code = error.rdkafka_error_code();
    if UNKNOWN.iter().any(|unknown| code == Some(RDKafkaErrorCode::from(*unknown))) {
        return Error::UnknownTopic { topic: topic.to_owned() };
    }
    Error::from_client(format!("{doing} of topic `{topic}`"), error)
}
