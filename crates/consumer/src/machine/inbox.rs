//! Records that arrived and are not looked at yet, one queue a topic, merged by timestamp while the slice is behind:
//! a catch-up must not read invoices before their orders. Bounded by pausing the topic, never by dropping.

use super::io::Arrived;
use ledger::Millis;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

#[derive(Debug)]
struct Queue<E> {
    /// Boxed: a record moves several times before it is decided.
    records: VecDeque<Box<Arrived<E>>>,
    bytes: usize,
    paused: bool,
    at_end: bool,
}

#[derive(Debug)]
pub struct Inbox<E> {
    queues: BTreeMap<Arc<str>, Queue<E>>,
    max_records: usize,
    max_bytes: usize,
    merge_wait: Millis,
    /// Since when records wait for a topic that has none in memory and is not at its end.
    waiting_since: Option<Millis>,
}

impl<E> Inbox<E> {
    pub fn new(
        topics: impl IntoIterator<Item = Arc<str>>,
        max_records: usize,
        max_bytes: usize,
        merge_wait: Millis,
    ) -> Self {
        let queue = || Queue { records: VecDeque::new(), bytes: 0, paused: false, at_end: false };
        let queues = topics.into_iter().map(|topic| (topic, queue())).collect();
        Self { queues, max_records, max_bytes, merge_wait, waiting_since: None }
    }

    /// Adds a record; true if its topic has to be paused now.
    pub fn push(&mut self, topic: &Arc<str>, arrived: Arrived<E>) -> bool {
        let Some(queue) = self.queues.get_mut(topic) else { return false };
        queue.bytes += arrived.weight();
        queue.records.push_back(Box::new(arrived));
        queue.at_end = false;
        let full = queue.records.len() >= self.max_records || queue.bytes >= self.max_bytes;
        full && !std::mem::replace(&mut queue.paused, full)
    }

    pub fn end(&mut self, topic: &str) {
        if let Some(queue) = self.queues.get_mut(topic) {
            queue.at_end = true;
        }
    }

    /// The oldest record, unless a topic that may hold an older one is still being waited for.
    pub fn pop(&mut self, now: Millis) -> Option<Box<Arrived<E>>> {
        let is_awaited = |queue: &Queue<E>| queue.records.is_empty() && !queue.at_end && !queue.paused;
        let awaits = self.queues.values().any(is_awaited);
        // Of equally old ones the first topic's, as the map has them.
        let filled = self.queues.values_mut().filter(|queue| !queue.records.is_empty());
        let queue = filled.min_by_key(|queue| queue.records.front().map(|first| first.record.timestamp_ms))?;
        if awaits {
            let since = *self.waiting_since.get_or_insert(now);
            if now < since + self.merge_wait {
                return None;
            }
        } else {
            self.waiting_since = None;
        }
        let first = queue.records.pop_front()?;
        queue.bytes -= first.weight();
        Some(first)
    }

    /// Offset of the oldest record of a topic that is still here.
    pub fn first(&self, topic: &str) -> Option<i64> {
        self.queues.get(topic)?.records.front().map(|first| first.record.offset)
    }

    /// Topics that have room again.
    pub fn resumable(&mut self) -> Vec<Arc<str>> {
        let (records, bytes) = (self.max_records / 2, self.max_bytes / 2);
        let mut topics = Vec::new();
        for (topic, queue) in &mut self.queues {
            if queue.paused && queue.records.len() <= records && queue.bytes <= bytes {
                queue.paused = false;
                topics.push(topic.clone());
            }
        }
        topics
    }

    /// When [`Inbox::pop`] will stop waiting for a silent topic.
    pub fn wake_at(&self) -> Option<Millis> {
        self.waiting_since.filter(|_| !self.is_empty()).map(|since| since + self.merge_wait)
    }

    pub fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.records.is_empty())
    }

    pub fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.records.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Headers, PayloadHash, Record};

    fn record(topic: &str, timestamp_ms: i64) -> Arrived<()> {
        let record = Record {
            topic: topic.into(),
            partition: 0,
            offset: timestamp_ms,
            timestamp_ms,
            key: None,
            value: None,
            headers: Headers::default(),
        };
        Arrived::new(record, None, PayloadHash(0), Ok(()), 0)
    }

    fn inbox(max_records: usize) -> Inbox<()> {
        Inbox::new(["a".into(), "b".into()], max_records, 1 << 20, 100)
    }

    #[test]
    fn while_behind_the_older_record_goes_first_whatever_its_topic() {
        let mut inbox = inbox(10);
        for (topic, time) in [("a", 5), ("a", 6), ("b", 1), ("b", 7)] {
            inbox.push(&topic.into(), record(topic, time));
        }
        inbox.end("a");
        inbox.end("b");
        let times: Vec<_> = std::iter::from_fn(|| inbox.pop(0)).map(|arrived| arrived.record.timestamp_ms).collect();
        assert_eq!(times, [1, 5, 6, 7]);
    }

    #[test]
    fn a_silent_topic_is_waited_for_but_not_for_ever() {
        let mut inbox = inbox(10);
        inbox.push(&"a".into(), record("a", 5));
        assert!(inbox.pop(1_000).is_none());
        assert_eq!(inbox.wake_at(), Some(1_100));
        assert!(inbox.pop(1_100).is_some());
    }

    #[test]
    fn a_full_topic_is_paused_once_and_resumes_at_half() {
        let mut inbox = inbox(4);
        inbox.end("b");
        let pauses: Vec<_> = (0..5).map(|time| inbox.push(&"a".into(), record("a", time))).collect();
        assert_eq!(pauses, [false, false, false, true, false]);
        inbox.pop(0);
        assert!(inbox.resumable().is_empty());
        (0..2).for_each(|_| {
            inbox.pop(0);
        });
        assert_eq!(inbox.resumable(), ["a".into()]);
    }
}
