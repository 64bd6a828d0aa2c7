//! Pitfalls of the trade, through plans, connector and a Salesforce stand-in: what people would see in the CRM.

use connectors::salesforce::{Bounds, Credentials, Options, Salesforce};
use consumer::{Context, Documents, Effect as _, Handler as _, Input, Intent, Target as _};
use crm_sync::{CrmSync, CrmTarget, document::CrmDocument, effect::CrmEffect, event::CrmEvent};
use events::{
    ContractActivated, Event, EventSet as _, InvoicePosted, PaymentFailed, PaymentReceived,
    common::{Customer, PaymentAllocation, Term, Totals},
};
use failure::Failure;
use jiff::civil::date;
use ledger::DocumentKey;
use sandbox::salesforce as stand_in;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The service without its runtime: what is decided is sent at once, and takes hold.
struct Service {
    sandbox: stand_in::Sandbox,
    target: CrmTarget,
    documents: BTreeMap<DocumentKey, Arc<CrmDocument>>,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        let sandbox = stand_in::start(stand_in::Config::default()).await.expect("a stand-in on a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let private_key_file = sandbox.credentials().save(folder.path()).expect("credentials");
        let salesforce = Salesforce::try_new(Options {
            base_url: sandbox.url(),
            credentials: Credentials {
                client_id: sandbox.credentials().client_id.clone(),
                username: sandbox.credentials().username.clone(),
                audience: "https://login.salesforce.com".into(),
                private_key_file,
            },
            concurrency: 4,
            bounds: Bounds::default(),
            allow_plain_http: false,
        })
        .expect("good options");
        let target = CrmTarget::new(Arc::new(salesforce), Duration::ZERO);
        Self { sandbox, target, documents: BTreeMap::new(), _folder: folder }
    }

    async fn take(&mut self, event: impl Into<Event>) -> Result<Vec<CrmEffect>, Failure> {
        let event = CrmEvent::from(event.into());
        let context = Context { now_ms: 0, record_ms: 0, envelope: None, key: event.account_id(), refusals: 0 };
        let decision = CrmSync.decide(&Documents::new(&self.documents), &Input::Event(&event), &context)?;
        for effect in &decision.effects {
            let intent = Intent {
                effect: effect.clone(),
                attempts: 0,
                traceparent: None,
                event_id: effect.key(),
                correlation_id: None,
            };
            self.target.apply(std::slice::from_ref(&intent)).await.pop().expect("one answer an intent")?;
            let found = self.target.look_up(&intent).await?;
            assert!(found.is_some(), "what was sent is found: {}", effect.key());
        }
        for change in decision.documents {
            match change.document {
                Some(document) => self.documents.insert(change.key, Arc::new(document)),
                None => self.documents.remove(&change.key),
            };
        }
        Ok(decision.effects)
    }

    async fn rows(&self, object: &str) -> Vec<Value> {
        let url = format!("{}/__admin/state?records=true", self.sandbox.url());
        let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
        let state: Value = serde_json::from_str(&text).expect("JSON");
        state["records"][object].as_array().expect("a list").clone()
    }
}

fn contract(account_id: &str) -> ContractActivated {
    ContractActivated {
        account_id: account_id.into(),
        contract_id: format!("c-{account_id}"),
        entity_version: 1,
        customer: Customer { legal_name: "Example".into(), currency: "GBP".into(), ..Customer::default() },
        currency: "GBP".into(),
        term: Term {
            start_on: date(2024, 2, 29),
            end_on: Some(date(2025, 3, 1)),
            timezone: "Australia/Sydney".into(),
            ..Term::default()
        },
        ..ContractActivated::default()
    }
}

fn invoice(account_id: &str, invoice_id: &str, currency: &str, payable_minor: i64) -> InvoicePosted {
    InvoicePosted {
        account_id: account_id.into(),
        invoice_id: invoice_id.into(),
        entity_version: 1,
        currency: currency.into(),
        due_on: Some(date(2026, 1, 31)),
        totals: Totals { payable_minor, ..Totals::default() },
        ..InvoicePosted::default()
    }
}

#[tokio::test]
async fn amounts_are_exact_in_currencies_with_0_2_3_and_4_decimals_and_never_mixed() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    for (number, currency) in ["JPY", "GBP", "KWD", "CLF"].into_iter().enumerate() {
        service.take(invoice("a-1", &format!("i-{number}"), currency, 1_234_567)).await.expect("taken");
    }
    let shown: BTreeMap<String, String> = service
        .rows("TL_Receivable__c")
        .await
        .iter()
        .map(|row| (row["CurrencyIsoCode"].to_string(), row["TL_Open__c"].as_str().expect("text").to_owned()))
        .collect();
    let expected = [("CLF", "123.4567"), ("GBP", "12345.67"), ("JPY", "1234567"), ("KWD", "1234.567")];
    assert_eq!(shown, expected.map(|(code, amount)| (format!("{code:?}"), amount.to_owned())).into());
}

#[tokio::test]
async fn the_last_day_of_a_term_is_the_day_before_its_end_also_around_a_leap_day() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    let rows = service.rows("Contract").await;
    assert_eq!((&rows[0]["StartDate"], &rows[0]["TL_End_Date__c"]), (&"2024-02-29".into(), &"2025-02-28".into()));
}

#[tokio::test]
async fn accounts_that_differ_by_case_alone_stay_two() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    service.take(contract("A-1")).await.expect("taken");
    service.take(invoice("A-1", "i-1", "GBP", 100)).await.expect("taken");
    assert_eq!((service.rows("Account").await.len(), service.rows("Contract").await.len()), (2, 2));
    let owed = service.rows("TL_Receivable__c").await;
    assert!(owed.len() == 1 && owed[0]["account_id"].as_str().is_some_and(|id| id.starts_with("A-1")), "{owed:?}");
}

#[tokio::test]
async fn a_payment_that_came_before_its_invoice_leaves_nothing_open() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    let payment = PaymentReceived {
        account_id: "a-1".into(),
        payment_id: "p-1".into(),
        entity_version: 1,
        currency: "GBP".into(),
        amount_minor: 100,
        received_on: date(2026, 1, 2),
        allocations: vec![PaymentAllocation {
            invoice_id: "i-1".into(),
            amount_minor: 90,
            write_off_minor: 10,
            ..PaymentAllocation::default()
        }],
        ..PaymentReceived::default()
    };
    service.take(payment).await.expect("taken");
    assert_eq!(service.rows("TL_Receivable__c").await[0]["TL_Balance__c"], "-1.1");
    service.take(invoice("a-1", "i-1", "GBP", 100)).await.expect("taken");
    let owed = service.rows("TL_Receivable__c").await;
    assert_eq!((&owed[0]["TL_Open_Invoices__c"], &owed[0]["TL_Balance__c"]), (&"0".into(), &"-0.1".into()));
    assert!(owed[0].get("TL_Oldest_Due_Date__c").is_none(), "nothing is due");
}

#[tokio::test]
async fn a_task_names_what_failed_and_asks_for_haste_when_nothing_is_tried_again() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    let failed = PaymentFailed {
        account_id: "a-1".into(),
        payment_id: "p-1".into(),
        entity_version: 1,
        invoice_id: "i-1".into(),
        amount_minor: 12_345,
        currency: "JPY".into(),
        failure_code: "card_declined".into(),
        dunning_step: Some(3),
        ..PaymentFailed::default()
    };
    service.take(failed).await.expect("taken");
    let task = service.rows("Task").await.remove(0);
    assert_eq!(task["Subject"], "Collect 12345 JPY of invoice i-1");
    assert_eq!((&task["Priority"], &task["TL_Task_Id__c"]), (&"High".into(), &"i-1/step-3".into()));
    assert!(task["Description"].as_str().is_some_and(|text| text.contains("card_declined")), "{task}");
}

#[tokio::test]
async fn an_unknown_kind_of_threshold_is_shown_as_unknown_and_stops_nothing() {
    let mut service = Service::start().await;
    service.take(contract("a-1")).await.expect("taken");
    let crossed = events::UsageThresholdExceeded {
        account_id: "a-1".into(),
        threshold_id: "t-1".into(),
        contract_id: "c-a-1".into(),
        entity_version: 1,
        meter: "calls".into(),
        period: events::common::Period::new(date(2026, 1, 1), date(2026, 2, 1), "UTC"),
        ..events::UsageThresholdExceeded::default()
    };
    service.take(crossed).await.expect("taken");
    let usage = service.rows("TL_Usage__c").await.remove(0);
    assert_eq!((&usage["TL_Threshold_Type__c"], &usage["TL_Period_End__c"]), (&"Unknown".into(), &"2026-01-31".into()));
}
