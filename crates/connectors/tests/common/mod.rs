//! A NetSuite stand-in with a connector on it, and requests to send.

#![allow(dead_code, reason = "each test file uses a part of it")]

use connectors::{
    Cause, Contact, Currency, Dimensions, Error, Header, Line, NewCreditMemo, NewCustomer, NewInvoice, NewOrder,
    NewPayment, Reference, Tax,
    netsuite::{Bounds, CertificateId, Credentials, NetSuite, Options},
};
use jiff::civil::date;
use rust_decimal::Decimal;
use sandbox::{Rule, Sandbox, Settings};
use std::{path::Path, time::Duration};

pub struct Erp {
    pub sandbox: Sandbox,
    pub netsuite: NetSuite,
    folder: tempfile::TempDir,
}

pub fn options(base_url: String, key: &Path) -> Options {
    Options {
        base_url,
        credentials: Credentials {
            client_id: "throughline-dev-client".into(),
            certificate_id: CertificateId::Fixed("throughline-dev-certificate".into()),
            private_key_file: key.to_owned(),
            certificate_file: None,
        },
        external_id_prefix: "tl-".into(),
        concurrency: 4,
        bounds: Bounds { request_timeout: Duration::from_secs(5), ..Bounds::default() },
        allow_plain_http: false,
    }
}

impl Erp {
    pub async fn start() -> Self {
        Self::with(Settings::default(), |_| {}).await
    }

    pub async fn with(settings: Settings, change: impl FnOnce(&mut Options)) -> Self {
        let config = sandbox::Config { settings, ..sandbox::Config::default() };
        let sandbox = sandbox::start(config).await.expect("a stand-in on a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let key = sandbox.credentials().save(folder.path()).expect("credentials");
        let mut options = options(sandbox.url(), &key);
        change(&mut options);
        let netsuite = NetSuite::try_new(options).expect("good options");
        Self { sandbox, netsuite, folder }
    }

    pub fn fault(&self, rule: serde_json::Value) {
        let rule: Rule = serde_json::from_value(rule).expect("a rule");
        self.sandbox.add_fault(rule).expect("a good rule");
    }

    pub fn key_folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn admin(&self, path: &str) -> String {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        reqwest::get(url).await.expect("an answer").text().await.expect("text")
    }

    pub async fn post_admin(&self, path: &str, body: serde_json::Value) {
        let url = format!("{}/__admin/{path}", self.sandbox.url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Committed effects on records of a kind.
    pub async fn effects(&self, object: &str) -> Vec<serde_json::Value> {
        let lines = self.admin("effects").await;
        let all = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        all.filter(|effect| effect["object"] == object).collect()
    }

    /// How often a request was made: `GET /services/rest/…` with `*` for ids.
    pub async fn requests(&self, method_and_path: &str) -> u64 {
        let all: serde_json::Value = serde_json::from_str(&self.admin("requests?limit=0").await).expect("JSON");
        let counts = all["counts"].as_object().expect("counts");
        let of = counts.iter().filter(|(name, _)| name.starts_with(method_and_path));
        of.flat_map(|(_, by_status)| by_status.as_object().expect("counts").values()).filter_map(|n| n.as_u64()).sum()
    }

    pub async fn with_customer(self) -> Self {
        use connectors::CreateCustomer as _;
        self.netsuite.create_customer(&cause("E-customer"), &customer()).await.expect("a customer");
        self
    }
}

pub fn cause(event_id: &str) -> Cause {
    Cause {
        event_id: event_id.into(),
        correlation_id: Some("CORR-1".into()),
        account_id: ACCOUNT.into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    }
}

pub const ACCOUNT: &str = "walk-in:United Kingdom";

fn by_name(id: &str) -> Reference {
    Reference::ExternalId(id.into())
}

pub fn pounds() -> Currency {
    Currency { reference: by_name("GBP"), exponent: 2 }
}

pub fn customer() -> NewCustomer {
    NewCustomer {
        account_id: ACCOUNT.into(),
        name: "Walk-in customers".into(),
        contact: Contact { email: Some("billing@example.com".into()), phone: None },
        subsidiary: by_name("UK"),
        currency: pounds(),
        terms: Some(by_name("NET30")),
        tax_id: None,
        further_tax_ids: Vec::new(),
        is_searched: false,
    }
}

pub fn header() -> Header {
    Header {
        account_id: ACCOUNT.into(),
        contract_id: Some("C-1".into()),
        subsidiary: by_name("UK"),
        currency: pounds(),
        dated: date(2026, 2, 1),
        memo: "for people".into(),
        may_redate: false,
        foreign: None,
    }
}

pub fn line(number: u32, amount_minor: i64, tax_minor: i64) -> Line {
    Line {
        line_id: number.to_string(),
        item: by_name("RETAIL"),
        description: Some("A thing".into()),
        quantity: Decimal::ONE,
        unit_price: Decimal::new(amount_minor, 2),
        amount_minor,
        taxes: vec![Tax {
            code: by_name("STANDARD"),
            rate_percent: Decimal::from(20),
            basis_minor: amount_minor,
            amount_minor: tax_minor,
        }],
        dimensions: Dimensions { department: Some(by_name("RETAIL")), ..Dimensions::default() },
        delivered: Some(connectors::Span { start_on: date(2026, 2, 1), end_on: date(2026, 3, 1) }),
        is_closed: false,
    }
}

pub fn order() -> NewOrder {
    NewOrder {
        contract_id: "C-1".into(),
        renewal_id: None,
        header: header(),
        start_on: date(2026, 2, 1),
        end_on: Some(date(2027, 2, 1)),
        terms: None,
        purchase_order: Some("PO 7".into()),
        lines: vec![Line { taxes: Vec::new(), ..line(1, 1000, 0) }],
    }
}

pub fn invoice(number: &str) -> NewInvoice {
    NewInvoice {
        invoice_id: number.into(),
        number: number.into(),
        header: header(),
        due_on: Some(date(2026, 3, 1)),
        terms: None,
        purchase_order: None,
        lines: vec![line(1, 1000, 200), line(2, -100, -20), line(3, 33, 7)],
    }
}

pub fn credit_memo(number: &str) -> NewCreditMemo {
    NewCreditMemo {
        credit_note_id: number.into(),
        number: number.into(),
        header: header(),
        lines: vec![line(1, 500, 100)],
        applications: Vec::new(),
    }
}

pub fn payment(id: &str, amount_minor: i64) -> NewPayment {
    NewPayment { payment_id: id.into(), header: header(), amount_minor, applications: Vec::new() }
}

#[track_caller]
pub fn failure<T: std::fmt::Debug>(result: Result<T, Error>) -> failure::Failure {
    result.expect_err("the call must fail").into()
}
