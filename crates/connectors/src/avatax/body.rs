//! What is sent: a sales invoice that is not committed.

use super::Company;
use crate::{CustomerTaxId, Exemption, TaxAddress, TaxCustomer, TaxQuestion};
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};
use sha2::{Digest as _, Sha256};

/// AvaTax' codes have at most this many characters.
const MOST_CHARS: usize = 50;

/// Our id of a document where it can be a code, else a digest of it: codes travel in addresses, where some characters have a meaning to AvaTax.
pub(super) fn code(document_id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if !document_id.is_empty() && document_id.len() <= MOST_CHARS && document_id.chars().all(is_plain) {
        return document_id.to_owned();
    }
    let digest = Sha256::digest(document_id.as_bytes());
    let hex: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("tl-{hex}")
}

/// What of the buyer AvaTax is told.
pub(super) struct Buyer {
    pub(super) ship_to: Value,
    pub(super) registration: Option<String>,
    pub(super) entity_use: Option<String>,
}

impl Buyer {
    pub(super) fn told(customer: &TaxCustomer) -> Self {
        Self {
            ship_to: address(&customer.ship_to),
            registration: customer.tax_ids.iter().find_map(registration).map(str::to_owned),
            entity_use: entity_use(customer.exemption).map(str::to_owned),
        }
    }
}

pub(super) fn transaction(company: &Company, question: &TaxQuestion, buyer: &Buyer) -> Value {
    let lines: Vec<Value> = question.lines.iter().enumerate().map(|(at, _)| line(question, at)).collect();
    json!({
        "type": "SalesInvoice",
        "commit": false,
        "code": code(&question.document.document_id),
        "description": question.document.document_id,
        "companyCode": company.code,
        "customerCode": question.account_id,
        "date": question.date,
        "currencyCode": question.currency.code,
        "referenceCode": question.document.revision.to_string(),
        "businessIdentificationNo": buyer.registration,
        "entityUseCode": buyer.entity_use,
        "addresses": { "shipFrom": address(&company.ship_from), "shipTo": buyer.ship_to },
        "lines": lines,
    })
}

/// Numbers of the line are its place: its id may be longer than AvaTax takes.
fn line(question: &TaxQuestion, at: usize) -> Value {
    let line = &question.lines[at];
    json!({
        "number": (at + 1).to_string(),
        "quantity": number(line.quantity),
        "amount": number(question.currency.amount(line.amount_minor)),
        "itemCode": line.product_id.chars().take(MOST_CHARS).collect::<String>(),
        "taxCode": line.tax_code,
        "ref1": line.line_id.chars().take(MOST_CHARS).collect::<String>(),
    })
}

/// A VAT number; the customer's other numbers decide nothing about the tax.
fn registration(id: &CustomerTaxId) -> Option<&str> {
    (id.scheme.ends_with("vat") || id.scheme.ends_with("gst")).then_some(&*id.value)
}

/// AvaTax' code for `other`; a customer abroad that declares the tax itself is known by its registration.
const fn entity_use(exemption: Exemption) -> Option<&'static str> {
    match exemption {
        Exemption::Exempt => Some("L"),
        Exemption::None | Exemption::ReverseCharge => None,
    }
}

pub(super) fn address(address: &TaxAddress) -> Value {
    let parts = [
        ("line1", &address.line1),
        ("city", &address.city),
        ("region", &address.region),
        ("postalCode", &address.postal_code),
        ("country", &Some(address.country.clone())),
    ];
    parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))).collect()
}

/// A JSON number with the decimal's own digits.
fn number(decimal: Decimal) -> Value {
    let text = decimal.to_string();
    text.parse::<i64>().map_or_else(|_| text.parse::<Number>().map_or(Value::Null, Value::Number), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_our_id_where_avatax_can_have_it() {
        assert_eq!(code("ORD-1.LE_UK"), "ORD-1.LE_UK");
        for id in ["ORD/1", "ORD 1", &"x".repeat(51), ""] {
            let code = code(id);
            assert!(code.starts_with("tl-") && code.len() <= MOST_CHARS, "{code}");
        }
    }

    #[test]
    fn amounts_keep_their_digits() {
        let text = |decimal: Decimal| number(decimal).to_string();
        assert_eq!(text(Decimal::new(123_456_789_012_345, 2)), "1234567890123.45");
        assert_eq!(text(Decimal::new(-5, 0)), "-5");
    }
}
