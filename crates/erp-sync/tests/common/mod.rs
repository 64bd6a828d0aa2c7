//! The service without its runtime: each event is decided, its effects are made in a NetSuite stand-in one after another, and what
//! was decided takes hold. So plans, connector and the vendor's rules are proved to agree.

#![allow(dead_code, reason = "each test file uses a part of it")]

use connectors::netsuite::{Bounds, CertificateId, Credentials, NetSuite, Options};
use consumer::{
    Context, Decision, Documents, Effect as _, Handler as _, Input, Intent, Origin, Receipt, Target as _, TimerChange,
};
use erp_sync::{ErpSync, ErpTarget, Mapping, document::ErpDocument};
use events::{Envelope, Event, EventSet as _};
use failure::Failure;
use ledger::DocumentKey;
use sandbox::{Sandbox, Settings};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The mapping in the repository.
pub const MAPPING: &str = include_str!("../../../../deploy/policies/erp-mapping.yaml");

pub fn mapping() -> Mapping {
    Mapping::parse(MAPPING).expect("the mapping in the repository")
}

pub struct Service {
    pub sandbox: Arc<Sandbox>,
    pub documents: BTreeMap<DocumentKey, Arc<ErpDocument>>,
    timers: BTreeMap<String, serde_json::Value>,
    handler: ErpSync,
    target: ErpTarget,
    _folder: tempfile::TempDir,
}

impl Service {
    pub async fn start() -> Self {
        Self::with_mapping(MAPPING).await
    }

    /// `text`: the mapping file.
    pub async fn with_mapping(text: &str) -> Self {
        let settings = Settings { concurrency_limit: 100, ..Settings::default() };
        let config = sandbox::Config { settings, ..sandbox::Config::default() };
        let sandbox = sandbox::start(config).await.expect("a stand-in on a free port");
        Self::on(Arc::new(sandbox), text, "tl-")
    }

    /// Another service on the same ERP account, with external ids of its own.
    pub fn beside(&self, external_id_prefix: &str) -> Self {
        Self::on(self.sandbox.clone(), MAPPING, external_id_prefix)
    }

    fn on(sandbox: Arc<Sandbox>, mapping: &str, external_id_prefix: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let private_key_file = sandbox.credentials().save(folder.path()).expect("credentials");
        let netsuite = NetSuite::try_new(Options {
            base_url: sandbox.url(),
            credentials: Credentials {
                client_id: sandbox.credentials().client_id.clone(),
                certificate_id: CertificateId::Fixed(sandbox.credentials().certificate_id.clone()),
                private_key_file,
                certificate_file: None,
            },
            external_id_prefix: external_id_prefix.into(),
            concurrency: 8,
            bounds: Bounds::default(),
            allow_plain_http: false,
        })
        .expect("good options");
        Self {
            sandbox,
            documents: BTreeMap::new(),
            timers: BTreeMap::new(),
            handler: ErpSync::new(Mapping::parse(mapping).expect("a good mapping")),
            target: ErpTarget::new(Arc::new(netsuite), Duration::ZERO),
            _folder: folder,
        }
    }

    /// Whether the event had an effect; an error is the verdict on it, and nothing of it took hold.
    pub async fn take(&mut self, envelope: &Envelope, event: &Event) -> Result<bool, Failure> {
        event.check()?;
        let context = Context {
            now_ms: envelope.time_ms,
            record_ms: envelope.time_ms,
            envelope: Some(envelope),
            key: event.account_id(),
            refusals: 0,
        };
        let event = &event.clone().into();
        let decision = self.handler.decide(&Documents::new(&self.documents), &Input::Event(event), &context)?;
        let mut receipts = BTreeMap::new();
        for effect in &decision.effects {
            let receipt = self.apply(envelope, effect.clone()).await?;
            receipts.insert(effect.key(), receipt);
        }
        let had_effect = !receipts.is_empty();
        self.keep(decision);
        let outcome = Input::Outcome { of: Origin::Event(event), receipts: &receipts };
        let noted = self.handler.decide(&Documents::new(&self.documents), &outcome, &context)?;
        self.keep(noted);
        Ok(had_effect)
    }

    async fn apply(&self, envelope: &Envelope, effect: erp_sync::effect::ErpEffect) -> Result<Receipt, Failure> {
        let intent = Intent {
            effect,
            attempts: 0,
            traceparent: None,
            event_id: envelope.id.clone(),
            correlation_id: envelope.correlation_id.clone(),
        };
        self.target.apply(std::slice::from_ref(&intent)).await.pop().expect("one answer an intent")
    }

    /// Effects in one call, as the runtime sends those that wait.
    pub async fn apply_together(&self, effects: Vec<erp_sync::effect::ErpEffect>) -> Vec<Result<Receipt, Failure>> {
        let intent = |(n, effect)| Intent {
            effect,
            attempts: 0,
            traceparent: None,
            event_id: format!("E-{n}"),
            correlation_id: None,
        };
        let intents: Vec<_> = effects.into_iter().enumerate().map(intent).collect();
        self.target.apply(&intents).await
    }

    /// How many calls of one kind the runtime may put together.
    pub fn batch(&self) -> usize {
        self.target.limits().batch
    }

    /// Every timer that is set is due, as of this time.
    pub async fn due(&mut self, now_ms: i64) {
        for (id, payload) in std::mem::take(&mut self.timers) {
            let context = Context { now_ms, record_ms: now_ms, envelope: None, key: "", refusals: 0 };
            let input = Input::Timer { id: &id, payload: &payload };
            let decision = self.handler.decide(&Documents::new(&self.documents), &input, &context).expect("a plan");
            for answer in self.apply_together(decision.effects.clone()).await {
                answer.expect("done");
            }
            self.keep(decision);
        }
    }

    fn keep(&mut self, decision: Decision<ErpSync>) {
        for timer in decision.timers {
            match timer {
                TimerChange::Set { id, payload, .. } => self.timers.insert(id, payload),
                TimerChange::Clear { id } => self.timers.remove(&id),
            };
        }
        for change in decision.documents {
            match change.document {
                Some(document) => self.documents.insert(change.key, Arc::new(document)),
                None => self.documents.remove(&change.key),
            };
        }
    }

    pub async fn post_admin(&self, path: &str, body: serde_json::Value) {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    pub async fn admin(&self, path: &str) -> serde_json::Value {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
        serde_json::from_str(&text).expect("JSON")
    }
}
