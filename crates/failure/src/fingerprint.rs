//! What makes two failures the same to people: their cause, whatever the numbers in it.

use crate::{Failure, Stage};
use sha2::{Digest, Sha256};

/// Groups letters of one cause: service, topic (which names schema and major version), stage, class, code and the reason without its
/// numbers and quoted parts. Version 2; rows keep the fingerprint they were given, so history is never grouped anew.
#[must_use]
pub fn fingerprint(service: &str, topic: &str, failure: &Failure) -> String {
    let mut hasher = Sha256::new();
    let stage = failure.stage.map_or("", Stage::as_str);
    for part in [service, topic, stage, failure.class.as_str(), &failure.code, &normalised(&failure.reason)] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest = hasher.finalize();
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v2:{hex}")
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
        let of = |failure: &Failure| fingerprint("s", "invoice.posted.v1", failure);
        assert_eq!(of(&a), of(&b));
        let others = [
            fingerprint("t", "invoice.posted.v1", &a),
            fingerprint("s", "invoice.posted.v2", &a),
            of(&a.clone().at_stage(Stage::Read)),
            of(&Failure { class: crate::Class::Bug, ..a.clone() }),
            of(&Failure { code: "OTHER".into(), ..a.clone() }),
            of(&Failure { reason: "another sentence".to_owned(), ..a.clone() }),
        ];
        assert!(others.iter().all(|other| *other != of(&a)), "{others:?}");
    }
}
