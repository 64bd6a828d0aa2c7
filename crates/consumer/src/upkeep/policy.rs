//! What a service may do by itself about letters whose cause is gone.

use failure::{CODES, Class};
use ledger::Millis;
use std::collections::BTreeMap;

/// About one class or code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auto {
    /// Nobody is asked.
    Off,
    /// Today's code is asked, and people are shown what it says.
    #[default]
    Propose,
    /// Where all that were asked about would end now, all of the cause are retried.
    Retry,
}

impl Auto {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("off", Self::Off), ("propose", Self::Propose), ("retry", Self::Retry)];
}

/// What may be done, and how much of it.
#[derive(Debug, Clone)]
pub struct Policy {
    pub default: Auto,
    /// By code, or by the word of a class; a code goes before its class.
    pub special: BTreeMap<String, Auto>,
    /// Between two looks at all causes.
    pub every_ms: Millis,
    /// Letters of one cause that are asked about.
    pub sample: usize,
    /// Letters a second of jobs that are started by themselves.
    pub rate: u32,
}

impl Policy {
    #[must_use]
    pub fn of(&self, class: Class, code: &str) -> Auto {
        let special = self.special.get(code).or_else(|| self.special.get(class.as_str()));
        special.copied().unwrap_or(self.default)
    }

    /// Whether anything is asked at all.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.default != Auto::Off || self.special.values().any(|auto| *auto != Auto::Off)
    }

    /// What is wrong with a name of `special`, if anything is.
    #[must_use]
    pub fn wrong_name(name: &str) -> Option<String> {
        let is_class = ["business", "contract", "poison", "bug"].contains(&name);
        let is_code = CODES.iter().any(|code| code.code == name);
        (!is_class && !is_code)
            .then(|| format!("`{name}` is neither business, contract, poison or bug nor a known code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_goes_before_its_class_and_both_before_the_default() {
        let special = BTreeMap::from([("poison".to_owned(), Auto::Retry), ("SCHEMA_UNKNOWN".to_owned(), Auto::Off)]);
        let policy = Policy { default: Auto::Propose, special, every_ms: 1, sample: 1, rate: 1 };
        assert_eq!(policy.of(Class::Poison, "SCHEMA_UNKNOWN"), Auto::Off);
        assert_eq!(policy.of(Class::Poison, "BYTES_NOT_AVRO"), Auto::Retry);
        assert_eq!(policy.of(Class::Bug, "PANIC"), Auto::Propose);
        assert!(Policy::wrong_name("BYTES_NOT_AVRO").is_none() && Policy::wrong_name("bug").is_none());
        assert!(Policy::wrong_name("dependency").is_some() && Policy::wrong_name("NO_SUCH").is_some());
    }
}
