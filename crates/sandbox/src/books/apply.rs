//! What a credit memo or payment settles: only its own customer's open invoices, never more than is open.

use serde_json::Value;

use super::{
    body::{self, Fields},
    kind::Kind,
    lines,
    money::{self, Currency},
    refusal::{Code, Refusal},
    store::{Application, Document, Store},
};

/// Reads the `apply` sublist into invoice ids and minor units.
///
/// `document` is the record being written without its applications; `old` is what the record applied before this write, which
/// becomes available again.
///
/// # Errors
/// An invoice of somebody else or in another currency, named twice, or with less open than is applied; Σ above the total.
pub fn applications(
    store: &Store,
    fields: &mut Fields,
    document: &Document,
    old: &[Application],
    currency: &Currency,
) -> Result<Vec<Application>, Refusal> {
    let mut applied: Vec<Application> = Vec::new();
    let mut left = document.total;
    for (index, line) in body::items(fields, "apply").iter().enumerate() {
        let path = format!("apply.items[{index}]");
        if line.get("apply").and_then(Value::as_bool) == Some(false) {
            continue;
        }
        let id = line.pointer("/doc/id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id: u64 = id.ok_or_else(|| Refusal::missing(format!("{path}.doc")))?;
        if applied.iter().any(|seen| seen.invoice == id) {
            let detail = format!("The invoice {id} is applied more than once.");
            return Err(Refusal::field(Code::DuplicateKeys, format!("{path}.doc"), detail));
        }
        let before = old.iter().find(|before| before.invoice == id).map_or(0, |before| before.settles());
        let due = open_amount(store, id, document, &path)? + before;
        let discount = match line.get("disc") {
            Some(discount) => lines::exact(discount, &format!("{path}.disc"), currency)?,
            None => 0,
        };
        let amount = match line.get("amount") {
            Some(amount) => lines::exact(amount, &format!("{path}.amount"), currency)?,
            None => (due - discount).min(left),
        };
        let application = Application { invoice: id, amount, discount };
        check(application, due, left, &path, currency)?;
        left -= amount;
        applied.push(application);
    }
    strip(fields);
    Ok(applied)
}

/// What a refund gives back of payments and credit memos of the same customer, never more than is left over.
///
/// # Errors
/// A document that is neither, somebody else's, in another currency, or with less left over; Σ above the refund.
pub fn refunded(
    store: &Store,
    fields: &mut Fields,
    document: &Document,
    old: &[Application],
    currency: &Currency,
) -> Result<Vec<Application>, Refusal> {
    let mut applied: Vec<Application> = Vec::new();
    let mut left = document.total;
    for (index, line) in body::items(fields, "apply").iter().enumerate() {
        let path = format!("apply.items[{index}]");
        if line.get("apply").and_then(Value::as_bool) == Some(false) {
            continue;
        }
        let id = line.pointer("/doc/id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id: u64 = id.ok_or_else(|| Refusal::missing(format!("{path}.doc")))?;
        let found = [Kind::CustomerPayment, Kind::CreditMemo]
            .into_iter()
            .find_map(|kind| store.get(kind, id).map(|record| (kind, record)));
        let (kind, record) = found.ok_or_else(|| Refusal::unknown_value(format!("{path}.doc"), &id.to_string()))?;
        let fits = record
            .head
            .document
            .as_ref()
            .is_some_and(|of| of.customer == document.customer && of.currency == document.currency);
        if !fits {
            let detail = format!("The {} {id} is another customer's or in another currency.", kind.name());
            return Err(Refusal::user(format!("{path}.doc"), detail));
        }
        let before = old.iter().find(|before| before.invoice == id).map_or(0, |before| before.settles());
        let due = record.open(kind) + before;
        let amount = match line.get("amount") {
            Some(amount) => lines::exact(amount, &format!("{path}.amount"), currency)?,
            None => due.min(left),
        };
        let application = Application { invoice: id, amount, discount: 0 };
        check(application, due, left, &path, currency)?;
        left -= amount;
        applied.push(application);
    }
    strip(fields);
    Ok(applied)
}

fn open_amount(store: &Store, id: u64, document: &Document, path: &str) -> Result<i64, Refusal> {
    let doc = format!("{path}.doc");
    let invoice = store.get(Kind::Invoice, id).ok_or_else(|| Refusal::unknown_value(doc.clone(), &id.to_string()))?;
    match &invoice.head.document {
        Some(of) if of.customer != document.customer => {
            Err(Refusal::user(doc, format!("The invoice {id} belongs to another customer.")))
        }
        Some(of) if of.currency != document.currency => {
            Err(Refusal::user(doc, format!("The invoice {id} is in {}, not in {}.", of.currency, document.currency)))
        }
        _ => Ok(invoice.open(Kind::Invoice)),
    }
}

fn check(application: Application, due: i64, left: i64, path: &str, currency: &Currency) -> Result<(), Refusal> {
    let show = |minor| money::major(minor, currency.exponent);
    let path = format!("{path}.amount");
    let amount = application.amount;
    if application.discount < 0 || amount < 0 || application.settles() == 0 {
        return Err(Refusal::user(path, "The amount applied must be greater than zero."));
    }
    if application.settles() > due {
        let detail =
            format!("The amount applied {} exceeds the amount due {}.", show(application.settles()), show(due));
        return Err(Refusal::user(path, detail));
    }
    if amount > left {
        let detail = format!("The amount applied {} exceeds the unapplied amount {}.", show(amount), show(left));
        return Err(Refusal::user(path, detail));
    }
    Ok(())
}

/// The stored sublist keeps only lines that apply something.
fn strip(fields: &mut Fields) {
    if let Some(Value::Array(lines)) = fields.get_mut("apply").and_then(|list| list.get_mut("items")) {
        lines.retain(|line| line.get("apply").and_then(Value::as_bool) != Some(false));
    }
}
