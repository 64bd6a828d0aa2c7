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
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, Registry, RegistryConfig, mock::MockBroker};
use ledger::{
    Disposition, Entry, EntryRecord, Ledger, ParkedChange, ParkedFate, ParkedRecord, ParkedSequence, ParkedState,
    Position, SequenceChange, SliceCommit,
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

    /// Parks rows as they are, each as the head of its sequence.
    pub async fn park_rows(&self, rows: Vec<ParkedRecord>) {
        let mut commit = self.commit().await;
        for row in rows {
            let failure = row.fate.failure.clone().unwrap();
            if row.fate.state.is_alive() {
                commit.sequences.push(SequenceChange::Put(sequence_of(&row.sequence, &failure)));
            }
            commit.parked.push(ParkedChange::Insert(row));
        }
        self.ledger.commit(&[commit]).await.unwrap();
    }

    /// What the service decided about records: `(topic, offset, uid, disposition)`, and how far it is now.
    pub async fn decide(&self, topic: &str, records: &[(i64, Option<Uid>, Disposition)], next_offset: i64) {
        let mut commit = self.commit().await;
        let record = |(offset, uid, disposition): &(i64, Option<Uid>, Disposition)| EntryRecord {
            topic: 0,
            offset: *offset,
            uid: *uid,
            hash: PayloadHash(1),
            disposition: *disposition,
        };
        let records = records.iter().map(record).collect();
        commit.body = Entry { topics: vec![topic.to_owned()], records, ..Entry::default() };
        commit.positions = vec![Position { topic: topic.to_owned(), topic_id: None, next_offset }];
        self.ledger.commit(&[commit]).await.unwrap();
    }

    async fn commit(&self) -> SliceCommit {
        let status = self.ledger.slices().await.unwrap().remove(0);
        SliceCommit {
            slice: 0,
            epoch: status.epoch,
            entry: status.next_entry,
            at_ms: NOW_MS,
            body: Entry::default(),
            ..SliceCommit::default()
        }
    }

    /// Puts records on a topic of one partition, which is made.
    pub async fn publish(&self, topic: &str, records: &[(&str, Option<Bytes>, Headers)]) {
        self.broker.create_topic(topic, 1).unwrap();
        let client = ClientConfig { embedded: true, ..ClientConfig::new(self.broker.bootstrap()) };
        let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() }).unwrap();
        for (key, value, headers) in records {
            let record = Outgoing {
                topic: topic.into(),
                partition: Some(0),
                key: Some(Bytes::copy_from_slice(key.as_bytes())),
                value: value.clone(),
                headers: headers.clone(),
                timestamp_ms: None,
            };
            producer.send(&record).await.unwrap();
        }
    }

    /// All records of a topic, in order of offsets where it has one partition.
    pub async fn records(&self, topic: &str) -> Vec<events::Record> {
        let client = ClientConfig { embedded: true, ..ClientConfig::new(self.broker.bootstrap()) };
        kafka::Drain::new(client, std::time::Duration::from_secs(20)).collect(topic).await.unwrap()
    }

    /// Parks heads with a failure each, in sequences of their own: `(sequence, failure)`.
    pub async fn park(&self, heads: &[(&str, Failure)]) {
        let mut commit = self.commit().await;
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

pub fn parked(sequence: &str, failure: &Failure) -> ParkedRecord {
    let mut headers = Headers::default();
    headers.push("ce_id", format!("e-{sequence}"));
    headers.push("ce_source", "urn:test");
    headers.push("ce_subject", format!("order-{sequence}"));
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
            fingerprint: Some(failure::fingerprint(SERVICE, TOPIC, failure)),
            edit: None,
            first: None,
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
    Failure::business("PERIOD_CLOSED", "finance", "period `2026-01` is closed").at_stage(failure::Stage::Send)
}

pub fn poison() -> Failure {
    Failure::poison("BYTES_NOT_AVRO", "the value starts with byte 0x6e").at_stage(failure::Stage::Read)
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

pub const TOPIC: &str = "payment.failed.v1";

/// An event of [`TOPIC`] as JSON, which needs no registry to be read.
pub fn event(account: &str) -> Value {
    json!({ "account_id": account, "entity_version": 1, "effective_at": "2026-01-01T00:00:00Z",
        "recorded_at": "2026-01-01T00:00:00Z", "legal_entity_id": "LE-1", "payment_id": "P-1", "attempt_no": 1,
        "invoice_id": "INV-1", "amount_minor": 1200, "currency": "EUR", "method": "card", "failure_code": "declined",
        "decline_code": null, "category": "hard", "message": null, "next_attempt_at": null, "dunning_step": null,
        "action_required_url": "https://pay.example/secret", "source_record": null })
}

/// Value and headers of that event.
pub fn written(account: &str, id: &str) -> (Bytes, Headers) {
    let mut headers = Headers::default();
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", "urn:test"),
        ("ce_type", "com.example.throughline.payment.failed.v1"),
        ("ce_time", "2026-01-01T00:00:00Z"),
        ("ce_subject", "P-1"),
        ("content-type", "application/json"),
    ] {
        headers.push(name, value.to_owned());
    }
    (event(account).to_string().into(), headers)
}

/// A letter that can be read.
pub fn readable(account: &str, state: ParkedState) -> ParkedRecord {
    let (value, headers) = written(account, &format!("e-{account}"));
    let row = parked(account, &closed());
    let (uid, fate) = (Some(Uid::derive("urn:test", &format!("e-{account}"))), ParkedFate { state, ..row.fate });
    ParkedRecord { value: Some(value), headers, uid, fate, ..row }
}

/// A registry that has nothing and takes everything.
pub async fn registry() -> String {
    use axum::{Json, Router, http::StatusCode, routing::get};
    let nothing = || async { (StatusCode::NOT_FOUND, Json(json!({ "error_code": 40401, "message": "not found" }))) };
    let router = Router::new()
        .route("/subjects/{subject}/versions/latest", get(nothing))
        .route("/subjects/{subject}/versions", axum::routing::post(|| async { Json(json!({ "id": 7 })) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
