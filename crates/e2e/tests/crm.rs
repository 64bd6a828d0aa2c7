//! crm-sync on its way through the built program: what happened to the business is what the CRM shows, once.

use devstack::Kind;
use e2e::{Bench, crm::Crm};
use events::{ContractActivated, Envelope, Event};
use kafka::Outgoing;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use testkit::business::{Expectations, Faults, Generated, Item, Options, covering, stream};

const PATIENCE: Duration = Duration::from_secs(300);
const SERVICE: &str = "crm-sync";

fn records(bench: &Bench, business: &[Generated]) -> Vec<Outgoing> {
    let event = |generated: &Generated| match &generated.item {
        Item::Event { envelope, event } => Some(bench.record(envelope, event)),
        Item::Raw { .. } => None,
    };
    business.iter().filter_map(event).collect()
}

fn events(business: &[Generated]) -> impl Iterator<Item = &Event> {
    business.iter().filter_map(|generated| match &generated.item {
        Item::Event { event, .. } => Some(event),
        Item::Raw { .. } => None,
    })
}

fn ids(rows: &[Value], field: &str) -> BTreeSet<String> {
    rows.iter().filter_map(|row| row[field].as_str()).map(str::to_owned).collect()
}

/// Compares the CRM with what the business says, number by number.
async fn shows(crm: &Crm, business: &[Generated]) {
    let mut expected = Expectations::new(true);
    business.iter().for_each(|generated| expected.add(generated));
    let shown: BTreeMap<String, i64> = crm
        .records("TL_Receivable__c")
        .await
        .expect("records")
        .iter()
        .map(|row| {
            let currency = row["CurrencyIsoCode"].as_str().expect("a currency");
            let places = events::currency::exponent(currency).expect("an active currency");
            let text = row["TL_Balance__c"].as_str().expect("an amount");
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let minor = format!("{whole}{part:0<width$}", width = places as usize).parse().expect("minor units");
            (row["account_id"].as_str().expect("an account").to_owned(), minor)
        })
        .collect();
    for (account, effects) in &expected.accounts {
        let owed = shown.get(account).copied().unwrap_or_default();
        assert_eq!(owed, effects.receivable_minor(), "account {account}");
    }
    let mut contracts = BTreeSet::new();
    let mut renewals = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    let mut thresholds = BTreeSet::new();
    for event in events(business) {
        match event {
            Event::ContractActivated(event) => drop(contracts.insert(event.contract_id.clone())),
            Event::SubscriptionRenewalAccepted(event) => drop(renewals.insert(event.renewal_id.clone())),
            Event::PaymentFailed(event) => {
                tasks.extend(event.dunning_step.map(|step| format!("{}/step-{step}", event.invoice_id)));
            }
            Event::UsageThresholdExceeded(event) => drop(thresholds.insert(event.threshold_id.clone())),
            _ => {}
        }
    }
    for (object, field, expected) in [
        ("Contract", "TL_Contract_Id__c", contracts),
        ("Opportunity", "TL_Renewal_Id__c", renewals),
        ("Task", "TL_Task_Id__c", tasks),
        ("TL_Usage__c", "TL_Usage_Id__c", thresholds),
    ] {
        let rows = crm.records(object).await.expect("records");
        assert!(!expected.is_empty(), "the business has something for {object}");
        assert_eq!((rows.len(), ids(&rows, field)), (expected.len(), expected), "{object}");
    }
}

/// Lives that together have every kind of event, the five named ones too.
fn every_kind() -> Vec<Generated> {
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed: 11, accounts: 200, months: 4, start, max_events: None, faults: Faults::NONE };
    covering(&options).expect("good options")
}

/// D3.01, D3.13, D3.18, D4.18, D4.23: contract activated, invoice posted, payment failed, renewal accepted, usage threshold exceeded, and all
/// the others, published twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crm_shows_what_happened_and_reading_it_again_writes_nothing() {
    let bench = Bench::start_with(Kind::Embedded, &[(SERVICE, 1)], "crm", |config| config).await.expect("it starts");
    let crm = Crm::of(&bench.stack).expect("a CRM");
    let business = every_kind();
    bench.publish(&records(&bench, &business)).await.expect("published");
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified");
    shows(&crm, &business).await;
    let written = crm.effect_count().await.expect("a count");
    bench.publish(&records(&bench, &business)).await.expect("published again");
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified again");
    assert_eq!(crm.effect_count().await.expect("a count"), written, "nothing was written a second time");
    bench.stop().await.expect("stopped");
}

/// An answer that is lost after the commit, a row that is locked, a limit that is reached: each ends as without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_crm_leave_no_trace_in_what_it_shows() {
    let bench =
        Bench::start_with(Kind::Embedded, &[(SERVICE, 1)], "crm-faults", |config| config).await.expect("it starts");
    let crm = Crm::of(&bench.stack).expect("a CRM");
    for rule in [
        json!({ "method": "PATCH", "every": 7, "times": 5, "drop_after_commit": true }),
        json!({ "method": "PATCH", "every": 5, "times": 3, "error": "UNABLE_TO_LOCK_ROW" }),
        json!({ "method": "PATCH", "nth": 11, "status": 429, "headers": { "Retry-After": "1" } }),
        json!({ "method": "PATCH", "nth": 13, "drop_before": true }),
    ] {
        crm.add_fault(&rule).await.expect("a rule");
    }
    let business = every_kind();
    bench.publish(&records(&bench, &business)).await.expect("published");
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified");
    shows(&crm, &business).await;
    bench.stop().await.expect("stopped");
}

/// Fifty invoices of one account in a burst: while the first write is out the others wait, and go out as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_for_one_account_becomes_few_writes() {
    let bench =
        Bench::start_with(Kind::Embedded, &[(SERVICE, 1)], "crm-burst", |config| config).await.expect("it starts");
    let crm = Crm::of(&bench.stack).expect("a CRM");
    let business: Vec<Generated> = stream(&Options::new(3, 3)).expect("good options").collect();
    let of = |wanted: fn(&Event) -> bool| {
        let found = business.iter().find_map(|generated| match &generated.item {
            Item::Event { envelope, event } if wanted(event) => Some((envelope.clone(), event.clone())),
            _ => None,
        });
        found.expect("the business has one")
    };
    let (envelope, contract) = of(|event| matches!(event, Event::ContractActivated(_)));
    let (_, invoice) = of(|event| matches!(event, Event::InvoicePosted(_)));
    bench.publish(&[bench.record(&envelope, &contract)]).await.expect("published");
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified");

    let Event::ContractActivated(contract) = contract else { panic!("a contract") };
    let Event::InvoicePosted(invoice) = invoice else { panic!("an invoice") };
    crm.add_fault(&json!({ "method": "PATCH", "nth": 1, "delay_ms": 1_500 })).await.expect("a rule");
    let ContractActivated { account_id, .. } = *contract;
    let burst = (0..50_u32).map(|n| {
        let mut invoice = (*invoice).clone();
        invoice.account_id.clone_from(&account_id);
        (invoice.contract_id, invoice.invoice_id) = (None, format!("burst-{n}"));
        let envelope =
            Envelope { id: format!("burst-{n}"), subject: Some(invoice.invoice_id.clone()), ..envelope.clone() };
        let topic = events::topics::INVOICE_POSTED;
        let envelope = Envelope { event_type: events::topics::event_type(topic), ..envelope };
        bench.record(&envelope, &Event::from(invoice))
    });
    let burst: Vec<Outgoing> = burst.collect();
    bench.publish(&burst).await.expect("published");
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified");
    let rows = crm.records("TL_Receivable__c").await.expect("records");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["TL_Open_Invoices__c"], "50");
    let calls = crm.requests("PATCH /services/data/v66.0/sobjects/TL_Receivable__c").await.expect("the journal");
    assert!(calls <= 5, "{calls} writes for a burst of 50");
    bench.stop().await.expect("stopped");
}

/// Apache Kafka and PostgreSQL, and a service that is killed on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_parts_the_crm_is_right_although_the_service_is_killed() {
    let bench = Bench::start_with(Kind::Real, &[(SERVICE, 1)], "crm-real", |config| config).await.expect("it starts");
    let crm = Crm::of(&bench.stack).expect("a CRM");
    let business = every_kind();
    let records = records(&bench, &business);
    for part in records.chunks(records.len() / 3 + 1) {
        bench.publish(part).await.expect("published");
        bench.stack.kill(SERVICE).await.expect("it can be killed");
    }
    bench.verified_of(SERVICE, PATIENCE).await.expect("verified");
    shows(&crm, &business).await;
    bench.stop().await.expect("stopped");
}
