//! A pure Kafka-to-Kafka service.

use super::{
    super::SimEvent,
    fact::{Account, Fact, INVOICES, ORDERS, event, notice},
};
use consumer::{Context, Decision, Documents, Handler, Input, NoEffect};
use failure::Failure;
use ledger::DocumentKey;

/// A pure Kafka-to-Kafka service.
pub struct Mirror;

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
            Input::Timer { .. } | Input::Outcome { .. } | Input::Refused { .. } => Vec::new(),
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

/// Four hundred events whose ids carry a time, as most publishers' do: more than may be in memory at once.
#[must_use]
pub fn stream() -> Vec<SimEvent<Fact>> {
    let id = |n: u64| {
        let random = [n.to_be_bytes().as_slice(), &[7, 7]].concat();
        let random = std::array::from_fn(|at| random[at]);
        uuid::Builder::from_unix_timestamp_millis(1_750_000_000_000 + n * 10, &random).into_uuid().to_string()
    };
    let facts = (0..400u64).map(|n| {
        let topic = if n % 3 == 0 { ORDERS } else { INVOICES };
        let amount = i64::try_from(n).unwrap_or(0);
        event(topic, usize::try_from(n % 7).unwrap_or(0), format!("s{n}"), id(n), amount)
    });
    facts.collect()
}
