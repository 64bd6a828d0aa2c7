//! What a group consumer may be told, and what it always tells librdkafka.

use crate::{ClientConfig, Error, Result};
use rdkafka::config::ClientConfig as Native;
use serde::Deserialize;
use std::time::Duration;

/// How members of a group agree on partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// The protocol every broker knows; sessions are timed by the member.
    #[default]
    Classic,
    /// KIP-848, Kafka 4.0 and later: assignment and session times are the broker's.
    Consumer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerConfig {
    /// Shared by all clients of a program; set by it, not read from the consumer's section.
    #[serde(skip)]
    pub client: ClientConfig,
    #[serde(skip)]
    pub group: String,
    #[serde(skip)]
    pub topics: Vec<String>,
    pub protocol: GroupProtocol,
    /// Milliseconds; classic only (10 s there if absent).
    pub session_timeout_ms: Option<u64>,
    /// Static membership: a name that is unique in the group and survives restarts.
    pub instance_id: Option<String>,
    /// Bound of what librdkafka has fetched ahead, in KiB: an aim, shared out over the partitions of a usual topic.
    pub queue_kib: usize,
    /// Bytes that may be delivered and not yet released before fetching slows down.
    pub backlog_bytes: usize,
    /// Most records in one batch.
    pub batch_records: usize,
    /// A batch is delivered when it reaches this many bytes.
    pub batch_bytes: usize,
    /// How long a revocation waits for [`super::Done`], in milliseconds; must be shorter than the session.
    pub drain_deadline_ms: u64,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            group: String::new(),
            topics: Vec::new(),
            protocol: GroupProtocol::default(),
            session_timeout_ms: None,
            instance_id: None,
            queue_kib: 16 * 1024,
            backlog_bytes: 16 * 1024 * 1024,
            batch_records: 1_000,
            batch_bytes: 1024 * 1024,
            drain_deadline_ms: 5_000,
        }
    }
}

const DEFAULT_SESSION_MS: u64 = 10_000;
/// Of one topic that a member may own. With more of them more is fetched ahead, with fewer less.
const USUAL_PARTITIONS: usize = 12;

impl ConsumerConfig {
    pub fn new(
        client: ClientConfig,
        group: impl Into<String>,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { client, group: group.into(), topics: topics.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub(super) const fn drain_deadline(&self) -> Duration {
        Duration::from_millis(self.drain_deadline_ms)
    }

    /// Everything that is wrong, the client's part included.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.client.problems();
        let session = self.session_timeout_ms.unwrap_or(DEFAULT_SESSION_MS);
        let checks = [
            (self.group.is_empty(), "group: is missing"),
            (self.topics.is_empty(), "topics: at least one is needed"),
            (
                self.protocol == GroupProtocol::Consumer && self.session_timeout_ms.is_some(),
                "session_timeout_ms: belongs to the broker with protocol `consumer` (group.consumer.session.timeout.ms)",
            ),
            (self.queue_kib < 64, "queue_kib: at least 64"),
            (self.backlog_bytes < 64 * 1024, "backlog_bytes: at least 65536"),
            (self.batch_records == 0 || self.batch_bytes == 0, "batch_records and batch_bytes: at least 1"),
            (
                self.protocol == GroupProtocol::Classic && self.drain_deadline_ms >= session,
                "drain_deadline_ms: must be shorter than the session timeout",
            ),
        ];
        problems.extend(checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text.to_owned()));
        problems
    }

    /// What is fetched ahead of one partition. A broker sends a larger batch whole where nothing else would come.
    fn partition_kib(&self) -> usize {
        (self.queue_kib / (self.topics.len().max(1) * USUAL_PARTITIONS)).clamp(16, 1024)
    }

    pub(super) fn native(&self) -> Result<Native> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::Config(problems));
        }
        let mut native = self.client.native()?;
        native
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            // The default of 1000 leaves a partition alone for a second each time the local queue is full.
            .set("fetch.queue.backoff.ms", "5")
            // Brokers that do not wake long polls answer only after the whole wait.
            .set("fetch.wait.max.ms", if self.client.embedded { "10" } else { "50" })
            // One answer more than the queue's bound may be in memory. Never below a record's usual largest size.
            .set("fetch.max.bytes", (self.queue_kib * 1024).clamp(1 << 20, 8 << 20).to_string())
            // Of each partition, whose queue is its own.
            .set("fetch.message.max.bytes", (self.partition_kib() * 1024).to_string())
            .set("queued.max.messages.kbytes", self.partition_kib().to_string());
        if let Some(id) = &self.instance_id {
            native.set("group.instance.id", id);
        }
        match self.protocol {
            GroupProtocol::Classic => {
                let session = self.session_timeout_ms.unwrap_or(DEFAULT_SESSION_MS);
                native
                    .set("partition.assignment.strategy", "range")
                    .set("session.timeout.ms", session.to_string())
                    .set("heartbeat.interval.ms", (session / 4).clamp(100, 3_000).to_string());
            }
            GroupProtocol::Consumer => {
                native.set("group.protocol", "consumer").set("group.remote.assignor", "range");
            }
        }
        Ok(native)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = ConsumerConfig {
            protocol: GroupProtocol::Consumer,
            session_timeout_ms: Some(6_000),
            queue_kib: 1,
            ..ConsumerConfig::default()
        };
        assert_eq!(config.problems().len(), 5, "{:?}", config.problems());
    }
}
