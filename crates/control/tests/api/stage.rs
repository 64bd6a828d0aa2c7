//! What every test of the API needs: control on ledgers in a folder, an in-process broker, tokens of every role.
#![allow(dead_code, reason = "each test binary uses its part")]

use bytes::Bytes;
use control::{
    App, OWN, Policy,
    auth::{Authenticator, TokenFile},
    rights::Role,
};
use events::{Headers, PayloadHash, Uid};
use failure::Failure;
use kafka::{ClientConfig, Registry, RegistryConfig, mock::MockBroker};
use ledger::{
    Entry, Ledger, ParkedChange, ParkedFate, ParkedRecord, ParkedSequence, ParkedState, SequenceChange, SliceCommit,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

pub const NOW_MS: i64 = 1_800_000_000_000;
pub const SERVICE: &str = "erp-sync";

pub struct Stage {
    pub server: control::Server,
    pub ledger: Arc<dyn Ledger>,
    pub folder: tempfile::TempDir,
    pub broker: MockBroker,
    pub clock: Arc<AtomicI64>,
    http: reqwest::Client,
}

/// How a request ended.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("-")
    }
}

/// The token of a role; `second` is another administrator.
pub fn token(name: &str) -> String {
    format!("token-of-{name}-0123456789")
}

impl Stage {
    pub async fn set_up() -> Self {
        Self::with(Policy { edit_needs_second: true, second_above: 100 }, None).await
    }

    pub async fn with(policy: Policy, registry: Option<&str>) -> Self {
        service::install_tls();
        let folder = tempfile::tempdir().unwrap();
        let broker = MockBroker::start().unwrap();
        let ledger = ledger::open(&config(&folder, SERVICE)).await.unwrap();
        ledger.take_over(0, "test").await.unwrap();
        let auth = Authenticator { local: Some(tokens(&folder)), oidc: None };
        // Where nothing listens: bodies cannot be read, which most tests do not need.
        let registry = Registry::connect(RegistryConfig::new(registry.unwrap_or("http://127.0.0.1:9"))).unwrap();
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let ticking = clock.clone();
        let kafka = ClientConfig { embedded: true, ..ClientConfig::new(broker.bootstrap()) };
        let names = [SERVICE, "analytics-feed", OWN];
        let ledgers: BTreeMap<_, _> = names.map(|name| (name.to_owned(), config(&folder, name))).into_iter().collect();
        let app = App::new(auth, kafka, registry, ledgers, policy, Arc::new(move || ticking.load(Ordering::SeqCst)));
        let server = control::serve(([127, 0, 0, 1], 0).into(), Arc::new(app)).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { server, ledger, folder, broker, clock, http }
    }

    pub fn path_of(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.db"))
    }

    pub async fn own(&self) -> Arc<dyn Ledger> {
        ledger::open(&config(&self.folder, OWN)).await.unwrap()
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.server.url())).bearer_auth(token(who))).await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.send(self.http.post(format!("{}{path}", self.server.url())).bearer_auth(token(who)).json(&body)).await
    }

    pub async fn raw(&self, path: &str, authorization: Option<&str>, body: Option<Vec<u8>>) -> Answer {
        let url = format!("{}{path}", self.server.url());
        let mut request = match body {
            Some(body) => self.http.post(url).body(body),
            None => self.http.get(url),
        };
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        Answer { status, body: answer.json().await.unwrap_or(Value::Null) }
    }

    /// Parks heads with a failure each, in sequences of their own: `(sequence, failure)`.
    pub async fn park(&self, heads: &[(&str, Failure)]) {
        let status = self.ledger.slices().await.unwrap().remove(0);
        let mut commit = SliceCommit {
            slice: 0,
            epoch: status.epoch,
            entry: status.next_entry,
            at_ms: NOW_MS,
            body: Entry::default(),
            ..SliceCommit::default()
        };
        for (sequence, failure) in heads {
            commit.sequences.push(SequenceChange::Put(sequence_of(sequence, failure)));
            commit.parked.push(ParkedChange::Insert(parked(sequence, failure)));
        }
        self.ledger.commit(&[commit]).await.unwrap();
    }
}

fn sequence_of(sequence: &str, failure: &Failure) -> ParkedSequence {
    ParkedSequence {
        slice: 0,
        sequence: sequence.to_owned(),
        class: failure.class,
        code: failure.code.to_string(),
        reason: failure.reason.clone(),
        owner: failure.owner.clone(),
        field: None,
        awaits: None,
        attempts: 1,
        next_attempt_ms: None,
        since_ms: NOW_MS,
        head_no: 1,
        tail_no: 2,
        depth: 1,
    }
}

fn parked(sequence: &str, failure: &Failure) -> ParkedRecord {
    let mut headers = Headers::default();
    headers.push("ce_id", format!("e-{sequence}"));
    headers.push("ce_source", "urn:test");
    ParkedRecord {
        slice: 0,
        sequence: sequence.to_owned(),
        no: 1,
        topic: "payment.failed.v1".to_owned(),
        partition: 0,
        offset: 7,
        timestamp_ms: NOW_MS,
        key: Some(Bytes::copy_from_slice(sequence.as_bytes())),
        value: Some(Bytes::from_static(b"not Avro")),
        headers,
        uid: Some(Uid::derive("urn:test", sequence)),
        hash: PayloadHash(1),
        parked_ms: NOW_MS - 60_000,
        fate: ParkedFate {
            state: ParkedState::Waiting,
            failure: Some(failure.clone()),
            attempts: 1,
            refusals: 1,
            receipts: BTreeMap::new(),
            unknown: Vec::new(),
            changed_ms: NOW_MS - 60_000,
            version: 1,
            fingerprint: Some(failure::fingerprint(SERVICE, failure)),
            edit: None,
        },
    }
}

fn config(folder: &tempfile::TempDir, service: &str) -> ledger::Config {
    let path = folder.path().join(format!("{service}.db"));
    ledger::Config::new(format!("sqlite://{}", path.display()), service.replace('-', "_"))
}

fn tokens(folder: &tempfile::TempDir) -> TokenFile {
    let path = folder.path().join("tokens");
    let line = |name: &str, grant: &str| format!("{} {name} {grant}\n", token(name));
    let mut text: String = Role::ALL.iter().map(|role| line(role.as_str(), role.as_str())).collect();
    text.push_str(&line("second", "admin"));
    text.push_str(&line("elsewhere", "admin:analytics-feed"));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    TokenFile::read(&path).unwrap()
}

/// Two causes that letters of tests have.
pub fn closed() -> Failure {
    Failure::business("PERIOD_CLOSED", "finance", "period `2026-01` is closed")
}

pub fn poison() -> Failure {
    Failure::poison("BYTES_NOT_AVRO", "the value starts with byte 0x6e")
}

/// A letter's id.
pub fn id(sequence: &str) -> String {
    format!("{SERVICE}/0/{sequence}/1")
}

/// The same in a path.
pub fn path_id(sequence: &str) -> String {
    id(sequence).replace('/', "%2F")
}

pub fn reason() -> Value {
    json!({ "reason": "test" })
}
