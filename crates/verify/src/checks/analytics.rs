//! I4 for the analytics topics: per dataset, currency and day, what the sources say and what the rows say is the same, to the minor unit.
//!
//! Both sides are read from the topics, the sources once more and by their own rules, so that a mistake of the service shows.

use super::Finding;
use crate::{Check, input::Input};
use events::{Dataset, Envelope, Event, Uid, common::DisputeStatus};
use jiff::civil::Date;
use ledger::{Disposition, ParkedState};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// Money on a day of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Booked {
    dataset: &'static str,
    currency: Arc<str>,
    on: Date,
    amount_minor: i64,
}

const LINES: &str = "invoice_line";
const PAYMENTS: &str = "payment";
const USAGE: &str = "usage";

fn booked(dataset: &'static str, currency: &str, on: Date, amount_minor: i64) -> Option<Booked> {
    Some(Booked { dataset, currency: currency.into(), on, amount_minor })
}

/// What an event must add to the datasets.
fn of_source(event: &Event) -> Option<Booked> {
    match event {
        Event::InvoicePosted(e) => booked(LINES, &e.currency, e.issue_on, e.totals.payable_minor),
        // The first event of a draft: it was never posted, so nothing is taken back.
        Event::InvoiceVoided(e) if e.entity_version == 1 => None,
        Event::InvoiceVoided(e) => booked(LINES, &e.currency, e.voided_on, -e.payable_minor),
        Event::CreditNoteIssued(e) => booked(LINES, &e.currency, e.issue_on, -e.totals.payable_minor),
        Event::PaymentReceived(e) => booked(PAYMENTS, &e.currency, e.received_on, e.amount_minor),
        Event::PaymentRefunded(e) => booked(PAYMENTS, &e.currency, e.refunded_on, -e.amount_minor),
        Event::PaymentDisputed(e) if e.status == DisputeStatus::Lost => {
            booked(PAYMENTS, &e.currency, e.disputed_on, -e.amount_minor)
        }
        Event::UsageRated(e) => booked(USAGE, &e.currency, e.period.start_on, e.amount_minor),
        Event::PaymentDisputed(_)
        | Event::PaymentFailed(_)
        | Event::InvoiceMarkedUncollectible(_)
        | Event::ContractActivated(_)
        | Event::ContractAmended(_)
        | Event::ContractCancelled(_)
        | Event::SubscriptionRenewalAccepted(_)
        | Event::UsageThresholdExceeded(_) => None,
    }
}

/// What a row adds.
fn of_row(row: &Dataset) -> Option<Booked> {
    match row {
        Dataset::AnalyticsInvoiceLine(row) => booked(LINES, &row.currency, row.booked_on, row.gross_minor),
        Dataset::AnalyticsPayment(row) => booked(PAYMENTS, &row.currency, row.booked_on, row.amount_minor),
        Dataset::AnalyticsUsage(row) => booked(USAGE, &row.currency, row.period_start_on, row.amount_minor),
        Dataset::AnalyticsContract(_)
        | Dataset::AnalyticsSubscription(_)
        | Dataset::AnalyticsAccountBalance(_)
        | Dataset::AnalyticsMrrMovement(_)
        | Dataset::AnalyticsOrderStep(_)
        | Dataset::AnalyticsOrderToActivation(_)
        | Dataset::AnalyticsInvoiceAccuracy(_)
        | Dataset::AnalyticsEventRecovery(_)
        | Dataset::AnalyticsSyncLatency(_) => None,
    }
}

/// Sums of one dataset, currency and day.
#[derive(Debug, Default, Clone, Copy)]
struct Day {
    applied: i128,
    rows: i128,
    /// Parked, dead-lettered, written off or not read yet: what analytics cannot show.
    elsewhere: i128,
}

impl Day {
    fn source(&mut self, amount: i128, applied: bool) {
        *(if applied { &mut self.applied } else { &mut self.elsewhere }) += amount;
    }
}

type Days = BTreeMap<(&'static str, Arc<str>, Date), Day>;

/// What the sources say and what the rows say.
#[derive(Default)]
pub struct Sums {
    days: Days,
    /// Sources that were counted: an event counts once, by its identity.
    sources: HashMap<Arc<str>, HashSet<Uid>>,
    /// Rows that were counted: one that came again counts once.
    rows: HashSet<Uid>,
    /// Usage batches by id, for those that replace them, wherever these lie.
    batches: HashMap<String, Booked>,
    /// Batches that are taken back, and whether the event that says so was applied.
    replaced: Vec<(String, bool)>,
}

impl Sums {
    pub fn take(&mut self, input: &Input) {
        let Some((event, booked)) = input.event.as_ref().and_then(|event| Some((event, of_source(event)?))) else {
            return;
        };
        if let Event::UsageRated(usage) = event {
            self.batches.insert(usage.usage_batch_id.clone(), booked.clone());
        }
        let (Some(uid), false) = (input.uid, input.is_copy()) else { return };
        if !self.sources.entry(input.place.topic.clone()).or_default().insert(uid) {
            return;
        }
        let applied = match input.parked {
            Some(state) => state == ParkedState::Applied,
            None => input.told.is_some_and(|told| told.first == Disposition::Applied),
        };
        day(&mut self.days, &booked).source(i128::from(booked.amount_minor), applied);
        if let Event::UsageRated(usage) = event {
            self.replaced.extend(usage.corrects_usage_batch_id.clone().map(|batch| (batch, applied)));
        }
    }

    pub fn row(&mut self, envelope: &Envelope, row: &Dataset) {
        let Some(booked) = of_row(row) else { return };
        if self.rows.insert(envelope.uid()) {
            day(&mut self.days, &booked).rows += i128::from(booked.amount_minor);
        }
    }

    pub fn finish(mut self) -> Check {
        for (batch, applied) in &self.replaced {
            if let Some(booked) = self.batches.get(batch) {
                day(&mut self.days, booked).source(-i128::from(booked.amount_minor), *applied);
            }
        }
        compare(&self.days)
    }
}

fn day<'a>(days: &'a mut Days, booked: &Booked) -> &'a mut Day {
    days.entry((booked.dataset, booked.currency.clone(), booked.on)).or_default()
}

fn compare(days: &Days) -> Check {
    let mut finding = Finding::new();
    let mut told: BTreeMap<(&str, &str), Day> = BTreeMap::new();
    for ((dataset, currency, on), day) in days {
        finding.expect(day.applied == day.rows, || {
            format!("{dataset} {currency} {on}: sources say {}, rows say {}", day.applied, day.rows)
        });
        let sum = told.entry((dataset, currency)).or_default();
        sum.rows += day.rows;
        sum.elsewhere += day.elsewhere;
    }
    let rule = "per dataset, currency and day: sources applied = rows of the analytics topics";
    let mut check = finding.check("I4", rule, "days");
    if check.ok {
        let sums = told.iter().map(|((dataset, currency), sum)| match sum.elsewhere {
            0 => format!("{dataset} {currency} {}", sum.rows),
            rest => format!("{dataset} {currency} {} + {rest} parked, refused or unread", sum.rows),
        });
        let sums: Vec<_> = sums.collect();
        check.detail = format!("{} days: {}", days.len(), sums.join(", "));
    }
    check
}
