use super::*;
use crate::mock::{Fault, MockBroker, Request};

fn outgoing(topic: &str, key: &str, value: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(value.into()),
        headers: Headers::default(),
        timestamp_ms: None,
    }
}

fn broker_and_producer(partitions: i32) -> (MockBroker, Producer) {
    let broker = MockBroker::start().expect("broker");
    broker.create_topic("t", partitions).expect("topic");
    let config = ProducerConfig { client: broker.client_config(), ..ProducerConfig::default() };
    let producer = Producer::start(&config).expect("producer");
    (broker, producer)
}

#[tokio::test]
async fn records_of_one_key_get_rising_offsets_in_one_partition() {
    let (_broker, producer) = broker_and_producer(4);
    let records: Vec<_> = (0..500).map(|n| outgoing("t", "ACC-7", format!("{n}"))).collect();
    let acks: Vec<Ack> = producer.send_all(&records).await.into_iter().map(|ack| ack.expect("acknowledged")).collect();
    assert!(acks.iter().all(|ack| ack.partition == acks[0].partition));
    assert!(acks.windows(2).all(|pair| pair[1].offset == pair[0].offset + 1));
    assert_eq!(producer.close(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn an_explicit_partition_is_kept() {
    let (_broker, producer) = broker_and_producer(4);
    let record = Outgoing { partition: Some(3), ..outgoing("t", "any", "x") };
    assert_eq!(producer.send(&record).await.expect("acknowledged").partition, 3);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_named_so_and_the_others_pass() {
    let (_broker, producer) = broker_and_producer(1);
    let records = [outgoing("t", "a", "x"), outgoing("t", "a", vec![0; 1_200_000]), outgoing("t", "a", "y")];
    let acks = producer.send_all(&records).await;
    assert!(acks[0].is_ok() && acks[2].is_ok(), "{acks:?}");
    assert_eq!(acks[1], Err(Error::TooLarge { topic: "t".into(), bytes: 1_200_001 }));
}

#[tokio::test]
async fn a_topic_that_refuses_the_size_is_named_so() {
    let (broker, producer) = broker_and_producer(1);
    producer.send(&outgoing("t", "a", "first")).await.expect("acknowledged");
    broker.fail_next(Request::Produce, Fault::TooLarge, 1).expect("fault");
    let ack = producer.send(&outgoing("t", "a", "x")).await;
    assert_eq!(ack, Err(Error::TooLarge { topic: "t".into(), bytes: 2 }));
}

#[tokio::test]
async fn a_broker_that_comes_back_gets_every_record_once() {
    let (broker, producer) = broker_and_producer(1);
    producer.send(&outgoing("t", "a", "first")).await.expect("acknowledged");
    broker.broker_down(1).expect("down");
    let records: Vec<_> = (0..100).map(|n| outgoing("t", "a", format!("{n}"))).collect();
    let sending = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send_all(&records).await }
    });
    while producer.in_flight() < 100 {
        tokio::task::yield_now().await;
    }
    broker.broker_up(1).expect("up");
    let acks = sending.await.expect("sent");
    let offsets: Vec<i64> = acks.into_iter().map(|ack| ack.expect("acknowledged").offset).collect();
    assert_eq!(offsets, (1..=100).collect::<Vec<i64>>());
}
