//! A process that decides about refusals: each order asks for two effects; where the second is refused, the first is taken back by a
//! timer, as often as it takes.

use super::{
    super::{Case, SimEvent},
    fact::{Account, Fact, ORDERS, event, notice},
};
use consumer::{Context, Decision, Documents, Effect, Handler, Input, Origin, TimerChange};
use failure::Failure;
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct Process;

/// After everything else, so that it depends on no schedule what came before it.
const DUE_MS: i64 = 1_751_000_000_000;
/// Attempts until what is taken back is taken back.
const ATTEMPTS: i64 = 3;

/// An effect whose receipt and whose refusal the process wants to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub key: String,
    pub account: String,
}

impl Effect for Ask {
    fn key(&self) -> String {
        self.key.clone()
    }
    fn entity(&self) -> String {
        self.account.clone()
    }
    fn reports(&self) -> bool {
        true
    }
    fn answers(&self) -> bool {
        true
    }
}

fn text<'a>(payload: &'a Value, name: &str) -> &'a str {
    payload[name].as_str().unwrap_or_default()
}

fn undo(account: &str, subject: &str, attempt: i64) -> TimerChange {
    let payload = serde_json::json!({ "account": account, "subject": subject, "attempt": attempt });
    TimerChange::Set { id: format!("undo-{subject}"), due_ms: DUE_MS + attempt * 1_000, payload }
}

fn account_of<'a>(of: &'a Origin<'_, Fact>) -> &'a str {
    match of {
        Origin::Event(fact) => &fact.account,
        Origin::Timer { payload, .. } => text(payload, "account"),
    }
}

impl Handler for Process {
    type Event = Fact;
    type Document = Account;
    type Effect = Ask;

    fn name(&self) -> &'static str {
        "process"
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["told.v1"]
    }
    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        let account = match input {
            Input::Event(fact) => &fact.account,
            Input::Timer { payload, .. } => text(payload, "account"),
            Input::Outcome { of, .. } | Input::Refused { of, .. } => account_of(of),
        };
        vec![DocumentKey::new("account", account)]
    }
    fn decide(
        &self,
        documents: &Documents<'_, Account>,
        input: &Input<'_, Self>,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        let known = |name: &str| {
            let account = documents.get("account", name).cloned();
            account.unwrap_or_else(|| Account { account: name.to_owned(), ..Account::default() })
        };
        match input {
            Input::Event(fact) => {
                let mut account = known(&fact.account);
                account.orders += 1;
                let ask = |what: &str| Ask { key: format!("{}:{what}", fact.subject), account: fact.account.clone() };
                let decision = Decision::new().effect(ask("hold")).effect(ask("book"));
                Ok(decision.publish(notice("told.v1", &fact.account, &fact.subject)).put(
                    "account",
                    &fact.account,
                    account,
                ))
            }
            Input::Timer { payload, .. } => {
                let (name, subject) = (text(payload, "account"), text(payload, "subject"));
                let key = format!("{subject}:release-{}", payload["attempt"]);
                // Not staged: whoever decides about the outcome has to read the account by itself.
                Ok(Decision::new().effect(Ask { key, account: name.to_owned() }))
            }
            Input::Outcome { of, receipts } => {
                let mut account = known(account_of(of));
                account.receipts += receipts.len();
                account.reminded |= matches!(of, Origin::Timer { .. });
                let name = account.account.clone();
                Ok(Decision::new().put("account", name, account))
            }
            Input::Refused { of, effect, failure, receipts } => {
                let mut account = known(account_of(of));
                account.invoiced += 1;
                account.receipts += receipts.len();
                let (subject, attempt) = match of {
                    Origin::Event(fact) => (&*fact.subject, 1),
                    Origin::Timer { payload, .. } => {
                        (text(payload, "subject"), payload["attempt"].as_i64().unwrap_or(0) + 1)
                    }
                };
                let told = notice("told.v1", &account.account, &format!("{} {}", effect.key, failure.code));
                let decision = Decision::new().publish(told).timer(undo(&account.account, subject, attempt));
                let name = account.account.clone();
                Ok(decision.put("account", name, account))
            }
        }
    }
}

/// Twelve accounts with three orders each, more than memory holds. The booking of every third order is refused, and taking back what was
/// held for it succeeds with the last attempt only.
#[must_use]
pub fn orders() -> Case<Process> {
    let order = |n: usize, round: usize| event(ORDERS, n, format!("order-{round}-{n}"), format!("o{round}-{n}"), 1);
    let events: Vec<SimEvent<Fact>> = (0..3).flat_map(|round| (0..12).map(move |n| order(n, round))).collect();
    let rule = |ask: &Ask| {
        let last = format!("release-{ATTEMPTS}");
        let is_refused = ask.key.starts_with("order-1") && ask.key.ends_with("book")
            || ask.key.contains("release") && !ask.key.ends_with(&last);
        is_refused.then(|| match ask.key.ends_with("book") {
            true => Failure::business("CREDIT_HOLD", "credit", "on hold"),
            false => Failure::contract("FIELD_INVALID", "not now"),
        })
    };
    Case { rule, ..Case::new(Process, events) }
}
