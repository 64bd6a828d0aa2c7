//! Every handler under events that are sound in form and wrong in what they say: it never panics, keeps the invariants that the history
//! checker knows, and money moves as the events ask or waits.

use crate::Target;
use analytics_feed::{AnalyticsFeed, Pseudonyms, Writer};
use connectors::Reference;
use consumer::Handler;
use crm_sync::CrmSync;
use erp_sync::{ErpSync, effect::ErpEffect, event::ErpEvent, mapping::Mapping, reply::Replies};
use events::{Deal, Event, EventSet};
use failure::Class;
use order_flow::OrderFlow;
use provisioning::{Policy, Provisioning};
use rand::{Rng, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};
use testkit::{
    business::{Faults, Item, Options, covering},
    deals,
    simulation::{Amount, Case, Money, Options as Weather, SimEvent, World},
};

type Asks = fn(&[u8]) -> Result<String, String>;

pub struct Decide {
    name: &'static str,
    asks: Asks,
}

impl Decide {
    pub const fn erp_sync() -> Self {
        Self { name: "decide-erp-sync", asks: erp }
    }
    pub const fn crm_sync() -> Self {
        Self { name: "decide-crm-sync", asks: crm }
    }
    pub const fn provisioning() -> Self {
        Self { name: "decide-provisioning", asks: access }
    }
    pub const fn order_flow() -> Self {
        Self { name: "decide-order-flow", asks: flow }
    }
    pub const fn analytics_feed() -> Self {
        Self { name: "decide-analytics-feed", asks: feed }
    }
}

impl Target for Decide {
    fn name(&self) -> &'static str {
        self.name
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        (0..4_u8).map(|seed| vec![seed; 8]).collect()
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        (self.asks)(input)
    }
}

fn chance(input: &[u8]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    seed.iter_mut().zip(input).for_each(|(into, byte)| *into = *byte);
    ChaCha8Rng::from_seed(seed)
}

/// The bytes choose a business, how it is disturbed, and which of its events say something else than they did.
fn events<E: From<Event>>(input: &[u8]) -> Vec<SimEvent<E>> {
    let mut rng = chance(input);
    let faults = Faults {
        cross_topic_disorder: rng.random_range(0.0..0.3),
        business_errors: rng.random_range(0.0..0.2),
        conflicts: rng.random_range(0.0..0.2),
        ..Faults::NONE
    };
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed: rng.random(), accounts: 40, months: 3, start, max_events: None, faults };
    let share = rng.random_range(0.0..0.3);
    let business = covering(&options).unwrap_or_default().into_iter();
    let events = business.filter_map(|generated| match generated.item {
        Item::Raw { .. } => None,
        Item::Event { envelope, event } => {
            let event = if rng.random_bool(share) { twisted(&mut rng, &event) } else { Ok(event) };
            Some(SimEvent { topic: generated.topic, key: generated.key, envelope, event: event.map(E::from) })
        }
    });
    events.collect()
}

/// The event with one to three of its values changed, as a decoder and the contract would take or refuse it.
fn twisted(rng: &mut impl Rng, event: &Event) -> Result<Event, failure::Failure> {
    again(rng, event, event.topic(), event.to_json())
}

fn twisted_deal(rng: &mut impl Rng, deal: &Deal) -> Result<Deal, failure::Failure> {
    again(rng, deal, deal.topic(), deal.to_json())
}

fn again<E: EventSet>(rng: &mut impl Rng, event: &E, topic: &str, mut data: Value) -> Result<E, failure::Failure> {
    let account = data["account_id"].clone();
    for _ in 0..rng.random_range(1..4) {
        twist(rng, &mut data);
    }
    // The key and the subject are checked before a handler sees the event.
    data["account_id"] = account;
    let twisted = E::decode_json(topic, &data)?;
    twisted.check()?;
    if twisted.subject() == event.subject() { Ok(twisted) } else { Ok(event.clone()) }
}

fn twist(rng: &mut impl Rng, value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let at = rng.random_range(0..fields.len());
            if let Some(field) = fields.values_mut().nth(at) {
                twist(rng, field);
            }
        }
        Value::Array(items) if !items.is_empty() && rng.random_bool(0.8) => {
            let at = rng.random_range(0..items.len());
            twist(rng, &mut items[at]);
        }
        Value::Array(items) => {
            let copy = items.first().cloned();
            items.extend(copy);
        }
        Value::Number(number) => {
            let was = number.as_i64().unwrap_or(0);
            let edges = [0, 1, -1, was.saturating_add(1), was.saturating_neg(), i64::MAX, i64::MIN, 1 << 40];
            *value = json!(edges.choose(rng));
        }
        Value::String(text) => {
            let texts = [
                "",
                " ",
                "USD",
                "JPY",
                "XXX",
                "2026-12-31",
                "1970-01-01",
                "9999-12-31",
                "0",
                "-1",
                "null",
                "\u{202e}x",
            ];
            *text = texts.choose(rng).copied().unwrap_or_default().to_owned();
        }
        Value::Bool(flag) => *flag = !*flag,
        Value::Null | Value::Object(_) => {}
    }
}

fn judged<H: Handler>(case: &Case<H>) -> Result<String, String> {
    // Nobody knows whether what a twisted event waits for ever comes.
    let weather = Weather { impatient: true, ..Weather::calm() };
    let (observed, _) = World::new(case, weather, 0).run()?;
    if let Some(bug) = observed.cases.iter().find(|sequence| sequence.class == Class::Bug) {
        return Err(format!("a bug parks {}: {} {}", bug.sequence, bug.code, bug.reason));
    }
    let mut codes: Vec<&str> = observed.cases.iter().map(|sequence| sequence.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    Ok(codes.join(" "))
}

fn asked(event: &ErpEvent) -> Option<Amount> {
    match event {
        ErpEvent::Business(Event::InvoicePosted(invoice)) => {
            Some((invoice.currency.to_string(), invoice.totals.tax_exclusive_minor))
        }
        _ => None,
    }
}

fn moved(effect: &ErpEffect) -> Option<Amount> {
    match effect {
        ErpEffect::PostInvoice { invoice, .. } => {
            let lines = invoice.lines.iter().map(|line| line.amount_minor).sum();
            let (Reference::Id(currency) | Reference::ExternalId(currency)) = &invoice.header.currency.reference;
            Some((currency.clone(), lines))
        }
        _ => None,
    }
}

fn erp(input: &[u8]) -> Result<String, String> {
    let mapping = include_str!("../../../../deploy/policies/erp-mapping.yaml");
    let mapping = Mapping::parse(mapping).map_err(|problems| problems.to_string())?;
    let handler = ErpSync::replying(mapping, Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()));
    judged(&Case { money: Some(Money { asked, moved }), ..Case::new(handler, events(input)) })
}

fn crm(input: &[u8]) -> Result<String, String> {
    judged(&Case { coalesces: true, ..Case::new(CrmSync, events(input)) })
}

fn access(input: &[u8]) -> Result<String, String> {
    let policy = Policy::parse(include_str!("../../../../deploy/policies/provisioning.yaml"))
        .map_err(|problems| problems.to_string())?;
    let replies = provisioning::reply::Replies::TOPICS.into_iter().zip(1..).collect();
    let handler = Provisioning::new(policy, provisioning::reply::Replies::new(replies), true);
    judged(&Case::new(handler, events(input)))
}

/// Deals of some accounts, some of which nobody can carry out, in the order in which the CRM might tell them.
fn flow(input: &[u8]) -> Result<String, String> {
    let mut rng = chance(input);
    let mut events = Vec::new();
    for number in 0..rng.random_range(4..30) {
        let (account, id) = (format!("A-{}", rng.random_range(0..6)), format!("O-{number}"));
        let deal = match rng.random_range(0..5) {
            0 => Deal::from(deals::shared(&account, &id)),
            1 => Deal::from(deals::with_services(&account, &id)),
            2 => Deal::from(deals::without_nexus(&account, &id)),
            3 => Deal::from(deals::hold(&account, number, rng.random_bool(0.5))),
            _ => Deal::from(deals::deal(&account, &id)),
        };
        let (topic, envelope) = (deal.topic(), deals::envelope(&deal));
        let deal = if rng.random_bool(0.4) { twisted_deal(&mut rng, &deal) } else { Ok(deal) };
        events.push(SimEvent { topic, key: account, envelope, event: deal.map(order_flow::event::FlowEvent::from) });
    }
    judged(&Case::new(OrderFlow::new(policies(), writer()), events))
}

/// Read once: it is not the policies that are fuzzed.
fn policies() -> Arc<rules::Store> {
    static STORE: LazyLock<Arc<rules::Store>> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policies");
        Arc::new(rules::Store::open(&folder).unwrap_or_else(|problems| panic!("{problems}")))
    });
    Arc::clone(&STORE)
}

fn writer() -> order_flow::Writer {
    order_flow::Writer::new(order_flow::Writer::TOPICS.into_iter().zip(1..).collect())
}

fn feed(input: &[u8]) -> Result<String, String> {
    let key = "0123456789abcdef0123456789abcdef".to_owned().into();
    let masks = Pseudonyms::try_new(&key, 1).map_err(|error| error.to_string())?;
    judged(&Case::new(AnalyticsFeed::new(masks, Writer::numbered()), events(input)))
}
