//! Against a stub that answers as told.

use super::*;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Answers by path, counted; what has no answer of its own is 404 with code 40403.
#[derive(Clone, Default)]
struct Stub {
    answers: Arc<Mutex<HashMap<String, (u16, Value)>>>,
    calls: Arc<AtomicUsize>,
    delay: Arc<Mutex<Duration>>,
}

impl Stub {
    async fn start() -> (Self, Registry) {
        let stub = Self::default();
        let router = Router::new().fallback(answer).with_state(stub.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = RegistryConfig { timeout_ms: 500, ..RegistryConfig::new(url) };
        (stub, Registry::connect(config).expect("registry"))
    }

    fn answer(&self, path: &str, status: u16, body: Value) {
        self.answers.lock().expect("no panic").insert(path.to_owned(), (status, body));
    }

    fn schema(&self, path: &str, body: Value) {
        self.answer(path, 200, body);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer(State(stub): State<Stub>, uri: Uri) -> impl IntoResponse {
    stub.calls.fetch_add(1, Ordering::SeqCst);
    let delay = *stub.delay.lock().expect("no panic");
    tokio::time::sleep(delay).await;
    let found = stub.answers.lock().expect("no panic").get(uri.path()).cloned();
    let unknown = json!({"error_code": 40403, "message": "Schema not found"});
    let (status, body) = found.unwrap_or((404, unknown));
    (StatusCode::from_u16(status).expect("status"), body.to_string())
}

const RECORD: &str = r#"{"type":"record","name":"Ping","namespace":"a","fields":[{"name":"n","type":"long"}]}"#;
const ID: SchemaRef = SchemaRef::Id(7);
const PATH: &str = "/schemas/ids/7";

#[tokio::test]
async fn a_schema_is_asked_for_once_however_many_need_it() {
    let (stub, registry) = Stub::start().await;
    stub.schema(PATH, json!({"schema": RECORD}));
    *stub.delay.lock().expect("no panic") = Duration::from_millis(50);
    let lookups = futures::future::join_all((0..20).map(|_| registry.lookup(ID))).await;
    assert!(lookups.iter().all(|lookup| matches!(lookup, Lookup::Found(schema) if schema.full_name() == "a.Ping")));
    assert!(matches!(registry.cached(ID), Some(Lookup::Found(_))));
    registry.lookup(ID).await;
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn no_failure_is_remembered() {
    let (stub, registry) = Stub::start().await;
    let failures = [
        (500, json!({"error_code": 50001, "message": "store"}), "REGISTRY_UNAVAILABLE"),
        (503, json!({"error_code": 50302, "message": "leader"}), "REGISTRY_UNAVAILABLE"),
        (401, json!({"error_code": 40101, "message": "who"}), "AUTH_FAILED"),
        (403, json!({"error_code": 403, "message": "no"}), "AUTH_FAILED"),
        (429, json!({"error_code": 42901, "message": "slow"}), "RATE_LIMITED"),
        (404, json!("a proxy's page"), "REGISTRY_UNAVAILABLE"),
        (404, json!({"error_code": 404, "message": "HTTP 404 Not Found"}), "REGISTRY_UNAVAILABLE"),
        (200, json!("not a schema"), "REGISTRY_UNAVAILABLE"),
    ];
    for (status, body, code) in failures {
        stub.answer(PATH, status, body);
        let lookup = registry.lookup(ID).await;
        let Lookup::Unavailable(failure) = lookup else { panic!("{status}: {lookup:?}") };
        assert_eq!((failure.class, &*failure.code), (failure::Class::Dependency, code), "{status}");
    }
    stub.answer(PATH, 404, json!({"error_code": 40403, "message": "Schema 7 not found"}));
    assert!(matches!(registry.lookup(ID).await, Lookup::Unknown));
    *stub.delay.lock().expect("no panic") = Duration::from_secs(60);
    assert!(matches!(registry.lookup(ID).await, Lookup::Unavailable(_)), "no answer in time");
    *stub.delay.lock().expect("no panic") = Duration::ZERO;
    stub.schema(PATH, json!({"schema": RECORD}));
    assert!(matches!(registry.lookup(ID).await, Lookup::Found(_)));
}

#[tokio::test]
async fn a_schema_is_found_by_guid() {
    let (stub, registry) = Stub::start().await;
    stub.schema("/schemas/guids/01020304-0506-0708-090a-0b0c0d0e0f10", json!({"schema": RECORD, "guid": "…"}));
    let guid = SchemaRef::Guid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert!(matches!(registry.lookup(guid).await, Lookup::Found(_)));
}

#[tokio::test]
async fn references_are_put_in() {
    let (stub, registry) = Stub::start().await;
    let money = r#"{"type":"record","name":"Money","namespace":"a","fields":[{"name":"minor","type":"long"}]}"#;
    let bill = r#"{"type":"record","name":"Bill","namespace":"a","fields":[{"name":"total","type":"Money"}]}"#;
    let reference = json!([{"name": "a.Money", "subject": "money", "version": 3}]);
    stub.schema(PATH, json!({"schema": bill, "references": reference}));
    stub.schema("/subjects/money/versions/3", json!({"subject": "money", "version": 3, "id": 9, "schema": money}));
    assert!(matches!(registry.lookup(ID).await, Lookup::Found(_)));
}

#[tokio::test]
async fn a_schema_of_another_kind_is_unusable_for_ever() {
    let (stub, registry) = Stub::start().await;
    stub.schema(PATH, json!({"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}));
    assert!(matches!(registry.lookup(ID).await, Lookup::Unusable(_)));
    registry.lookup(ID).await;
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn a_publisher_registers_and_finds_the_latest() {
    let (stub, registry) = Stub::start().await;
    assert_eq!(registry.latest("ping-value").await, Ok(None));
    stub.schema("/subjects/ping-value/versions", json!({"id": 12}));
    assert_eq!(registry.register("ping-value", RECORD).await, Ok(12));
    let latest = json!({"subject": "ping-value", "version": 2, "id": 12, "schema": RECORD});
    stub.schema("/subjects/ping-value/versions/latest", latest);
    let latest = registry.latest("ping-value").await.expect("answer").expect("registered");
    assert_eq!((latest.id, latest.version), (12, Some(2)));
    for code in [40901, 409] {
        stub.answer("/subjects/ping-value/versions", 409, json!({"error_code": code, "message": "no"}));
        let refused = registry.register("ping-value", RECORD).await;
        assert!(matches!(refused, Err(RegistryError::Incompatible { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn compatibility_is_asked_of_registries_of_either_kind() {
    let (stub, registry) = Stub::start().await;
    let all = "/compatibility/subjects/ping-value/versions";
    stub.answer(all, 404, json!({"error_code": 40402, "message": "none"}));
    assert_eq!(registry.check_compatibility("ping-value", RECORD).await, Ok(Compatibility::FirstVersion));
    stub.answer(all, 405, json!({"error_code": 405, "message": "no such path"}));
    stub.schema(&format!("{all}/latest"), json!({"is_compatible": false, "messages": ["READER_FIELD_MISSING"]}));
    assert_eq!(
        registry.check_compatibility("ping-value", RECORD).await,
        Ok(Compatibility::Incompatible(vec!["READER_FIELD_MISSING".to_owned()]))
    );
    stub.schema(all, json!({"is_compatible": true}));
    assert_eq!(registry.check_compatibility("ping-value", RECORD).await, Ok(Compatibility::Compatible));
}

#[test]
fn a_wrong_configuration_is_told_whole_and_without_secrets() {
    let mut config = RegistryConfig::new("ftp://registry, http://me:secret@registry");
    config.timeout_ms = 1;
    config.auth = Auth::Bearer { token: "hunter2".to_owned().into() };
    assert_eq!(config.problems().len(), 3, "{:?}", config.problems());
    assert!(!format!("{config:?}").contains("hunter2"));
}
