//! Apache Kafka and PostgreSQL as the dev stack runs them: started from nothing, killed, and back with their data.

mod sql;

use std::time::Duration;

use bytes::Bytes;
use devstack::{kafka_broker::Kafka, postgres::Postgres};
use kafka::{
    Admin, ClientConfig, Outgoing, Producer, ProducerConfig, TopicSpec,
    consumer::{Consumer, ConsumerConfig, Event},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn record(value: &'static str) -> Outgoing {
    let value = Some(Bytes::from_static(value.as_bytes()));
    let (key, headers) = (Some(Bytes::from_static(b"ACC-1")), events::Headers(Vec::new()));
    Outgoing { topic: "a.v1".into(), partition: Some(0), key, value, headers, timestamp_ms: None }
}

async fn send(broker: &Kafka, value: &'static str) {
    let config = ProducerConfig { client: ClientConfig::new(broker.bootstrap()), ..ProducerConfig::default() };
    let producer = Producer::start(&config).expect("a producer");
    producer.send(&record(value)).await.expect("acknowledged");
    assert_eq!(producer.close(PATIENCE).await, 0);
}

/// The values of the topic's first `count` records.
async fn read(broker: &Kafka, group: &str, count: usize) -> Vec<String> {
    let config = ConsumerConfig::new(ClientConfig::new(broker.bootstrap()), group, ["a.v1"]);
    let (consumer, mut events) = Consumer::start(config).expect("a consumer");
    let mut values = Vec::new();
    while values.len() < count {
        match tokio::time::timeout(PATIENCE, events.recv()).await.expect("in time").expect("open") {
            Event::Assigned(partitions) => {
                for partition in partitions {
                    consumer.seek_and_resume(partition, 0);
                }
            }
            Event::Records(batch) => {
                let texts = batch.records.iter().filter_map(|one| one.value.as_ref());
                values.extend(texts.map(|value| String::from_utf8_lossy(value).into_owned()));
            }
            _ => {}
        }
    }
    consumer.abandon().await;
    values
}

#[tokio::test]
async fn kafka_keeps_its_records_over_kill_9_and_over_a_stop() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut broker = Kafka::start(folder.path()).await.expect("Kafka starts");
    let address = broker.bootstrap();
    let admin = Admin::connect(&ClientConfig::new(&address)).expect("an admin client");
    let spec = TopicSpec { name: "a.v1".to_owned(), partitions: 1, replication: None, settings: Default::default() };
    admin.create(&spec).await.expect("created");
    send(&broker, "before").await;

    broker.kill().await.expect("killed");
    assert!(!broker.identity().is_alive());
    broker.restart().await.expect("back");
    assert_eq!(broker.bootstrap(), address);
    assert_eq!(read(&broker, "first", 1).await, ["before"]);
    send(&broker, "after").await;

    broker.stop().await.expect("stopped");
    drop(broker);
    let mut broker = Kafka::start(folder.path()).await.expect("Kafka starts again");
    assert_eq!(broker.bootstrap(), address);
    assert_eq!(read(&broker, "second", 2).await, ["before", "after"]);
    broker.stop().await.expect("stopped");
}

#[tokio::test]
async fn postgres_keeps_its_rows_over_kill_9_and_over_a_stop() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut server = Postgres::start(&folder.path().join("postgres")).await.expect("PostgreSQL starts");
    let url = server.url();
    assert_eq!(sql::run(&url, "create table t (n int); insert into t values (1)").await, Vec::<String>::new());

    server.kill().await.expect("killed");
    assert!(!server.identity().is_alive());
    server.restart().await.expect("back");
    assert_eq!(sql::run(&url, "insert into t values (2)").await, Vec::<String>::new());

    server.stop().await.expect("stopped");
    drop(server);
    let mut server = Postgres::start(&folder.path().join("postgres")).await.expect("PostgreSQL starts again");
    assert_eq!(sql::run(&server.url(), "select n from t order by n").await, ["1", "2"]);
    assert!(
        std::fs::read_to_string(server.log()).is_ok_and(|log| log.contains("recovery")),
        "it was killed, then recovered"
    );
    server.stop().await.expect("stopped");
}
