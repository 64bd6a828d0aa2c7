//! Publishes what a slice's journal holds, in order, each once. After a take-over it finds its place from the tail of each topic:
//! every event carries the number that the journal gave it. What the broker has not acknowledged is sent again, never skipped.

use super::{
    committer::LEDGER_RETRY,
    observe::Observer,
    slice::{Inbox, SliceInput},
};
use crate::machine::CLAIM_CHECK;
use kafka::{Ack, Error, Producer};
use ledger::{NewOutgoing, Outgoing, PublishedMark};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc;

/// Header with the number of an event: `<service>/<slice>/<number>`. Stable: the place after a take-over is found by it.
pub const NUMBER_HEADER: &str = "tl-outbox";

/// Events sent at once; later ones wait for their acknowledgements.
const AT_ONCE: usize = 5_000;
/// Without an acknowledgement for so long, nothing new is decided.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the tail of a topic: the seam that a broker without such a client fills in tests.
#[async_trait::async_trait]
pub trait Tail: Send + Sync {
    /// Records of one partition from `from` to its present end: (offset, value of [`NUMBER_HEADER`] if there is one).
    async fn numbers(&self, topic: &str, partition: i32, from: i64) -> Result<Vec<(i64, Option<String>)>, Error>;
}

pub struct Relay {
    pub service: &'static str,
    pub slice: i32,
    pub producer: Producer,
    pub inbox: Inbox,
    pub observer: Observer,
}

impl Relay {
    /// Finds out which of the events of open entries are in their topics already, and hands back the others, in order.
    pub async fn find_place(
        &self,
        tail: &dyn Tail,
        unpublished: Vec<Outgoing>,
        marks: &[PublishedMark],
    ) -> (Vec<PublishedMark>, Vec<Outgoing>) {
        let mut places: BTreeMap<(String, i32), PublishedMark> = BTreeMap::new();
        for outgoing in &unpublished {
            let place = (outgoing.event.topic.clone(), outgoing.event.partition);
            if places.contains_key(&place) {
                continue;
            }
            let mark = marks.iter().find(|mark| mark.topic == place.0 && mark.partition == place.1);
            let from = mark.map_or(0, |mark| mark.offset + 1);
            if let Some(found) = self.newest(tail, &place, from).await {
                places.insert(place, found);
            }
        }
        let missing = |outgoing: &Outgoing| {
            let place = (outgoing.event.topic.clone(), outgoing.event.partition);
            places.get(&place).is_none_or(|mark| mark.number < outgoing.number)
        };
        let rest = unpublished.into_iter().filter(missing).collect();
        (places.into_values().collect(), rest)
    }

    async fn newest(&self, tail: &dyn Tail, place: &(String, i32), from: i64) -> Option<PublishedMark> {
        let prefix = format!("{}/{}/", self.service, self.slice);
        let mut attempt = 0;
        let records = loop {
            match tail.numbers(&place.0, place.1, from).await {
                Ok(records) => break records,
                Err(error) => {
                    attempt += 1;
                    self.observer.broker(Some(&error.to_string()));
                    tokio::time::sleep(LEDGER_RETRY.delay_after(attempt, 1).unwrap_or(LEDGER_RETRY.max)).await;
                }
            }
        };
        if attempt > 0 {
            self.observer.broker(None);
        }
        let number = |text: &str| text.strip_prefix(&prefix).and_then(|number| number.parse::<i64>().ok());
        let ours = records.iter().filter_map(|(offset, header)| Some((number(header.as_deref()?)?, *offset)));
        ours.max().map(|(number, offset)| PublishedMark { topic: place.0.clone(), partition: place.1, number, offset })
    }

    /// Publishes until the slice has gone.
    pub async fn run(self, mut events: mpsc::UnboundedReceiver<Vec<Outgoing>>) {
        while let Some(mut batch) = events.recv().await {
            while batch.len() < AT_ONCE {
                match events.try_recv() {
                    Ok(more) => batch.extend(more),
                    Err(_) => break,
                }
            }
            self.publish(batch).await;
        }
    }

    async fn publish(&self, mut events: Vec<Outgoing>) {
        let mut attempt = 0;
        while !events.is_empty() {
            let records: Vec<kafka::Outgoing> = events.iter().map(|outgoing| self.record(outgoing)).collect();
            let acks = self.patiently(&records).await;
            let sent = acks.iter().take_while(|ack| ack.is_ok()).count();
            self.acknowledge(&events[..sent], &acks);
            let Some(Err(error)) = acks.into_iter().nth(sent) else {
                self.gate(None, attempt > 0);
                return;
            };
            events.drain(..sent);
            if matches!(error, Error::TooLarge { .. }) && claim_check(self, &mut events[0]) {
                continue;
            }
            attempt += 1;
            self.gate(Some(&error), true);
            tokio::time::sleep(LEDGER_RETRY.delay_after(attempt, 2).unwrap_or(LEDGER_RETRY.max)).await;
        }
    }

    /// Waits for the acknowledgements, however long; says so when it takes long.
    async fn patiently(&self, records: &[kafka::Outgoing]) -> Vec<Result<Ack, Error>> {
        let sending = self.producer.send_all(records);
        tokio::pin!(sending);
        tokio::select! {
            acks = &mut sending => acks,
            () = tokio::time::sleep(PATIENCE) => {
                let silent = Error::Unavailable { doing: "publish".to_owned(), reason: "no acknowledgement yet".to_owned() };
                self.gate(Some(&silent), true);
                let acks = sending.await;
                self.gate(None, true);
                acks
            }
        }
    }

    fn acknowledge(&self, events: &[Outgoing], acks: &[Result<Ack, Error>]) {
        let mut marks: BTreeMap<(String, i32), PublishedMark> = BTreeMap::new();
        for (outgoing, ack) in events.iter().zip(acks) {
            let Ok(ack) = ack else { continue };
            let (topic, partition) = (outgoing.event.topic.clone(), outgoing.event.partition);
            let mark = PublishedMark { topic: topic.clone(), partition, number: outgoing.number, offset: ack.offset };
            marks.insert((topic, partition), mark);
        }
        if !marks.is_empty() {
            self.inbox.send(SliceInput::Published(marks.into_values().collect()));
        }
    }

    fn gate(&self, error: Option<&Error>, changed: bool) {
        if !changed {
            return;
        }
        let text = error.map(ToString::to_string);
        match &text {
            Some(reason) => {
                tracing::warn!(slice = self.slice, reason, "cannot publish: the slice waits, nothing is skipped");
                self.observer.health().degrade("DEAD_LETTER_UNAVAILABLE", format!("slice {}: {reason}", self.slice));
            }
            None => self.observer.health().clear("DEAD_LETTER_UNAVAILABLE"),
        }
        self.inbox.send(SliceInput::Gate { source: "relay", closed: text.is_some() });
    }

    fn record(&self, outgoing: &Outgoing) -> kafka::Outgoing {
        let NewOutgoing { topic, partition, key, value, headers, timestamp_ms } = outgoing.event.clone();
        let mut headers = headers;
        headers.push(NUMBER_HEADER, format!("{}/{}/{}", self.service, self.slice, outgoing.number));
        let timestamp_ms = (timestamp_ms >= 0).then_some(timestamp_ms);
        kafka::Outgoing { topic: topic.into(), partition: Some(partition), key, value, headers, timestamp_ms }
    }
}

/// A letter that its topic does not take goes without its value: the ledger keeps it, and the header says where. False if that has
/// been done already or it is no letter.
fn claim_check(relay: &Relay, outgoing: &mut Outgoing) -> bool {
    let Some((sequence, no)) = &outgoing.letter_of else { return false };
    if outgoing.event.headers.get(CLAIM_CHECK).is_some() {
        return false;
    }
    outgoing.event.value = None;
    outgoing.event.headers.push(CLAIM_CHECK, format!("{}/{}/{sequence}/{no}", relay.service, relay.slice));
    true
}
