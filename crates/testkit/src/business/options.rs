//! What kind of business, and what is wrong with it.

use jiff::civil::Date;

/// How to generate a business. The same options give the same bytes, on every machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub seed: u64,
    /// Customer accounts, at least 1.
    pub accounts: u32,
    /// Length of the observed time: accounts join during its first half and are billed to its end. 1 to 120.
    pub months: u32,
    /// First day.
    pub start: Date,
    /// Stop after so many different events, if the business has not ended before.
    pub max_events: Option<u64>,
    pub faults: Faults,
}

/// What goes wrong on the way. Shares are between 0 and 1.
///
/// Documents that will be refused are always the last of their account, so what they block by staying behind is nothing:
/// the expectations hold whether a refused event holds its followers back or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// Share of events that are published a second time, with the same id and bytes, a little later.
    pub duplicates: f64,
    /// Share of events that come late, with all later ones of their key behind them: order within a key is kept.
    pub disorder: f64,
    /// Share of contracts and invoices that come after what refers to them, such as an invoice before its contract.
    /// Order within key and topic is kept.
    pub cross_topic_disorder: f64,
    /// Records that nobody can read, as a share of the events; each has a key of its own.
    pub poison: f64,
    /// Share of accounts whose last document breaks the wire contract (its lines do not add up to the total).
    pub contract_errors: f64,
    /// Share of accounts whose last document bills a product that no mapping knows.
    pub business_errors: f64,
    /// Share of accounts whose last event comes again with the same id and other bytes.
    pub conflicts: f64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        duplicates: 0.0,
        disorder: 0.0,
        cross_topic_disorder: 0.0,
        poison: 0.0,
        contract_errors: 0.0,
        business_errors: 0.0,
        conflicts: 0.0,
    };

    /// A bad but believable week.
    #[must_use]
    pub const fn realistic() -> Self {
        Self {
            duplicates: 0.02,
            disorder: 0.05,
            cross_topic_disorder: 0.02,
            poison: 0.001,
            contract_errors: 0.01,
            business_errors: 0.01,
            conflicts: 0.005,
        }
    }

    fn shares(&self) -> [(&'static str, f64); 7] {
        [
            ("duplicates", self.duplicates),
            ("disorder", self.disorder),
            ("cross_topic_disorder", self.cross_topic_disorder),
            ("poison", self.poison),
            ("contract_errors", self.contract_errors),
            ("business_errors", self.business_errors),
            ("conflicts", self.conflicts),
        ]
    }
}

impl Options {
    /// A fault-free business of `accounts` over half a year.
    #[must_use]
    pub const fn new(seed: u64, accounts: u32) -> Self {
        Self { seed, accounts, months: 6, start: jiff::civil::date(2025, 1, 1), max_events: None, faults: Faults::NONE }
    }

    #[must_use]
    pub const fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    #[must_use]
    pub const fn over_months(mut self, months: u32) -> Self {
        self.months = months;
        self
    }

    /// Exactly `events` different events, by as many accounts as that takes over two years.
    #[must_use]
    pub fn of_events(seed: u64, events: u64) -> Self {
        // Two years of one account are about 40 events, fewer with faults; some accounts more make sure of the number.
        let accounts = u32::try_from(events / 30 + 20).unwrap_or(u32::MAX);
        let start = jiff::civil::date(2024, 1, 1);
        Self { max_events: Some(events), start, ..Self::new(seed, accounts).over_months(24) }
    }

    /// Every option that makes no sense, in words; empty if all do.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.accounts == 0 {
            problems.push("accounts must be at least 1".to_owned());
        }
        if !(1..=120).contains(&self.months) {
            problems.push(format!("months must be between 1 and 120, not {}", self.months));
        }
        if !(1971..=2190).contains(&self.start.year()) {
            problems.push(format!("start must lie between 1971 and 2190, not {}", self.start));
        }
        for (name, share) in self.faults.shares() {
            if !(0.0..=1.0).contains(&share) {
                problems.push(format!("{name} must be a share between 0 and 1, not {share}"));
            }
        }
        let endings = self.faults.contract_errors + self.faults.business_errors + self.faults.conflicts;
        if endings > 1.0 {
            problems.push(format!(
                "contract_errors, business_errors and conflicts together must not exceed 1, not {endings}"
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_options_are_named_at_once() {
        let mut options = Options::new(1, 0).over_months(0);
        options.faults.poison = 1.5;
        options.faults.conflicts = f64::NAN;
        let problems = options.problems().join("\n");
        for word in ["accounts", "months", "poison", "conflicts"] {
            assert!(problems.contains(word), "{word} missing in {problems}");
        }
        assert!(Options::new(1, 10).with_faults(Faults::realistic()).problems().is_empty());
    }
}
