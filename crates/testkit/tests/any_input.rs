//! Any input under any schedule: what is fixed in the cases of the simulation is chance here.

use proptest::prelude::*;
use std::collections::BTreeSet;
use testkit::simulation::{
    Case, SimEvent,
    cases::{
        books::{Books, honest_key},
        fact::{Fact, INVOICES, ORDERS, event},
    },
};

/// Accounts whose orders may come late; those above have only invoices, the first of which nobody may book.
const ORDERING: usize = 6;

/// An order, or an invoice that may come before it; some come twice.
#[derive(Debug, Clone)]
struct Step {
    account: usize,
    is_order: bool,
    is_copied: bool,
}

fn any_step() -> impl Strategy<Value = Step> {
    let chance = |of: f64| proptest::bool::weighted(of);
    (0..ORDERING + 2, chance(0.2), chance(0.15)).prop_map(|(account, is_order, is_copied)| Step {
        account,
        is_order: is_order && account < ORDERING,
        is_copied,
    })
}

/// Every account that waits for an order has one in the end: what waits for ever has no end to be compared. An account that is parked for
/// good has events of one topic only: which event of another topic is behind a broken one is chance.
fn input(steps: &[Step]) -> Vec<SimEvent<Fact>> {
    let mut events = Vec::new();
    let mut broken = BTreeSet::new();
    for (number, step) in steps.iter().enumerate() {
        let n = step.account;
        let name = format!("{}-a{n}-{number}", if step.is_order { "order" } else { "invoice" });
        let amount = if n >= ORDERING && broken.insert(n) { 666 } else { 60 };
        let topic = if step.is_order { ORDERS } else { INVOICES };
        let one = event(topic, n, name.clone(), format!("e{number}"), amount);
        events.extend(step.is_copied.then(|| one.clone()));
        events.push(one);
    }
    events.extend((0..ORDERING).map(|n| event(ORDERS, n, format!("order-a{n}"), format!("last-{n}"), 1)));
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Lanes keep the order of each sequence, parking keeps what fails and what is behind it, and the end is that of a run without faults.
    #[test]
    fn any_business_ends_like_its_twin(steps in proptest::collection::vec(any_step(), 1..40), seed in 1_u64..1_000_000) {
        let case = Case::new(Books { effect_key: honest_key }, input(&steps));
        if let Err(reason) = case.run(seed) {
            return Err(TestCaseError::fail(format!("seed {seed}: {reason}")));
        }
    }
}
