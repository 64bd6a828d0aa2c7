//! Dead letters: the original key, value and headers byte for byte, plus `dlq.*` headers that say what happened.
//! Headers stay inside a byte budget; a value that no topic takes stays in the ledger and the letter refers to it.

use super::io::Settings;
use crate::replay;
use events::{
    Headers, Record,
    foreign::{self, Claim},
};
use failure::{Class, Failure, fingerprint};
use ledger::{Millis, NewOutgoing};

/// Where a failed record came from, in the words of its letter.
pub struct Letter<'a> {
    pub service: &'a str,
    pub slice: i32,
    pub sequence: &'a str,
    pub no: i64,
    pub record: &'a Record,
    pub failure: &'a Failure,
    pub attempts: i32,
    /// How often copies of it have been tried; 0 where its last try was of another kind.
    pub rounds: usize,
    pub now: Millis,
}

/// Header that says where the value is when the letter does not carry it: `<service>/<slice>/<sequence>/<no>` in the ledger.
pub const CLAIM_CHECK: &str = "dlq.claim_check";

impl Letter<'_> {
    /// The letter as an event of `dlq.<service>`, in the partition of its key.
    #[must_use]
    pub fn outgoing(&self, settings: &Settings) -> NewOutgoing {
        let topic = format!("dlq.{}", self.service);
        let partitions = settings.partitions.get(&topic).copied().unwrap_or(1).max(1);
        let key = self.record.key.clone();
        let partition = match &key {
            Some(key) => events::partition::partition_for_key(key, partitions),
            None => self.slice.rem_euclid(partitions),
        };
        let fits = self.record.value.as_ref().is_none_or(|value| value.len() <= settings.letter_max_bytes);
        let value = if fits { self.record.value.clone() } else { None };
        let mut headers = self.headers(fits, settings);
        self.add_aliases(&mut headers, settings);
        NewOutgoing { topic, partition, key, value, headers, timestamp_ms: self.now }
    }

    /// The same in the words of other tools, where the deployment wants them and room is left.
    fn add_aliases(&self, headers: &mut Headers, settings: &Settings) {
        if settings.letter_aliases.is_empty() {
            return;
        }
        let room = settings.letter_header_bytes.saturating_sub(headers.size_bytes());
        let origin = foreign::origin("", headers, true);
        let topic = foreign::origin_topic(headers).map(|(_, topic)| topic.to_owned());
        let claim = Claim {
            topic: topic.as_deref().unwrap_or(&self.record.topic),
            partition: origin.partition,
            offset: origin.offset,
            timestamp_ms: origin.timestamp_ms,
            consumer: self.service,
            attempts: self.attempts,
            error: &self.failure.code,
            message: truncated(&self.failure.reason, 512),
            is_unreadable: self.failure.class == Class::Poison,
        };
        foreign::write(&settings.letter_aliases, &claim, headers, room);
    }

    fn headers(&self, carries_value: bool, settings: &Settings) -> Headers {
        let mut ours = Headers::default();
        let failure = self.failure;
        ours.push(
            "dlq.id",
            format!("{}/{}/{}/{}", self.record.topic, self.record.partition, self.record.offset, self.service),
        );
        ours.push("dlq.class", failure.class.as_str());
        if let Some(stage) = failure.stage {
            ours.push("dlq.step", stage.as_str());
        }
        ours.push("dlq.code", failure.code.as_bytes().to_vec());
        ours.push("dlq.fingerprint", fingerprint(self.service, &self.record.topic, failure));
        ours.push("dlq.reason", truncated(&failure.reason, 512).as_bytes().to_vec());
        if let Some(field) = &failure.field {
            ours.push("dlq.field", truncated(field, 128).as_bytes().to_vec());
        }
        if let Some(owner) = &failure.owner {
            ours.push("dlq.owner", truncated(owner, 128).as_bytes().to_vec());
        }
        let came_back = replay::is_replay(&self.record.topic);
        if came_back {
            // The headers it came with say where it is from; its place in the replay topic is no origin.
            ours.push(replay::ROUNDS, (replay::rounds(&self.record.headers) + 1).to_string());
        } else {
            if self.rounds > 0 {
                ours.push(replay::ROUNDS, self.rounds.to_string());
            }
            ours.push("dlq.original.topic", self.record.topic.as_bytes().to_vec());
            ours.push("dlq.original.partition", self.record.partition.to_string());
            ours.push("dlq.original.offset", self.record.offset.to_string());
            ours.push("dlq.original.timestamp", self.record.timestamp_ms.to_string());
        }
        ours.push("dlq.consumer", self.service.as_bytes().to_vec());
        ours.push("dlq.service.version", settings.version);
        ours.push("dlq.attempts", self.attempts.to_string());
        ours.push("dlq.failed_at", self.now.to_string());
        if !carries_value {
            ours.push(CLAIM_CHECK, format!("{}/{}/{}/{}", self.service, self.slice, self.sequence, self.no));
            ours.push("dlq.value_bytes", self.record.value.as_ref().map_or(0, |value| value.len()).to_string());
        }
        if came_back {
            return with_originals(&without_last_letter(&self.record.headers), ours, settings.letter_header_bytes);
        }
        with_originals(&self.record.headers, ours, settings.letter_header_bytes)
    }
}

/// What a record that came back brought, without what its last letter said of itself.
fn without_last_letter(headers: &Headers) -> Headers {
    let is_kept = |name: &str| !name.starts_with("dlq.") || name.starts_with("dlq.original.");
    Headers(foreign::without_aliases(headers).0.iter().filter(|(name, _)| is_kept(name)).cloned().collect())
}

/// The original headers in front, as many as the budget allows; what is left out is counted in a header of its own
/// (the ledger keeps all of them).
fn with_originals(originals: &Headers, ours: Headers, budget: usize) -> Headers {
    let mut room = budget.saturating_sub(ours.size_bytes());
    let mut kept = Vec::new();
    for (name, value) in &originals.0 {
        let size = name.len() + value.as_ref().map_or(0, |value| value.len());
        if size <= room {
            room -= size;
            kept.push((name.clone(), value.clone()));
        }
    }
    let dropped = originals.0.len() - kept.len();
    kept.extend(ours.0);
    let mut headers = Headers(kept);
    if dropped > 0 {
        headers.push("dlq.headers_dropped", dropped.to_string());
    }
    headers
}

fn truncated(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(value: usize, headers: Headers) -> Record {
        Record {
            topic: "invoice.posted.v1".into(),
            partition: 3,
            offset: 42,
            timestamp_ms: 7,
            key: Some(Bytes::from_static(b"acct-1")),
            value: Some(Bytes::from(vec![7; value])),
            headers,
        }
    }

    #[test]
    fn other_families_are_written_by_switch_alone_and_the_source_stays_byte_for_byte() {
        let mut headers = Headers::default();
        headers.push("ce_id", "1");
        let source = record(10, headers.clone());
        let plain = letter(&source, &Settings::default());
        let all = ["spring", "spring-retry", "connect", "streams", "share-group", "smallrye"];
        let letter_aliases = all.map(|word| foreign::alias(word).expect("a family")).to_vec();
        let settings = Settings { letter_aliases, ..Settings::default() };
        let aliased = letter(&source, &settings);
        assert!(plain.headers.0[1..].iter().all(|(name, _)| name.starts_with("dlq.")), "nothing without the switch");
        assert_eq!((&aliased.key, &aliased.value), (&source.key, &source.value), "I9");
        assert_eq!(aliased.headers.0[..plain.headers.0.len()], plain.headers.0, "aliases come behind all the rest");
        assert_eq!(aliased.headers.text("__connect.errors.topic"), Some("invoice.posted.v1"));
        assert_eq!(
            aliased.headers.get("kafka_dlt-original-offset").map(AsRef::as_ref),
            Some(&42_i64.to_be_bytes()[..])
        );
        let read = foreign::origin("dlq.erp-sync", &aliased.headers, true);
        assert_eq!((read.family, read.problems), (foreign::Family::Throughline, Vec::new()));
    }

    #[test]
    fn aliases_are_written_anew_each_round_and_headers_of_others_stay_as_they_are() {
        let letter_aliases = vec![foreign::Family::SmallRye, foreign::Family::KafkaConnect];
        let settings = Settings { letter_aliases, ..Settings::default() };
        let mut headers = Headers::default();
        headers.push("__connect.errors.topic", "an-earlier-hop");
        let first = letter(&record(1, headers), &settings);
        assert_eq!(first.headers.text(foreign::ALIASES), Some("smallrye"), "Connect's own are not written over");
        let back = Record { topic: "replay.erp-sync".into(), headers: first.headers, ..record(1, Headers::default()) };
        let again = letter(&back, &settings).headers;
        let count = |wanted: &str| again.0.iter().filter(|(name, _)| name == wanted).count();
        assert_eq!([count("dead-letter-topic"), count("__connect.errors.topic"), count(foreign::ALIASES)], [1, 1, 1]);
        assert_eq!(again.text("dead-letter-topic"), Some("invoice.posted.v1"), "the origin is not the replay topic");
        assert_eq!(again.text("__connect.errors.topic"), Some("an-earlier-hop"));
    }

    #[test]
    fn aliases_take_only_the_room_that_is_left() {
        let mut headers = Headers::default();
        headers.push("large", vec![1_u8; 15_000]);
        let letter_aliases = vec![foreign::Family::SmallRye, foreign::Family::KafkaStreams];
        let settings = Settings { letter_aliases, letter_header_bytes: 15_800, ..Settings::default() };
        let letter = letter(&record(1, headers), &settings);
        assert!(
            letter.headers.get("large").is_some() && letter.headers.size_bytes() <= settings.letter_header_bytes + 64
        );
    }

    fn letter(record: &Record, settings: &Settings) -> NewOutgoing {
        let failure = Failure::poison("BYTES_NOT_AVRO", "the first byte is `9`");
        Letter {
            service: "erp-sync",
            slice: 3,
            sequence: "acct-1",
            no: 1,
            record,
            failure: &failure,
            attempts: 1,
            rounds: 0,
            now: 9,
        }
        .outgoing(settings)
    }

    #[test]
    fn a_letter_equals_its_source_byte_for_byte_and_says_where_it_came_from() {
        let mut headers = Headers::default();
        headers.push("ce_id", "1");
        headers.0.push(("odd".into(), None));
        let source = record(10, headers.clone());
        let letter = letter(&source, &Settings::default());
        assert_eq!((letter.key, letter.value), (source.key, source.value));
        assert_eq!(letter.headers.0[..2], headers.0[..]);
        assert_eq!(letter.headers.text("dlq.original.offset"), Some("42"));
        assert_eq!(letter.headers.text("dlq.class"), Some("poison"));
    }

    #[test]
    fn a_letter_that_came_back_keeps_its_origin_and_counts_its_rounds() {
        let mut source = record(1, Headers::default());
        for round in 1..=3 {
            let letter = letter(&source, &Settings::default());
            let ids = letter.headers.0.iter().filter(|(name, _)| **name == *"dlq.id").count();
            assert_eq!((letter.headers.text("dlq.original.topic"), ids), (Some("invoice.posted.v1"), 1));
            assert_eq!(replay::rounds(&letter.headers), round - 1);
            source = Record { topic: "replay.erp-sync".into(), headers: letter.headers, ..source };
        }
        let inputs = &["invoice.posted.v1"];
        source.partition = events::partition::partition_for_key(b"acct-1", 12);
        assert!(replay::origin(&source, inputs, 12).is_ok(), "two rounds are no loop yet");
    }

    #[test]
    fn a_value_too_large_for_the_topic_stays_in_the_ledger_and_is_referred_to() {
        let settings = Settings { letter_max_bytes: 100, ..Settings::default() };
        let letter = letter(&record(101, Headers::default()), &settings);
        assert_eq!(letter.value, None);
        assert_eq!(letter.headers.text(CLAIM_CHECK), Some("erp-sync/3/acct-1/1"));
    }

    #[test]
    fn headers_stay_inside_their_budget_and_say_how_many_are_missing() {
        let mut headers = Headers::default();
        (0..10_000).for_each(|n| headers.push(format!("h{n}"), vec![1u8; 100]));
        let settings = Settings::default();
        let letter = letter(&record(1, headers), &settings);
        assert!(letter.headers.size_bytes() <= settings.letter_header_bytes + 64);
        assert!(letter.headers.text("dlq.headers_dropped").is_some());
    }
}
