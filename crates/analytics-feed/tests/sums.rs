//! Whatever the business and whatever the order of its events: the topics add up to their sources, to the minor unit. (That crashes
//! and duplicates add and lose no row is what `replay_safe` shows.)

mod common;

use common::{Service, business};
use events::{
    Dataset, Envelope, Event, EventSet as _,
    common::{DisputeStatus, PaymentEntry, UsageEntry},
    topics::{ANALYTICS_ACCOUNT_BALANCE, ANALYTICS_CONTRACT, ANALYTICS_SUBSCRIPTION},
};
use jiff::civil::Date;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use testkit::business::Faults;

type ByDay = BTreeMap<(String, Date), (i64, i64, i64)>;

fn add(sums: &mut ByDay, currency: &str, on: Date, (net, tax, gross): (i64, i64, i64)) {
    let sum = sums.entry((currency.to_owned(), on)).or_default();
    *sum = (sum.0 + net, sum.1 + tax, sum.2 + gross);
}

/// Net, tax and payable of the documents, by currency and day.
fn of_sources(events: &[(Envelope, Event)]) -> ByDay {
    let mut sums = ByDay::new();
    for (_, event) in events {
        match event {
            Event::InvoicePosted(event) => {
                let totals = &event.totals;
                let amounts = (totals.tax_exclusive_minor, totals.tax_minor, totals.payable_minor);
                add(&mut sums, &event.currency, event.issue_on, amounts);
            }
            Event::CreditNoteIssued(event) => {
                let totals = &event.totals;
                let amounts = (-totals.tax_exclusive_minor, -totals.tax_minor, -totals.payable_minor);
                add(&mut sums, &event.currency, event.issue_on, amounts);
            }
            _ => {}
        }
    }
    sums
}

fn of_lines(service: &Service) -> ByDay {
    let mut sums = ByDay::new();
    for row in service.rows() {
        if let Dataset::AnalyticsInvoiceLine(line) = row {
            add(&mut sums, &line.currency, line.booked_on, (line.net_minor, line.tax_minor, line.gross_minor));
        }
    }
    sums
}

/// What an account owes, by the sources alone.
fn owed(events: &[(Envelope, Event)]) -> BTreeMap<String, i64> {
    let mut owed: BTreeMap<String, i64> = BTreeMap::new();
    for (_, event) in events {
        let (currency, amount) = match event {
            Event::InvoicePosted(event) => (&event.currency, event.totals.payable_minor),
            Event::CreditNoteIssued(event) => (&event.currency, -event.totals.payable_minor),
            Event::PaymentReceived(event) => (&event.currency, -event.amount_minor),
            Event::InvoiceMarkedUncollectible(event) => (&event.currency, -event.write_off_minor),
            Event::PaymentRefunded(event) => (&event.currency, event.amount_minor),
            Event::PaymentDisputed(event) if event.status == DisputeStatus::Lost => {
                (&event.currency, event.amount_minor)
            }
            _ => continue,
        };
        let key = format!("{}/{}/{currency}", event.account_id(), event.legal_entity_id());
        *owed.entry(key).or_default() += amount;
    }
    owed
}

fn check_balances(service: &Service, events: &[(Envelope, Event)]) {
    let mut settled: BTreeMap<String, i64> = BTreeMap::new();
    for row in service.rows() {
        if let Dataset::AnalyticsPayment(row) = row {
            let key = format!("{}/{}/{}", row.account_id, row.legal_entity_id, row.currency);
            *settled.entry(key).or_default() += row.settled_minor;
        }
    }
    let states = service.states(ANALYTICS_ACCOUNT_BALANCE);
    let found: BTreeMap<String, i64> = states
        .values()
        .map(|row| {
            let Dataset::AnalyticsAccountBalance(state) = row else { panic!("a balance") };
            let by_facts = state.invoiced_minor - state.credited_minor - settled.get(&state.balance_id).unwrap_or(&0);
            assert_eq!(state.balance_minor, by_facts, "{}", state.balance_id);
            (state.balance_id.clone(), state.balance_minor)
        })
        .collect();
    assert_eq!(found, owed(events));
}

/// Movements of a contract add up to its revenue, or to nothing once it is cancelled; so do its subscriptions while it runs.
fn check_revenue(service: &Service) {
    let mut moved: BTreeMap<&str, i64> = BTreeMap::new();
    for row in service.rows() {
        if let Dataset::AnalyticsMrrMovement(row) = row {
            *moved.entry(&row.contract_id).or_default() += row.delta_mrr_minor;
        }
    }
    let mut subscribed: BTreeMap<&str, i64> = BTreeMap::new();
    for row in service.states(ANALYTICS_SUBSCRIPTION).into_values() {
        let Dataset::AnalyticsSubscription(state) = row else { panic!("a subscription") };
        *subscribed.entry(&state.contract_id).or_default() += state.mrr_minor;
    }
    for (contract_id, row) in service.states(ANALYTICS_CONTRACT) {
        let Dataset::AnalyticsContract(state) = row else { panic!("a contract") };
        let in_the_end = if state.ends_on.is_some() { 0 } else { state.mrr_minor };
        assert_eq!(moved.get(contract_id).copied().unwrap_or(0), in_the_end, "{contract_id}");
        let lines = subscribed.get(contract_id).copied();
        assert!(lines.is_none_or(|lines| lines == state.mrr_minor), "{contract_id}: {lines:?}");
        assert!(lines.is_some() || state.ends_on.is_some(), "{contract_id} runs without a subscription");
    }
}

/// Each row once, and none missing.
fn check_rows(service: &Service) {
    let mut ids = BTreeSet::new();
    let mut rows: BTreeMap<(&str, String), (i32, i32)> = BTreeMap::new();
    for row in service.rows() {
        let (id, source, line_count) = match row {
            Dataset::AnalyticsInvoiceLine(row) => (&row.event_id, &row.source_event_id, row.line_count),
            Dataset::AnalyticsPayment(row) => (&row.event_id, &row.source_event_id, row.line_count),
            Dataset::AnalyticsMrrMovement(row) => (&row.event_id, &row.source_event_id, row.line_count),
            // A batch that replaces another one takes that back with a second row.
            Dataset::AnalyticsUsage(row) => {
                let replaces = row.entry == UsageEntry::Reversed || row.replaces_usage_batch_id.is_some();
                (&row.event_id, &row.source_event_id, 1 + i32::from(replaces))
            }
            _ => continue,
        };
        assert!(ids.insert(id), "{row:?}");
        let seen = rows.entry((row.topic(), source.clone())).or_insert((line_count, 0));
        seen.1 += 1;
        assert_eq!(seen.0, line_count);
    }
    assert!(rows.values().all(|(stated, found)| stated == found));
}

/// What came, what went back and what was given up, each by currency.
fn check_payments(service: &Service, events: &[(Envelope, Event)]) {
    let mut expected: BTreeMap<(PaymentEntry, String), i64> = BTreeMap::new();
    for (_, event) in events {
        let (entry, currency, amount) = match event {
            Event::PaymentReceived(event) => (PaymentEntry::Received, &event.currency, event.amount_minor),
            Event::PaymentRefunded(event) => (PaymentEntry::Refunded, &event.currency, -event.amount_minor),
            Event::PaymentDisputed(event) if event.status == DisputeStatus::Lost => {
                (PaymentEntry::Disputed, &event.currency, -event.amount_minor)
            }
            Event::InvoiceMarkedUncollectible(event) => {
                (PaymentEntry::WrittenOff, &event.currency, event.write_off_minor)
            }
            _ => continue,
        };
        *expected.entry((entry, currency.clone())).or_default() += amount;
    }
    let mut found: BTreeMap<(PaymentEntry, String), i64> = BTreeMap::new();
    for row in service.rows() {
        let Dataset::AnalyticsPayment(row) = row else { continue };
        let amount = if row.entry == PaymentEntry::WrittenOff { row.write_off_minor } else { row.amount_minor };
        *found.entry((row.entry, row.currency.clone())).or_default() += amount;
    }
    found.retain(|_, amount| *amount != 0);
    assert_eq!(found, expected);
}

/// Usage as it is rated in the end: a batch that was wrong does not count any more.
fn check_usage(service: &Service, events: &[(Envelope, Event)]) {
    let mut batches = BTreeMap::new();
    let mut replaced = BTreeSet::new();
    for (_, event) in events {
        let Event::UsageRated(event) = event else { continue };
        batches.insert(&event.usage_batch_id, event);
        replaced.extend(event.corrects_usage_batch_id.iter());
    }
    let mut expected: BTreeMap<(&str, Date), i64> = BTreeMap::new();
    for event in batches.iter().filter(|(id, _)| !replaced.contains(*id)).map(|(_, event)| event) {
        *expected.entry((&event.currency, event.period.start_on)).or_default() += event.amount_minor;
    }
    let mut found: BTreeMap<(&str, Date), i64> = BTreeMap::new();
    for row in service.rows() {
        let Dataset::AnalyticsUsage(row) = row else { continue };
        *found.entry((&row.currency, row.period_start_on)).or_default() += row.amount_minor;
    }
    assert_eq!(found, expected);
}

fn check(events: &[(Envelope, Event)]) -> Service {
    let mut service = Service::new();
    service.take_all(events);
    assert_eq!(of_lines(&service), of_sources(events));
    check_balances(&service, events);
    check_payments(&service, events);
    check_usage(&service, events);
    check_revenue(&service);
    check_rows(&service);
    service
}

#[test]
fn a_business_of_many_currencies_adds_up_by_day() {
    let events = business(3, 120, 14, Faults::NONE);
    let service = check(&events);
    let currencies: BTreeSet<_> = of_lines(&service).into_keys().map(|(currency, _)| currency).collect();
    assert_eq!(currencies.into_iter().collect::<Vec<_>>(), ["EUR", "GBP", "JPY", "KWD", "USD"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Events of one topic keep their order, topics do not.
    #[test]
    fn any_business_in_any_order_of_topics_adds_up(seed in 0u64..10_000, late in 0.0f64..1.0, cross in 0.0f64..1.0) {
        let faults = Faults { disorder: late, cross_topic_disorder: cross, ..Faults::NONE };
        check(&business(seed, 6, 9, faults));
    }

    /// Even backwards: what has to wait waits.
    #[test]
    fn a_business_read_backwards_ends_in_the_same_states(seed in 0u64..10_000) {
        let mut events = business(seed, 2, 4, Faults::NONE);
        let forwards = check(&events);
        events.reverse();
        let backwards = check(&events);
        for topic in [ANALYTICS_ACCOUNT_BALANCE, ANALYTICS_CONTRACT] {
            prop_assert_eq!(forwards.states(topic), backwards.states(topic));
        }
    }
}
