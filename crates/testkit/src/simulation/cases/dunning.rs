//! A service of timers: whoever does not pay is reminded three times, with an effect each; a payment ends it.

use super::{
    super::SimEvent,
    fact::{Account, Fact, INVOICES, ORDERS, Post, event, notice},
};
use consumer::{Context, Decision, Documents, Handler, Input, TimerChange};
use failure::Failure;
use ledger::DocumentKey;

pub struct Dunning;

/// After everything else, so that it depends on no schedule whether a payment came before it.
const DUE_MS: i64 = 1_751_000_000_000;
const ROUNDS: i64 = 3;

fn timer(account: &str) -> String {
    format!("dun-{account}")
}

fn remind(account: &str, round: i64) -> TimerChange {
    let payload = serde_json::json!({ "account": account, "round": round });
    TimerChange::Set { id: timer(account), due_ms: DUE_MS + round * 1_000, payload }
}

fn account_of(payload: &serde_json::Value) -> &str {
    payload["account"].as_str().unwrap_or_default()
}

impl Handler for Dunning {
    type Event = Fact;
    type Document = Account;
    type Effect = Post;

    fn name(&self) -> &'static str {
        "dunning"
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["reminded.v1"]
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        let account = match input {
            Input::Event(fact) => &fact.account,
            Input::Timer { payload, .. } => account_of(payload),
            Input::Outcome { .. } | Input::Refused { .. } => return Vec::new(),
        };
        vec![DocumentKey::new("account", account)]
    }
    fn decide(
        &self,
        documents: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        match input {
            Input::Event(fact) => {
                let mut account = documents.get("account", &fact.account).cloned().unwrap_or_default();
                account.account.clone_from(&fact.account);
                account.invoiced += fact.amount;
                // Topics may be read out of step: a payment may come before its debt.
                account.ordered |= fact.topic == INVOICES;
                let timer = if !account.ordered {
                    remind(&fact.account, 1)
                } else {
                    TimerChange::Clear { id: timer(&fact.account) }
                };
                Ok(Decision::new().put("account", &fact.account, account).timer(timer))
            }
            Input::Timer { payload, .. } => {
                let (name, round) = (account_of(payload), payload["round"].as_i64().unwrap_or(0));
                let mut account = documents.get("account", name).cloned().unwrap_or_default();
                account.reminded = true;
                account.versions += 1;
                let key = format!("reminder-{name}-{round}");
                let post = Post { key: key.clone(), entity: name.to_owned(), amount: 0, coalesces: true };
                let decision = Decision::new().effect(post).publish(notice("reminded.v1", name, &key));
                let decision = if round < ROUNDS { decision.timer(remind(name, round + 1)) } else { decision };
                Ok(decision.put("account", name, account))
            }
            Input::Outcome { .. } | Input::Refused { .. } => Ok(Decision::skip("receipts are not looked at")),
        }
    }
}

/// Eight accounts that owe something; those with an even number pay.
#[must_use]
pub fn debts() -> Vec<SimEvent<Fact>> {
    let debts = (0..8).map(|n| event(ORDERS, n, format!("debt-{n}"), format!("d{n}"), 100));
    let pays =
        (0..8).filter(|n| n % 2 == 0).map(|n| event(INVOICES, n, format!("debt-{n}-paid"), format!("p{n}"), -100));
    debts.chain(pays).collect()
}
