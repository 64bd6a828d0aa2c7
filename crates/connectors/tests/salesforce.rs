//! The Salesforce connector against its stand-in: what is sent, what comes back, and what each fault means.

use connectors::{
    AccountShown, Cause, CollectionTask, Crm as _, CrmObject, EnsureAccounts as _, Error, FindShown as _, IsoCurrency,
    OpenTasks as _, ReceivableShown, ShowReceivables as _,
    salesforce::{Bounds, CLIENT, Credentials, Options, Salesforce, is_echo},
};
use failure::{Class, Failure};
use sandbox::{Rule, salesforce as stand_in};
use serde_json::{Value, json};
use std::time::Duration;

struct Crm {
    sandbox: stand_in::Sandbox,
    salesforce: Salesforce,
    _folder: tempfile::TempDir,
}

impl Crm {
    async fn start() -> Self {
        let sandbox = stand_in::start(stand_in::Config::default()).await.expect("a stand-in on a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let key = sandbox.credentials().save(folder.path()).expect("credentials");
        let salesforce = Salesforce::try_new(Options {
            base_url: sandbox.url(),
            credentials: Credentials {
                client_id: sandbox.credentials().client_id.clone(),
                username: sandbox.credentials().username.clone(),
                audience: "https://login.salesforce.com".into(),
                private_key_file: key,
            },
            concurrency: 4,
            bounds: Bounds { request_timeout: Duration::from_secs(5), ..Bounds::default() },
            allow_plain_http: false,
        })
        .expect("good options");
        Self { sandbox, salesforce, _folder: folder }
    }

    /// With accounts `a-0` … .
    async fn with_accounts(many: usize) -> Self {
        let crm = Self::start().await;
        for answer in crm.ensure(many).await {
            answer.expect("made");
        }
        crm
    }

    async fn ensure(&self, many: usize) -> Vec<Result<connectors::Recorded, Error>> {
        let accounts: Vec<AccountShown> =
            (0..many).map(|n| AccountShown { account_id: format!("a-{n}"), name: format!("Company {n}") }).collect();
        let batch: Vec<_> = accounts.iter().map(|account| (cause("e-ensure"), account)).collect();
        self.salesforce.ensure_accounts(&batch).await
    }

    async fn show(&self, event: &str, shown: &[ReceivableShown]) -> Vec<Result<connectors::Recorded, Error>> {
        let batch: Vec<_> = shown.iter().map(|shown| (cause(event), shown)).collect();
        self.salesforce.show_receivables(&batch).await
    }

    fn fault(&self, rule: Value) {
        let rule: Rule = serde_json::from_value(rule).expect("a rule");
        self.sandbox.add_fault(rule).expect("a good rule");
    }

    async fn admin(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}/__admin/{path}", self.sandbox.url())).await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
    }

    async fn post_admin(&self, path: &str, body: Value) {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Requests of a route, whatever came of them.
    async fn requests(&self, route: &str) -> u64 {
        let all = self.admin("requests?limit=0").await;
        let counts = all["counts"].get(route).and_then(Value::as_object).into_iter().flatten();
        counts.filter_map(|(_, count)| count.as_u64()).sum()
    }

    async fn effects(&self) -> u64 {
        self.admin("state").await["effects"].as_u64().expect("a number")
    }
}

const COLLECTION: &str = "PATCH /services/data/v66.0/composite/sobjects/TL_Receivable__c/TL_Receivable_Id__c";
const SINGLE: &str = "PATCH /services/data/v66.0/sobjects/TL_Receivable__c/TL_Receivable_Id__c/*";

fn cause(event_id: &str) -> Cause {
    Cause { event_id: event_id.into(), correlation_id: Some("flow-1".into()), ..Cause::default() }
}

fn pounds() -> IsoCurrency {
    IsoCurrency { code: "GBP".into(), exponent: 2 }
}

fn owes(account: usize, balance_minor: i64) -> ReceivableShown {
    ReceivableShown {
        account_id: format!("a-{account}"),
        currency: pounds(),
        balance_minor,
        open_minor: balance_minor,
        open_invoices: 1,
        oldest_due_on: Some(jiff::civil::date(2026, 3, 1)),
        last_payment: None,
    }
}

fn class(answer: &Result<connectors::Recorded, Error>) -> (Class, String) {
    let failure = Failure::from(answer.as_ref().expect_err("an error").clone());
    (failure.class, failure.code.into_owned())
}

#[tokio::test]
async fn a_record_is_made_once_and_then_changed_under_its_external_id() {
    let crm = Crm::with_accounts(1).await;
    let made = crm.show("e-1", &[owes(0, 1_050)]).await.remove(0).expect("made");
    assert!(!made.existed);
    assert_eq!(made.external_id, "a-0/gbp");
    let again = crm.show("e-2", &[owes(0, 2_000)]).await.remove(0).expect("changed");
    assert!(again.existed && again.id == made.id);
    let rows = crm.admin("state?records=true").await["records"]["TL_Receivable__c"].clone();
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    assert_eq!((&rows[0]["TL_Balance__c"], &rows[0]["TL_Event_Id__c"]), (&json!("20"), &json!("e-2")));
    assert_eq!(rows[0]["account_id"], "a-0");
    crm.post_admin("settings", json!({ "updated_status": 204 })).await;
    assert!(crm.show("e-3", &[owes(0, 1)]).await.remove(0).expect("changed without a body").existed);
}

#[tokio::test]
async fn accounts_that_are_there_keep_their_name_and_the_others_are_made() {
    let crm = Crm::with_accounts(3).await;
    let effects = crm.effects().await;
    let names: Vec<AccountShown> =
        (0..5).map(|n| AccountShown { account_id: format!("a-{n}"), name: "Another name".into() }).collect();
    let batch: Vec<_> = names.iter().map(|account| (cause("e-2"), account)).collect();
    let answers = crm.salesforce.ensure_accounts(&batch).await;
    let existed: Vec<bool> = answers.into_iter().map(|answer| answer.expect("there").existed).collect();
    assert_eq!(existed, [true, true, true, false, false]);
    assert_eq!(crm.effects().await, effects + 2);
    let rows = crm.admin("state?records=true").await["records"]["Account"].clone();
    assert_eq!((&rows[0]["Name"], &rows[4]["Name"]), (&json!("Company 0"), &json!("Another name")));
}

#[tokio::test]
async fn ten_thousand_accounts_become_fifty_calls() {
    let crm = Crm::with_accounts(10_000).await;
    let shown: Vec<ReceivableShown> = (0..10_000).map(|n| owes(n, 100)).collect();
    let answers = crm.show("e-1", &shown).await;
    assert!(answers.len() == 10_000 && answers.iter().all(Result::is_ok));
    assert_eq!((crm.requests(COLLECTION).await, crm.requests(SINGLE).await), (50, 0));
    assert_eq!(crm.admin("state").await["totals"]["TL_Receivable__c"], 10_000);
}

#[tokio::test]
async fn a_record_that_fails_in_a_collection_leaves_the_others_alone() {
    let crm = Crm::with_accounts(3).await;
    crm.post_admin("locks/a-1", json!({})).await;
    let answers = crm.show("e-1", &[owes(0, 1), owes(1, 1), owes(7, 1), owes(2, 1)]).await;
    assert!(answers[0].is_ok() && answers[3].is_ok());
    assert_eq!(class(&answers[1]), (Class::Dependency, "CRM_UNAVAILABLE".into()), "UNABLE_TO_LOCK_ROW");
    assert_eq!(class(&answers[2]), (Class::Business, "ACCOUNT_NOT_IN_CRM".into()));
    assert_eq!(crm.admin("state").await["totals"]["TL_Receivable__c"], 2);
}

#[tokio::test]
async fn an_answer_dropped_after_commit_is_unknown_and_found_by_the_event_behind_it() {
    let crm = Crm::with_accounts(1).await;
    crm.fault(json!({ "method": "PATCH", "nth": 1, "drop_after_commit": true }));
    let lost = crm.show("e-1", &[owes(0, 1)]).await;
    assert_eq!(class(&lost[0]).0, Class::Unknown);
    let ours = owes(0, 1).receivable_id();
    let find = async |event| crm.salesforce.find_shown(&cause(event), CrmObject::Receivable, &ours).await;
    assert!(find("e-1").await.expect("an answer").is_some());
    assert!(find("e-2").await.expect("an answer").is_none(), "that write was another event's");
    let nobody = crm.salesforce.find_shown(&cause("e-1"), CrmObject::Receivable, "a-9/gbp").await;
    assert!(nobody.expect("an answer").is_none());
}

#[tokio::test]
async fn a_record_that_is_not_visible_yet_is_not_found_until_it_is() {
    let crm = Crm::with_accounts(1).await;
    crm.fault(json!({ "method": "PATCH", "nth": 1, "visibility_ms": 60_000, "drop_after_commit": true }));
    assert_eq!(class(&crm.show("e-1", &[owes(0, 1)]).await[0]).0, Class::Unknown);
    let find = async || {
        let ours = owes(0, 1).receivable_id();
        crm.salesforce.find_shown(&cause("e-1"), CrmObject::Receivable, &ours).await.expect("an answer")
    };
    assert!(find().await.is_none());
    crm.post_admin("clock", json!({ "advance_ms": 61_000 })).await;
    assert!(find().await.is_some());
}

#[tokio::test]
async fn every_fault_has_the_class_of_what_is_certain() {
    let crm = Crm::with_accounts(1).await;
    let table = [
        (json!({ "error": "REQUEST_LIMIT_EXCEEDED" }), Class::Dependency, "RATE_LIMITED"),
        (
            json!({ "status": 429 , "body": "busy", "headers": { "Retry-After": "3" } }),
            Class::Dependency,
            "RATE_LIMITED",
        ),
        (json!({ "error": "UNABLE_TO_LOCK_ROW" }), Class::Dependency, "CRM_UNAVAILABLE"),
        (json!({ "error": "SERVER_UNAVAILABLE" }), Class::Dependency, "CRM_UNAVAILABLE"),
        (json!({ "status": 503, "body": "<html>" }), Class::Unknown, "OUTCOME_UNKNOWN"),
        (json!({ "status": 500 }), Class::Unknown, "OUTCOME_UNKNOWN"),
        (json!({ "drop_before": true }), Class::Unknown, "OUTCOME_UNKNOWN"),
        (json!({ "broken_json": true }), Class::Unknown, "OUTCOME_UNKNOWN"),
        (json!({ "error": "FIELD_CUSTOM_VALIDATION_EXCEPTION" }), Class::Business, "REFUSED_BY_CRM"),
        (json!({ "error": "DUPLICATES_DETECTED" }), Class::Business, "CRM_DUPLICATE"),
        (json!({ "error": "INSUFFICIENT_ACCESS" }), Class::Dependency, "AUTH_FAILED"),
        (json!({ "error": "INVALID_FIELD" }), Class::Bug, "REQUEST_INVALID"),
    ];
    for (mut fault, expected, code) in table {
        fault["method"] = json!("PATCH");
        fault["times"] = json!(1);
        fault["id"] = json!("one");
        crm.fault(fault.clone());
        let answer = crm.show("e-1", &[owes(0, 1)]).await;
        assert_eq!(class(&answer[0]), (expected, code.to_owned()), "{fault}");
    }
}

#[tokio::test]
async fn two_records_under_one_id_are_for_people_to_merge() {
    let crm = Crm::with_accounts(1).await;
    crm.show("e-1", &[owes(0, 1)]).await.remove(0).expect("made");
    let rows = crm.admin("state?records=true").await["records"]["TL_Receivable__c"].clone();
    let external_id = rows[0]["TL_Receivable_Id__c"].as_str().expect("text").replace('/', "%2F");
    crm.post_admin(&format!("duplicates/TL_Receivable__c/{external_id}"), json!({})).await;
    let answer = crm.show("e-2", &[owes(0, 2)]).await;
    assert_eq!(class(&answer[0]), (Class::Business, "CRM_DUPLICATE".into()), "300 Multiple Choices");
    crm.post_admin("duplicates/Account/a-0", json!({})).await;
    assert_eq!(class(&crm.ensure(1).await[0]), (Class::Business, "CRM_DUPLICATE".into()));
}

#[tokio::test]
async fn a_session_that_is_over_is_renewed_once_and_the_call_sent_again() {
    let crm = Crm::with_accounts(1).await;
    crm.post_admin("clock", json!({ "advance_ms": 7_300_000 })).await;
    crm.show("e-1", &[owes(0, 1)]).await.remove(0).expect("written");
    assert_eq!(crm.requests("POST /services/oauth2/token").await, 2);
}

#[tokio::test]
async fn the_quota_slows_calls_down_before_it_stops_them() {
    let crm = Crm::with_accounts(1).await;
    assert_eq!(crm.salesforce.per_second(), None);
    let used = crm.requests("GET /services/data/v66.0/query").await + 1;
    crm.post_admin("settings", json!({ "daily_requests": used + 1 })).await;
    crm.show("e-1", &[owes(0, 1)]).await.remove(0).expect("the last one");
    assert!(crm.salesforce.per_second().is_some_and(|rate| rate < 1.0), "{:?}", crm.salesforce.per_second());
    assert_eq!(class(&crm.show("e-2", &[owes(0, 2)]).await[0]), (Class::Dependency, "RATE_LIMITED".into()));
    crm.post_admin("clock", json!({ "advance_ms": 86_400_000 })).await;
    crm.show("e-3", &[owes(0, 3)]).await.remove(0).expect("a day later there is room again");
}

#[tokio::test]
async fn our_own_writes_come_back_as_echoes_and_those_of_people_do_not() {
    let crm = Crm::with_accounts(2).await;
    crm.show("e-1", &[owes(0, 1), owes(1, 1)]).await;
    let changes = crm.admin("changes").await;
    let origins = changes.as_array().expect("a list").iter().map(|change| &change["changeOrigin"]);
    let origins: Vec<&str> = origins.filter_map(Value::as_str).collect();
    assert_eq!(origins.len(), 4, "one change event for each write: {changes}");
    assert!(origins.iter().all(|origin| is_echo(origin, CLIENT)), "{origins:?}");
    crm.post_admin("duplicates/Account/a-1", json!({})).await;
    let changes = crm.admin("changes").await;
    let newest = changes.as_array().and_then(|list| list.last()).expect("a change");
    assert!(!is_echo(newest["changeOrigin"].as_str().expect("text"), CLIENT), "{newest}");
}

/// D4.10: the CRM creates no invoices or entries, because there is neither a request for it nor a right to do it.
#[tokio::test]
async fn the_credentials_have_no_route_to_finance() {
    let crm = Crm::with_accounts(1).await;
    // What the connector can write is shown, each kind of it; none of those objects holds finance.
    let task = CollectionTask {
        account_id: "a-0".into(),
        invoice_id: "i-1".into(),
        dunning_step: 1,
        currency: pounds(),
        amount_minor: 100,
        next_attempt_on: None,
        failure_code: "card_declined".into(),
    };
    crm.salesforce.open_tasks(&[(cause("e-1"), &task)]).await.remove(0).expect("a task");
    // And with the same credentials, around the connector, finance cannot be written either.
    let session = sign_in(&crm.sandbox).await;
    for object in stand_in::FINANCE_OBJECTS {
        let base = format!("{}/services/data/{}", crm.sandbox.url(), stand_in::VERSION);
        let tries = [
            (reqwest::Method::POST, format!("{base}/sobjects/{object}")),
            (reqwest::Method::PATCH, format!("{base}/sobjects/{object}/TL_External_Id__c/x")),
            (reqwest::Method::PATCH, format!("{base}/composite/sobjects/{object}/TL_External_Id__c")),
            (reqwest::Method::GET, format!("{base}/query?q=SELECT%20Id%20FROM%20{object}")),
        ];
        for (method, url) in tries {
            let request = reqwest::Client::new().request(method, &url).bearer_auth(&session).json(&json!({}));
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 403, "{url}");
            assert!(answer.text().await.expect("text").contains("INSUFFICIENT_ACCESS"), "{url}");
        }
    }
    let effects = crm.effects().await;
    assert_eq!(effects, 2, "an account and a task");
}

/// A session for the same app and user as the connector's, by hand.
async fn sign_in(sandbox: &stand_in::Sandbox) -> String {
    use secrecy::ExposeSecret as _;
    let credentials = sandbox.credentials();
    let exp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() + 100;
    let claims = json!({
        "iss": credentials.client_id, "sub": credentials.username, "aud": "https://login.salesforce.com", "exp": exp,
    });
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(credentials.private_key_pem.expose_secret().as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    let assertion = jsonwebtoken::encode(&header, &claims, &key.expect("a key")).expect("signed");
    let form = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}");
    let request = reqwest::Client::new().post(format!("{}/services/oauth2/token", sandbox.url()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let text = request.send().await.expect("an answer").text().await.expect("text");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    answer["access_token"].as_str().expect("a session").to_owned()
}

#[tokio::test]
async fn refused_credentials_are_told_without_the_secret() {
    let crm = Crm::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = crm.sandbox.credentials().save(folder.path()).expect("credentials");
    let options = Options {
        base_url: crm.sandbox.url(),
        credentials: Credentials {
            client_id: "somebody-else".into(),
            username: "u".into(),
            audience: "https://login.salesforce.com".into(),
            private_key_file: key,
        },
        concurrency: 1,
        bounds: Bounds::default(),
        allow_plain_http: false,
    };
    let shown = format!("{options:?}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    let salesforce = Salesforce::try_new(options).expect("good options");
    let answer = salesforce.find_shown(&cause("e-1"), CrmObject::Account, "a-1").await;
    let error = answer.expect_err("refused");
    assert!(matches!(&error, Error::Unauthorized { reason, .. } if reason.contains("invalid_grant")), "{error}");
    assert!(!format!("{salesforce:?}{error:?}").contains("PRIVATE KEY"));
}
