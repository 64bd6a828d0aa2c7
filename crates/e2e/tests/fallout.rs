//! Business exceptions as people decide them: a deal without tax nexus and an event whose product nobody mapped are listed with owner and
//! money, and go on, or are given up, when somebody says so.

use devstack::Kind;
use e2e::Bench;
use events::{
    ContractActivated, Envelope, Event, EventSet as _,
    common::{ChargeType, ContractLine, Customer, Term},
    topics,
};
use jiff::civil::date;
use kafka::Outgoing;
use serde_json::Value;
use std::time::Duration;
use testkit::{deals, eventually};

const PATIENCE: Duration = Duration::from_secs(60);

/// A contract for something that the ERP has no item for.
fn unmapped(bench: &Bench) -> Outgoing {
    let line = ContractLine {
        contract_line_id: "L1".into(),
        product_id: "NO-SUCH-PRODUCT".into(),
        charge_type: ChargeType::Recurring,
        quantity: 1.into(),
        unit_price: 70.into(),
        amount_minor: 7_000,
        ..ContractLine::default()
    };
    let event = Event::from(ContractActivated {
        account_id: "A-unmapped".into(),
        contract_id: "C-unmapped".into(),
        entity_version: 1,
        effective_at: deals::at(0),
        recorded_at: deals::at(0),
        legal_entity_id: "US".into(),
        customer: Customer { legal_name: "Example".into(), currency: "USD".into(), ..Customer::default() },
        currency: "USD".into(),
        total_contract_value_minor: Some(7_000),
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: "America/New_York".into(),
            ..Term::default()
        },
        lines: vec![line],
        ..ContractActivated::default()
    });
    event.check().expect("within the rules of the wire");
    let envelope = Envelope {
        id: "C-unmapped-1".into(),
        source: "urn:test:billing".into(),
        event_type: topics::event_type(event.topic()),
        time_ms: event.recorded_at().as_millisecond(),
        subject: Some(event.subject().to_owned()),
        ..Envelope::default()
    };
    bench.record(&envelope, &event)
}

/// The exceptions that are open, once there are so many.
async fn open(bench: &Bench, count: usize) -> Vec<Value> {
    let enough = async || {
        let listed = bench.throughline(&["fallout", "ls"]).await.map_err(|error| format!("{error:#}"))?;
        let rows = listed["exceptions"].as_array().cloned().unwrap_or_default();
        if rows.len() == count { Ok(rows) } else { Err(format!("{rows:?}")) }
    };
    eventually(&format!("{count} exceptions"), PATIENCE, enough).await.expect("the list follows")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_have_owner_and_money_and_end_when_somebody_decides() {
    let services = [("erp-sync", 1), ("order-flow", 1), ("control", 1)];
    let bench = Box::pin(Bench::start_with(Kind::Embedded, &services, "fallout", |config| config));
    let bench = bench.await.expect("the stack starts");
    let waiting = bench.deal(deals::without_nexus("A-1", "O-1"));
    bench.publish(&[waiting, unmapped(&bench)]).await.expect("published");
    let rows = open(&bench, 2).await;
    let of = |service: &str| rows.iter().find(|row| row["service"] == service).expect("one of each");
    let (deal, event) = (of("order-flow"), of("erp-sync"));
    assert_eq!((&deal["owner"], &deal["at_risk"]["USD"]), (&"tax".into(), &100_001.into()));
    assert_eq!((&event["code"], &event["owner"]), (&"ITEM_UNMAPPED".into(), &"product-data".into()));
    let mine = bench.throughline(&["fallout", "ls", "--owner", "tax"]).await.expect("listed");
    assert_eq!(mine["exceptions"].as_array().map(Vec::len), Some(1));

    // Nothing was mended: looking again finds the same, for both.
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    for row in [deal, event] {
        let shown = bench.throughline(&["fallout", "show", &id(row)]).await.expect("shown");
        assert_eq!(shown["id"], row["id"]);
    }
    let again = ["fallout", "resolve", &id(deal), "--reason", "registered?"];
    bench.throughline(&again).await.expect("decided");
    bench.quiet("order-flow", PATIENCE).await.expect("quiet");
    let rows = open(&bench, 2).await;

    for row in &rows {
        let waive = ["fallout", "waive", &id(row), "--reason", "agreed with the owner", "--by", "ada"];
        bench.throughline(&waive).await.expect("decided");
    }
    open(&bench, 0).await;
    let sold = async || {
        let why = bench.throughline(&["order", "why", "O-1"]).await.map_err(|error| format!("{error:#}"))?;
        if why["why"] == "Nothing is waited for." { Ok(()) } else { Err(why["why"].to_string()) }
    };
    eventually("the deal's contract", PATIENCE, sold).await.expect("the deal goes on");
    bench.verified(PATIENCE).await.expect("verified");
    bench.verified_of("order-flow", PATIENCE).await.expect("verified");
    bench.stop().await.expect("stopped");
}

/// The ERP has the order and the product refuses the contract. Whoever owns the case gives it up, and the order is closed, not deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_the_product_refuses_is_given_up_and_its_order_closed() {
    let services = [("erp-sync", 1), ("order-flow", 1), ("provisioning", 1), ("control", 1)];
    let bench = Box::pin(Bench::start_with(Kind::Embedded, &services, "given-up", |config| config));
    let bench = bench.await.expect("the stack starts");
    let product = e2e::platform::Platform::of(&bench.stack, "product").expect("a product platform");
    product.set(&serde_json::json!({ "unknown_features": ["platform"] })).await.expect("set");
    bench.publish(&[bench.deal(deals::deal("A-1", "O-1"))]).await.expect("published");
    let why = async |wanted: &str| {
        let told = async || {
            let why = bench.throughline(&["order", "why", "O-1"]).await.map_err(|error| format!("{error:#}"))?;
            let why = why["why"].as_str().unwrap_or_default().to_owned();
            if why.contains(wanted) { Ok(()) } else { Err(why) }
        };
        eventually(wanted, PATIENCE, told).await.expect("the deal goes on");
    };
    why("lies parked in provisioning (case O-1/1").await;
    let reject = ["fallout", "reject", "O-1/1", "--reason", "the feature is withdrawn", "--by", "ada"];
    bench.throughline(&reject).await.expect("decided");
    why("Nothing is waited for.").await;
    bench.verified(PATIENCE).await.expect("verified");
    bench.verified_of("order-flow", PATIENCE).await.expect("verified");
    bench.verified_of("provisioning", PATIENCE).await.expect("verified");
    assert!(product.records("entitlement").await.expect("the state").is_empty(), "nothing was given");
    let parked = bench.ledger.sequences(None).await.expect("the ledger");
    assert!(parked.is_empty(), "the ERP took the cancellation: {parked:?}");
    bench.stop().await.expect("stopped");
}
