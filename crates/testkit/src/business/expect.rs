//! What must come out of what was generated, so that a check from the outside has something to compare with.

use super::{Fate, Generated, Item};
use events::Event;
use failure::Class;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What an ERP must hold in the end. Amounts are in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    pub customers: u64,
    /// One for each term of a contract.
    pub orders: u64,
    /// Contracts whose revenue is planned.
    pub revenue_plans: u64,
    pub invoices: u64,
    pub credit_memos: u64,
    pub payments: u64,
    /// With tax.
    pub invoiced_minor: i64,
    /// With tax, as a positive credit.
    pub credited_minor: i64,
    pub paid_minor: i64,
    /// Usage, charged or still added up.
    pub rated_minor: i64,
    /// The part of what was paid that settles no invoice.
    pub unapplied_minor: i64,
}

impl Effects {
    /// Records made in the outside system; changes of records are not counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.customers + self.orders + self.revenue_plans + self.invoices + self.credit_memos + self.payments
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::ContractActivated(event) => {
                self.orders += 1;
                self.revenue_plans += u64::from(!event.revenue_plan.is_empty());
            }
            Event::SubscriptionRenewalAccepted(_) => self.orders += 1,
            Event::UsageRated(usage) => self.rated_minor += usage.amount_minor,
            Event::InvoicePosted(invoice) => {
                self.invoices += 1;
                self.invoiced_minor += invoice.totals.payable_minor;
            }
            Event::CreditNoteIssued(note) => {
                self.credit_memos += 1;
                self.credited_minor += note.totals.payable_minor;
            }
            Event::PaymentReceived(payment) => {
                self.payments += 1;
                self.paid_minor += payment.amount_minor;
                self.unapplied_minor += payment.unapplied_minor;
            }
            Event::ContractAmended(_)
            | Event::ContractCancelled(_)
            | Event::InvoiceVoided(_)
            | Event::InvoiceMarkedUncollectible(_)
            | Event::PaymentRefunded(_)
            | Event::PaymentDisputed(_)
            | Event::PaymentFailed(_)
            | Event::UsageThresholdExceeded(_) => {}
        }
    }
}

/// Everything that was generated so far, counted by what must become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expectations {
    /// Records in all, with duplicates and unreadable ones.
    pub records: u64,
    /// Different events, by topic.
    pub events: BTreeMap<&'static str, u64>,
    /// Different events without an effect in the ERP.
    pub skipped: u64,
    /// Repetitions with the same bytes.
    pub duplicates: u64,
    /// Repetitions of an id with other bytes; also counted under `refused`.
    pub conflicts: u64,
    /// Records that must end with a person, by class.
    pub refused: BTreeMap<Class, u64>,
    /// Effects by currency.
    pub effects: BTreeMap<String, Effects>,
    /// Effects by account. Empty unless asked for: it grows with the number of accounts.
    #[serde(skip)]
    pub accounts: BTreeMap<String, Effects>,
    #[serde(skip)]
    by_account: bool,
    #[serde(skip)]
    customers: BTreeSet<String>,
}

impl Expectations {
    /// `by_account`: whether effects are counted for each account too.
    #[must_use]
    pub fn new(by_account: bool) -> Self {
        Self { by_account, ..Self::default() }
    }

    /// Different events in all.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.events.values().sum()
    }

    /// Records that must end with a person.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Effects in all currencies; the amounts are of no use, because currencies do not add up.
    #[must_use]
    pub fn effect_count(&self) -> u64 {
        self.effects.values().map(Effects::count).sum()
    }

    /// Counts one record.
    pub fn add(&mut self, generated: &Generated) {
        self.records += 1;
        match generated.fate {
            Fate::Duplicate => self.duplicates += 1,
            Fate::Conflict => {
                self.conflicts += 1;
                *self.refused.entry(Class::Contract).or_default() += 1;
            }
            Fate::Refused(class) => {
                *self.refused.entry(class).or_default() += 1;
                if class != Class::Poison {
                    *self.events.entry(generated.topic).or_default() += 1;
                }
            }
            Fate::Applied | Fate::Original => {
                *self.events.entry(generated.topic).or_default() += 1;
                if let Item::Event { event, .. } = &generated.item {
                    self.apply(&generated.key, event);
                }
            }
            Fate::Skipped => {
                *self.events.entry(generated.topic).or_default() += 1;
                self.skipped += 1;
            }
        }
    }

    fn apply(&mut self, account: &str, event: &Event) {
        let Some(currency) = currency(event) else { return };
        let new_customer = matches!(event, Event::ContractActivated(_)) && self.customers.insert(account.to_owned());
        let mut count = |effects: &mut Effects| {
            effects.customers += u64::from(new_customer);
            effects.add(event);
        };
        if !self.effects.contains_key(currency) {
            self.effects.insert(currency.to_owned(), Effects::default());
        }
        self.effects.get_mut(currency).into_iter().for_each(&mut count);
        if self.by_account {
            count(self.accounts.entry(account.to_owned()).or_default());
        }
    }
}

/// The currency of an event that an ERP books.
fn currency(event: &Event) -> Option<&str> {
    match event {
        Event::ContractActivated(event) => Some(&event.currency),
        Event::InvoicePosted(event) => Some(&event.currency),
        Event::CreditNoteIssued(event) => Some(&event.currency),
        Event::PaymentReceived(event) => Some(&event.currency),
        Event::SubscriptionRenewalAccepted(event) => Some(&event.currency),
        Event::UsageRated(event) => Some(&event.currency),
        Event::ContractAmended(_)
        | Event::ContractCancelled(_)
        | Event::InvoiceVoided(_)
        | Event::InvoiceMarkedUncollectible(_)
        | Event::PaymentRefunded(_)
        | Event::PaymentDisputed(_)
        | Event::PaymentFailed(_)
        | Event::UsageThresholdExceeded(_) => None,
    }
}
