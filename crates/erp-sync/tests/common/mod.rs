//! The service without its runtime: each event is decided, its effects are made in a NetSuite stand-in one after another, and what
//! was decided takes hold. So plans, connector and the vendor's rules are proved to agree.

#![allow(dead_code, reason = "each test file uses a part of it")]

use connectors::netsuite::{Bounds, CertificateId, Credentials, NetSuite, Options};
use consumer::{Context, Decision, Documents, Effect as _, Handler as _, Input, Intent, Receipt, Target as _};
use erp_sync::{ErpSync, ErpTarget, Mapping, document::ErpDocument};
use events::{Envelope, Event, EventSet as _};
use failure::Failure;
use ledger::DocumentKey;
use sandbox::{Sandbox, Settings};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub fn mapping() -> Mapping {
    Mapping::parse(include_str!("../../../../deploy/policies/erp-mapping.yaml")).expect("the mapping in the repository")
}

pub struct Service {
    pub sandbox: Sandbox,
    pub documents: BTreeMap<DocumentKey, Arc<ErpDocument>>,
    handler: ErpSync,
    target: ErpTarget,
    _folder: tempfile::TempDir,
}

impl Service {
    pub async fn start() -> Self {
        let settings = Settings { concurrency_limit: 100, ..Settings::default() };
        let config = sandbox::Config { settings, ..sandbox::Config::default() };
        let sandbox = sandbox::start(config).await.expect("a stand-in on a free port");
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
            external_id_prefix: "tl-".into(),
            concurrency: 8,
            bounds: Bounds::default(),
            allow_plain_http: false,
        })
        .expect("good options");
        Self {
            sandbox,
            documents: BTreeMap::new(),
            handler: ErpSync::new(mapping()),
            target: ErpTarget::new(Arc::new(netsuite), Duration::ZERO),
            _folder: folder,
        }
    }

    /// Whether the event had an effect; an error is the verdict on it, and nothing of it took hold.
    pub async fn take(&mut self, envelope: &Envelope, event: &Event) -> Result<bool, Failure> {
        event.check()?;
        let context =
            Context { now_ms: envelope.time_ms, envelope: Some(envelope), key: event.account_id(), refusals: 0 };
        let decision = self.handler.decide(&Documents::new(&self.documents), &Input::Event(event), &context)?;
        let mut receipts = BTreeMap::new();
        for effect in &decision.effects {
            let receipt = self.apply(envelope, effect.clone()).await?;
            receipts.insert(effect.key(), receipt);
        }
        let had_effect = !receipts.is_empty();
        self.keep(decision);
        let outcome = Input::Outcome { of: Some(event), receipts: &receipts };
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

    fn keep(&mut self, decision: Decision<ErpSync>) {
        for change in decision.documents {
            match change.document {
                Some(document) => self.documents.insert(change.key, Arc::new(document)),
                None => self.documents.remove(&change.key),
            };
        }
    }

    pub async fn admin(&self, path: &str) -> serde_json::Value {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
        serde_json::from_str(&text).expect("JSON")
    }
}
