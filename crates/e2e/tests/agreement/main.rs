//! The ERP's books, the events and the topics of the data teams say the same, whatever the business did and whatever went wrong on the way.
//!
//! Both services run in simulation on the same records, with crashes, redelivery, lost answers and topics read out of step. Each seed is
//! another business and another schedule; `THROUGHLINE_SEED` replays one, `THROUGHLINE_SEEDS` tries more.

mod erp;
mod feed;
mod revenue;
mod totals;

use events::{EventSet as _, PayloadHash};
use failure::Class;
use std::collections::BTreeSet;
use testkit::{
    business::{Expectations, Fate, Faults, Generated, Item, Options, stream},
    simulation::{Observed, SimEvent, seeds},
};
use totals::Totals;

/// A business in which everything happens: each seed starts on another day and runs for another time.
fn business(seed: u64) -> Vec<Generated> {
    let faults = Faults {
        duplicates: 0.03,
        disorder: 0.05,
        cross_topic_disorder: 0.05,
        contract_errors: 0.05,
        business_errors: 0.1,
        conflicts: 0.05,
        poison: 0.0,
    };
    let start = jiff::civil::date(2023 + (seed % 3) as i16, 1 + (seed % 12) as i8, 1 + (seed % 28) as i8);
    let months = 6 + (seed % 20) as u32;
    let options = Options { seed, accounts: 10, months, start, max_events: None, faults };
    stream(&options).expect("good options").collect()
}

/// The records as a service gets them: what breaks the wire contract is refused before it.
fn records(business: &[Generated]) -> Vec<SimEvent<events::Event>> {
    let record = |generated: &Generated| match &generated.item {
        Item::Event { envelope, event } => Some(SimEvent {
            topic: generated.topic,
            key: generated.key.clone(),
            envelope: envelope.clone(),
            event: event.check().map(|()| event.clone()),
        }),
        Item::Raw { .. } => None,
    };
    business.iter().filter_map(record).collect()
}

fn expected(business: &[Generated]) -> Expectations {
    let mut expected = Expectations::new(false);
    business.iter().for_each(|generated| expected.add(generated));
    expected
}

/// What the ERP has taken, and what it cannot book until somebody decides: documents that nobody maps, and whatever came after them when
/// topics were read out of step. Data teams see all of it.
fn parted<'a>(business: &'a [Generated], erp: &Observed) -> (Vec<&'a Generated>, Vec<&'a Generated>) {
    let taken: BTreeSet<&str> = erp
        .fates
        .iter()
        .filter(|(_, fate)| ["applied", "skipped", "superseded"].contains(fate))
        .filter_map(|(id, _)| id.split('#').next())
        .collect();
    business.iter().filter(|generated| counts(generated)).partition(|generated| match &generated.item {
        Item::Event { envelope, .. } => taken.contains(envelope.id.as_str()),
        Item::Raw { .. } => false,
    })
}

/// Each event counts once, and those that break the wire contract do not.
fn counts(generated: &Generated) -> bool {
    match generated.fate {
        Fate::Applied | Fate::Skipped | Fate::Original | Fate::Refused(Class::Business) => true,
        Fate::Duplicate | Fate::Conflict | Fate::Refused(_) => false,
    }
}

fn totals<'a>(events: impl IntoIterator<Item = &'a Generated>) -> Totals {
    let mut totals = Totals::default();
    for generated in events {
        if let Item::Event { event, .. } = &generated.item {
            totals.of_event(event, generated.replaced_minor);
        }
    }
    totals.moved()
}

/// Per currency: ERP totals = event totals = analytics totals; deferred balance = billed − recognised; Σ allocations = total.
#[test]
fn erp_events_and_analytics_agree_for_any_business_and_any_schedule() {
    let mut currencies = BTreeSet::new();
    for seed in seeds(12) {
        let business = business(seed);
        let replay = format!("replay with THROUGHLINE_SEED={seed}");
        let erp = erp::run(records(&business), seed).unwrap_or_else(|reason| panic!("{reason}; {replay}"));
        let feed = feed::run(records(&business), seed).unwrap_or_else(|reason| panic!("{reason}; {replay}"));

        let events = totals(business.iter().filter(|generated| counts(generated)));
        let (taken, waiting) = parted(&business, &erp);
        let mut booked = erp::totals(&erp);
        booked.add(&totals(waiting.iter().copied()));
        assert_eq!(booked, events, "ERP against events; {replay}");
        assert_eq!(feed::totals(&feed), events, "analytics against events; {replay}");

        revenue::check(&taken, &erp, &replay);
        if waiting.iter().all(|generated| generated.fate == Fate::Refused(Class::Business)) {
            generator_expects(&expected(&business), &erp, &replay);
        }
        currencies.extend(events.0.into_keys());
    }
    assert!(seeds(12).count() < 12 || currencies.len() == 5, "currencies of 0, 2 and 3 decimals: {currencies:?}");
}

/// The generator's own account of what must come out, which checks from outside compare with, agrees too.
fn generator_expects(expected: &Expectations, erp: &Observed, replay: &str) {
    let records = |field: fn(&testkit::business::Effects) -> u64| expected.effects.values().map(field).sum::<u64>();
    let made = |prefix: &str| {
        erp.effects.iter().filter(|effect| effect.key.starts_with(prefix) && effect.key.ends_with(":create")).count()
            as u64
    };
    for (prefix, count) in [
        ("customer:", records(|effects| effects.customers)),
        ("order:", records(|effects| effects.orders)),
        ("revenue_plan:", records(|effects| effects.revenue_plans)),
        ("invoice:", records(|effects| effects.invoices)),
        ("credit_memo:", records(|effects| effects.credit_memos + effects.write_offs)),
        ("payment:", records(|effects| effects.payments)),
        ("refund:", records(|effects| effects.refunds)),
        ("journal:", records(|effects| effects.journals)),
    ] {
        assert_eq!(made(prefix), count, "{prefix} {replay}");
    }
    let booked = erp::totals(erp);
    for (currency, effects) in &expected.effects {
        let found = booked.0.get(currency).copied().unwrap_or_default();
        assert_eq!(found.receivable, effects.receivable_minor(), "{currency} {replay}");
    }
}

/// A hash is what tells a conflict from a duplicate; the generator's altered records must have another one.
#[test]
fn conflicts_of_the_generated_business_have_other_bytes() {
    let business = business(3);
    let hash = |generated: &Generated| match &generated.item {
        Item::Event { event, .. } => Some(PayloadHash::of(Some(generated.key.as_bytes()), Some(&event.encode_avro()))),
        Item::Raw { .. } => None,
    };
    let conflicts: Vec<_> = business.iter().filter(|generated| generated.fate == Fate::Conflict).collect();
    for conflict in conflicts {
        assert!(
            business.iter().filter(|other| other.fate == Fate::Original).all(|other| hash(other) != hash(conflict))
        );
    }
}
