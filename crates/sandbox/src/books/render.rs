//! A record as reads show it: stored fields, computed fields, links.

use serde_json::{Value, json};

use super::{
    body::Fields,
    kind::Kind,
    money,
    store::{Record, Store},
    write::stored_fields,
};
use crate::clock::timestamp;

/// All fields of a record. Sublists are links only unless `expand`ed, as in the vendor's answers.
pub fn record(store: &Store, kind: Kind, id: u64, record: &Record, base: &str, expand: bool) -> Fields {
    let mut fields = stored_fields(record);
    let own = format!("{base}/{}/{id}", kind.name());
    for (name, value) in &mut fields {
        if !expand && value.get("items").is_some_and(Value::is_array) {
            *value = json!({ "links": [{ "rel": "self", "href": format!("{own}/{name}") }] });
        }
    }
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("id", id.to_string().into());
    set("links", json!([{ "rel": "self", "href": own }]));
    set("createdDate", timestamp(record.created_ms).to_string().into());
    set("lastModifiedDate", timestamp(record.modified_ms).to_string().into());
    if let Some(external_id) = record.external_id.as_deref() {
        set("externalId", external_id.into());
    }
    if let Some(number) = record.number.as_deref() {
        set(if kind == Kind::Customer { "entityId" } else { "tranId" }, number.into());
    }
    if kind == Kind::Customer {
        let balances = store.standing(id).map(|standing| balances(store, standing)).unwrap_or_default();
        set("balance", json!(balances));
    }
    amounts(kind, record, &mut set);
    fields
}

/// Sum of the balances in major units where there is one currency; several are shown by code.
fn balances(store: &Store, standing: &super::store::Standing) -> Value {
    let exponent = |code: &str| store.currencies.values().find(|currency| *currency.code == *code).map(|c| c.exponent);
    let shown = |code: &str, minor: i64| money::json(minor, exponent(code).unwrap_or(2));
    match standing.balances.len() {
        0 => json!(0),
        1 => standing.balances.iter().map(|(code, minor)| shown(code, *minor)).next().unwrap_or_default(),
        _ => standing.balances.iter().map(|(code, minor)| (code.to_string(), shown(code, *minor))).collect(),
    }
}

fn amounts(kind: Kind, record: &Record, set: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let Some(document) = &record.head.document else { return };
    let show = |minor| money::json(minor, document.exponent);
    set("total", show(document.total));
    if kind != Kind::CustomerPayment {
        set("subTotal", show(document.total - document.tax));
        set("taxTotal", show(document.tax));
    }
    let open = record.open(kind);
    match kind {
        Kind::Invoice => {
            set("amountRemaining", show(open));
            set("amountPaid", show(record.settled));
        }
        Kind::CreditMemo | Kind::CustomerPayment => {
            set("applied", show(document.applied_total()));
            set("unapplied", show(open));
        }
        _ => {}
    }
    let status = status(kind, open);
    set("status", json!({ "id": status, "refName": status }));
}

/// The status a list would show.
pub fn status(kind: Kind, open: i64) -> &'static str {
    match (kind, open) {
        (Kind::Invoice, 0) => "Paid In Full",
        (Kind::CreditMemo, 0) => "Fully Applied",
        (Kind::CustomerPayment, _) => "Deposited",
        (Kind::SalesOrder, _) => "Pending Billing",
        _ => "Open",
    }
}
