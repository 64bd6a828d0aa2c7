//! A service that sends only the newest state of an account.

use super::fact::{Account, Fact, Post};
use consumer::{Context, Decision, Documents, Handler, Input};
use failure::Failure;
use ledger::DocumentKey;

/// Only the newest state of an account is sent.
pub struct Latest;

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
        account.versions += 1;
        let key = format!("{}:{}", fact.account, account.versions);
        let post = Post { key, entity: fact.account.clone(), amount: account.versions, coalesces: true };
        Ok(Decision::new().put("account", &fact.account, account).effect(post))
    }
}
