//! A service with effects, waiting and refusals: orders before invoices, two effects for an order, one for an invoice; it publishes
//! what it did and what was refused, and sets a timer.

use super::{
    super::{Case, Money, SimEvent},
    fact::{Account, Fact, INVOICES, ORDERS, Post, event, notice},
};
use consumer::{Context, Decision, Documents, Handler, Input, Origin, Publish, TimerChange};
use failure::Failure;
use ledger::DocumentKey;

/// Orders before invoices; two effects for an order, one for an invoice; publishes what it did and sets a timer.
pub struct Books {
    pub effect_key: fn(&Fact, i64) -> String,
}

pub fn honest_key(fact: &Fact, _: i64) -> String {
    format!("{}:v{}", fact.subject, fact.version)
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
            Input::Event(fact) | Input::Outcome { of: Origin::Event(fact), .. } => {
                vec![DocumentKey::new("account", &fact.account)]
            }
            Input::Timer { payload, .. } => vec![DocumentKey::new("account", payload.as_str().unwrap_or_default())],
            Input::Outcome { of: Origin::Timer { .. }, .. } | Input::Refused { .. } => Vec::new(),
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
            Input::Outcome { of: Origin::Event(fact), receipts } => {
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
            Input::Outcome { of: Origin::Timer { .. }, .. } | Input::Refused { .. } => {
                Ok(Decision::skip("timers have no outcome"))
            }
        }
    }
}

/// Invoices of the accounts with two orders that wait for the second one.
fn is_late(fact: &Fact) -> bool {
    ["a1", "a2"].contains(&fact.account.as_str()) && (14..50).contains(&fact.amount)
}

/// Five accounts with an order and six invoices each, two of them with a second order that the last invoices wait for, one broken event, one record nobody can read, one conflict.
pub fn business() -> Vec<SimEvent<Fact>> {
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

/// Twenty accounts whose first invoices come before their orders: memory holds the documents of a few, so while one sequence is tried
/// those of others are read.
pub fn crowd() -> Vec<SimEvent<Fact>> {
    let invoice =
        |n: usize, round: i64| event(INVOICES, n, format!("i-{n}-{round}"), format!("i{n}-{round}"), 60 + round);
    let mut events: Vec<_> =
        (0..2).flat_map(|round| (0..20).map(move |n| (n, round))).map(|(n, round)| invoice(n, round)).collect();
    events.extend((0..20).map(|n| event(ORDERS, n, format!("order-a{n}"), format!("o{n}"), 1)));
    events.extend((2..5).flat_map(|round| (0..20).map(move |n| (n, round))).map(|(n, round)| invoice(n, round)));
    events
}

pub fn refused_twice() -> Case<Books> {
    Case {
        rule: |post| post.key.ends_with("a4:v1:lines").then(|| Failure::business("CREDIT_HOLD", "credit", "on hold")),
        is_looked_after: true,
        ..Case::new(Books { effect_key: honest_key }, business())
    }
}

/// An order asks for two effects, an invoice for one.
pub const MONEY: Money<Books> = Money {
    asked: |fact| Some(("EUR".to_owned(), fact.amount * if fact.topic == ORDERS { 2 } else { 1 })),
    moved: |post| Some(("EUR".to_owned(), post.amount)),
};
