//! Charges that wait go to the ERP as one collection, each with an answer of its own; documents go alone.

mod common;

use common::Service;
use connectors::{Currency, Header, NewCharge, Reference, Span};
use erp_sync::{document::key, effect::ErpEffect};
use events::{ContractActivated, Event};
use jiff::civil::date;
use rust_decimal::Decimal;
use testkit::business::{Faults, Item, Options, stream};

/// A contract in the ERP, and the ERP's id of its order.
async fn with_order(service: &mut Service) -> (ContractActivated, String) {
    let options = Options {
        seed: 5,
        accounts: 1,
        months: 1,
        start: date(2026, 1, 1),
        max_events: Some(20),
        faults: Faults::NONE,
    };
    for generated in stream(&options).expect("good options") {
        let Item::Event { envelope, event } = generated.item else { continue };
        let Event::ContractActivated(activated) = &event else { continue };
        service.take(&envelope, &event).await.expect("an order");
        let document = &service.documents[&key("contract", &activated.contract_id)];
        let document = serde_json::to_value(document.as_ref()).expect("JSON");
        let id = find(&document, "id").expect("the ERP's id");
        return ((**activated).clone(), id);
    }
    panic!("a business has contracts");
}

/// The text of the first member of this name, wherever it is under `erp`.
fn find(value: &serde_json::Value, name: &str) -> Option<String> {
    let erp = value.as_object()?;
    match erp.get("erp").and_then(|erp| erp.get(name)).and_then(serde_json::Value::as_str) {
        Some(text) => Some(text.to_owned()),
        None => erp.values().find_map(|inner| find(inner, name)),
    }
}

fn charge(of: &ContractActivated, order: &str, number: usize, item: &str) -> ErpEffect {
    let mapping = common::mapping();
    let entity = mapping.entity(&of.legal_entity_id).expect("a mapped entity");
    let charge = NewCharge {
        charge_id: format!("{}/api/{number}", of.contract_id),
        header: Header {
            account_id: of.account_id.clone(),
            contract_id: Some(of.contract_id.clone()),
            subsidiary: entity.subsidiary.clone(),
            currency: Currency { reference: Reference::ExternalId(of.currency.clone()), exponent: 2 },
            dated: date(2026, 2, 28),
            memo: "usage".into(),
            may_redate: false,
            foreign: None,
        },
        order: order.to_owned(),
        item: Reference::ExternalId(item.into()),
        quantity: Decimal::ONE,
        amount_minor: 100,
        delivered: Span { start_on: date(2026, 2, 1), end_on: date(2026, 3, 1) },
        description: "usage".into(),
    };
    ErpEffect::ChargeUsage { charge }
}

#[tokio::test]
async fn charges_that_wait_are_one_request_and_one_that_is_refused_spoils_no_other() {
    let mut service = Service::start().await;
    assert_eq!(service.batch(), 100);
    let (contract, order) = with_order(&mut service).await;
    let items = ["USAGE", "NO-SUCH-ITEM", "USAGE"];
    let effects = items.iter().enumerate().map(|(n, item)| charge(&contract, &order, n, item)).collect();
    let answers = service.apply_together(effects).await;
    let [Ok(first), Err(refused), Ok(third)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(refused.code, "ITEM_UNKNOWN");
    assert_ne!(first.external_id, third.external_id);
    let requests = service.admin("requests?limit=0").await;
    let posted = requests["counts"]["POST /services/rest/record/v1/charge"].as_object().expect("requests");
    assert_eq!(posted.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), 1, "{requests}");
}
