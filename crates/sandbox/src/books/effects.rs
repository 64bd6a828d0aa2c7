//! The append-only log of committed effects, kept as ready-made NDJSON so that streaming it costs a copy.

use bytes::Bytes;
use serde::Serialize;

/// Whether the write made, changed or removed a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Create,
    Update,
    Delete,
}

/// One line of `GET /__admin/effects`.
#[derive(Debug, Serialize)]
pub struct Effect<'a> {
    /// From 1, without gaps, in commit order.
    pub seq: u64,
    /// Virtual time of the commit, RFC 3339.
    pub at: jiff::Timestamp,
    pub operation: Operation,
    /// REST name of the record type.
    pub object: &'static str,
    pub external_id: Option<&'a str>,
    pub internal_id: u64,
    pub event_id: Option<&'a str>,
    pub correlation_id: Option<&'a str>,
    pub account_id: Option<&'a str>,
    /// Total of the record in minor units; credit memos and payments are positive too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'a str>,
}

/// Lines of one chunk are handed to readers together.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug)]
struct Chunk {
    first_seq: u64,
    lines: Vec<u8>,
}

/// All effects since the last reset.
#[derive(Debug, Default)]
pub struct EffectLog {
    chunks: Vec<Chunk>,
    count: u64,
}

impl EffectLog {
    /// Number of effects; also the sequence number of the newest.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sequence number the next effect will have.
    pub fn next_seq(&self) -> u64 {
        self.count + 1
    }

    /// Appends an effect, which must carry [`Self::next_seq`].
    pub fn push(&mut self, effect: &Effect<'_>) {
        debug_assert_eq!(effect.seq, self.next_seq());
        if self.chunks.last().is_none_or(|chunk| chunk.lines.len() >= CHUNK_BYTES) {
            self.chunks.push(Chunk { first_seq: effect.seq, lines: Vec::new() });
        }
        let chunk = self.chunks.last_mut().expect("a chunk was pushed above when there was none");
        serde_json::to_writer(&mut chunk.lines, effect).expect("strings and numbers always serialise into memory");
        chunk.lines.push(b'\n');
        self.count += 1;
    }

    /// The lines of one chunk from `from_seq` on, and the sequence number to ask for next; `None` at the end.
    pub fn read(&self, from_seq: u64) -> Option<(Bytes, u64)> {
        let from_seq = from_seq.max(1);
        if from_seq > self.count {
            return None;
        }
        let index = self.chunks.partition_point(|chunk| chunk.first_seq <= from_seq).checked_sub(1)?;
        let chunk = &self.chunks[index];
        let skip = usize::try_from(from_seq - chunk.first_seq).ok()?;
        let start = match skip {
            0 => 0,
            _ => chunk.lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(skip - 1)?.0 + 1,
        };
        let next = self.chunks.get(index + 1).map_or(self.count + 1, |following| following.first_seq);
        Some((Bytes::copy_from_slice(&chunk.lines[start..]), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(count: u64) -> EffectLog {
        let mut log = EffectLog::default();
        for seq in 1..=count {
            log.push(&Effect {
                seq,
                at: jiff::Timestamp::UNIX_EPOCH,
                operation: Operation::Create,
                object: "invoice",
                external_id: Some("INV"),
                internal_id: seq,
                event_id: None,
                correlation_id: None,
                account_id: None,
                amount_minor: None,
                currency: None,
            });
        }
        log
    }

    #[test]
    fn reading_from_any_sequence_gives_every_later_effect_once() {
        let log = log_of(5_000);
        for from in [1, 2, 1_999, 4_999, 5_000] {
            let (mut at, mut seen) = (from, Vec::new());
            while let Some((lines, next)) = log.read(at) {
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let value: serde_json::Value = serde_json::from_slice(line).unwrap();
                    seen.push(value["seq"].as_u64().unwrap());
                }
                at = next;
            }
            assert_eq!(seen, (from..=5_000).collect::<Vec<_>>());
        }
        assert!(log.read(5_001).is_none());
    }
}
