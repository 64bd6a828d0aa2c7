//! What makes two failures the same to people: their cause, whatever the numbers in it.

use crate::Failure;
use sha2::{Digest, Sha256};

/// Groups letters of one cause: service, class, code and the reason without its numbers and quoted parts. Version 1.
#[must_use]
pub fn fingerprint(service: &str, failure: &Failure) -> String {
    let mut hasher = Sha256::new();
    for part in [service, failure.class.as_str(), &failure.code, &normalised(&failure.reason)] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1:{hex}")
}

fn normalised(reason: &str) -> String {
    let mut quoted = false;
    let mut template = String::with_capacity(reason.len());
    for character in reason.chars() {
        match character {
            '`' => {
                quoted = !quoted;
                template.push('`');
            }
            _ if quoted => {}
            '0'..='9' => {
                if !template.ends_with('#') {
                    template.push('#');
                }
            }
            other => template.push(other),
        }
    }
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_cause_share_a_fingerprint_whatever_the_numbers() {
        let a = Failure::contract("SUM_MISMATCH", "lines of `INV-1` add up to 12, total is 13");
        let b = Failure::contract("SUM_MISMATCH", "lines of `INV-2` add up to 4, total is 999");
        assert_eq!(fingerprint("s", &a), fingerprint("s", &b));
        assert_ne!(fingerprint("s", &a), fingerprint("t", &a));
    }
}
