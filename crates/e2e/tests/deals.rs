//! Deals on their way through the built programs: order-flow asks, erp-sync answers, and contracts come of it, once.

use devstack::Kind;
use e2e::Bench;
use events::{Case, Event, EventSet, OpportunityReopened, WriterSchema, common::Reason, topics};
use kafka::Drain;
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    deals::{self, at, deal, hold},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(240);

/// What lies on a topic now, first appearances only.
async fn told<E: EventSet>(bench: &Bench, topic: &str) -> BTreeMap<String, E> {
    let schema = WriterSchema::own(topic).expect("ours");
    let records = Drain::new(bench.kafka().clone(), PATIENCE).collect(topic).await.expect("read");
    let read = |record: &events::Record| {
        let value = record.value.clone().expect("a fact has a value");
        E::decode_avro(topic, &schema, &value[5..]).expect("readable")
    };
    records.iter().map(|record| (record.headers.text("ce_id").unwrap_or_default().to_owned(), read(record))).collect()
}

async fn until(bench: &Bench, topic: &'static str, count: usize) {
    let enough = async || match told_count(bench, topic).await {
        found if found >= count => Ok(()),
        found => Err(format!("{found} of {topic}")),
    };
    eventually(&format!("{count} of {topic}"), PATIENCE, enough).await.expect("the work goes on");
}

async fn told_count(bench: &Bench, topic: &'static str) -> usize {
    let records = Drain::new(bench.kafka().clone(), PATIENCE).collect(topic).await.expect("read");
    records.iter().filter_map(|record| record.headers.text("ce_id")).collect::<std::collections::BTreeSet<_>>().len()
}

async fn deals_become_contracts(kind: Kind, name: &str) {
    let services = [("erp-sync", 1), ("order-flow", 1)];
    let bench = Bench::start_with(kind, &services, name, |config| config).await.expect("the stack starts");
    let shared = deals::shared("A-2", "O-2");
    let mut wrong = deal("A-3", "O-3");
    wrong.legal_entity_id = "FR".into();
    wrong.tax_exposure[0].nexus_known = false;
    let held = hold("A-4", 1, true);
    bench.publish(&[bench.deal(held)]).await.expect("published");
    let deals = [deal("A-1", "O-1"), shared, wrong, deal("A-4", "O-4"), deals::with_services("A-5", "O-5")];
    let records: Vec<_> = deals.iter().map(|deal| bench.deal(deal.clone())).collect();
    bench.publish(&records).await.expect("published");
    until(&bench, topics::FALLOUT_OPENED, 2).await;
    until(&bench, topics::CONTRACT_ACTIVATED, 4).await;
    bench.publish(&[bench.deal(hold("A-4", 2, false))]).await.expect("published");
    until(&bench, topics::CONTRACT_ACTIVATED, 5).await;
    let reopened = OpportunityReopened {
        account_id: "A-1".into(),
        entity_version: 2,
        effective_at: at(9),
        recorded_at: at(9),
        legal_entity_id: "US".into(),
        opportunity_id: "O-1".into(),
        previous_stage: None,
        reason: Reason { code: "customer_withdrew".into(), text: None },
    };
    bench.publish(&[bench.deal(reopened)]).await.expect("published");
    until(&bench, topics::CONTRACT_CANCELLED, 1).await;
    // Everything once more: nothing changes.
    bench.publish(&records).await.expect("published");
    for service in ["order-flow", "erp-sync"] {
        let report = if service == "erp-sync" {
            bench.verified(PATIENCE).await
        } else {
            bench.verified_of(service, PATIENCE).await
        };
        report.expect("verified");
    }
    let parked = bench.ledger.sequences(None).await.expect("the ledger");
    assert_eq!(parked.len(), 0, "contracts of deals go on in the ERP: {parked:?}");
    contracts(&bench).await;
    bench.stop().await.expect("stopped");
}

async fn contracts(bench: &Bench) {
    let active = told::<Event>(bench, topics::CONTRACT_ACTIVATED).await;
    let mut values: BTreeMap<String, (String, Option<i64>)> = BTreeMap::new();
    for event in active.into_values() {
        let Event::ContractActivated(event) = event else { panic!("{event:?}") };
        values.insert(event.contract_id.clone(), (event.currency.clone(), event.total_contract_value_minor));
    }
    let of = |id: &str, currency: &str, minor| (id.to_owned(), (currency.to_owned(), Some(minor)));
    let expected = [
        of("O-1-US", "USD", 100_001),
        of("O-2-US", "USD", 60_001),
        of("O-2-DE", "EUR", 36_800),
        of("O-4-US", "USD", 100_001),
        of("O-5-US", "USD", 120_001),
    ];
    assert_eq!(values, BTreeMap::from(expected));
    let cases = told::<Case>(bench, topics::FALLOUT_OPENED).await;
    let mut codes: Vec<(String, Vec<String>)> = Vec::new();
    for case in cases.into_values() {
        let Case::FalloutOpened(case) = case else { panic!("{case:?}") };
        codes.push((case.opportunity_id.clone(), case.reasons.iter().map(|reason| reason.code.clone()).collect()));
    }
    codes.sort();
    assert_eq!(codes[1], ("O-4".to_owned(), vec!["CREDIT_HOLD".to_owned()]));
    assert!(codes[0].1.contains(&"ENTITY_UNMAPPED".to_owned()) && codes[0].1.contains(&"TAX_NEXUS_UNKNOWN".to_owned()));
    assert_eq!(told_count(bench, topics::ORDER_ACCEPTED).await, 5, "one order for each contract");
    assert_eq!(told_count(bench, topics::CUSTOMER_ONBOARDED).await, 4, "one customer for each account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deals_become_orders_and_contracts_once() {
    Box::pin(deals_become_contracts(Kind::Embedded, "deals-embedded")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deals_become_orders_and_contracts_once_on_real_parts() {
    Box::pin(deals_become_contracts(Kind::Real, "deals-real")).await;
}
