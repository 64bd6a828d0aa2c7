//! I4 for the analytics topics: per dataset, currency and day, what the sources say and what the rows say is the same, to the minor unit.
//!
//! Both sides are read from the topics, the sources once more and by their own rules, so that a mistake of the service shows.

use crate::{Check, World, checks::Finding};
use events::{Dataset, Event, common::DisputeStatus};
use jiff::civil::Date;
use ledger::{Disposition, ParkedState};
use std::collections::{BTreeMap, BTreeSet};

/// Money on a day of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub dataset: &'static str,
    pub currency: String,
    pub on: Date,
    pub amount_minor: i64,
}

/// Usage batches seen so far, by id.
pub type Batches = BTreeMap<String, Booked>;

const LINES: &str = "invoice_line";
const PAYMENTS: &str = "payment";
const USAGE: &str = "usage";

fn booked(dataset: &'static str, currency: &str, on: Date, amount_minor: i64) -> Option<Booked> {
    Some(Booked { dataset, currency: currency.to_owned(), on, amount_minor })
}

/// Notes a batch of usage; gives the id of the one that it replaces.
pub fn replaced(event: &Event, batches: &mut Batches) -> Option<String> {
    let Event::UsageRated(usage) = event else { return None };
    batches.extend(of_source(event).map(|booked| (usage.usage_batch_id.clone(), booked)));
    usage.corrects_usage_batch_id.clone()
}

/// What an event must add to the datasets.
pub fn of_source(event: &Event) -> Option<Booked> {
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
pub fn of_row(row: &Dataset) -> Option<Booked> {
    match row {
        Dataset::AnalyticsInvoiceLine(row) => booked(LINES, &row.currency, row.booked_on, row.gross_minor),
        Dataset::AnalyticsPayment(row) => booked(PAYMENTS, &row.currency, row.booked_on, row.amount_minor),
        Dataset::AnalyticsUsage(row) => booked(USAGE, &row.currency, row.period_start_on, row.amount_minor),
        Dataset::AnalyticsContract(_)
        | Dataset::AnalyticsSubscription(_)
        | Dataset::AnalyticsAccountBalance(_)
        | Dataset::AnalyticsMrrMovement(_)
        | Dataset::AnalyticsOrderStep(_) => None,
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

pub fn adds_up(world: &World) -> Check {
    let days = days(world);
    let mut finding = Finding::new();
    let mut told: BTreeMap<(&str, &str), Day> = BTreeMap::new();
    for ((dataset, currency, on), day) in &days {
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

fn days(world: &World) -> BTreeMap<(&'static str, String, Date), Day> {
    let mut days: BTreeMap<(&'static str, String, Date), Day> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (place, input) in &world.topics.inputs {
        let Some(booked) = &input.booked else { continue };
        let disposition = world.journal.dispositions.get(place).and_then(|found| found.first());
        let is_copy =
            matches!(disposition, Some(Disposition::Duplicate | Disposition::Conflict | Disposition::OutsideHorizon));
        if is_copy || !seen.insert((input.uid, &place.0)) {
            continue;
        }
        let applied = match world.journal.parked.get(place) {
            Some(state) => *state == ParkedState::Applied,
            None => disposition == Some(&Disposition::Applied),
        };
        let replaced = input.replaces.as_ref().and_then(|batch| world.topics.batches.get(batch));
        for (sign, booked) in [(1, Some(booked)), (-1, replaced)] {
            let Some(booked) = booked else { continue };
            let day = days.entry((booked.dataset, booked.currency.clone(), booked.on)).or_default();
            let amount = sign * i128::from(booked.amount_minor);
            if applied { day.applied += amount } else { day.elsewhere += amount }
        }
    }
    for booked in world.topics.rows.values() {
        let day = days.entry((booked.dataset, booked.currency.clone(), booked.on)).or_default();
        day.rows += i128::from(booked.amount_minor);
    }
    days
}
