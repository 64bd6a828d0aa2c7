//! The machine of a slice under many schedules of crashes, compared with a run without faults; and proof that the kit finds handlers
//! that are not replay-safe.

use consumer::{
    Change, Context, Decision, Document, Documents, Effect, Handler, Input, NoEffect, Publish, Receipt, TimerChange,
};
use events::{Envelope, EventSet, Headers, WriterSchema};
use failure::Failure;
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::simulation::{Case, Options, SimEvent, World, assert_replay_safe};

const ORDERS: &str = "order.v1";
const INVOICES: &str = "invoice.v1";

#[derive(Debug, Clone, PartialEq)]
struct Fact {
    topic: &'static str,
    account: String,
    subject: String,
    version: i64,
    amount: i64,
}

impl EventSet for Fact {
    fn topics() -> Vec<&'static str> {
        vec![ORDERS, INVOICES]
    }
    fn decode_avro(_: &str, _: &WriterSchema, _: &[u8]) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "simulated events are not decoded"))
    }
    fn decode_json(_: &str, _: &serde_json::Value) -> Result<Self, Failure> {
        Err(Failure::bug("INVARIANT_BROKEN", "simulated events are not decoded"))
    }
    fn account_id(&self) -> &str {
        &self.account
    }
    fn subject(&self) -> &str {
        &self.subject
    }
    fn entity_version(&self) -> Option<i64> {
        Some(self.version)
    }
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
struct Account {
    account: String,
    ordered: bool,
    orders: u32,
    invoiced: i64,
    versions: i64,
    receipts: usize,
    reminded: bool,
}

impl Document for Account {
    fn status(&self) -> &str {
        if self.ordered { "ordered" } else { "new" }
    }
    fn account_id(&self) -> &str {
        &self.account
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Post {
    key: String,
    entity: String,
    amount: i64,
    coalesces: bool,
}

impl Effect for Post {
    fn key(&self) -> String {
        self.key.clone()
    }
    fn entity(&self) -> String {
        self.entity.clone()
    }
    fn coalesces(&self) -> bool {
        self.coalesces
    }
    fn reports(&self) -> bool {
        !self.coalesces
    }
}

/// Orders before invoices; two effects for an order, one for an invoice; publishes what it did and sets a timer.
struct Books {
    effect_key: fn(&Fact, i64) -> String,
}

fn honest_key(fact: &Fact, _: i64) -> String {
    format!("{}:v{}", fact.subject, fact.version)
}

fn notice(topic: &str, key: &str, id: &str) -> Publish {
    let mut headers = Headers::default();
    headers.push("ce_id", id.to_owned());
    Publish { topic: topic.into(), key: key.into(), value: Some(id.as_bytes().to_vec()), headers }
}

impl Handler for Books {
    type Event = Fact;
    type Document = Account;
    type Effect = Post;

    fn name(&self) -> &'static str {
        "books"
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["booked.v1", "refused.v1"]
    }
    fn refused(&self, fact: &Fact, failure: &Failure, context: &Context<'_>) -> Vec<Publish> {
        let id = format!("{}:{}:{}:{}", fact.subject, fact.version, context.refusals, failure.code);
        vec![notice("refused.v1", &fact.account, &id)]
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(fact) | Input::Outcome { of: Some(fact), .. } => {
                vec![DocumentKey::new("account", &fact.account)]
            }
            Input::Timer { payload, .. } => vec![DocumentKey::new("account", payload.as_str().unwrap_or_default())],
            Input::Outcome { of: None, .. } => Vec::new(),
        }
    }
    fn decide(
        &self,
        documents: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match input {
            Input::Event(fact) => {
                let known = documents.get("account", &fact.account).cloned();
                let mut account =
                    known.unwrap_or_else(|| Account { account: fact.account.clone(), ..Account::default() });
                if fact.amount == 666 {
                    return Err(Failure::contract("FIELD_INVALID", "the number of the beast"));
                }
                if fact.topic == INVOICES && !account.ordered {
                    return Err(Failure::not_yet(
                        "CONTRACT_NOT_ACTIVE",
                        format!("order-{}", fact.account),
                        "no order yet",
                    ));
                }
                let second = format!("order-{}-2", fact.account);
                if fact.topic == INVOICES && is_late(fact) && account.orders < 2 {
                    return Err(Failure::not_yet("CONTRACT_NOT_ACTIVE", second, "no second order yet"));
                }
                account.versions += 1;
                let post = |suffix: &str| Post {
                    key: format!("{}{suffix}", (self.effect_key)(fact, context.now_ms)),
                    entity: fact.subject.clone(),
                    amount: fact.amount,
                    coalesces: false,
                };
                let mut decision = Decision::new().effect(post(""));
                if fact.topic == ORDERS {
                    account.ordered = true;
                    account.orders += 1;
                    // After everything else: a timer of a parked account waits in every run.
                    let due_ms = 1_751_000_000_000;
                    let payload = serde_json::Value::String(fact.account.clone());
                    decision = decision.effect(post(":lines"));
                    decision =
                        decision.timer(TimerChange::Set { id: format!("remind-{}", fact.account), due_ms, payload });
                } else {
                    account.invoiced += fact.amount;
                }
                let id = format!("{}:{}:{}", fact.subject, fact.version, context.refusals);
                Ok(decision.put("account", &fact.account, account).publish(notice("booked.v1", &fact.account, &id)))
            }
            Input::Outcome { of: Some(fact), receipts } => {
                let mut account = documents.get("account", &fact.account).cloned().unwrap_or_default();
                account.receipts += receipts.len();
                Ok(Decision::new().put("account", &fact.account, account))
            }
            Input::Timer { payload, .. } => {
                let name = payload.as_str().unwrap_or_default();
                let mut account = documents.get("account", name).cloned().unwrap_or_default();
                account.reminded = true;
                Ok(Decision::new().put("account", name, account).publish(notice(
                    "booked.v1",
                    name,
                    &format!("remind-{name}"),
                )))
            }
            Input::Outcome { of: None, .. } => Ok(Decision::skip("timers have no outcome")),
        }
    }
}

/// Invoices of the accounts with two orders that wait for the second one.
fn is_late(fact: &Fact) -> bool {
    ["a1", "a2"].contains(&fact.account.as_str()) && (14..50).contains(&fact.amount)
}

fn event(topic: &'static str, account: usize, subject: String, id: String, amount: i64) -> SimEvent<Fact> {
    let account = format!("a{account}");
    let fact = Fact { topic, account: account.clone(), subject: subject.clone(), version: 1, amount };
    let envelope = Envelope {
        id,
        source: "urn:test".into(),
        event_type: format!("com.example.throughline.{topic}"),
        time_ms: 0,
        subject: Some(subject),
        correlation_id: None,
        causation_id: None,
        sequence: None,
        dataschema: None,
        traceparent: None,
    };
    SimEvent { topic, key: account, envelope, event: Ok(fact) }
}

/// Five accounts with an order and six invoices each, two of them with a second order that the last invoices wait for, one broken event, one record nobody can read, one conflict.
fn business() -> Vec<SimEvent<Fact>> {
    let mut events: Vec<_> = (0..5).map(|n| event(ORDERS, n, format!("order-a{n}"), format!("o{n}"), 1)).collect();
    for round in 0..6i64 {
        if round == 4 {
            let second = |n: usize| event(ORDERS, n, format!("order-a{n}-2"), format!("o{n}-2"), 1);
            events.extend([1, 2].map(second));
        }
        for n in 0..5 {
            let amount = if (n, round) == (3, 2) { 666 } else { 10 + round };
            events.push(event(INVOICES, n, format!("invoice-a{n}-{round}"), format!("i{n}-{round}"), amount));
        }
    }
    let mut poison = event(INVOICES, 1, "broken".into(), "poison".into(), 0);
    poison.event = Err(Failure::poison("BYTES_NOT_AVRO", "the first byte is `9`"));
    events.insert(12, poison);
    events.push(event(INVOICES, 2, "invoice-a2-0".into(), "i2-0".into(), 99));
    events
}

#[test]
fn a_service_with_effects_ends_like_its_twin_under_any_schedule() {
    assert_replay_safe(&Case::new(Books { effect_key: honest_key }, business()), 1_000);
}

/// Twenty accounts whose first invoices come before their orders: memory holds the documents of a few, so while one sequence is tried
/// those of others are read.
fn crowd() -> Vec<SimEvent<Fact>> {
    let invoice =
        |n: usize, round: i64| event(INVOICES, n, format!("i-{n}-{round}"), format!("i{n}-{round}"), 60 + round);
    let mut events: Vec<_> =
        (0..2).flat_map(|round| (0..20).map(move |n| (n, round))).map(|(n, round)| invoice(n, round)).collect();
    events.extend((0..20).map(|n| event(ORDERS, n, format!("order-a{n}"), format!("o{n}"), 1)));
    events.extend((2..5).flat_map(|round| (0..20).map(move |n| (n, round))).map(|(n, round)| invoice(n, round)));
    events
}

#[test]
fn a_sequence_that_waits_goes_on_whatever_is_read_for_others() {
    assert_replay_safe(&Case::new(Books { effect_key: honest_key }, crowd()), 200);
}

#[test]
fn a_business_refusal_parks_its_account_and_nobody_else_in_every_schedule() {
    let mut case = Case::new(Books { effect_key: honest_key }, business());
    case.rule = |post| {
        (post.entity == "invoice-a0-3").then(|| Failure::business("PERIOD_CLOSED", "finance", "period is closed"))
    };
    assert_replay_safe(&case, 400);
}

#[test]
fn a_second_effect_is_never_sent_again_when_the_first_one_is_done_and_the_second_refused() {
    let mut case = Case::new(Books { effect_key: honest_key }, business());
    case.rule = |post| post.key.ends_with("a4:v1:lines").then(|| Failure::business("CREDIT_HOLD", "credit", "on hold"));
    assert_replay_safe(&case, 400);
}

fn refused_twice() -> Case<Books> {
    Case {
        rule: |post| post.key.ends_with("a4:v1:lines").then(|| Failure::business("CREDIT_HOLD", "credit", "on hold")),
        is_looked_after: true,
        ..Case::new(Books { effect_key: honest_key }, business())
    }
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
    assert_replay_safe(&refused_twice(), 400);
}

#[test]
fn a_dead_letter_keeps_what_is_done_of_it_and_a_retry_sends_nothing_again() {
    let broken =
        |post: &Post| post.key.ends_with("a4:v1:lines").then(|| Failure::contract("FIELD_INVALID", "no such line"));
    let case = Case { rule: broken, ..refused_twice() };
    assert_eq!(told(&case, "refused.v1", "order-a4").len(), 2, "refused, and once more in vain");
    assert_replay_safe(&case, 150);
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
    assert_replay_safe(&case, 150);
}

/// A pure Kafka-to-Kafka service.
struct Mirror;

impl Handler for Mirror {
    type Event = Fact;
    type Document = Account;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        "mirror"
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["mirror.v1"]
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(fact) => vec![DocumentKey::new("account", &fact.account)],
            Input::Timer { .. } | Input::Outcome { .. } => Vec::new(),
        }
    }
    fn decide(
        &self,
        documents: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let Input::Event(fact) = input else { return Ok(Decision::skip("only events")) };
        let mut account = documents.get("account", &fact.account).cloned().unwrap_or_default();
        account.account.clone_from(&fact.account);
        account.invoiced += fact.amount;
        Ok(Decision::new().put("account", &fact.account, account).publish(notice(
            "mirror.v1",
            &fact.account,
            &format!("{}:{}", fact.subject, fact.amount),
        )))
    }
}

#[test]
fn a_kafka_to_kafka_service_publishes_each_event_once_under_any_schedule() {
    assert_replay_safe(&Case::new(Mirror, business()), 400);
}

/// Only the newest state of an account is sent.
struct Latest;

impl Handler for Latest {
    type Event = Fact;
    type Document = Account;
    type Effect = Post;

    fn name(&self) -> &'static str {
        "latest"
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(fact) => vec![DocumentKey::new("account", &fact.account)],
            Input::Timer { .. } | Input::Outcome { .. } => Vec::new(),
        }
    }
    fn decide(
        &self,
        documents: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let Input::Event(fact) = input else { return Ok(Decision::skip("only events")) };
        let mut account = documents.get("account", &fact.account).cloned().unwrap_or_default();
        account.versions += 1;
        let key = format!("{}:{}", fact.account, account.versions);
        let post = Post { key, entity: fact.account.clone(), amount: account.versions, coalesces: true };
        Ok(Decision::new().put("account", &fact.account, account).effect(post))
    }
}

#[test]
fn a_burst_on_one_entity_is_coalesced_and_its_last_state_is_sent() {
    let events: Vec<_> = (0..50).map(|n| event(ORDERS, 0, format!("s{n}"), format!("e{n}"), n)).collect();
    let case = Case::new(Latest, events);
    let (observed, _) = World::new(&case, Options::calm(), 0).run().expect("the run without faults comes to rest");
    assert!(observed.effects.len() < 25, "{} calls for a burst of 50", observed.effects.len());
    let last: Post =
        serde_json::from_str(&observed.effects.last().expect("at least one effect").payload).expect("a Post");
    assert_eq!(last.amount, 50);
    assert!(observed.fates.values().any(|fate| *fate == "superseded"));
}

#[test]
fn every_state_is_coalesced_safely_under_crashes() {
    let events: Vec<_> = (0..50).map(|n| event(ORDERS, 0, format!("s{n}"), format!("e{n}"), n)).collect();
    let case = Case::new(Latest, events);
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
            Input::Timer { .. } | Input::Outcome { .. } => Vec::new(),
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
