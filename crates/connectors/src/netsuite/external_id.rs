//! Our ids as NetSuite external ids: `<prefix><object>-<id>`, injective and in NetSuite's alphabet.
//!
//! NetSuite documents letters, digits, `_` and `-` for external ids. Any other byte of ours, and `_` itself, becomes `_` and two
//! hex digits; so two of our ids never share one of theirs. Only one application may own external ids of a record type, hence
//! the prefix: it is configured per account and must never change once records exist.

use crate::capability::Object;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longer ids end in a digest; NetSuite stores 255 characters.
const MAX_LENGTH: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    prefix: String,
}

impl Scheme {
    /// A prefix such as `tl-`.
    ///
    /// # Errors
    /// If it is empty, long, or has characters that NetSuite does not document for external ids.
    pub fn try_new(prefix: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if prefix.is_empty() || prefix.len() > 20 || !prefix.chars().all(allowed) {
            return Err(format!("external_id_prefix `{prefix}`: 1 to 20 letters, digits, `-` or `_`"));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    #[must_use]
    pub fn external_id(&self, object: Object, ours: &str) -> String {
        let mut id = format!("{}{}-", self.prefix, object.as_str().replace('_', ""));
        for byte in ours.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' {
                id.push(char::from(byte));
            } else {
                write!(id, "_{byte:02X}").expect("writing to a String cannot fail");
            }
        }
        if id.len() > MAX_LENGTH {
            let digest = Sha256::digest(ours.as_bytes());
            id.truncate(MAX_LENGTH - 34);
            id.push_str("__");
            for byte in &digest[..16] {
                write!(id, "{byte:02x}").expect("writing to a String cannot fail");
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_keep_to_the_documented_alphabet_and_never_collide() {
        let scheme = Scheme::try_new("tl-").expect("a valid prefix");
        let long = "x".repeat(300);
        let ours = [
            "A-1",
            "walk-in:United Kingdom",
            "walk-in:United_Kingdom",
            "a|b",
            "ä",
            "a_3Ab",
            "a:b",
            &long,
            &long[..299],
        ];
        let ids: BTreeSet<_> = ours.iter().map(|id| scheme.external_id(Object::Invoice, id)).collect();
        assert_eq!(ids.len(), ours.len());
        assert!(ids.iter().all(|id| id.len() <= MAX_LENGTH));
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')));
        assert_eq!(
            scheme.external_id(Object::Customer, "walk-in:United Kingdom"),
            "tl-customer-walk-in_3AUnited_20Kingdom"
        );
    }

    #[test]
    fn a_prefix_outside_the_alphabet_is_refused_with_the_rule() {
        assert!(Scheme::try_new("tl:").is_err_and(|reason| reason.contains("letters, digits")));
        assert!(Scheme::try_new("").is_err());
    }
}
