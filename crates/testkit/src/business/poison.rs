//! Records that nobody can read.

use super::{Fate, Generated, Item, chance::Chance, names::Names};
use events::{
    Envelope, Headers,
    topics::{self, Family, of_family},
};
use failure::Class;

/// What is wrong with an unreadable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Empty,
    CutFraming,
    WrongMagic,
    NoValue,
    NoId,
}

const KINDS: [Kind; 6] = [Kind::Text, Kind::Empty, Kind::CutFraming, Kind::WrongMagic, Kind::NoValue, Kind::NoId];

/// The `number`th unreadable record, on a topic that services read. Its key is its own, so that no account waits for it.
pub(super) fn record(chance: &mut Chance, names: &Names, number: u64) -> Generated {
    let kind = KINDS[chance.below(KINDS.len() as u64) as usize];
    let topics: Vec<_> = of_family(Family::Commercial).map(|subject| subject.topic).collect();
    let topic = topics[chance.below(topics.len() as u64) as usize];
    Generated {
        topic,
        key: names.unreadable(number),
        item: Item::Raw { value: value(kind), headers: headers(kind, topic, &names.unreadable(number)) },
        fate: Fate::Refused(Class::Poison),
        replaced_minor: 0,
    }
}

fn value(kind: Kind) -> Option<Vec<u8>> {
    match kind {
        Kind::Text => Some(b"this is not Avro".to_vec()),
        Kind::Empty => Some(Vec::new()),
        Kind::CutFraming => Some(vec![0, 0, 0]),
        Kind::WrongMagic => Some(vec![7, 0, 0, 0, 1, 2, 4, 8]),
        Kind::NoValue => None,
        Kind::NoId => Some(vec![0, 0, 0, 0, 1, 2, 4, 8]),
    }
}

fn headers(kind: Kind, topic: &str, id: &str) -> Headers {
    let envelope = Envelope {
        id: id.to_owned(),
        source: "urn:example:broken".to_owned(),
        event_type: topics::event_type(topic),
        ..Envelope::default()
    };
    let mut headers = envelope.to_headers();
    if kind == Kind::NoId {
        headers.0.retain(|(name, _)| name != "ce_id");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Record, wire};

    #[test]
    fn every_kind_is_refused_as_poison() {
        let mut chance = Chance::of_disturbance(1);
        let names = Names::of_seed(1);
        for number in 0..100 {
            let record = record(&mut chance, &names, number);
            let Item::Raw { value, headers } = record.item else { panic!("poison is raw") };
            let record = Record {
                topic: record.topic.into(),
                partition: 0,
                offset: 0,
                timestamp_ms: -1,
                key: Some(record.key.into()),
                value: value.map(Into::into),
                headers,
            };
            let failure = wire::parse(&record, &wire::Limits::default()).expect_err("unreadable");
            assert_eq!(failure.class, Class::Poison);
        }
    }
}
