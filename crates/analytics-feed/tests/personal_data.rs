//! No personal data reaches an analytics topic: every field that a schema tags is filled with a canary, in every event, and nothing
//! that leaves the service or is remembered contains one.

mod common;

use analytics_feed::event::FeedEvent;
use common::{Service, masks};
use events::{
    Dataset, Envelope, EventSet as _,
    topics::{self, Family, of_family},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CANARY: &str = "Canary";

/// The events in an order in which each is accepted, with its version.
const STORY: [(&str, i64); 18] = [
    (topics::OPPORTUNITY_CLOSED_WON, 1),
    (topics::OPPORTUNITY_REOPENED, 2),
    (topics::ORDER_ACCEPTED, 1),
    (topics::ENTITLEMENT_GRANTED, 1),
    (topics::CONTRACT_ACTIVATED, 1),
    (topics::CONTRACT_AMENDED, 2),
    (topics::SUBSCRIPTION_RENEWAL_ACCEPTED, 3),
    (topics::CONTRACT_CANCELLED, 4),
    (topics::INVOICE_POSTED, 1),
    (topics::INVOICE_MARKED_UNCOLLECTIBLE, 2),
    (topics::INVOICE_VOIDED, 3),
    (topics::CREDIT_NOTE_ISSUED, 1),
    (topics::PAYMENT_FAILED, 1),
    (topics::PAYMENT_RECEIVED, 2),
    (topics::PAYMENT_REFUNDED, 3),
    (topics::PAYMENT_DISPUTED, 4),
    (topics::USAGE_RATED, 1),
    (topics::USAGE_THRESHOLD_EXCEEDED, 1),
];

/// The golden record of a topic, in which every field has a value; each tagged one is replaced by a canary.
fn event(topic: &str, version: i64, tagged: &mut BTreeSet<String>) -> FeedEvent {
    let name = topic.trim_end_matches(".v1");
    let folder = format!("{}/../../schemas/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let minors = (0..).map(|minor| format!("{folder}/v1.{minor}.json"));
    let path = minors.take_while(|path| std::path::Path::new(path).is_file()).last().expect("a golden record");
    let mut data: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("golden")).expect("JSON");
    let schema: Value = serde_json::from_str(topics::find(topic).expect("ours").schema).expect("JSON");
    let mut names = BTreeMap::new();
    name_types(&schema, &mut names);
    plant(&schema, &names, &mut data, topic, tagged);
    data["entity_version"] = json!(version);
    data.as_object_mut().expect("an object").remove("corrects_usage_batch_id");
    FeedEvent::decode_json(topic, &data).expect("still readable")
}

fn name_types<'a>(schema: &'a Value, names: &mut BTreeMap<String, &'a Value>) {
    match schema {
        Value::Object(object) => {
            if let (Some(name), Some(space)) = (object.get("name"), object.get("namespace")) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                names.insert(format!("{}.{}", text(space), text(name)), schema);
            }
            object.values().for_each(|value| name_types(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| name_types(item, names)),
        _ => {}
    }
}

fn plant(
    schema: &Value,
    names: &BTreeMap<String, &Value>,
    data: &mut Value,
    path: &str,
    tagged: &mut BTreeSet<String>,
) {
    match (schema, data) {
        (Value::String(name), data) => {
            if let Some(named) = names.get(name) {
                plant(named, names, data, path, tagged);
            }
        }
        (Value::Array(branches), data) => plant(&branches[1], names, data, path, tagged),
        (Value::Object(kind), Value::Array(items)) => {
            items.iter_mut().for_each(|item| plant(&kind["items"], names, item, path, tagged));
        }
        (Value::Object(kind), Value::Object(record)) => {
            for field in kind["fields"].as_array().into_iter().flatten() {
                plant_field(field, names, record, path, tagged);
            }
        }
        _ => {}
    }
}

fn plant_field(
    field: &Value,
    names: &BTreeMap<String, &Value>,
    record: &mut Map<String, Value>,
    path: &str,
    tagged: &mut BTreeSet<String>,
) {
    let name = field["name"].as_str().expect("a name");
    let path = format!("{path}.{name}");
    let value = record.get_mut(name).unwrap_or_else(|| panic!("golden records have every field: {path}"));
    if field.get("pii").is_some() {
        *value = json!(format!("{CANARY} {name}"));
        tagged.insert(path);
    } else {
        plant(&field["type"], names, value, &path, tagged);
    }
}

fn told() -> (Service, BTreeSet<String>) {
    let (mut service, mut tagged) = (Service::new(), BTreeSet::new());
    for (topic, version) in STORY {
        let event = event(topic, version, &mut tagged);
        let envelope = Envelope { id: format!("{topic}-{version}"), source: "urn:test".into(), ..Envelope::default() };
        service.decide(&envelope, &event).unwrap_or_else(|failure| panic!("{topic}: {failure}"));
    }
    service.let_time_pass();
    (service, tagged)
}

#[test]
fn no_tagged_field_of_any_event_reaches_a_topic_or_a_document() {
    let (service, tagged) = told();
    let topics: BTreeSet<&str> = STORY.iter().map(|(topic, _)| *topic).collect();
    let all: BTreeSet<&str> = FeedEvent::topics().into_iter().collect();
    assert_eq!(topics, all, "every event has its part in the story");
    assert!(tagged.len() > 30, "{tagged:?}");
    assert!(service.published.len() > 15);
    for record in &service.published {
        let text = String::from_utf8_lossy(&record.bytes);
        assert!(!text.contains(CANARY), "{}: {text}", record.topic);
    }
    for (key, document) in &service.documents {
        let text = serde_json::to_string(&**document).expect("JSON");
        assert!(!text.contains(CANARY), "{key:?}: {text}");
    }
}

#[test]
fn what_stands_for_personal_data_is_its_token() {
    let (service, _) = told();
    let contracts = service.states(topics::ANALYTICS_CONTRACT);
    let Some(Dataset::AnalyticsContract(contract)) = contracts.values().next() else { panic!("a contract") };
    let token = |kind: &str, field: &str| masks().token(kind, &format!("{CANARY} {field}").into());
    assert_eq!(contract.customer_name_token, token("name", "legal_name"));
    assert_eq!(contract.customer_email_token, Some(token("email", "email")));
    let references = service.rows().filter_map(|row| match row {
        Dataset::AnalyticsPayment(payment) => payment.bank_reference_token.clone(),
        _ => None,
    });
    assert_eq!(references.collect::<BTreeSet<_>>(), BTreeSet::from([token("bank_reference", "bank_reference")]));
}

/// Whoever adds a field to an analytics topic is asked what it holds.
#[test]
fn analytics_schemas_have_no_field_for_personal_data() {
    for subject in of_family(Family::Analytics) {
        assert!(!subject.schema.contains("\"pii\""), "{}", subject.topic);
        let schema: Value = serde_json::from_str(subject.schema).expect("JSON");
        for field in schema["fields"].as_array().expect("fields") {
            let name = field["name"].as_str().expect("a name");
            assert_eq!(name.ends_with("_token"), field.get("masks").is_some(), "{}.{name}", subject.topic);
        }
    }
}
