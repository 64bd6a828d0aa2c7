//! A client as plain as the vendor's API: it signs in, sends JSON, and shows what came back.

#![allow(dead_code, reason = "each test file uses a part of it")]

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use sandbox::{Config, Sandbox, Settings};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

pub struct Erp {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
    pub token: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text header"))
    }

    /// The internal id at the end of `Location`.
    #[track_caller]
    pub fn id(&self) -> String {
        assert_eq!(self.status, 204, "{self:?}");
        self.header("location").rsplit('/').next().expect("a location").to_owned()
    }

    /// `(status, code, path)` of the vendor's error body.
    #[track_caller]
    pub fn error(&self) -> (u16, &str, &str) {
        let detail = &self.body["o:errorDetails"][0];
        assert_eq!(self.header("content-type"), "application/vnd.oracle.resource+json; type=error", "{self:?}");
        assert_eq!(self.body["status"], self.status);
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        (self.status, text("o:errorCode"), text("o:errorPath"))
    }

    pub fn detail(&self) -> &str {
        self.body["o:errorDetails"][0]["detail"].as_str().unwrap_or_default()
    }
}

pub fn http() -> reqwest::Client {
    // The workspace's client has no TLS provider built in; a second installation is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

pub async fn start() -> Erp {
    start_with(Settings { concurrency_limit: 1_000, ..Settings::default() }).await
}

pub async fn start_with(settings: Settings) -> Erp {
    Erp::sign_in(sandbox::start(Config { settings, ..Config::default() }).await.expect("the sandbox starts")).await
}

pub fn claims(erp: &Sandbox) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": erp.credentials().client_id, "scope": ["rest_webservices"],
        "aud": format!("{}/services/rest/auth/oauth2/v1/token", erp.url()), "iat": now, "exp": now + 300,
    })
}

pub fn sign(erp: &Sandbox, kid: &str, claims: &Value) -> String {
    let key =
        EncodingKey::from_ec_pem(erp.credentials().private_key_pem.expose_secret().as_bytes()).expect("an EC key");
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, &key).expect("it signs")
}

pub async fn ask_for_token(http: &reqwest::Client, url: &str, assertion: &str) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", assertion)
        .finish();
    let request = http.post(format!("{url}/services/rest/auth/oauth2/v1/token"));
    send(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await.expect("an answer")
}

pub async fn send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Ok(Answer { status, headers, body })
}

impl Erp {
    pub async fn sign_in(sandbox: Sandbox) -> Erp {
        let http = http();
        let assertion = sign(&sandbox, &sandbox.credentials().certificate_id, &claims(&sandbox));
        let answer = ask_for_token(&http, &sandbox.url(), &assertion).await;
        let token = answer.body["access_token"].as_str().expect("a token").to_owned();
        Erp { sandbox, http, token }
    }

    /// A request to `/services/rest…` with token and strict names.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/services/rest{path}", self.sandbox.url()))
            .bearer_auth(&self.token)
            .header("X-NetSuite-PropertyNameValidation", "Error")
    }

    pub async fn try_write(&self, method: Method, path: &str, body: Value) -> Result<Answer, reqwest::Error> {
        send(self.request(method, &format!("/record/v1{path}")).json(&body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_write(Method::POST, path, body).await.expect("an answer")
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.try_write(Method::PUT, path, body).await.expect("an answer")
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.try_write(Method::PATCH, path, body).await.expect("an answer")
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.try_write(Method::DELETE, path, json!({})).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, &format!("/record/v1{path}"))).await.expect("an answer")
    }

    pub async fn sql(&self, query: &str) -> Answer {
        let request = self.request(Method::POST, "/query/v1/suiteql").header("Prefer", "transient");
        send(request.json(&json!({ "q": query }))).await.expect("an answer")
    }

    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.http.request(method, format!("{}/__admin{path}", self.sandbox.url())).json(&body);
        send(request).await.expect("an answer")
    }

    pub async fn state(&self) -> Value {
        self.admin(Method::GET, "/state", json!({})).await.body
    }

    pub async fn effects_from(&self, from_seq: u64) -> Vec<Value> {
        let url = format!("{}/__admin/effects?from_seq={from_seq}", self.sandbox.url());
        let text = self.http.get(url).send().await.expect("an answer").text().await.expect("a body");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    pub async fn fault(&self, rule: Value) {
        let answer = self.admin(Method::POST, "/faults", rule).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// A customer of the UK subsidiary under the external id.
    pub async fn customer(&self, external_id: &str) -> String {
        self.put(&format!("/customer/eid:{external_id}"), customer(external_id)).await.id()
    }

    /// An invoice of 120.00 GBP (100.00 and 20.00 tax) for the customer.
    pub async fn invoice(&self, customer: &str, external_id: &str) -> String {
        self.put(&format!("/invoice/eid:{external_id}"), invoice(customer, external_id)).await.id()
    }
}

pub fn customer(external_id: &str) -> Value {
    json!({
        "companyName": format!("Company {external_id}"), "subsidiary": { "externalId": "UK" }, "currency": { "externalId": "GBP" },
        "terms": { "externalId": "NET30" }, "custentity_tl_account_id": external_id,
        "custentity_tl_event_id": format!("event-of-{external_id}"),
    })
}

pub fn invoice(customer: &str, external_id: &str) -> Value {
    json!({
        "entity": { "externalId": customer }, "tranId": external_id, "tranDate": "2024-03-15",
        "custbody_tl_event_id": format!("event-of-{external_id}"), "custbody_tl_correlation_id": "correlation",
        "custbody_tl_account_id": customer,
        "item": { "items": [{
            "item": { "externalId": "SUB-PRO" }, "quantity": 4, "rate": 25, "amount": 100.00,
            "taxDetailsReference": "1",
        }] },
        "taxDetailsOverride": true,
        "taxDetails": { "items": [{
            "taxDetailsReference": "1", "taxCode": { "externalId": "STANDARD" }, "taxRate": 20, "taxBasis": 100, "taxAmount": 20.00,
        }] },
    })
}

pub fn payment(customer: &str, amount: f64, invoice: Option<(&str, f64)>) -> Value {
    let mut payment = json!({
        "customer": { "externalId": customer }, "payment": amount, "tranDate": "2024-03-20", "autoApply": false,
        "custbody_tl_event_id": "event-of-payment",
    });
    if let Some((invoice, amount)) = invoice {
        payment["apply"] = json!({ "items": [{ "doc": { "id": invoice }, "apply": true, "amount": amount }] });
    }
    payment
}
