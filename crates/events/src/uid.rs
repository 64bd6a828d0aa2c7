//! Identity of an event: (`ce_source`, `ce_id`), never its place in a topic.

use sha2::{Digest, Sha256};
use std::fmt;

/// 16 bytes derived from source and id. Where the id is a UUIDv7 or a ULID its 48-bit time is kept in front,
/// so that identities sort by time and whole ranges can be dropped; `has_time` tells which.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Uid(pub [u8; 16]);

/// Marks a uid with a time in front: the lowest bit of byte 6. Never change this, it makes old identities unknown.
const TIME_FLAG: u8 = 1;

impl Uid {
    #[must_use]
    pub fn derive(source: &str, id: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(source.as_bytes());
        hasher.update([0]);
        hasher.update(id.as_bytes());
        let digest = hasher.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] &= !TIME_FLAG;
        if let Some(millis) = time_of_id(id) {
            bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
            bytes[6] |= TIME_FLAG;
        }
        Self(bytes)
    }

    /// Milliseconds since the epoch that the id carries, if it carries one.
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        if self.0[6] & TIME_FLAG == 0 {
            return None;
        }
        let mut millis = [0u8; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        Some(i64::from_be_bytes(millis))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

/// Tells "the same event again" from "another event under the same id".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PayloadHash(pub i64);

impl PayloadHash {
    /// Over key and value; a null differs from an empty one.
    #[must_use]
    pub fn of(key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in [key, value] {
            match part {
                Some(bytes) => {
                    hasher.update((bytes.len() as u64 + 1).to_be_bytes());
                    hasher.update(bytes);
                }
                None => hasher.update(0u64.to_be_bytes()),
            }
        }
        let digest = hasher.finalize();
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        Self(i64::from_be_bytes(first))
    }
}

fn time_of_id(id: &str) -> Option<u64> {
    if id.len() == 36
        && let Ok(uuid) = uuid::Uuid::try_parse(id)
    {
        let bytes = uuid.as_bytes();
        return (bytes[6] >> 4 == 7).then(|| bytes[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte)));
    }
    time_of_ulid(id)
}

/// The first ten Crockford base-32 digits of a ULID are its time.
fn time_of_ulid(id: &str) -> Option<u64> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bytes = id.as_bytes();
    if bytes.len() != 26 || bytes[0] > b'7' {
        return None;
    }
    let digit = |byte: &u8| DIGITS.iter().position(|d| *d == byte.to_ascii_uppercase());
    bytes.iter().all(|byte| digit(byte).is_some()).then_some(())?;
    bytes[..10].iter().try_fold(0u64, |time, byte| Some(time << 5 | digit(byte)? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_v7_keeps_its_time_and_another_id_has_none() {
        let uid = Uid::derive("urn:billing", "0199d0e5-6c00-7000-8000-000000000001");
        assert_eq!(uid.time_ms(), Some(0x0199_d0e5_6c00));
        assert_eq!(Uid::derive("urn:billing", "536365").time_ms(), None);
        assert_eq!(Uid::derive("urn:billing", "7f1b1a36-8f5c-4b44-9b1e-0a55f1f0c9aa").time_ms(), None);
    }

    #[test]
    fn a_ulid_keeps_its_time() {
        assert_eq!(Uid::derive("urn:crm", "01ARZ3NDEKTSV4RRFFQ69G5FAV").time_ms(), Some(1_469_922_850_259));
    }

    #[test]
    fn source_and_id_cannot_be_shifted_into_each_other() {
        assert_ne!(Uid::derive("ab", "c"), Uid::derive("a", "bc"));
    }

    #[test]
    fn null_and_empty_are_different_payloads() {
        assert_ne!(PayloadHash::of(None, Some(b"x")), PayloadHash::of(Some(b""), Some(b"x")));
    }
}
