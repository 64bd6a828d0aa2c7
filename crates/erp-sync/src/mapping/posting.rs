//! How amounts are posted: the part of the mapping that is policy, not names. Everything has a default, so that a file of an earlier
//! release goes on working.

use super::{Names, read::Reader};
use connectors::Reference;
use serde_json::{Map, Value};

/// What becomes of a document whose accounting period is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClosedPeriod {
    /// Finance decides.
    #[default]
    Fallout,
    /// It is dated on the first day of the next open period, and says so.
    NextOpen,
}

/// When usage that was added up becomes a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsagePolicy {
    /// Days after the end of a month during which late usage still joins it.
    pub grace_days: i64,
    /// Least time between the first usage of a month and its charge by the clock, so that a catch-up does not charge
    /// every event alone.
    pub settle_minutes: i64,
    /// A charge is made at once when so many events wait.
    pub max_events: u64,
}

impl Default for UsagePolicy {
    fn default() -> Self {
        Self { grace_days: 2, settle_minutes: 60, max_events: 10_000 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posting {
    pub closed_period: ClosedPeriod,
    pub usage: UsagePolicy,
    /// Whether the ERP is searched for the tax id and the name of a customer before it is made.
    pub search_duplicates: bool,
    /// Codes of general ledger accounts in events, and the ERP's accounts.
    pub accounts: Names,
    pub deferred_account: Option<Reference>,
    pub recognised_account: Option<Reference>,
    pub disputed_account: Option<Reference>,
    pub receivable_account: Option<Reference>,
    /// Item of the fee for leaving early.
    pub termination_fee: Option<Reference>,
    /// Item of what is written off.
    pub write_off: Option<Reference>,
}

impl Reader {
    pub(super) fn posting(&mut self, value: Option<Value>) -> Posting {
        let Some(value) = value else { return Posting::default() };
        let mut table = self.table("posting", value);
        let posting = Posting {
            closed_period: self.closed_period(&mut table),
            usage: self.usage(&mut table),
            search_duplicates: self.flag(&mut table, "search_duplicates"),
            accounts: self.optional_names("posting.accounts", &mut table, "accounts"),
            deferred_account: self.optional(&mut table, "deferred_account"),
            recognised_account: self.optional(&mut table, "recognised_account"),
            disputed_account: self.optional(&mut table, "disputed_account"),
            receivable_account: self.optional(&mut table, "receivable_account"),
            termination_fee: self.optional(&mut table, "termination_fee"),
            write_off: self.optional(&mut table, "write_off"),
        };
        self.unknown("posting.", &table);
        posting
    }

    fn closed_period(&mut self, table: &mut Map<String, Value>) -> ClosedPeriod {
        match table.remove("closed_period").as_ref().map(Value::as_str) {
            None | Some(Some("fallout")) => ClosedPeriod::Fallout,
            Some(Some("next_open")) => ClosedPeriod::NextOpen,
            Some(_) => {
                self.problem("posting.closed_period", "is `fallout` or `next_open`");
                ClosedPeriod::Fallout
            }
        }
    }

    fn flag(&mut self, table: &mut Map<String, Value>, key: &str) -> bool {
        match table.remove(key) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.problem(&format!("posting.{key}"), "must be `true` or `false`");
                false
            }
        }
    }

    fn usage(&mut self, table: &mut Map<String, Value>) -> UsagePolicy {
        let policy = UsagePolicy::default();
        let Some(value) = table.remove("usage") else { return policy };
        let mut table = self.table("posting.usage", value);
        let mut number = |name: &str, least: i64, default: i64| match table.remove(name) {
            None => default,
            Some(value) => {
                value.as_i64().filter(|number| (least..=1_000_000_000).contains(number)).unwrap_or_else(|| {
                    self.problem(&format!("posting.usage.{name}"), format!("must be a whole number from {least}"));
                    default
                })
            }
        };
        let policy = UsagePolicy {
            grace_days: number("grace_days", 0, policy.grace_days).min(366),
            settle_minutes: number("settle_minutes", 0, policy.settle_minutes),
            max_events: number("max_events", 1, 10_000).unsigned_abs(),
        };
        self.unknown("posting.usage.", &table);
        policy
    }

    fn optional(&mut self, table: &mut Map<String, Value>, key: &str) -> Option<Reference> {
        table.remove(key).map(|value| self.reference(&format!("posting.{key}"), value))
    }

    fn optional_names(&mut self, path: &str, table: &mut Map<String, Value>, key: &str) -> Names {
        let Some(value) = table.remove(key) else { return Names::new() };
        let names = self.table(path, value);
        names
            .into_iter()
            .map(|(name, value)| (name.clone(), self.reference(&format!("{path}.{name}"), value)))
            .collect()
    }
}
