//! Reading the bodies of requests: every field, and no others; the first thing that is wrong is told with its name.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// Why a body is refused: code and detail.
pub type Wrong = (&'static str, String);

fn malformed(field: &str, what: &str) -> Wrong {
    ("INVALID_REQUEST", format!("{field}: {what}"))
}

struct Body(Map<String, Value>);

impl Body {
    fn text(&mut self, field: &str) -> Result<String, Wrong> {
        self.optional(field)?.ok_or_else(|| malformed(field, "must be text that is not empty"))
    }

    fn optional(&mut self, field: &str) -> Result<Option<String>, Wrong> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => Ok(Some(text)),
            Some(_) => Err(malformed(field, "must be text of 1 to 255 characters")),
        }
    }

    fn time(&mut self, field: &str) -> Result<Option<Timestamp>, Wrong> {
        let Some(text) = self.optional(field)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| malformed(field, "must be a time as RFC 3339 has it"))
    }

    fn revision(&mut self) -> Result<u64, Wrong> {
        // JSON has one kind of number: 2.0 is a whole one.
        let whole = |value: Value| value.as_u64().or_else(|| value.to_string().strip_suffix(".0")?.parse().ok());
        let revision = self.0.remove("revision").and_then(whole).filter(|revision| *revision > 0);
        revision.ok_or_else(|| malformed("revision", "must be a whole number from 1"))
    }

    fn end(self) -> Result<(), Wrong> {
        match self.0.keys().next() {
            Some(field) => Err(malformed(field, "is no field of this resource")),
            None => Ok(()),
        }
    }
}

fn body(bytes: &[u8]) -> Result<Body, Wrong> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(Body(fields)),
        _ => Err(malformed("body", "must be a JSON object")),
    }
}

/// A tenant as it is kept.
pub fn tenant(id: &str, bytes: &[u8]) -> Result<Value, Wrong> {
    let mut body = body(bytes)?;
    let (tier, revision) = (body.optional("support_tier")?, body.revision()?);
    body.end()?;
    Ok(json!({ "tenant_id": id, "support_tier": tier, "revision": revision }))
}

/// An entitlement as it is kept.
pub fn entitlement(tenant: &str, id: &str, bytes: &[u8]) -> Result<Value, Wrong> {
    let mut body = body(bytes)?;
    let feature = body.text("feature")?;
    let quantity = body.optional("quantity")?;
    let status = body.text("status")?;
    if !["active", "suspended", "revoked"].contains(&&*status) {
        return Err(malformed("status", "must be active, suspended or revoked"));
    }
    let valid_from = body.time("valid_from")?.ok_or_else(|| malformed("valid_from", "is missing"))?;
    let valid_to = body.time("valid_to")?;
    let (contract, line) = (body.text("contract_id")?, body.optional("contract_line_id")?);
    let revision = body.revision()?;
    body.end()?;
    if let Some(text) = &quantity {
        match text.parse::<Decimal>() {
            Ok(quantity) if quantity.is_sign_negative() && !quantity.is_zero() => {
                return Err(("QUANTITY_NEGATIVE", format!("quantity: {quantity} is below zero")));
            }
            Ok(_) => {}
            Err(_) => return Err(malformed("quantity", "must be a decimal number as text, or null for no limit")),
        }
    }
    if valid_to.is_some_and(|end| end < valid_from) {
        return Err(("VALIDITY_INVALID", "valid_to: lies before valid_from".to_owned()));
    }
    Ok(json!({
        "tenant_id": tenant,
        "entitlement_id": id,
        "feature": feature,
        "quantity": quantity,
        "status": status,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "contract_id": contract,
        "contract_line_id": line,
        "revision": revision,
    }))
}
