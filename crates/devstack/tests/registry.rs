//! The registry against the published behaviour of Confluent's REST API.

use std::{io::Write, path::Path};

use devstack::registry::{Config, Registry};
use serde_json::{Value, json};

const USER: &str = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"}]}"#;
const USER_AGE: &str = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"age","type":"int","default":0}]}"#;
const USER_REQUIRED: &str =
    r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"},{"name":"tax","type":"string"}]}"#;

struct Client {
    registry: Registry,
    http: reqwest::Client,
}

async fn start(data: Option<&Path>) -> Client {
    // Only the first test of a process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config { data: data.map(Path::to_owned), ..Config::default() };
    Client { registry: Registry::start(config).await.expect("the registry starts"), http: reqwest::Client::new() }
}

impl Client {
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.registry.url()));
        if let Some(body) = body {
            request = request.header("content-type", "application/vnd.schemaregistry.v1+json").body(body.to_string());
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.expect("a body")).expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    async fn register(&self, subject: &str, schema: &str) -> (u16, Value) {
        self.call("POST", &format!("/subjects/{subject}/versions"), Some(json!({"schema": schema}))).await
    }

    async fn refused(&self, method: &str, path: &str, body: Option<Value>) -> (u16, u64) {
        let (status, body) = self.call(method, path, body).await;
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        (status, body["error_code"].as_u64().expect("a code"))
    }
}

#[tokio::test]
async fn the_same_schema_has_the_same_id_under_every_subject_and_the_same_version_when_sent_again() {
    let client = start(None).await;
    let (status, first) = client.register("a-value", USER).await;
    assert_eq!((status, &first["id"], &first["version"]), (200, &json!(1), &json!(1)));
    let spaced = USER.replace(',', " ,\n ");
    assert_eq!(client.register("a-value", &spaced).await.1, first);
    assert_eq!(client.register("b-value", USER).await.1["id"], json!(1));
    assert_eq!(client.register("a-value", USER_AGE).await.1["id"], json!(2));
    assert_eq!(client.get("/subjects").await.1, json!(["a-value", "b-value"]));
    assert_eq!(client.get("/subjects?subjectPrefix=b").await.1, json!(["b-value"]));
    assert_eq!(client.get("/subjects/a-value/versions").await.1, json!([1, 2]));
    assert_eq!(client.get("/schemas/ids/1/subjects").await.1, json!(["a-value", "b-value"]));
    let versions = json!([{"subject": "a-value", "version": 1}, {"subject": "b-value", "version": 1}]);
    assert_eq!(client.get("/schemas/ids/1/versions").await.1, versions);
    client.registry.stop().await.expect("stops");
}

#[tokio::test]
async fn a_schema_is_found_by_id_by_guid_by_version_and_by_itself() {
    let client = start(None).await;
    let guid = client.register("a-value", USER).await.1["guid"].as_str().expect("a guid").to_owned();
    client.register("a-value", USER_AGE).await;
    let text: Value = serde_json::from_str(USER).expect("JSON");
    for path in ["/schemas/ids/1", &format!("/schemas/guids/{guid}"), "/subjects/a-value/versions/1"] {
        let found = client.get(path).await.1;
        assert_eq!(
            serde_json::from_str::<Value>(found["schema"].as_str().expect("text")).expect("JSON"),
            text,
            "{path}"
        );
    }
    assert_eq!(client.get("/schemas/ids/1/schema").await.1, text);
    assert_eq!(client.get("/subjects/a-value/versions/1/schema").await.1, text);
    assert_eq!(client.get(&format!("/schemas/guids/{guid}/ids")).await.1, json!([{"context": ".", "id": 1}]));
    assert_eq!(client.get("/subjects/a-value/versions/latest").await.1["version"], json!(2));
    assert_eq!(client.get("/subjects/a-value/versions/-1").await.1["id"], json!(2));
    let (status, found) = client.call("POST", "/subjects/a-value", Some(json!({"schema": USER}))).await;
    assert_eq!((status, &found["version"], &found["subject"]), (200, &json!(1), &json!("a-value")));
    assert_eq!(client.get("/schemas/types").await.1, json!(["AVRO"]));
    assert_eq!(client.get("/schemas?latestOnly=true").await.1.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_is_not_there_or_not_valid_has_its_own_code() {
    let client = start(None).await;
    client.register("a-value", USER).await;
    let schema = |text: &str| Some(json!({"schema": text}));
    let refusals = [
        ("GET", "/subjects/none/versions", None, (404, 40401)),
        ("GET", "/subjects/none/versions/1", None, (404, 40401)),
        ("DELETE", "/subjects/none", None, (404, 40401)),
        ("GET", "/subjects/a-value/versions/9", None, (404, 40402)),
        ("GET", "/schemas/ids/9", None, (404, 40403)),
        ("POST", "/subjects/a-value", schema(USER_AGE), (404, 40403)),
        ("POST", "/subjects/none", schema(USER), (404, 40401)),
        ("GET", "/config/a-value", None, (404, 40408)),
        ("GET", "/mode/a-value", None, (404, 40409)),
        ("POST", "/subjects/a-value/versions", schema("{\"type\":\"nope\"}"), (422, 42201)),
        ("POST", "/subjects/a-value/versions", schema("not JSON"), (422, 42201)),
        ("POST", "/subjects/a-value/versions", Some(json!({"schema": "{}", "schemaType": "PROTOBUF"})), (422, 42201)),
        ("GET", "/subjects/a-value/versions/0", None, (422, 42202)),
        ("GET", "/subjects/a-value/versions/newest", None, (422, 42202)),
        ("PUT", "/config", Some(json!({"compatibility": "SOMETIMES"})), (422, 42203)),
        ("PUT", "/mode", Some(json!({"mode": "SOMETIMES"})), (422, 42204)),
        ("POST", "/compatibility/subjects/a-value/versions/7", schema(USER), (404, 40402)),
        ("GET", "/associations/resources/-/a.v1", None, (404, 404)),
        ("PATCH", "/subjects", None, (405, 405)),
    ];
    for (method, path, body, expected) in refusals {
        assert_eq!(client.refused(method, path, body).await, expected, "{method} {path}");
    }
    let huge = "x".repeat(5 << 20);
    assert_eq!(client.refused("POST", "/subjects/a-value/versions", schema(&huge)).await, (422, 42201));
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_with_the_reason() {
    let client = start(None).await;
    client.register("a-value", USER).await;
    let (status, refusal) = client.register("a-value", USER_REQUIRED).await;
    assert_eq!((status, &refusal["error_code"]), (409, &json!(409)));
    assert!(refusal["message"].as_str().is_some_and(|text| text.contains("'tax'")), "{refusal}");

    let path = "/compatibility/subjects/a-value/versions/latest";
    let body = || Some(json!({"schema": USER_REQUIRED}));
    assert_eq!(client.call("POST", path, body()).await.1, json!({"is_compatible": false}));
    let verbose = client.call("POST", &format!("{path}?verbose=true"), body()).await.1;
    assert!(verbose["messages"][0].as_str().is_some_and(|text| text.contains("'tax'")), "{verbose}");
    let of_nobody = "/compatibility/subjects/nobody/versions/latest";
    assert_eq!(client.call("POST", of_nobody, body()).await.1, json!({"is_compatible": true}));

    client.call("PUT", "/config/a-value", Some(json!({"compatibility": "forward"}))).await;
    assert_eq!(client.get("/config/a-value").await.1, json!({"compatibilityLevel": "FORWARD"}));
    assert_eq!(client.register("a-value", USER_REQUIRED).await.0, 200);
}

#[tokio::test]
async fn a_transitive_level_looks_at_every_version() {
    let client = start(None).await;
    let field =
        |extra: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"int"}}{extra}]}}"#);
    let (with_default, without) =
        (field(r#",{"name":"b","type":"int","default":1}"#), field(r#",{"name":"b","type":"int"}"#));
    for (subject, level, expected) in [("plain", "BACKWARD", 200), ("strict", "BACKWARD_TRANSITIVE", 409)] {
        client.call("PUT", &format!("/config/{subject}"), Some(json!({"compatibility": level}))).await;
        assert_eq!(client.register(subject, &field("")).await.0, 200);
        assert_eq!(client.register(subject, &with_default).await.0, 200);
        assert_eq!(client.register(subject, &without).await.0, expected, "{level}");
    }
}

#[tokio::test]
async fn settings_of_a_subject_win_over_the_general_ones_until_they_are_deleted() {
    let client = start(None).await;
    assert_eq!(client.get("/config").await.1, json!({"compatibilityLevel": "BACKWARD"}));
    client.call("PUT", "/config", Some(json!({"compatibility": "FULL"}))).await;
    assert_eq!(client.get("/config/a?defaultToGlobal=true").await.1, json!({"compatibilityLevel": "FULL"}));
    client.call("PUT", "/config/a", Some(json!({"compatibility": "NONE"}))).await;
    assert_eq!(client.get("/config/a").await.1, json!({"compatibilityLevel": "NONE"}));
    assert_eq!(client.call("DELETE", "/config/a", None).await, (200, json!({"compatibilityLevel": "NONE"})));
    assert_eq!(client.refused("GET", "/config/a", None).await, (404, 40408));

    client.call("PUT", "/mode/a", Some(json!({"mode": "READONLY"}))).await;
    let body = Some(json!({"schema": USER}));
    assert_eq!(client.refused("POST", "/subjects/a/versions", body).await, (422, 42205));
    assert_eq!(client.call("DELETE", "/mode/a", None).await, (200, json!({"mode": "READONLY"})));
    assert_eq!(client.register("a", USER).await.0, 200);
    assert_eq!(client.get("/mode").await.1, json!({"mode": "READWRITE"}));
}

#[tokio::test]
async fn deleting_is_soft_first_and_then_for_good() {
    let client = start(None).await;
    client.register("a", USER).await;
    client.register("a", USER_AGE).await;
    let version = "/subjects/a/versions/1";
    assert_eq!(client.refused("DELETE", &format!("{version}?permanent=true"), None).await, (404, 40407));
    assert_eq!(client.call("DELETE", version, None).await, (200, json!(1)));
    assert_eq!(client.refused("DELETE", version, None).await, (404, 40406));
    assert_eq!(client.get("/subjects/a/versions").await.1, json!([2]));
    assert_eq!(client.get("/subjects/a/versions?deleted=true").await.1, json!([1, 2]));
    assert_eq!(client.get("/schemas/ids/1").await.0, 200, "old records must still be readable");
    assert_eq!(client.call("DELETE", &format!("{version}?permanent=true"), None).await, (200, json!(1)));
    assert_eq!(client.refused("GET", "/schemas/ids/1", None).await, (404, 40403));

    assert_eq!(client.refused("DELETE", "/subjects/a?permanent=true", None).await, (404, 40405));
    assert_eq!(client.call("DELETE", "/subjects/a", None).await, (200, json!([2])));
    assert_eq!(client.refused("DELETE", "/subjects/a", None).await, (404, 40404));
    assert_eq!(client.get("/subjects").await.1, json!([]));
    assert_eq!(client.get("/subjects?deleted=true").await.1, json!(["a"]));
    let (_, again) = client.register("a", USER_AGE).await;
    assert_eq!((&again["id"], &again["version"]), (&json!(2), &json!(3)));
    client.call("DELETE", "/subjects/a", None).await;
    assert_eq!(client.call("DELETE", "/subjects/a?permanent=true", None).await, (200, json!([2, 3])));
    assert_eq!(client.register("a", USER).await.1["id"], json!(3), "an id is never given out twice");
}

#[tokio::test]
async fn a_schema_may_refer_to_types_of_other_subjects() {
    let client = start(None).await;
    let money = r#"{"type":"record","name":"Money","namespace":"common","fields":[{"name":"minor","type":"long"}]}"#;
    let price = r#"{"type":"record","name":"Price","namespace":"common","fields":[{"name":"net","type":"Money"}]}"#;
    let order = |extra: &str| {
        format!(
            r#"{{"type":"record","name":"Order","fields":[{{"name":"a","type":"common.Price"}},{{"name":"b","type":"common.Money"}}{extra}]}}"#
        )
    };
    let reference = |name: &str, subject: &str| json!({"name": name, "subject": subject, "version": 1});
    let send = |subject: &'static str, schema: String, references: Value| {
        let body = json!({"schema": schema, "schemaType": "AVRO", "references": references});
        let path = format!("/subjects/{subject}/versions");
        (path, Some(body))
    };
    client.register("money", money).await;
    let (path, body) = send("price", price.to_owned(), json!([reference("common.Money", "money")]));
    assert_eq!(client.call("POST", &path, body).await.0, 200);
    let references = json!([reference("common.Price", "price")]);
    let (path, body) = send("order", order(""), references.clone());
    assert_eq!(client.call("POST", &path, body).await.1["id"], json!(3));
    let found = client.get("/schemas/ids/3").await.1;
    assert_eq!(found["references"], references);
    assert_eq!(client.get("/subjects/price/versions/1/referencedby").await.1, json!([3]));
    assert_eq!(client.get("/subjects/money/versions/latest/referencedby").await.1, json!([2]));
    assert_eq!(client.refused("DELETE", "/subjects/price/versions/1", None).await, (422, 42206));
    assert_eq!(client.refused("DELETE", "/subjects/price", None).await, (422, 42206));

    let (path, body) = send("order", order(r#",{"name":"c","type":"common.Money"}"#), references);
    assert_eq!(client.refused("POST", &path, body).await, (409, 409));
    let (path, body) = send("order", order(""), json!([reference("common.Price", "nowhere")]));
    assert_eq!(client.refused("POST", &path, body).await, (422, 42201));
}

#[tokio::test]
async fn switches_are_read_as_leniently_as_clients_write_them() {
    let client = start(None).await;
    client.register("a", USER).await;
    client.call("DELETE", "/subjects/a", None).await;
    for query in ["?deleted=True&normalize=False", "?deleted=false&deleted=true", "?deleted=true&lookupDeletedSchema="]
    {
        assert_eq!(client.get(&format!("/subjects{query}")).await.1, json!(["a"]), "{query}");
    }
    for query in ["", "?deleted=False", "?deleted=yes", "?deleted"] {
        assert_eq!(client.get(&format!("/subjects{query}")).await.1, json!([]), "{query}");
    }
}

#[tokio::test]
async fn ids_of_another_registry_are_taken_in_import_mode_only() {
    let client = start(None).await;
    let body = |schema: &str, id: u32| Some(json!({"schema": schema, "id": id, "version": 7}));
    let path = "/subjects/a/versions";
    assert_eq!(client.refused("POST", path, body(USER, 100)).await, (422, 42205));
    client.call("PUT", "/mode/a", Some(json!({"mode": "IMPORT"}))).await;
    let (status, taken) = client.call("POST", path, body(USER, 100)).await;
    assert_eq!((status, &taken["id"], &taken["version"]), (200, &json!(100), &json!(7)));
    assert_eq!(client.refused("POST", path, body(USER_AGE, 100)).await, (422, 42205), "an id has one schema");
    client.call("PUT", "/mode/a", Some(json!({"mode": "READWRITE"}))).await;
    assert_eq!(client.register("a", USER_AGE).await.1["id"], json!(101));
    assert_eq!(client.refused("PUT", "/mode", Some(json!({"mode": "IMPORT"}))).await, (422, 42205));
}

#[tokio::test]
async fn a_subject_may_hold_a_slash() {
    let client = start(None).await;
    assert_eq!(client.register("team%2Forders-value", USER).await.0, 200);
    assert_eq!(client.get("/subjects").await.1, json!(["team/orders-value"]));
    assert_eq!(client.get("/subjects/team%2Forders-value/versions").await.1, json!([1]));
}

#[tokio::test]
async fn a_restart_continues_with_the_same_ids_even_after_a_torn_write() {
    let folder = tempfile::tempdir().expect("temp dir");
    let client = start(Some(folder.path())).await;
    client.register("a", USER).await;
    client.register("a", USER_AGE).await;
    client.call("PUT", "/config/a", Some(json!({"compatibility": "NONE"}))).await;
    client.call("DELETE", "/subjects/a/versions/1", None).await;
    let before = client.get("/schemas?deleted=true").await.1;

    let second = Registry::start(Config { data: Some(folder.path().to_owned()), ..Config::default() }).await;
    assert!(second.expect_err("one registry a folder").to_string().contains("another registry"));
    client.registry.stop().await.expect("stops");

    let log = folder.path().join("registry.ndjson");
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).expect("the log");
    file.write_all(br#"{"op":"register","subject":"tor"#).expect("a torn line");
    drop(file);
    let client = start(Some(folder.path())).await;
    assert_eq!(client.get("/schemas?deleted=true").await.1, before);
    assert_eq!(client.get("/config/a").await.1, json!({"compatibilityLevel": "NONE"}));
    assert_eq!(client.register("b", USER_REQUIRED).await.1["id"], json!(3));
    client.registry.stop().await.expect("stops");
    let client = start(Some(folder.path())).await;
    assert_eq!(client.get("/subjects").await.1, json!(["a", "b"]));
}

#[tokio::test]
async fn damage_inside_the_log_stops_the_registry_and_names_the_line() {
    let folder = tempfile::tempdir().expect("temp dir");
    let good = r#"{"op":"mode","subject":null,"mode":"READ_ONLY"}"#;
    std::fs::write(folder.path().join("registry.ndjson"), format!("{good}\nrubbish\n{good}\n")).expect("a log");
    let error = Registry::start(Config { data: Some(folder.path().to_owned()), ..Config::default() }).await;
    assert!(error.expect_err("damaged").to_string().contains("line 2"));
}

#[tokio::test]
async fn with_a_password_only_probes_are_open() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config { basic_auth: Some(("me".to_owned(), "secret".into())), ..Config::default() };
    let registry = Registry::start(config).await.expect("starts");
    let http = reqwest::Client::new();
    let status = async |path: &str, password: Option<&str>| {
        let mut request = http.get(format!("{}{path}", registry.url()));
        if let Some(password) = password {
            request = request.basic_auth("me", Some(password));
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status("/subjects", None).await, 401);
    assert_eq!(status("/subjects", Some("wrong")).await, 401);
    assert_eq!(status("/subjects", Some("secret")).await, 200);
    assert_eq!(status("/livez", None).await, 200);
}
