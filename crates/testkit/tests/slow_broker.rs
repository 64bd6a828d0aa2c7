//! A broker that takes nothing for a while: what is decided and not published must not fill memory.

use consumer::{
    Context, Decision, Document, Documents, Handler, Input, NoEffect, Publish,
    machine::{Arrived, Decoder, Input as Step, InputTopic, Machine, Output, Prepared, Settings},
};
use events::{EventSet, Headers, PayloadHash, Record, WriterSchema};
use failure::Failure;
use ledger::{CommitOutcome, DocumentKey, Ledger as _, Outgoing, PublishedMark, memory::MemoryLedger};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

const TOPIC: &str = "fact.v1";
const VALUE: usize = 1_000;

#[derive(Debug, Clone)]
struct Fact;

impl EventSet for Fact {
    fn topics() -> Vec<&'static str> {
        vec![TOPIC]
    }
    fn decode_avro(_: &str, _: &WriterSchema, _: &[u8]) -> Result<Self, Failure> {
        Ok(Self)
    }
    fn decode_json(_: &str, _: &serde_json::Value) -> Result<Self, Failure> {
        Ok(Self)
    }
    fn account_id(&self) -> &str {
        "a"
    }
    fn subject(&self) -> &str {
        "a"
    }
    fn entity_version(&self) -> Option<i64> {
        None
    }
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nothing;

impl Document for Nothing {
    fn status(&self) -> &str {
        ""
    }
    fn account_id(&self) -> &str {
        ""
    }
}

/// A thousand bytes out for each event in, whatever its sequence.
struct Loud;

impl Handler for Loud {
    type Event = Fact;
    type Document = Nothing;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        "loud"
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["loud.v1"]
    }
    fn reads(&self, _: &Input<'_, Self>) -> Vec<DocumentKey> {
        Vec::new()
    }
    fn decide(
        &self,
        _: &Documents<'_, Nothing>,
        _: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let value = Some(vec![7; VALUE]);
        Ok(Decision::new().publish(Publish {
            topic: "loud.v1".into(),
            key: "a".into(),
            value,
            headers: Headers::default(),
        }))
    }
}

struct Undecodable;

#[async_trait::async_trait]
impl Decoder<Fact> for Undecodable {
    async fn decode(&self, record: Record) -> Arrived<Fact> {
        arrived(record.offset)
    }
}

fn arrived(offset: i64) -> Arrived<Fact> {
    // Half of the records are of one account, so that a long lane is stopped as well as many short ones.
    let key = if offset % 2 == 0 { "a".to_owned() } else { format!("a{offset}") };
    let record = Record {
        topic: TOPIC.into(),
        partition: 0,
        offset,
        timestamp_ms: 0,
        key: Some(key.into()),
        value: None,
        headers: Headers::default(),
    };
    Arrived::new(record, None, PayloadHash(0), Ok(Fact), 0)
}

struct Slice {
    ledger: MemoryLedger,
    machine: Machine<Loud>,
    /// What the relay was given and the broker has not acknowledged.
    relayed: Vec<Outgoing>,
    decided: usize,
}

impl Slice {
    async fn start(outbox_bytes: usize) -> Self {
        let ledger = MemoryLedger::default();
        let takeover = ledger.take_over(0, "test").await.expect("free");
        let topics = vec![InputTopic { name: TOPIC.into(), id: None, first_offset: 0 }];
        let prepared = Prepared::read(&ledger, &Undecodable, 0, takeover, topics).await.expect("new");
        let partitions = Arc::new(HashMap::from([("loud.v1".to_owned(), 1)]));
        let settings = Settings { outbox_bytes, partitions, ..Settings::default() };
        let machine = Machine::new(Arc::new(Loud), settings, 0, prepared, 0);
        Self { ledger, machine, relayed: Vec::new(), decided: 0 }
    }

    /// Does at once what the machine asks for.
    async fn step(&mut self, input: Step<Fact>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.machine.step(0, input) {
                match output {
                    Output::Load(request) => {
                        inputs.push(Step::Loaded(self.ledger.load(&request).await.expect("there")))
                    }
                    Output::Commit(commit) => {
                        self.decided += commit.body.records.len();
                        let outcomes = self.ledger.commit(std::slice::from_ref(&*commit)).await.expect("there");
                        assert_eq!(outcomes, [CommitOutcome::Committed]);
                        inputs.push(Step::Committed);
                    }
                    Output::Publish(events) => self.relayed.extend(events),
                    other => panic!("not asked for in this test: {other:?}"),
                }
            }
        }
    }

    async fn acknowledge_all(&mut self) {
        let Some(last) = std::mem::take(&mut self.relayed).pop() else { return };
        let mark = PublishedMark { topic: last.event.topic, partition: 0, number: last.number, offset: last.number };
        self.step(Step::Published(vec![mark])).await;
    }
}

#[tokio::test]
async fn no_more_is_decided_than_may_wait_for_the_broker_and_all_of_it_once_it_answers() {
    const RECORDS: usize = 300;
    let mut slice = Slice::start(10 * VALUE).await;
    let records = (0..RECORDS).map(|offset| arrived(i64::try_from(offset).expect("small"))).collect();
    slice.step(Step::Arrived { topic: TOPIC.into(), records }).await;
    slice.step(Step::End { topic: TOPIC.into(), offset: i64::try_from(RECORDS).expect("small") }).await;
    assert!((1..=10).contains(&slice.decided), "{} were decided", slice.decided);
    let mut rounds = 0;
    while slice.decided < RECORDS {
        assert!(slice.relayed.len() <= 10, "{} wait for the broker", slice.relayed.len());
        slice.acknowledge_all().await;
        rounds += 1;
        assert!(rounds <= RECORDS, "stuck after {} records", slice.decided);
    }
}
