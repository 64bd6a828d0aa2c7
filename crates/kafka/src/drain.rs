//! Reads a topic from outside: a client of its own that joins no group and commits nothing, for verification and tools.

use crate::consumer::batch::Building;
use crate::context::LogContext;
use crate::{Admin, ClientConfig, Error, Result, TopicPartition};
use events::Record;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const POLL: Duration = Duration::from_millis(100);
/// Records that [`Drain::stream`] hands over at once.
const BATCH: usize = 512;

/// Reads topics; every call connects anew.
#[derive(Debug, Clone)]
pub struct Drain {
    config: ClientConfig,
    deadline: Duration,
}

/// What [`Drain::count`] read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub records: u64,
    /// Of keys and values.
    pub bytes: u64,
    /// When the first and the last record came; the last to within a thousand records.
    pub span: Option<(Instant, Instant)>,
}

impl Count {
    /// Records between two looks at the clock, which would be the dearest part of counting.
    const CLOCK: u64 = 1_024;

    fn add(&mut self, message: &BorrowedMessage<'_>) {
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len) as u64;
        self.records += 1;
        self.bytes += length(message.key()) + length(message.payload());
        let first = self.span.get_or_insert_with(|| (Instant::now(), Instant::now())).0;
        if self.records.is_multiple_of(Self::CLOCK) {
            self.span = Some((first, Instant::now()));
        }
    }
}

impl Drain {
    /// No call takes longer than `deadline`; one that would is an error.
    #[must_use]
    pub const fn new(config: ClientConfig, deadline: Duration) -> Self {
        Self { config, deadline }
    }

    /// Visits every record that the topic holds now, each partition in order of offsets, partitions interleaved.
    /// `visit` ends it early with `Break`.
    pub async fn fold<T, F>(&self, topic: &str, state: T, visit: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Record) -> ControlFlow<()> + Send + 'static,
    {
        self.read(topic, self.ranges(topic).await?, state, visit).await
    }

    /// All records that the topic holds now, in memory.
    pub async fn collect(&self, topic: &str) -> Result<Vec<Record>> {
        self.fold(topic, Vec::new(), |records, record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .await
    }

    /// Every record that the topic holds now, in batches: each partition in order of offsets, partitions interleaved. Whoever
    /// receives sets the pace: a few batches wait at most, however large the topic is. An error is the last thing that comes.
    pub async fn stream(&self, topic: &str) -> Result<mpsc::Receiver<Result<Vec<Record>>>> {
        let ranges = self.ranges(topic).await?;
        let (config, topic) = (self.config.clone(), Arc::<str>::from(topic));
        let until = Instant::now() + self.deadline;
        let (sender, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let mut building = Building::default();
            let each = |message: &BorrowedMessage<'_>| {
                building.add(message);
                batch.extend(building.take(&topic, message.partition()));
                if batch.len() < BATCH {
                    return ControlFlow::Continue(());
                }
                match sender.blocking_send(Ok(std::mem::take(&mut batch))) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            };
            let outcome = read_blocking(&config, &topic, &ranges, until, each);
            // A receiver that is gone has asked for no more.
            let _ = sender.blocking_send(outcome.map(|()| batch));
        });
        Ok(receiver)
    }

    /// Visits the records of one partition from an offset (or from its start, if that is later) to its present end.
    pub async fn scan<T, F>(&self, partition: &TopicPartition, from: i64, state: T, visit: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Record) -> ControlFlow<()> + Send + 'static,
    {
        let admin = Admin::connect(&self.config)?;
        let (low, high) = admin.watermarks(&partition.topic, partition.partition).await?;
        release(admin);
        self.read(&partition.topic, vec![(partition.partition, from.max(low), high)], state, visit).await
    }

    /// Counts what the topic holds now, without making records of it: as fast as this client library can read here.
    pub async fn count(&self, topic: &str) -> Result<Count> {
        let ranges = self.ranges(topic).await?;
        let (config, topic) = (self.config.clone(), Arc::<str>::from(topic));
        let until = Instant::now() + self.deadline;
        let job = move || {
            let mut count = Count::default();
            let visit = |message: &BorrowedMessage<'_>| {
                count.add(message);
                ControlFlow::Continue(())
            };
            read_blocking(&config, &topic, &ranges, until, visit).map(|()| count)
        };
        tokio::task::spawn_blocking(job).await.unwrap_or(Err(Error::Closed))
    }

    async fn ranges(&self, topic: &str) -> Result<Vec<(i32, i64, i64)>> {
        let admin = Admin::connect(&self.config)?;
        let mut ranges = Vec::new();
        for partition in 0..admin.partitions(topic).await? {
            let (low, high) = admin.watermarks(topic, partition).await?;
            ranges.push((partition, low, high));
        }
        release(admin);
        Ok(ranges)
    }

    async fn read<T, F>(&self, topic: &str, ranges: Vec<(i32, i64, i64)>, state: T, visit: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Record) -> ControlFlow<()> + Send + 'static,
    {
        let (config, topic) = (self.config.clone(), Arc::<str>::from(topic));
        let until = Instant::now() + self.deadline;
        let job = move || {
            let (mut state, mut visit, mut building) = (state, visit, Building::default());
            let each = |message: &BorrowedMessage<'_>| {
                building.add(message);
                building.take(&topic, message.partition()).into_iter().try_for_each(|record| visit(&mut state, record))
            };
            read_blocking(&config, &topic, &ranges, until, each).map(|()| state)
        };
        tokio::task::spawn_blocking(job).await.unwrap_or(Err(Error::Closed))
    }
}

/// Ending a client waits for its thread, a tenth of a second: too long for those who wait for their turn here.
fn release(admin: Admin) {
    drop(tokio::task::spawn_blocking(move || drop(admin)));
}

/// Ranges are (partition, first offset, end), the end not included.
fn read_blocking(
    config: &ClientConfig,
    topic: &str,
    ranges: &[(i32, i64, i64)],
    until: Instant,
    mut visit: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut open: BTreeMap<i32, i64> = ranges.iter().filter(|r| r.1 < r.2).map(|r| (r.0, r.2)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let doing = || format!("read topic `{topic}`");
    let consumer = start(config, topic, ranges).map_err(|error| Error::from_client(doing(), &error))?;
    while !open.is_empty() {
        if Instant::now() >= until {
            let reason = format!("not at the end of {} partition(s) in time", open.len());
            return Err(Error::Unavailable { doing: doing(), reason });
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let Some(end) = open.get(&message.partition()).copied() else { continue };
                if message.offset() < end && visit(&message).is_break() {
                    return Ok(());
                }
                if message.offset() + 1 >= end {
                    open.remove(&message.partition());
                }
            }
            // Behind the last record there may be marks of transactions, which are never delivered.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    let reason = "the topic was truncated or recreated while it was read".to_owned();
                    return Err(Error::Unavailable { doing: doing(), reason });
                }
                // The client connects again by itself; the deadline ends it if it cannot.
                _ => tracing::debug!(target: "kafka", %error, "drain"),
            },
        }
    }
    Ok(())
}

fn start(
    config: &ClientConfig,
    topic: &str,
    ranges: &[(i32, i64, i64)],
) -> std::result::Result<BaseConsumer<LogContext>, KafkaError> {
    let mut native = config.native().map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
    native
        // The library wants a name; the group is neither joined nor written to.
        .set("group.id", "throughline-drain")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.wait.max.ms", if config.embedded { "10" } else { "50" })
        .set("queued.max.messages.kbytes", "16384");
    let consumer: BaseConsumer<LogContext> = native.create_with_context(LogContext)?;
    let mut list = TopicPartitionList::with_capacity(ranges.len());
    for (partition, from, to) in ranges {
        if from < to {
            list.add_partition_offset(topic, *partition, Offset::Offset(*from))?;
        }
    }
    consumer.assign(&list)?;
    drop(list);
    Ok(consumer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockBroker;
    use crate::{Outgoing, Producer, ProducerConfig};

    async fn filled(records: i64) -> (MockBroker, Drain) {
        let broker = MockBroker::start().expect("broker");
        broker.create_topic("t", 3).expect("topic");
        let config = ProducerConfig { client: broker.client_config(), ..ProducerConfig::default() };
        let producer = Producer::start(&config).expect("producer");
        let outgoing = |n: i64| Outgoing {
            topic: "t".into(),
            partition: None,
            key: Some(format!("ACC-{n}").into()),
            value: Some(n.to_string().into()),
            headers: events::Headers::default(),
            timestamp_ms: None,
        };
        let all: Vec<_> = (0..records).map(outgoing).collect();
        for (record, ack) in all.iter().zip(producer.send_all(&all).await) {
            let key = record.key.as_deref().expect("keyed");
            // Every publisher must choose the same partition, in whatever language.
            assert_eq!(ack.expect("acknowledged").partition, events::partition::partition_for_key(key, 3));
        }
        let drain = Drain::new(broker.client_config(), Duration::from_secs(30));
        (broker, drain)
    }

    #[tokio::test]
    async fn everything_in_a_topic_is_read_once_and_partitions_as_java_chooses_them() {
        let (_broker, drain) = filled(200).await;
        let records = drain.collect("t").await.expect("read");
        let mut values: Vec<i64> = records
            .iter()
            .map(|r| std::str::from_utf8(r.value.as_deref().expect("a value")).expect("text").parse().expect("number"))
            .collect();
        values.sort_unstable();
        assert_eq!(values, (0..200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stream_brings_what_a_collection_holds() {
        let (_broker, drain) = filled(2_000).await;
        let mut stream = drain.stream("t").await.expect("there");
        let mut streamed = Vec::new();
        while let Some(batch) = stream.recv().await {
            streamed.extend(batch.expect("readable"));
        }
        let mut collected = drain.collect("t").await.expect("read");
        for records in [&mut streamed, &mut collected] {
            records.sort_by_key(|record| (record.partition, record.offset));
        }
        assert_eq!(streamed, collected);
    }

    #[tokio::test]
    async fn counting_passes_every_record_without_making_one() {
        let (_broker, drain) = filled(200).await;
        let count = drain.count("t").await.expect("read");
        assert_eq!(count.records, 200);
        assert!(count.bytes > 200 * "ACC-0".len() as u64 && count.span.is_some());
    }

    #[tokio::test]
    async fn a_scan_starts_where_told_and_ends_when_told() {
        let (_broker, drain) = filled(200).await;
        let partition = TopicPartition::new("t", 1);
        let from = |from: i64, most: usize| {
            let (drain, partition) = (drain.clone(), partition.clone());
            async move {
                let visit = move |offsets: &mut Vec<i64>, record: Record| {
                    offsets.push(record.offset);
                    if offsets.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                drain.scan(&partition, from, Vec::new(), visit).await.expect("read")
            }
        };
        let all = from(0, usize::MAX).await;
        assert_eq!(from(10, usize::MAX).await, all[10..]);
        assert_eq!(from(10, 3).await, [10, 11, 12]);
        assert!(from(i64::try_from(all.len()).expect("small"), usize::MAX).await.is_empty());
    }

    #[tokio::test]
    async fn a_topic_that_is_not_there_is_named() {
        let (_broker, drain) = filled(0).await;
        assert_eq!(drain.collect("nowhere").await, Err(Error::UnknownTopic { topic: "nowhere".into() }));
    }
}
