//! What the vendor checks about a customer.

use super::{
    body::{self, Fields},
    kind::Kind,
    refusal::Refusal,
    store::{Record, Store},
    write::stored_fields,
};

/// Checks a customer's fields and fills in its currency.
///
/// # Errors
/// No name, no subsidiary, or another subsidiary or currency than its transactions have.
pub fn check(store: &Store, id: u64, old: Option<&Record>, fields: &mut Fields) -> Result<(), Refusal> {
    let is_person = fields.get("isPerson").and_then(serde_json::Value::as_bool) == Some(true);
    let name = if is_person { "lastName" } else { "companyName" };
    if body::text(fields, name).is_none() {
        return Err(Refusal::missing(name));
    }
    let subsidiary = body::ref_id(fields, "subsidiary").ok_or_else(|| Refusal::missing("subsidiary"))?;
    if !fields.contains_key("currency") {
        let base = base_currency(store, subsidiary).ok_or_else(|| Refusal::missing("currency"))?;
        fields.insert("currency".to_owned(), base);
    }
    let Some(old) = old.filter(|_| store.standing(id).is_some_and(|standing| standing.documents > 0)) else {
        return Ok(());
    };
    let old = stored_fields(old);
    for name in ["subsidiary", "currency"] {
        if body::ref_id(&old, name) != body::ref_id(fields, name) {
            let detail = format!("You cannot change the primary {name} of a customer that has transactions.");
            return Err(Refusal::user(name, detail));
        }
    }
    Ok(())
}

fn base_currency(store: &Store, subsidiary: u64) -> Option<serde_json::Value> {
    let subsidiary = stored_fields(store.get(Kind::Subsidiary, subsidiary)?);
    let code = subsidiary.get("currency")?.as_str()?;
    let id = store.by_external(Kind::Currency, code)?;
    Some(serde_json::json!({ "id": id.to_string(), "refName": code }))
}

/// What transactions ask of a customer.
#[derive(Debug)]
pub struct Buyer {
    fields: Fields,
    on_hold: bool,
}

impl Buyer {
    /// The customer with this internal id, for a transaction's field `path`.
    ///
    /// # Errors
    /// There is none, or it is inactive.
    pub fn load(store: &Store, id: u64, path: &str) -> Result<Buyer, Refusal> {
        let unknown = || Refusal::unknown_value(path, &id.to_string());
        let record = store.get(Kind::Customer, id).ok_or_else(unknown)?;
        let fields = stored_fields(record);
        if fields.get("isInactive").and_then(serde_json::Value::as_bool) == Some(true) {
            return Err(unknown());
        }
        let held = record.external_id.as_ref().is_some_and(|external_id| store.holds.contains(external_id));
        let flag = fields.get("creditHoldOverride").and_then(|flag| flag.get("id")?.as_str());
        let on_hold = held || flag.is_some_and(|flag| flag.eq_ignore_ascii_case("ON"));
        Ok(Buyer { fields, on_hold })
    }

    /// # Errors
    /// The customer is on credit hold.
    pub fn check_hold(&self, path: &str) -> Result<(), Refusal> {
        if self.on_hold {
            let detail = "This customer is on credit hold. You cannot save this transaction until the hold is removed.";
            return Err(Refusal::user(path, detail));
        }
        Ok(())
    }

    /// The subsidiary or currency (`name`) of a transaction: the sent one, which the customer must be enabled for, or the
    /// customer's own.
    ///
    /// # Errors
    /// The customer is not enabled for the one that was sent.
    pub fn enabled(&self, name: &str, list: &str, sent: Option<u64>) -> Result<u64, Refusal> {
        let own = body::ref_id(&self.fields, name).ok_or_else(|| Refusal::missing(name))?;
        let Some(sent) = sent else { return Ok(own) };
        let listed = |line: &serde_json::Value| {
            line.get(name).and_then(|found| found.get("id")?.as_str()?.parse().ok()) == Some(sent)
        };
        if sent == own || body::items(&self.fields, list).iter().any(listed) {
            return Ok(sent);
        }
        let detail =
            format!("Invalid {name} reference key {sent} for the customer: it is not enabled for this {name}.");
        Err(Refusal::field(super::refusal::Code::InvalidKeyOrRef, name, detail))
    }
}
