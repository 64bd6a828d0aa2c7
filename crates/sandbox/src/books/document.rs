//! What the vendor checks about a transaction: who, where, when, how much.

use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use super::{
    apply,
    body::{self, Fields},
    customer::Buyer,
    kind::Kind,
    lines,
    money::Currency,
    refusal::Refusal,
    store::{Document, Record, Store},
    sums,
    write::stored_fields,
};

/// Checks a transaction's fields, fills in defaults and computes its amounts.
///
/// # Errors
/// The first rule it breaks.
pub fn check(
    store: &Store,
    kind: Kind,
    old: Option<&Record>,
    fields: &mut Fields,
    today: Date,
) -> Result<Document, Refusal> {
    if kind == Kind::JournalEntry {
        return journal(store, old, fields, today);
    }
    let who = kind.customer_field();
    let customer = body::ref_id(fields, who).ok_or_else(|| Refusal::missing(who))?;
    let buyer = Buyer::load(store, customer, who)?;
    if matches!(kind, Kind::SalesOrder | Kind::Invoice) {
        buyer.check_hold(who)?;
    }
    let currency = place(store, &buyer, fields)?;
    let date = dates(store, kind, old, fields, today)?;
    let (total, tax) = match kind {
        Kind::CustomerPayment => (sums::positive(fields, "payment", &currency)?, 0),
        Kind::CustomerRefund => (sums::positive(fields, "amount", &currency)?, 0),
        Kind::RevenueArrangement => (sums::allocated(fields, &currency)?, 0),
        Kind::Charge => (sums::stated(fields, "amount", &currency)?, 0),
        _ => lines::sum(fields, &currency).map(|sums| (sums.total, sums.tax))?,
    };
    let old = old.and_then(|old| old.head.document.as_ref().map(|document| (old, document)));
    if let Some((_, before)) = old.filter(|(_, before)| before.customer != customer || before.currency != currency.code)
    {
        let detail =
            format!("You cannot move a transaction to another customer or currency (was {}).", before.currency);
        return Err(Refusal::user(who, detail));
    }
    check_source(store, kind, customer, fields)?;
    let Currency { code, exponent } = currency.clone();
    let mut document = Document { customer, date, currency: code, exponent, total, tax, applied: Vec::new() };
    match kind {
        Kind::CreditMemo | Kind::CustomerPayment => {
            let before = old.map_or(&[][..], |(_, before)| &before.applied);
            document.applied = apply::applications(store, fields, &document, before, &currency)?;
        }
        Kind::CustomerRefund => {
            let before = old.map_or(&[][..], |(_, before)| &before.applied);
            document.applied = apply::refunded(store, fields, &document, before, &currency)?;
        }
        _ => {
            if old.is_some_and(|(record, _)| record.settled > total) {
                return Err(Refusal::user("total", "The total cannot be less than what has been applied to it."));
            }
        }
    }
    Ok(document)
}

/// Subsidiary and currency, which the customer must be enabled for.
fn place(store: &Store, buyer: &Buyer, fields: &mut Fields) -> Result<Currency, Refusal> {
    let subsidiary = buyer.enabled("subsidiary", "subsidiaryList", body::ref_id(fields, "subsidiary"))?;
    let currency = buyer.enabled("currency", "currencyList", body::ref_id(fields, "currency"))?;
    let name = |kind, id| store.get(kind, id).and_then(|record| record.external_id.clone());
    for (field, kind, id) in [("subsidiary", Kind::Subsidiary, subsidiary), ("currency", Kind::Currency, currency)] {
        fields.insert(field.to_owned(), json!({ "id": id.to_string(), "refName": name(kind, id) }));
    }
    let currency = store.currencies.get(&currency).cloned();
    currency.ok_or_else(|| Refusal::unknown_value("currency", "of the customer"))
}

/// The transaction date and due date; the old and the new date must lie in open periods.
fn dates(store: &Store, kind: Kind, old: Option<&Record>, fields: &mut Fields, today: Date) -> Result<Date, Refusal> {
    let read = |fields: &Fields, name: &str| body::text(fields, name).and_then(|text| text.parse::<Date>().ok());
    let date = read(fields, "tranDate").unwrap_or(today);
    fields.insert("tranDate".to_owned(), Value::from(date.to_string()));
    if kind.is_posting() {
        check_period(store, date, body::ref_id(fields, "postingPeriod"))?;
        if let Some(before) = old.and_then(|old| old.head.document.as_ref()).filter(|before| before.date != date) {
            check_period(store, before.date, None)?;
        }
    }
    if !fields.contains_key("dueDate")
        && let Some(due) = body::ref_id(fields, "terms").and_then(|terms| due_date(store, terms, date))
    {
        fields.insert("dueDate".to_owned(), Value::from(due.to_string()));
    }
    Ok(date)
}

fn due_date(store: &Store, terms: u64, date: Date) -> Option<Date> {
    let days = stored_fields(store.get(Kind::Term, terms)?).get("daysUntilNetDue")?.as_i64()?;
    date.checked_add(days.days()).ok()
}

/// The period a posting falls into (`posting_period` where the caller names one) must be there and open.
///
/// # Errors
/// No such period, or it is closed or locked: a `USER_ERROR` that only its text tells apart, as the vendor's.
pub fn check_period(store: &Store, date: Date, posting_period: Option<u64>) -> Result<(), Refusal> {
    let found = match posting_period {
        Some(id) => store.periods.iter().find(|(_, period)| period.id == id),
        None => store.periods.range(..=date).next_back().filter(|(_, period)| period.end >= date),
    };
    let Some((start, period)) = found else {
        return Err(Refusal::user(
            "tranDate",
            format!("There is no accounting period for the transaction date {date}."),
        ));
    };
    let name = start.strftime("%b %Y");
    if period.closed {
        let detail = format!("You cannot post to the accounting period {name}: the period is closed.");
        return Err(Refusal::user("tranDate", detail));
    }
    if period.locked {
        let detail = format!("You cannot post to the accounting period {name}: the period is locked for receivables.");
        return Err(Refusal::user("tranDate", detail));
    }
    Ok(())
}

/// A journal belongs to a subsidiary, not to a customer; its debits are its credits.
fn journal(store: &Store, old: Option<&Record>, fields: &mut Fields, today: Date) -> Result<Document, Refusal> {
    for name in ["subsidiary", "currency"] {
        body::ref_id(fields, name).ok_or_else(|| Refusal::missing(name))?;
    }
    let currency = body::ref_id(fields, "currency").and_then(|id| store.currencies.get(&id)).cloned();
    let currency = currency.ok_or_else(|| Refusal::missing("currency"))?;
    let date = dates(store, Kind::JournalEntry, old, fields, today)?;
    let total = sums::balanced(fields, &currency)?;
    let Currency { code, exponent } = currency;
    Ok(Document { customer: 0, date, currency: code, exponent, total, tax: 0, applied: Vec::new() })
}

/// The document a transaction was made from belongs to the same customer.
fn check_source(store: &Store, kind: Kind, customer: u64, fields: &Fields) -> Result<(), Refusal> {
    let source = match kind {
        Kind::Invoice => Kind::SalesOrder,
        Kind::CreditMemo => Kind::Invoice,
        _ => return Ok(()),
    };
    let Some(id) = body::ref_id(fields, "createdFrom") else { return Ok(()) };
    let owner = store.get(source, id).and_then(|record| record.head.document.as_ref()).map(|from| from.customer);
    if owner != Some(customer) {
        return Err(Refusal::user("createdFrom", format!("The {} {id} belongs to another customer.", source.name())));
    }
    Ok(())
}
