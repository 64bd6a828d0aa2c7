//! What the generated business promises, whatever the seed and the faults.

mod contracts;
mod money;

use super::*;
use events::{
    PayloadHash,
    common::ChargeType,
    topics::{Family, of_family},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn all(options: &Options) -> (Vec<Generated>, Expectations) {
    let mut stream = stream(options).expect("good options").counting_accounts();
    let records: Vec<_> = stream.by_ref().collect();
    let expectations = stream.expectations().clone();
    (records, expectations)
}

fn bytes(generated: &Generated) -> Vec<u8> {
    match &generated.item {
        Item::Event { event, .. } => event.encode_avro(),
        Item::Raw { value, .. } => value.clone().unwrap_or_default(),
    }
}

fn events(records: &[Generated]) -> impl Iterator<Item = (&Generated, &Envelope, &Event)> {
    records.iter().filter_map(|generated| match &generated.item {
        Item::Event { envelope, event } => Some((generated, envelope, event)),
        Item::Raw { .. } => None,
    })
}

fn repeated(fate: Fate) -> bool {
    matches!(fate, Fate::Duplicate | Fate::Conflict)
}

/// Versions of each subject must come as 1, 2, 3, … of its first appearances, sorted by version.
fn assert_gapless(records: &[Generated]) {
    let mut versions: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for (generated, _, event) in events(records) {
        if !repeated(generated.fate) {
            let version = event.entity_version().expect("all have one");
            assert!(
                versions.entry(event.subject()).or_default().insert(version),
                "{} has {version} twice",
                event.subject()
            );
        }
    }
    for (subject, versions) in versions {
        let count = versions.len() as i64;
        assert!(versions.iter().copied().eq(1..=count), "{subject}: {versions:?}");
    }
}

/// What is applied to an invoice never exceeds what it asks for, and everything referred to exists.
fn assert_consistent(records: &[Generated]) {
    let mut contracts = BTreeSet::new();
    let mut open: HashMap<&str, i64> = HashMap::new();
    for (generated, _, event) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        match event {
            Event::ContractActivated(contract) => assert!(contracts.insert(&contract.contract_id)),
            Event::InvoicePosted(invoice) => {
                assert!(open.insert(&invoice.invoice_id, invoice.totals.payable_minor).is_none());
            }
            _ => assert!(!matches!(generated.fate, Fate::Refused(_))),
        }
    }
    for (_, _, event) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        match event {
            Event::InvoicePosted(invoice) => {
                assert!(contracts.contains(invoice.contract_id.as_ref().expect("has one")))
            }
            Event::CreditNoteIssued(note) => {
                if let Some(invoice) = &note.preceding_invoice {
                    let applied = note.application.as_ref().expect("stated").to_invoice_minor;
                    *open.get_mut(invoice.invoice_id.as_str()).expect("exists") -= applied;
                }
            }
            Event::PaymentReceived(payment) => {
                for allocation in &payment.allocations {
                    *open.get_mut(allocation.invoice_id.as_str()).expect("exists") -= allocation.amount_minor;
                }
            }
            Event::PaymentFailed(payment) => assert!(open.contains_key(payment.invoice_id.as_str())),
            Event::InvoiceMarkedUncollectible(off) => {
                *open.get_mut(off.invoice_id.as_str()).expect("exists") -= off.write_off_minor;
            }
            Event::InvoiceVoided(draft) => assert!(!open.contains_key(draft.invoice_id.as_str()), "never posted"),
            _ => {}
        }
    }
    assert!(open.values().all(|left| *left >= 0), "an invoice is settled beyond what it asks for");
}

fn faults() -> impl Strategy<Value = Faults> {
    (0.0..0.3f64, 0.0..0.3f64, 0.0..0.5f64, 0.0..0.1f64, 0.0..0.3f64).prop_map(
        |(duplicates, disorder, cross_topic_disorder, poison, errors)| Faults {
            duplicates,
            disorder,
            cross_topic_disorder,
            poison,
            contract_errors: errors,
            business_errors: errors,
            conflicts: errors,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_options_give_the_same_bytes(seed: u64, faults in faults()) {
        let options = Options::new(seed, 30).with_faults(faults);
        let (once, again) = (all(&options), all(&options));
        prop_assert_eq!(once.1, again.1);
        prop_assert!(once.0.iter().map(bytes).eq(again.0.iter().map(bytes)));
        prop_assert!(once.0 == again.0);
    }

    #[test]
    fn a_business_without_faults_keeps_every_rule_of_the_wire(seed: u64, months in 1..24u32) {
        let (records, expected) = all(&Options::new(seed, 40).over_months(months));
        assert_gapless(&records);
        assert_consistent(&records);
        let mut last = i64::MIN;
        for (_, envelope, event) in events(&records) {
            prop_assert_eq!(event.check(), Ok(()));
            prop_assert!(envelope.time_ms >= last, "times fall");
            last = envelope.time_ms;
            prop_assert_eq!(envelope.subject.as_deref(), Some(event.subject()));
            prop_assert_eq!(event.recorded_at().as_millisecond(), envelope.time_ms);
            prop_assert!(event.effective_at() <= event.recorded_at());
        }
        prop_assert_eq!(expected.refused_count() + expected.duplicates, 0);
        prop_assert_eq!(expected.records, expected.event_count());
    }

    #[test]
    fn faults_change_the_order_and_add_records_but_lose_nothing(seed: u64, faults in faults()) {
        let endings = Faults { contract_errors: faults.contract_errors, business_errors: faults.business_errors,
            conflicts: faults.conflicts, ..Faults::NONE };
        let (calm, expected_calm) = all(&Options::new(seed, 40).with_faults(endings));
        let (wild, expected) = all(&Options::new(seed, 40).with_faults(faults));
        assert_gapless(&wild);
        assert_consistent(&wild);
        prop_assert_eq!(&expected.effects, &expected_calm.effects);
        prop_assert_eq!(&expected.accounts, &expected_calm.accounts);
        prop_assert_eq!(&expected.events, &expected_calm.events);
        let ids = |records: &[Generated]| events(records).map(|(_, envelope, _)| envelope.id.clone()).collect::<BTreeSet<_>>();
        prop_assert_eq!(ids(&calm), ids(&wild));
        prop_assert_eq!(order_in_topics(&calm), order_in_topics(&wild));
    }

    #[test]
    fn a_repetition_has_the_same_bytes_and_a_conflict_has_not(seed: u64, faults in faults()) {
        let (records, expected) = all(&Options::new(seed, 40).with_faults(faults));
        let mut first: HashMap<&str, (PayloadHash, &'static str)> = HashMap::new();
        let (mut duplicates, mut conflicts) = (0, 0);
        for (generated, envelope, _) in events(&records) {
            let hash = PayloadHash::of(Some(generated.key.as_bytes()), Some(&bytes(generated)));
            match first.get(envelope.id.as_str()) {
                None => { first.insert(&envelope.id, (hash, generated.topic)); }
                Some(seen) if *seen == (hash, generated.topic) => duplicates += 1,
                Some(_) => conflicts += 1,
            }
        }
        prop_assert_eq!((duplicates, conflicts), (expected.duplicates, expected.conflicts));
    }

    #[test]
    fn what_is_wrong_is_the_last_of_its_account_and_fails_its_check(seed: u64) {
        let faults = Faults { contract_errors: 0.4, business_errors: 0.4, ..Faults::NONE };
        let (records, expected) = all(&Options::new(seed, 40).with_faults(faults));
        let mut refused = BTreeSet::new();
        for (generated, _, event) in events(&records) {
            prop_assert!(!refused.contains(&generated.key), "{} goes on after its last", generated.key);
            match generated.fate {
                Fate::Refused(Class::Contract) => prop_assert_eq!(event.check().expect_err("wrong").code, "SUM_MISMATCH"),
                _ => prop_assert_eq!(event.check(), Ok(())),
            }
            if matches!(generated.fate, Fate::Refused(_)) {
                refused.insert(generated.key.clone());
            }
        }
        prop_assert_eq!(refused.len() as u64, expected.refused_count());
    }
}

/// First appearances of each key in each topic, in order.
fn order_in_topics(records: &[Generated]) -> BTreeMap<(String, &'static str), Vec<String>> {
    let mut order: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (generated, envelope, _) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        order.entry((generated.key.clone(), generated.topic)).or_default().push(envelope.id.clone());
    }
    order
}

#[test]
fn every_event_type_currency_and_kind_of_payment_occurs() {
    let (records, expected) = all(&Options::new(1, 400).over_months(12));
    for subject in of_family(Family::Commercial) {
        assert!(expected.events.contains_key(subject.topic), "{} never occurs", subject.topic);
    }
    let currencies: Vec<_> = expected.effects.keys().map(String::as_str).collect();
    assert_eq!(currencies, ["EUR", "GBP", "JPY", "KWD", "USD"]);
    let payments = || {
        events(&records).filter_map(|(_, _, event)| match event {
            Event::PaymentReceived(payment) => Some(payment),
            _ => None,
        })
    };
    assert!(payments().any(|payment| payment.unapplied_minor > 0), "no over-payment");
    assert!(payments().any(|payment| payment.allocations.len() > 1), "no payment for several invoices");
    assert!(payments().any(|payment| payment.entity_version > 1), "no payment after a failed attempt");
}

#[test]
fn unit_prices_have_no_more_decimals_than_the_currency_except_for_usage() {
    let (records, _) = all(&Options::new(2, 300));
    for (_, _, event) in events(&records) {
        let Event::InvoicePosted(invoice) = event else { continue };
        let exponent = events::currency::exponent(&invoice.currency).expect("active");
        for line in &invoice.lines {
            let amount = events::money::line_amount_minor(line.quantity, line.unit_price, &invoice.currency);
            assert_eq!(amount, Ok(line.net_minor), "{}", invoice.invoice_id);
            let recurring = line.charge_type == ChargeType::Recurring;
            assert!(!recurring || line.unit_price.scale() <= exponent, "{} {}", line.unit_price, invoice.currency);
        }
    }
}

#[test]
fn the_number_of_events_can_be_given() {
    for faults in [Faults::NONE, Faults::realistic()] {
        let (_, expected) = all(&Options::of_events(5, 20_000).with_faults(faults));
        assert_eq!(expected.event_count(), 20_000);
    }
}

#[test]
fn contracts_come_after_their_invoices_when_topics_are_out_of_order() {
    let faults = Faults { cross_topic_disorder: 1.0, ..Faults::NONE };
    let (records, _) = all(&Options::new(4, 50).with_faults(faults));
    let mut known = BTreeSet::new();
    let mut early = 0;
    for (_, _, event) in events(&records) {
        match event {
            Event::ContractActivated(contract) => {
                known.insert(contract.contract_id.clone());
            }
            Event::InvoicePosted(invoice) if !known.contains(invoice.contract_id.as_ref().expect("has one")) => {
                early += 1
            }
            _ => {}
        }
    }
    assert!(early > 20, "only {early} invoices before their contracts");
}

#[test]
fn a_few_accounts_show_every_kind_of_event_of_a_business() {
    let options = Options::new(3, 300).over_months(12);
    let (all, _) = all(&options);
    let few = covering(&options).expect("good options");
    let topics = |records: &[Generated]| records.iter().map(|generated| generated.topic).collect::<BTreeSet<_>>();
    assert_eq!(topics(&few), topics(&all));
    assert!(few.len() * 4 < all.len(), "{} of {}", few.len(), all.len());
    assert!(few.iter().all(|generated| all.contains(generated)), "whole lives, unchanged");
}

fn invoices(records: &[Generated]) -> impl Iterator<Item = &events::InvoicePosted> {
    events(records).filter_map(|(_, _, event)| match event {
        Event::InvoicePosted(invoice) => Some(&**invoice),
        _ => None,
    })
}
