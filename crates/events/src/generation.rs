//! Generations of a projection: the same rows made anew from their sources, beside those that readers use.

use std::{fmt, num::NonZeroU32};

/// Which making of a projection. The first has the plain names; each later one has names of its own for everything it owns:
/// consumer group, topics, ledger. So two of them never share a position, a row or a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(NonZeroU32);

impl Generation {
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// What a service, topic or group of this plain name is called in this generation: `analytics.usage.v1.g2`.
    #[must_use]
    pub fn name(self, plain: &str) -> String {
        if self == Self::FIRST { plain.to_owned() } else { format!("{plain}.g{self}") }
    }

    /// The plain name, and the generation. What is no name of a generation is a plain name itself.
    #[must_use]
    pub fn split(name: &str) -> (&str, Self) {
        let later = || {
            let (plain, digits) = name.rsplit_once(".g")?;
            let generation = Self::new(digits.parse().ok()?)?;
            // `.g1`, `.g02` and `.g+2` are names of nothing.
            (generation != Self::FIRST && generation.to_string() == digits && !plain.is_empty())
                .then_some((plain, generation))
        };
        later().unwrap_or((name, Self::FIRST))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_generations_are_told_apart_from_plain_ones() {
        for (number, name) in [(1, "analytics-feed"), (2, "analytics-feed.g2"), (10, "analytics-feed.g10")] {
            let generation = Generation::new(number).expect("not zero");
            assert_eq!(generation.name("analytics-feed"), name);
            assert_eq!(Generation::split(name), ("analytics-feed", generation));
        }
        for plain in ["analytics.usage.v1", "a.g1", "a.g0", "a.g02", "a.g+2", "a.gx", ".g2", "a.g"] {
            assert_eq!(Generation::split(plain), (plain, Generation::FIRST), "{plain}");
        }
        assert_eq!(Generation::new(0), None);
    }
}
