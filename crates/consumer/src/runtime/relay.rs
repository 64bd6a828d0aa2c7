//! Publishes what a slice's journal holds, in order, each once. After a take-over it finds its place from the tail of each topic:
//! every event carries the number that the journal gave it. What the broker has not acknowledged is sent again, never skipped.

use super::{
    caller::die_amid,
    committer::LEDGER_RETRY,
    observe::Observer,
    slice::{Inbox, SliceInput},
};
use crate::machine::CLAIM_CHECK;
use futures::StreamExt as _;
use kafka::{Ack, Error, Producer};
use ledger::{NewOutgoing, Outgoing, PublishedMark};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use telemetry::failpoint;
use tokio::sync::mpsc;

/// Header with the number of an event: `<service>/<slice>/<number>`. Stable: the place after a take-over is found by it.
pub const NUMBER_HEADER: &str = "tl-outbox";

/// Events sent at once; later ones wait for their acknowledgements.
const AT_ONCE: usize = 5_000;
/// Without an acknowledgement for so long, nothing new is decided.
const PATIENCE: Duration = Duration::from_secs(5);

/// Places whose tails are read at once.
const PLACES_AT_ONCE: usize = 4;

/// Topic and partition that an event goes to.
type Place = (String, i32);

fn place_of(outgoing: &Outgoing) -> Place {
    (outgoing.event.topic.clone(), outgoing.event.partition)
}

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
        // Each place once, however many of its events are open and whether or not one of them is found.
        let places: BTreeSet<Place> = unpublished.iter().map(place_of).collect();
        let asked = futures::stream::iter(places).map(|place| async move {
            let mark = marks.iter().find(|mark| mark.topic == place.0 && mark.partition == place.1);
            let from = mark.map_or(0, |mark| mark.offset + 1);
            let newest = self.newest(tail, &place, from).await;
            newest.map(|newest| (place, newest))
        });
        let found: BTreeMap<Place, PublishedMark> =
            asked.buffer_unordered(PLACES_AT_ONCE).filter_map(std::future::ready).collect().await;
        let missing =
            |outgoing: &Outgoing| found.get(&place_of(outgoing)).is_none_or(|mark| mark.number < outgoing.number);
        let rest = unpublished.into_iter().filter(missing).collect();
        (found.into_values().collect(), rest)
    }

    async fn newest(&self, tail: &dyn Tail, place: &Place, from: i64) -> Option<PublishedMark> {
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
            die_amid("c9", Duration::from_millis(1));
            let acks = self.patiently(&records).await;
            failpoint::hit("c10");
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

#[cfg(test)]
mod tests {
    use super::*;
    use events::Headers;
    use service::Health;
    use std::sync::{Arc, Mutex};
    use telemetry::Metrics;

    /// What a topic holds of us, by place; it notes what it is asked.
    #[derive(Default)]
    struct Told {
        numbers: BTreeMap<Place, Vec<(i64, Option<String>)>>,
        asked: Mutex<Vec<(Place, i64)>>,
    }

    #[async_trait::async_trait]
    impl Tail for Told {
        async fn numbers(&self, topic: &str, partition: i32, from: i64) -> Result<Vec<(i64, Option<String>)>, Error> {
            let place = (topic.to_owned(), partition);
            self.asked.lock().expect("whole").push((place.clone(), from));
            Ok(self.numbers.get(&place).cloned().unwrap_or_default())
        }
    }

    fn relay() -> Relay {
        let client = kafka::ClientConfig::new("127.0.0.1:1");
        let producer = kafka::ProducerConfig { client, ..kafka::ProducerConfig::default() };
        Relay {
            service: "feed",
            slice: 4,
            producer: Producer::start(&producer).expect("starts without a broker"),
            inbox: Inbox(mpsc::unbounded_channel().0),
            observer: Observer::new(Arc::new(Metrics::new("feed")), Health::new(PATIENCE), "none"),
        }
    }

    fn event(partition: i32, number: i64) -> Outgoing {
        let headers = Headers::default();
        let event =
            NewOutgoing { topic: "row.v1".into(), partition, key: None, value: None, headers, timestamp_ms: -1 };
        Outgoing { number, event, letter_of: None }
    }

    /// A service that was killed before it published anything has thousands of open events and finds none of them.
    #[tokio::test]
    async fn each_place_is_asked_once_though_none_of_its_events_is_found() {
        let tail = Told::default();
        let open: Vec<Outgoing> = (1..=500).flat_map(|number| [event(0, number), event(1, number)]).collect();
        let (found, missing) = relay().find_place(&tail, open.clone(), &[]).await;
        assert_eq!((found, missing), (Vec::new(), open));
        let mut asked = tail.asked.into_inner().expect("whole");
        asked.sort();
        assert_eq!(asked, [(("row.v1".to_owned(), 0), 0), (("row.v1".to_owned(), 1), 0)]);
    }

    #[tokio::test]
    async fn what_is_in_the_topic_already_is_not_published_again() {
        let ours = |number: i64| Some(format!("feed/4/{number}"));
        let mine = vec![(10, ours(7)), (11, Some("feed/5/99".to_owned())), (12, None), (13, ours(8))];
        let tail = Told { numbers: BTreeMap::from([(("row.v1".to_owned(), 0), mine)]), ..Told::default() };
        let mark = PublishedMark { topic: "row.v1".into(), partition: 0, number: 6, offset: 9 };
        let open: Vec<Outgoing> = (7..=9).map(|number| event(0, number)).collect();
        let (found, missing) = relay().find_place(&tail, open, std::slice::from_ref(&mark)).await;
        assert_eq!(found, [PublishedMark { number: 8, offset: 13, ..mark }]);
        assert_eq!(missing, [event(0, 9)]);
        assert_eq!(tail.asked.into_inner().expect("whole")[0].1, 10, "read from behind the mark");
    }

    proptest::proptest! {
        // Each starts a relay with its producer.
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, ..proptest::prelude::ProptestConfig::default() })]

        /// Whatever a predecessor sent of what it had committed, also twice, and whatever of it was marked: the rest is sent, in order.
        #[test]
        fn what_is_missing_is_what_no_topic_holds(
            sent in proptest::collection::vec(0_i64..12, 3),
            marked in proptest::collection::vec(0_i64..12, 3),
            again in proptest::collection::vec(1_i64..4, 3),
            strangers: bool,
        ) {
            const COMMITTED: i64 = 12;
            let mut tail = Told::default();
            let (mut marks, mut open, mut missing) = (Vec::new(), Vec::new(), Vec::new());
            for (partition, ((sent, marked), again)) in (0..).zip(sent.into_iter().zip(marked).zip(again)) {
                // The last ones may be there twice, as after a send whose acknowledgement was lost.
                let copies = (1..=sent).chain((sent - again + 1).max(1)..=sent);
                let header = |number: i64| Some(format!("feed/4/{number}"));
                let other = strangers.then(|| Some("feed/5/99".to_owned()));
                let headers = copies.map(header).chain(other);
                let marked = marked.min(sent);
                let rows: Vec<(i64, Option<String>)> = (0..).zip(headers).skip(usize::try_from(marked).unwrap_or(0)).collect();
                if marked > 0 {
                    marks.push(PublishedMark { topic: "row.v1".into(), partition, number: marked, offset: marked - 1 });
                }
                tail.numbers.insert(("row.v1".to_owned(), partition), rows);
                open.extend((marked + 1..=COMMITTED).map(|number| event(partition, number)));
                missing.extend((sent + 1..=COMMITTED).map(|number| event(partition, number)));
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (_, rest) = runtime.block_on(async { relay().find_place(&tail, open, &marks).await });
            proptest::prop_assert_eq!(rest, missing);
        }
    }
}
