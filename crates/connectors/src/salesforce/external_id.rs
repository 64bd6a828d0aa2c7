//! Our ids as Salesforce external ids.
//!
//! Salesforce looks external ids up without regard to case, so `A-1` and `a-1` would be one record. An id with a letter that case could
//! hide therefore carries a digest of how it is written; one of lower-case letters, digits and signs stays as it is. So does every
//! id that people read most. Longer ones than the field takes end in a digest, too.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The field takes 255 characters.
const MAX_CHARS: usize = 255;
const DIGEST_BYTES: usize = 8;

/// Different for different ids, also where letters are compared without case.
pub(super) fn external_id(ours: &str) -> String {
    let is_plain = ours.to_lowercase() == ours && !ours.contains('~') && ours.chars().count() <= MAX_CHARS;
    if is_plain {
        return ours.to_owned();
    }
    let mut id: String = ours.chars().take(MAX_CHARS - 1 - 2 * DIGEST_BYTES).collect();
    id.push('~');
    for byte in &Sha256::digest(ours.as_bytes())[..DIGEST_BYTES] {
        write!(id, "{byte:02x}").expect("writing to a String cannot fail");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_that_differ_by_case_alone_stay_two_records() {
        let long = "x".repeat(300);
        let ours = ["a-1", "A-1", "a-1~00", "Ä", "ä", "inv-1/step-2", &long, &long[..299]];
        let ids: BTreeSet<String> = ours.iter().map(|id| external_id(id).to_lowercase()).collect();
        assert_eq!(ids.len(), ours.len());
        assert!(ids.iter().all(|id| id.chars().count() <= MAX_CHARS));
        assert_eq!(external_id("inv-1/step-2"), "inv-1/step-2");
        assert!(external_id("A-1").starts_with("A-1~"));
    }
}
