//! Ids of what we publish: they follow from what it was made of, so reading the sources again gives the same ids.

use events::Envelope;
use sha2::{Digest, Sha256};
use uuid::Builder;

/// Id of the `number`th fact of a topic that was made of an event. A time in the id of the event is kept in front.
pub fn of_fact(cause: &Envelope, topic: &str, number: usize) -> String {
    let digest = digest(&[topic.as_bytes(), cause.source.as_bytes(), cause.id.as_bytes(), &number.to_be_bytes()]);
    match cause.uid().time_ms().and_then(|ms| u64::try_from(ms).ok()) {
        Some(ms) => {
            let mut random = [0; 10];
            random.copy_from_slice(&digest[..10]);
            Builder::from_unix_timestamp_millis(ms, &random).into_uuid().to_string()
        }
        None => custom(&digest),
    }
}

/// Id of a state: the same state of the same key has the same id, however it came about.
pub fn of_state(topic: &str, key: &str, datum: &[u8]) -> String {
    custom(&digest(&[topic.as_bytes(), key.as_bytes(), datum]))
}

/// Parts cannot be shifted into each other: each comes with its length.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}

/// Version 8: bits of our own making.
fn custom(digest: &[u8; 16]) -> String {
    Builder::from_custom_bytes(*digest).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Uid;

    fn cause(id: &str) -> Envelope {
        Envelope { id: id.into(), source: "urn:billing".into(), ..Envelope::default() }
    }

    #[test]
    fn a_fact_keeps_the_time_of_its_cause() {
        let id = of_fact(&cause("0199d0e5-6c00-7000-8000-000000000001"), "t", 1);
        assert_eq!(Uid::derive("x", &id).time_ms(), Some(0x0199_d0e5_6c00));
        assert_eq!(Uid::derive("x", &of_fact(&cause("536365"), "t", 1)).time_ms(), None);
    }

    #[test]
    fn ids_differ_by_cause_topic_and_number_and_by_nothing_else() {
        let id = of_fact(&cause("1"), "t", 1);
        assert_eq!(id, of_fact(&cause("1"), "t", 1));
        assert!(
            [of_fact(&cause("2"), "t", 1), of_fact(&cause("1"), "u", 1), of_fact(&cause("1"), "t", 2)]
                .iter()
                .all(|other| *other != id)
        );
        assert_ne!(of_state("t", "a", b"bc"), of_state("t", "ab", b"c"));
    }
}
