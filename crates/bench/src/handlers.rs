//! The services that are measured: nothing, a document of each account, one slow call for each record.

use crate::{record::Measured, usage::Moment};
use async_trait::async_trait;
use consumer::{
    Context, Decision, Document, Documents, Effect, Handler, Input, Intent, Limits, NoEffect, Receipt, Target,
};
use failure::Failure;
use ledger::DocumentKey;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub const SERVICE: &str = "bench";

/// When the first record was decided: before that a service starts, which is not what is measured.
pub type FirstDecision = Arc<OnceLock<Moment>>;

/// What the service remembers of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    account_id: String,
    events: u64,
    last_event: String,
}

impl Document for Tally {
    fn status(&self) -> &str {
        "open"
    }

    fn account_id(&self) -> &str {
        &self.account_id
    }
}

/// Takes notice of each record, and of nothing else unless `documents`.
pub struct Noop {
    pub first: FirstDecision,
    pub documents: bool,
}

impl Handler for Noop {
    type Event = Measured;
    type Document = Tally;
    type Effect = NoEffect;

    fn name(&self) -> &'static str {
        SERVICE
    }

    fn reads(&self, input: &Input<'_, Self>) -> Vec<DocumentKey> {
        match input {
            Input::Event(event) if self.documents => {
                vec![DocumentKey::new("tally", events::EventSet::account_id(*event))]
            }
            _ => Vec::new(),
        }
    }

    fn decide(
        &self,
        documents: &Documents<'_, Tally>,
        _: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        self.first.get_or_init(Moment::now);
        if !self.documents {
            return Ok(Decision::new());
        }
        let known = documents.get("tally", context.key);
        let tally = Tally {
            account_id: context.key.to_owned(),
            events: known.map_or(0, |tally| tally.events) + 1,
            last_event: context.envelope.map(|envelope| envelope.id.clone()).unwrap_or_default(),
        };
        Ok(Decision::new().put("tally", context.key, tally))
    }
}

/// One call, for one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Touch {
    event: String,
    account: String,
}

impl Effect for Touch {
    fn key(&self) -> String {
        format!("touch:{}", self.event)
    }

    fn entity(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// Wants one call for each record.
pub struct Caller {
    pub first: FirstDecision,
}

impl Handler for Caller {
    type Event = Measured;
    type Document = Tally;
    type Effect = Touch;

    fn name(&self) -> &'static str {
        SERVICE
    }

    fn reads(&self, _: &Input<'_, Self>) -> Vec<DocumentKey> {
        Vec::new()
    }

    fn decide(
        &self,
        _: &Documents<'_, Tally>,
        _: &Input<'_, Self>,
        context: &Context<'_>,
    ) -> Result<Decision<Self>, Failure> {
        self.first.get_or_init(Moment::now);
        let event = context.envelope.map(|envelope| envelope.id.clone()).unwrap_or_default();
        Ok(Decision::new().effect(Touch { event, account: context.key.to_owned() }))
    }
}

/// An outside system that answers every call after the same time, and notes each account's calls.
pub struct Sleeper {
    pub work: Duration,
    pub concurrency: usize,
    pub calls: Arc<Calls>,
}

/// What reached the outside system.
#[derive(Debug, Default)]
pub struct Calls {
    pub all: AtomicU64,
    /// Newest event of each account. Ids rise, so an older one after a newer one is broken order.
    newest: std::sync::Mutex<BTreeMap<String, String>>,
    pub out_of_order: AtomicU64,
}

impl Calls {
    fn note(&self, touch: &Touch) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let mut newest = self.newest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = newest.entry(touch.account.clone()).or_default();
        if *last >= touch.event {
            self.out_of_order.fetch_add(1, Ordering::Relaxed);
        }
        last.clone_from(&touch.event);
    }
}

#[async_trait]
impl Target<Touch> for Sleeper {
    async fn apply(&self, intents: &[Intent<Touch>]) -> Vec<Result<Receipt, Failure>> {
        tokio::time::sleep(self.work).await;
        let done = |intent: &Intent<Touch>| {
            self.calls.note(&intent.effect);
            Ok(Receipt { external_id: intent.event_id.clone(), details: BTreeMap::new() })
        };
        intents.iter().map(done).collect()
    }

    async fn look_up(&self, _: &Intent<Touch>) -> Result<Option<Receipt>, Failure> {
        Ok(None)
    }

    fn limits(&self) -> Limits {
        Limits { batch: 1, concurrency: self.concurrency, per_second: None, visibility_ms: 0 }
    }
}
