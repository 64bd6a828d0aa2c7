//! Against the in-process broker: a group of real members over real sockets.

use super::*;
use crate::mock::MockBroker;
use crate::producer::{Outgoing, Producer, ProducerConfig};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    broker: MockBroker,
    producer: Producer,
}

impl Rig {
    fn new(topics: &[&str], partitions: i32) -> Self {
        let broker = MockBroker::start().expect("broker");
        for topic in topics {
            broker.create_topic(topic, partitions).expect("topic");
        }
        let config = ProducerConfig { client: broker.client_config(), ..ProducerConfig::default() };
        let producer = Producer::start(&config).expect("producer");
        Self { broker, producer }
    }

    fn config(&self, topics: &[&str]) -> ConsumerConfig {
        let config = ConsumerConfig::new(self.broker.client_config(), "g", topics.iter().copied());
        ConsumerConfig { protocol: GroupProtocol::Consumer, ..config }
    }

    async fn publish(&self, topic: &str, partition: i32, values: impl IntoIterator<Item = String>) {
        let records: Vec<_> = values.into_iter().map(|value| outgoing(topic, partition, value)).collect();
        for ack in self.producer.send_all(&records).await {
            ack.expect("acknowledged");
        }
    }
}

fn outgoing(topic: &str, partition: i32, value: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        partition: Some(partition),
        key: Some(Bytes::from_static(b"ACC-1")),
        value: Some(value.into()),
        headers: ::events::Headers(vec![("ce_id".into(), Some(Bytes::from_static(b"1"))), ("none".into(), None)]),
        timestamp_ms: Some(1_700_000_000_123),
    }
}

/// What a member was told, driven by hand.
struct Member {
    consumer: Consumer,
    events: EventReceiver,
    mine: Vec<TopicPartition>,
}

impl Member {
    fn start(config: ConsumerConfig) -> Self {
        let (consumer, events) = Consumer::start(config).expect("consumer");
        Self { consumer, events, mine: Vec::new() }
    }

    async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event in time").expect("the consumer lives")
    }

    /// Takes events until `count` partitions are assigned; revocations on the way are granted at once.
    async fn until_assigned(&mut self, count: usize) {
        while self.mine.len() != count {
            match self.event().await {
                Event::Assigned(partitions) => self.mine.extend(partitions),
                Event::Revoked { partitions, .. } | Event::Lost(partitions) => {
                    self.mine.retain(|p| !partitions.contains(p));
                }
                Event::Records(_) | Event::End { .. } | Event::OutOfRange | Event::Error(_) => {}
            }
        }
        self.mine.sort();
    }

    fn seek_all(&self, offset: i64) {
        for partition in &self.mine {
            self.consumer.seek_and_resume(partition.clone(), offset);
        }
    }

    /// Next batch; other events are ignored.
    async fn batch(&mut self) -> Batch {
        loop {
            if let Event::Records(batch) = self.event().await {
                return batch;
            }
        }
    }

    /// Offsets delivered until `partition` ends at `end`.
    async fn offsets_until_end(&mut self, partition: &TopicPartition, end: i64) -> Vec<i64> {
        let mut offsets = Vec::new();
        loop {
            match self.event().await {
                Event::Records(batch) if batch.partition == *partition => {
                    offsets.extend(batch.records.iter().map(|record| record.offset));
                }
                Event::End { partition: ended, offset, .. } if ended == *partition && offset == end => return offsets,
                _ => {}
            }
        }
    }
}

fn numbers(range: std::ops::Range<i32>) -> impl Iterator<Item = String> {
    range.map(|n| n.to_string())
}

#[tokio::test]
async fn nothing_is_delivered_before_the_seek_and_then_everything_from_there() {
    let rig = Rig::new(&["t"], 1);
    rig.publish("t", 0, numbers(0..10)).await;
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    let partition = member.mine[0].clone();
    let generation = member.consumer.seek_and_resume(partition.clone(), 4);
    let first = member.event().await;
    let Event::Records(batch) = first else { panic!("records first, not {first:?}") };
    assert_eq!((batch.records[0].offset, batch.generation), (4, generation));
    let record = &batch.records[0];
    assert_eq!(record.value.as_deref(), Some(&b"4"[..]));
    assert_eq!((record.key.as_deref(), record.timestamp_ms), (Some(&b"ACC-1"[..]), 1_700_000_000_123));
    assert_eq!((record.headers.text("ce_id"), record.headers.get("none")), (Some("1"), None));
    assert_eq!(record.headers.0.len(), 2);
    let rest = member.offsets_until_end(&partition, 10).await;
    assert_eq!(batch.records.iter().map(|r| r.offset).chain(rest).collect::<Vec<_>>(), (4..10).collect::<Vec<_>>());
    member.consumer.close().await.expect("closed");
}

#[tokio::test]
async fn each_topic_of_a_slice_tells_its_own_end() {
    let rig = Rig::new(&["a", "b"], 1);
    rig.publish("a", 0, numbers(0..3)).await;
    let mut member = Member::start(rig.config(&["a", "b"]));
    member.until_assigned(2).await;
    member.seek_all(0);
    let mut ends = BTreeMap::new();
    while ends.len() < 2 {
        if let Event::End { partition, offset, .. } = member.event().await {
            ends.insert(partition.topic.to_string(), offset);
        }
    }
    assert_eq!(ends, BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 0)]));
    rig.publish("b", 0, numbers(0..2)).await;
    assert_eq!(member.offsets_until_end(&TopicPartition::new("b", 0), 2).await, [0, 1]);
}

#[tokio::test]
async fn a_paused_partition_waits_and_goes_on_where_it_was() {
    let rig = Rig::new(&["t"], 1);
    rig.publish("t", 0, numbers(0..5)).await;
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    member.seek_all(0);
    let partition = member.mine[0].clone();
    member.offsets_until_end(&partition, 5).await;
    member.consumer.pause(vec![partition.clone()]);
    rig.publish("t", 0, numbers(5..8)).await;
    until(|| member.consumer.progress().iter().any(|p| p.is_paused)).await;
    assert!(member.events.try_recv().is_err());
    member.consumer.resume(vec![partition.clone()]);
    assert_eq!(member.offsets_until_end(&partition, 8).await, [5, 6, 7]);
}

#[tokio::test]
async fn seeking_back_delivers_again_under_a_new_generation() {
    let rig = Rig::new(&["t"], 1);
    rig.publish("t", 0, numbers(0..5)).await;
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    member.seek_all(0);
    let partition = member.mine[0].clone();
    member.offsets_until_end(&partition, 5).await;
    let generation = member.consumer.seek_and_resume(partition.clone(), 2);
    let batch = member.batch().await;
    assert_eq!((batch.generation, batch.records[0].offset), (generation, 2));
}

#[tokio::test]
async fn a_receiver_that_lags_bounds_the_backlog_and_loses_nothing() {
    let rig = Rig::new(&["t"], 2);
    let value = "x".repeat(1_000);
    for partition in 0..2 {
        rig.publish("t", partition, std::iter::repeat_n(value.clone(), 2_000)).await;
    }
    let bound = 256 * 1024;
    let batch_bytes = 32 * 1024;
    let config = ConsumerConfig { backlog_bytes: bound, batch_bytes, ..rig.config(&["t"]) };
    let mut member = Member::start(config);
    member.until_assigned(2).await;
    member.seek_all(0);
    // Nobody receives until there is no room left.
    let held = || member.consumer.progress().iter().map(|p| p.held_bytes).sum::<usize>();
    until(|| held() >= bound / 2).await;
    assert!(held() < 2 * bound, "{} bytes held", held());
    let mut next = BTreeMap::from([(0, 0), (1, 0)]);
    while next.values().any(|offset| *offset < 2_000) {
        let batch = member.batch().await;
        let expected = next.get_mut(&batch.partition.partition).expect("ours");
        for record in &batch.records {
            assert_eq!(record.offset, *expected, "gap or repetition");
            *expected += 1;
        }
    }
}

/// A receiver that merges topics by time holds what it has until each has a record or its end.
#[tokio::test]
async fn a_topic_that_is_far_ahead_holds_no_other_back() {
    let rig = Rig::new(&["ahead", "behind"], 1);
    rig.publish("ahead", 0, std::iter::repeat_n("x".repeat(1_000), 2_000)).await;
    rig.publish("behind", 0, numbers(0..1)).await;
    let config =
        ConsumerConfig { backlog_bytes: 128 * 1024, batch_bytes: 16 * 1024, ..rig.config(&["ahead", "behind"]) };
    let mut member = Member::start(config);
    member.until_assigned(2).await;
    member.seek_all(0);
    let mut held = Vec::new();
    loop {
        let batch = member.batch().await;
        if &*batch.partition.topic == "behind" {
            break;
        }
        held.push(batch);
    }
    let of_the_other: usize = held.iter().map(|batch| batch.records.len()).sum();
    assert!(of_the_other < 200, "{of_the_other} records of the other topic came first");
}

#[tokio::test]
async fn two_members_share_co_partitioned_topics_and_the_survivor_gets_all() {
    let rig = Rig::new(&["a", "b"], 4);
    let mut first = Member::start(rig.config(&["a", "b"]));
    first.until_assigned(8).await;
    let mut second = Member::start(rig.config(&["a", "b"]));
    // The first must go on taking events, or it would not learn what it has to give.
    let (_, _) = tokio::join!(first.until_assigned(4), second.until_assigned(4));
    let of = |member: &Member, topic: &str| -> Vec<i32> {
        member.mine.iter().filter(|p| &*p.topic == topic).map(|p| p.partition).collect()
    };
    assert_eq!(of(&first, "a"), of(&first, "b"));
    assert_eq!(of(&second, "a"), of(&second, "b"));
    second.consumer.close().await.expect("closed");
    first.until_assigned(8).await;
}

#[tokio::test]
async fn a_member_of_the_classic_protocol_gets_partitions_and_records() {
    let rig = Rig::new(&["t"], 2);
    rig.publish("t", 1, numbers(0..3)).await;
    let config = ConsumerConfig { protocol: GroupProtocol::Classic, ..rig.config(&["t"]) };
    let mut member = Member::start(config);
    member.until_assigned(2).await;
    member.seek_all(0);
    assert_eq!(member.offsets_until_end(&TopicPartition::new("t", 1), 3).await, [0, 1, 2]);
    member.consumer.close().await.expect("closed");
}

#[tokio::test]
async fn closing_waits_for_done() {
    let rig = Rig::new(&["t"], 1);
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    let consumer = member.consumer.clone();
    let closing = tokio::spawn(async move { consumer.close().await });
    let Event::Revoked { partitions, done } = member.event().await else { panic!("revoked first") };
    assert_eq!(partitions, member.mine);
    // Drained work may still leave its hint; the promise is kept by two slices.
    member.consumer.commit_hint(vec![(partitions[0].clone(), 7)]);
    let second = done.clone();
    drop(done);
    assert!(!closing.is_finished());
    drop(second);
    closing.await.expect("joined").expect("closed");
    assert!(member.events.recv().await.is_none());
    assert_eq!(committed(&rig.broker, "t"), Some(7));
}

#[tokio::test]
async fn a_revocation_that_nobody_grants_ends_at_its_deadline() {
    let rig = Rig::new(&["t"], 1);
    let config = ConsumerConfig { drain_deadline_ms: 100, ..rig.config(&["t"]) };
    let mut member = Member::start(config);
    member.until_assigned(1).await;
    let consumer = member.consumer.clone();
    let closing = tokio::spawn(async move { consumer.close().await });
    let Event::Revoked { done, .. } = member.event().await else { panic!("revoked first") };
    closing.await.expect("joined").expect("closed");
    assert!(Instant::now() >= done.deadline());
}

#[tokio::test]
async fn an_abandoned_consumer_leaves_the_hint_as_it_was_and_its_successor_gets_the_partitions() {
    let rig = Rig::new(&["t"], 1);
    rig.publish("t", 0, numbers(0..5)).await;
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    member.seek_all(0);
    let partition = member.mine[0].clone();
    member.consumer.commit_hint(vec![(partition.clone(), 2)]);
    member.offsets_until_end(&partition, 5).await;
    until(|| committed(&rig.broker, "t") == Some(2)).await;
    member.consumer.abandon().await;
    assert!(member.events.recv().await.is_none(), "a crash revokes nothing");
    assert_eq!(committed(&rig.broker, "t"), Some(2));
    let mut successor = Member::start(rig.config(&["t"]));
    successor.until_assigned(1).await;
}

#[tokio::test]
async fn dropping_the_receiver_ends_the_consumer() {
    let rig = Rig::new(&["t"], 1);
    let mut member = Member::start(rig.config(&["t"]));
    member.until_assigned(1).await;
    member.seek_all(0);
    drop(member.events);
    rig.publish("t", 0, numbers(0..1)).await;
    // Answered by the end of the thread, with nothing to drain.
    member.consumer.close().await.expect("closed");
}

/// The committed offset of the test group, asked by a client that is no member.
fn committed(broker: &MockBroker, topic: &str) -> Option<i64> {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    let mut native = broker.client_config().native().expect("config");
    let asker: BaseConsumer = native.set("group.id", "g").create().expect("client");
    let offset = {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(topic, 0);
        let found = asker.committed_offsets(list, PATIENCE).expect("answer");
        found.elements()[0].offset()
    };
    match offset {
        rdkafka::Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// Waits for a condition that nobody announces.
async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "the condition did not come true in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
