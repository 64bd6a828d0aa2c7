//! The Salesforce stand-in as its vendor's clients meet it: sign-in, collections, queries, ids, and what survives a restart.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use sandbox::salesforce::{Config, Sandbox, VERSION, start};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

struct Org {
    sandbox: Sandbox,
    http: reqwest::Client,
    session: String,
}

fn claims(sandbox: &Sandbox) -> Value {
    let credentials = sandbox.credentials();
    let exp = jiff::Timestamp::now().as_second() + 100;
    json!({ "iss": credentials.client_id, "sub": credentials.username, "aud": "https://login.salesforce.com", "exp": exp })
}

/// Status and body of a request for a session.
async fn sign_in(sandbox: &Sandbox, claims: &Value) -> (u16, Value) {
    let pem = sandbox.credentials().private_key_pem.expose_secret().as_bytes().to_owned();
    let key = EncodingKey::from_rsa_pem(&pem).expect("a key");
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).expect("signed");
    let form = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}");
    let request = http().post(format!("{}/services/oauth2/token", sandbox.url()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.expect("text")).expect("JSON"))
}

fn http() -> reqwest::Client {
    // A second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Org {
    async fn start(config: Config) -> Self {
        let sandbox = start(config).await.expect("a stand-in on a free port");
        let (status, body) = sign_in(&sandbox, &claims(&sandbox)).await;
        assert_eq!((status, body["instance_url"].as_str()), (200, Some(&*sandbox.url())));
        assert!(body.get("expires_in").is_none(), "how long a session lives is not told");
        let session = body["access_token"].as_str().expect("a session").to_owned();
        Self { http: http(), sandbox, session }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/services/data/{VERSION}/{path}", self.sandbox.url());
        let mut request = self.http.request(method, url).bearer_auth(&self.session);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let (status, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn accounts(&self, records: Vec<Value>, all_or_none: bool) -> (u16, Value) {
        let body = json!({ "allOrNone": all_or_none, "records": records });
        self.call(Method::PATCH, "composite/sobjects/Account/TL_Account_Id__c", Some(body)).await
    }
}

fn account(id: &str) -> Value {
    json!({ "attributes": { "type": "Account" }, "TL_Account_Id__c": id, "Name": format!("Company {id}") })
}

#[tokio::test]
async fn only_the_apps_own_fresh_assertion_signs_in() {
    let sandbox = start(Config::default()).await.expect("a stand-in");
    let good = claims(&sandbox);
    assert_eq!(sign_in(&sandbox, &good).await.0, 200);
    let now = jiff::Timestamp::now().as_second();
    for (name, value) in [
        ("iss", json!("somebody")),
        ("sub", json!("somebody@example.com")),
        ("aud", json!("https://example.com")),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 3_600)),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value;
        let (status, body) = sign_in(&sandbox, &wrong).await;
        assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")), "{name}");
    }
}

#[tokio::test]
async fn a_collection_takes_two_hundred_and_answers_each_in_order() {
    let org = Org::start(Config::default()).await;
    let many = |count: usize| (0..count).map(|n| account(&format!("a-{n}"))).collect::<Vec<_>>();
    let (status, body) = org.accounts(many(201), false).await;
    assert_eq!((status, body[0]["errorCode"].as_str()), (400, Some("EXCEEDED_ID_LIMIT")));
    let (status, body) = org.accounts(many(200), false).await;
    assert_eq!((status, body.as_array().map(Vec::len)), (200, Some(200)));
    let mut nameless = account("b-1");
    nameless.as_object_mut().expect("an object").remove("Name");
    let (_, body) = org.accounts(vec![account("a-0"), nameless.clone(), account("b-2")], false).await;
    assert_eq!((&body[0]["created"], &body[2]["created"]), (&json!(false), &json!(true)));
    assert_eq!(body[1]["errors"][0]["statusCode"], "REQUIRED_FIELD_MISSING");
    assert_eq!(body[1]["errors"][0]["fields"], json!(["Name"]));
    let (_, body) = org.accounts(vec![account("c-1"), nameless], true).await;
    assert_eq!(body[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK");
    let (status, _) = org.call(Method::GET, "sobjects/Account/TL_Account_Id__c/c-1", None).await;
    assert_eq!(status, 404, "nothing of it was written");
}

#[tokio::test]
async fn a_query_goes_on_page_by_page() {
    let org = Org::start(Config::default()).await;
    org.accounts((0..5).map(|n| account(&format!("a-{n}"))).collect(), false).await;
    let url = format!("{}/__admin/settings", org.sandbox.url());
    org.http.post(url).body(json!({ "query_rows": 2 }).to_string()).send().await.expect("an answer");
    let mut path = "query?q=SELECT+Id,+Name+FROM+Account+ORDER+BY+Id".to_owned();
    let mut names = Vec::new();
    loop {
        let (status, page) = org.call(Method::GET, &path, None).await;
        assert_eq!((status, page["totalSize"].as_u64()), (200, Some(5)));
        names.extend(page["records"].as_array().expect("rows").iter().map(|row| row["Name"].to_string()));
        match page["nextRecordsUrl"].as_str() {
            Some(next) => path = next.trim_start_matches(&format!("/services/data/{VERSION}/")).to_owned(),
            None => break,
        }
    }
    assert_eq!(names.len(), 5);
    let (status, body) = org.call(Method::GET, "query?q=SELECT+Id+FROM+Account+WHERE+Nope='x'", None).await;
    assert_eq!((status, body[0]["errorCode"].as_str()), (400, Some("MALFORMED_QUERY")));
}

#[tokio::test]
async fn ids_and_external_ids_are_read_as_the_vendor_reads_them() {
    let org = Org::start(Config::default()).await;
    let path = "sobjects/Account/TL_Account_Id__c/a-1";
    let (status, made) = org.call(Method::PATCH, path, Some(json!({ "Name": "x" }))).await;
    assert_eq!((status, &made["created"]), (201, &json!(true)));
    let (status, changed) = org.call(Method::PATCH, "sobjects/Account/TL_Account_Id__c/A-1", Some(json!({}))).await;
    assert_eq!((status, &changed["id"]), (200, &made["id"]), "external ids are compared without case");
    let id = made["id"].as_str().expect("an id");
    for sent in [id.to_owned(), id.to_lowercase(), id[..15].to_owned()] {
        assert_eq!(org.call(Method::GET, &format!("sobjects/Account/{sent}"), None).await.0, 200, "{sent}");
    }
    let upper = id[..15].to_uppercase();
    assert_eq!(org.call(Method::GET, &format!("sobjects/Account/{upper}"), None).await.0, 404, "fifteen count case");
    let (status, body) = org.call(Method::PATCH, path, Some(json!({ "TL_Account_Id__c": "a-1" }))).await;
    assert_eq!((status, body[0]["errorCode"].as_str()), (400, Some("INVALID_FIELD")));
}

#[tokio::test]
async fn what_was_answered_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config { data: Some(folder.path().to_owned()), ..Config::default() };
    let org = Org::start(config()).await;
    org.accounts(vec![account("a-1"), account("a-2")], false).await;
    // No polite end: what was answered is in the file.
    drop(org);
    let org = Org::start(config()).await;
    let (status, row) = org.call(Method::GET, "sobjects/Account/TL_Account_Id__c/a-2", None).await;
    assert_eq!((status, row["Name"].as_str()), (200, Some("Company a-2")));
    let effects = org.http.get(format!("{}/__admin/effects", org.sandbox.url())).send().await.expect("an answer");
    assert_eq!(effects.text().await.expect("text").lines().count(), 2);
}
