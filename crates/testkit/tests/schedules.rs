//! The machine of a slice under many schedules of crashes, compared with a run without faults; and proof that the kit finds handlers
//! that are not replay-safe.

use consumer::{Change, Context, Decision, Documents, Handler, Input, NoEffect, Receipt};
use failure::Failure;
use ledger::DocumentKey;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::simulation::{
    Case, Options, World, assert_replay_safe,
    cases::{
        answers,
        books::{Books, business, crowd, honest_key, refused_twice},
        burst,
        dunning::{Dunning, debts},
        fact::{Account, Fact, Post},
        latest::Latest,
        mirror::{Mirror, stream},
    },
};

#[test]
fn a_service_with_effects_ends_like_its_twin_under_any_schedule() {
    assert_replay_safe(&Case::new(Books { effect_key: honest_key }, business()), 300);
}

#[test]
fn a_sequence_that_waits_goes_on_whatever_is_read_for_others() {
    assert_replay_safe(&Case::new(Books { effect_key: honest_key }, crowd()), 60);
}

#[test]
fn a_business_refusal_parks_its_account_and_nobody_else_in_every_schedule() {
    let mut case = Case::new(Books { effect_key: honest_key }, business());
    case.rule = |post| {
        (post.entity == "invoice-a0-3").then(|| Failure::business("PERIOD_CLOSED", "finance", "period is closed"))
    };
    assert_replay_safe(&case, 120);
}

#[test]
fn a_second_effect_is_never_sent_again_when_the_first_one_is_done_and_the_second_refused() {
    let mut case = Case::new(Books { effect_key: honest_key }, business());
    case.rule = |post| post.key.ends_with("a4:v1:lines").then(|| Failure::business("CREDIT_HOLD", "credit", "on hold"));
    assert_replay_safe(&case, 120);
}

/// What a run published about the refused subjects, in any order.
fn told(case: &Case<Books>, topic: &str, subject: &str) -> Vec<String> {
    let (observed, _) = World::new(case, Options::calm(), 0).run().expect("a run without faults");
    let events = observed.published.iter().filter(|((name, _), _)| name == topic).flat_map(|(_, events)| events);
    let ids = events.map(|event| {
        let bytes = event.split_once("Some(b\"").map_or("", |(_, rest)| rest);
        bytes.rsplit_once("b\"").map_or(bytes, |(_, value)| value).trim_end_matches("\")").to_owned()
    });
    ids.filter(|id| id.starts_with(subject)).collect()
}

#[test]
fn each_refusal_is_told_once_and_what_is_taken_after_it_comes_later() {
    let case = refused_twice();
    let refusals = told(&case, "refused.v1", "order-a4");
    assert_eq!(refusals, ["order-a4:1:0:CREDIT_HOLD", "order-a4:1:1:CREDIT_HOLD"]);
    assert_eq!(told(&case, "booked.v1", "order-a4"), ["order-a4:1:2"]);
    let contract = told(&case, "refused.v1", "invoice-a3-2");
    assert_eq!(contract, ["invoice-a3-2:1:0:FIELD_INVALID", "invoice-a3-2:1:1:FIELD_INVALID"]);
}

#[test]
fn no_refusal_is_told_twice_or_lost_in_any_schedule_also_where_people_try_again() {
    assert_replay_safe(&refused_twice(), 120);
}

#[test]
fn a_dead_letter_keeps_what_is_done_of_it_and_a_retry_sends_nothing_again() {
    let broken =
        |post: &Post| post.key.ends_with("a4:v1:lines").then(|| Failure::contract("FIELD_INVALID", "no such line"));
    let case = Case { rule: broken, ..refused_twice() };
    assert_eq!(told(&case, "refused.v1", "order-a4").len(), 2, "refused, and once more in vain");
    assert_replay_safe(&case, 80);
}

#[test]
fn what_only_waits_or_meets_an_outage_is_never_told_as_refused() {
    let calm = Case::new(Books { effect_key: honest_key }, business());
    assert_eq!(told(&calm, "refused.v1", "order-"), Vec::<String>::new());
    assert_eq!(told(&calm, "refused.v1", "invoice-a2"), Vec::<String>::new());
}

#[test]
fn jobs_retry_and_give_up_the_same_in_every_schedule_of_crashes_pauses_and_cancellations() {
    let case = Case { by_jobs: true, ..refused_twice() };
    let (observed, _) = World::new(&case, Options::calm(), 0).run().expect("a run without faults");
    assert_eq!(observed.cases, [], "what was refused for good was given up, and what lay behind it went on");
    assert!(observed.fates.values().any(|fate| *fate == "discarded"));
    assert_replay_safe(&case, 120);
}

/// What is decided about a refusal takes the place of what was refused, once, whatever crashes: the event is done, what was done before it is
/// taken back, and nobody has to look at a parked record.
#[test]
fn a_refusal_that_is_an_answer_is_decided_about_once_in_every_schedule() {
    let case = answers::orders();
    let (observed, _) = World::new(&case, Options::calm(), 0).run().expect("a run without faults");
    assert_eq!(observed.cases, [], "nothing is parked");
    assert!(observed.fates.values().all(|fate| *fate == "applied"));
    let of = |key: &str| observed.effects.iter().filter(|effect| effect.key.contains(key)).count();
    assert_eq!((of("hold"), of("book"), of("release")), (36, 24, 12));
    for body in observed.documents.values() {
        let account: Account = serde_json::from_str(body).expect("a document");
        assert_eq!((account.orders, account.invoiced, account.reminded), (2, 3, true), "{account:?}");
        assert_eq!(account.receipts, 2 * 2 + 1 + 1, "of two bookings, one hold that was taken back, and its release");
    }
    assert_replay_safe(&case, 150);
}

#[test]
fn a_kafka_to_kafka_service_publishes_each_event_once_under_any_schedule() {
    assert_replay_safe(&Case::new(Mirror, business()), 120);
}

#[test]
fn a_burst_on_one_entity_is_coalesced_and_its_last_state_is_sent() {
    let case = Case::new(Latest, burst());
    let (observed, _) = World::new(&case, Options::calm(), 0).run().expect("the run without faults comes to rest");
    assert!(observed.effects.len() < 25, "{} calls for a burst of 50", observed.effects.len());
    let last: Post =
        serde_json::from_str(&observed.effects.last().expect("at least one effect").payload).expect("a Post");
    assert_eq!(last.amount, 50);
    assert!(observed.fates.values().any(|fate| *fate == "superseded"));
}

#[test]
fn every_state_is_coalesced_safely_under_crashes() {
    let case = Case::new(Latest, burst());
    for seed in 1..=100 {
        let (observed, _) =
            World::new(&case, Options::stormy(seed), seed).run().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let amounts =
            observed.effects.iter().map(|effect| serde_json::from_str::<Post>(&effect.payload).map(|post| post.amount));
        let amounts: Vec<i64> = amounts.collect::<Result<_, _>>().expect("posts");
        assert!(amounts.is_sorted(), "seed {seed}: an older state was sent after a newer one: {amounts:?}");
        assert_eq!(amounts.last(), Some(&50), "seed {seed} {amounts:?} {:?} {:?}", observed.fates, observed.documents);
    }
}

#[test]
fn a_service_of_timers_reminds_as_often_as_its_twin_under_any_schedule() {
    assert_replay_safe(&Case::new(Dunning, debts()), 100);
}

#[test]
fn a_stream_longer_than_memory_ends_like_its_twin_under_any_schedule() {
    assert_replay_safe(&Case::new(Mirror, stream()), 20);
}

/// Seed 549: look-ups of a coalesced step fail until it would be parked.
#[test]
fn an_older_state_is_never_sent_after_a_newer_one_that_may_be_there() {
    let case = Case { coalesces: true, ..Case::new(Latest, burst()) };
    for seed in [549, 1, 2, 3, 4, 5] {
        case.run(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

/// Seed 1: an owner shows people an intent and is killed.
#[test]
fn the_row_of_an_intent_goes_when_the_next_owner_has_done_it() {
    Case::new(Books { effect_key: honest_key }, business()).run(1).unwrap_or_else(|why| panic!("{why}"));
}

fn is_found(case: &Case<impl Handler>) -> bool {
    (1..=200).any(|seed| case.run(seed).is_err())
}

#[test]
fn the_kit_finds_an_effect_key_that_depends_on_the_clock() {
    assert!(is_found(&Case::new(Books { effect_key: |fact, now| format!("{}:{now}", fact.subject) }, business())));
}

#[test]
fn the_kit_finds_an_effect_key_that_counts_attempts() {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let effect_key = |fact: &Fact, _| format!("{}:{}", fact.subject, ATTEMPTS.fetch_add(1, Ordering::Relaxed));
    assert!(is_found(&Case::new(Books { effect_key }, business())));
}

/// Remembers in the process instead of in documents.
#[derive(Default)]
struct Forgetful {
    seen: AtomicU64,
}

impl Handler for Forgetful {
    type Event = Fact;
    type Document = Account;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(fact) => vec![DocumentKey::new("account", &fact.account)],
            Input::Timer { .. } | Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
        }
    }
    fn decide(
        &self,
        _: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let Input::Event(fact) = input else { return Ok(Decision::skip("only events")) };
        let invoiced = i64::try_from(self.seen.fetch_add(1, Ordering::Relaxed)).unwrap_or(i64::MAX);
        let account = Account { account: fact.account.clone(), invoiced, ..Account::default() };
        let mut decision = Decision::new();
        decision.documents.push(Change { key: DocumentKey::new("account", &fact.account), document: Some(account) });
        Ok(decision)
    }
}

#[test]
fn the_kit_finds_a_handler_that_remembers_outside_its_documents() {
    assert!(is_found(&Case::new(Forgetful::default(), business())));
}

#[test]
fn a_receipt_reads_back_as_it_was_written() {
    let receipt = Receipt { external_id: "17".into(), details: [("number".to_owned(), "INV-1".to_owned())].into() };
    let stored = serde_json::to_string(&receipt).expect("plain data");
    assert_eq!(serde_json::from_str::<Receipt>(&stored).expect("reads back"), receipt);
}
