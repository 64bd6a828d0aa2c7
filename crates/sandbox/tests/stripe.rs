//! What the Stripe stand-in refuses, what it remembers across a restart, and which ways an invoice may go.

use sandbox::stripe::{self, Config, Sandbox};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

struct Stripe {
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Stripe {
    async fn with(config: Config) -> Self {
        // Fails only where one is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { sandbox: stripe::start(config).await.expect("a stand-in on a free port"), http: reqwest::Client::new() }
    }

    async fn post(&self, path: &str, form: &str, key: Option<&str>) -> (u16, Value) {
        let mut request = self.http.post(format!("{}/v1/{path}", self.sandbox.url())).body(form.to_owned());
        request = request.bearer_auth(self.sandbox.credentials().client_secret.expose_secret());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        read(request.send().await).await
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/v1/{path}", self.sandbox.url()));
        let request = request.bearer_auth(self.sandbox.credentials().client_secret.expose_secret());
        read(request.send().await).await.1
    }

    async fn made(&self, path: &str, form: &str) -> String {
        let (status, body) = self.post(path, form, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// The invoice of a schedule that began today.
    async fn invoice(&self) -> String {
        let customer = self.made("customers", "name=Example").await;
        self.made("products", "id=P&name=P").await;
        let price = self.made("prices", "product=P&currency=gbp&unit_amount=1000&recurring[interval]=month").await;
        let end = jiff::Timestamp::now().as_second() + 40 * 86_400;
        let form = format!("customer={customer}&phases[0][end_date]={end}&phases[0][items][0][price]={price}");
        self.made("subscription_schedules", &form).await;
        let invoices = self.get("invoices").await;
        let [invoice] = &invoices["data"].as_array().expect("a list")[..] else { panic!("one invoice: {invoices}") };
        assert_eq!((&invoice["status"], &invoice["total"]), (&json!("draft"), &json!(1_000)));
        invoice["id"].as_str().expect("an id").to_owned()
    }
}

async fn read(answer: reqwest::Result<reqwest::Response>) -> (u16, Value) {
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.expect("text")).expect("JSON"))
}

#[tokio::test]
async fn an_invoice_goes_only_the_ways_that_its_state_has() {
    let stripe = Stripe::with(Config::default()).await;
    let invoice = stripe.invoice().await;
    let act = async |action: &str| {
        let (status, body) = stripe.post(&format!("invoices/{invoice}/{action}"), "", None).await;
        (status, body["status"].as_str().unwrap_or_default().to_owned())
    };
    let done = |status: &str| (200, status.to_owned());
    assert_eq!(act("pay").await.0, 400, "a draft is not paid");
    assert_eq!(act("finalize").await, done("open"));
    assert_eq!(act("finalize").await.0, 400);
    assert_eq!(act("mark_uncollectible").await, done("uncollectible"));
    assert_eq!(act("pay").await, done("paid"));
    for action in ["pay", "void", "mark_uncollectible"] {
        assert_eq!(act(action).await.0, 400, "what is paid stays paid: {action}");
    }
}

#[tokio::test]
async fn a_draft_is_an_invoice_an_hour_later() {
    let stripe = Stripe::with(Config::default()).await;
    let invoice = stripe.invoice().await;
    let clock = format!("{}/__admin/clock", stripe.sandbox.url());
    stripe.http.post(clock).json(&json!({ "advance_ms": 3_600_001 })).send().await.expect("an answer");
    let found = stripe.get(&format!("invoices/{invoice}")).await;
    assert_eq!((&found["status"], &found["number"]), (&json!("open"), &json!("STRIPE-000001")));
}

#[tokio::test]
async fn keys_and_objects_are_remembered_across_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config { data: Some(folder.path().to_owned()), ..Config::default() };
    let stripe = Stripe::with(config()).await;
    let (_, first) = stripe.post("customers", "name=Example", Some("k-1")).await;
    stripe.sandbox.stop().await.expect("stopped");
    let stripe = Stripe::with(config()).await;
    let (_, again) = stripe.post("customers", "name=Example", Some("k-1")).await;
    assert_eq!(again, first);
    assert_eq!(stripe.get("customers").await["data"], json!([first]));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_its_parameter() {
    let stripe = Stripe::with(Config::default()).await;
    stripe.made("products", "id=P&name=P").await;
    let recurring = "product=P&currency=gbp&recurring[interval]=month";
    for (path, form, code, param) in [
        ("customers", "nmae=x", "parameter_unknown", "nmae"),
        ("customers", "a[b=1", "parameter_unknown", ""),
        ("products", "id=P2", "parameter_missing", "name"),
        ("products", "id=P&name=P", "resource_already_exists", "id"),
        ("prices", "product=Q&currency=gbp&unit_amount=1", "resource_missing", "product"),
        ("prices", &format!("{recurring}&unit_amount=x"), "parameter_invalid_integer", "unit_amount"),
        ("prices", "product=P&currency=kwd&unit_amount=1001", "amount_invalid", "unit_amount_decimal"),
        ("subscription_schedules", "customer=cus_none", "resource_missing", "customer"),
    ] {
        let (status, body) = stripe.post(path, form, None).await;
        let told = (status, body["error"]["code"].as_str(), body["error"]["param"].as_str());
        assert_eq!(told, (400, Some(code), Some(param)), "{path} {form}");
    }
}
