//! Invoices: made by billing as drafts, finalised an hour later or when asked, then paid, voided or given up.

use serde_json::{Value, json};

use super::{
    params::Params,
    refusal::{missing, wrong},
    store::{Logged, Store},
};
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

/// Seconds that an invoice stays a draft.
const DRAFT_SECONDS: i64 = 3_600;

/// One line of an invoice.
#[derive(Clone, Debug)]
pub struct Line {
    body: Value,
    amount: i64,
}

impl Line {
    pub fn of(item: &Value, price: &Value, amount: i64, (start, end): (i64, i64)) -> Self {
        let body = json!({
            "object": "line_item", "amount": amount, "currency": price["currency"], "quantity": item["quantity"],
            "metadata": item["metadata"], "period": { "start": start, "end": end },
            "pricing": {
                "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"],
                "price_details": { "price": price["id"], "product": price["product"] },
            },
            "parent": { "type": "subscription_item_details", "subscription_item_details": { "proration": false } },
        });
        Self { body, amount }
    }

    pub fn proration(mut self) -> Self {
        self.body["parent"]["subscription_item_details"]["proration"] = true.into();
        self
    }

    pub fn used(mut self, quantity: rust_decimal::Decimal) -> Self {
        self.body["quantity_decimal"] = quantity.normalize().to_string().into();
        self
    }
}

/// Makes a draft of what came together at one time; nothing where there are no lines.
pub fn make(store: &mut Store<'_>, schedule: &Value, lines: Vec<Line>, at: i64, reason: &str) -> Result<(), Reply> {
    if lines.is_empty() {
        return Ok(());
    }
    let total = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.amount));
    let days = schedule["default_settings"]["invoice_settings"]["days_until_due"].as_i64();
    let subscription =
        schedule["subscription"].as_str().or(schedule["released_subscription"].as_str()).unwrap_or_default();
    let id = store.id("in");
    let data: Vec<Value> = lines
        .into_iter()
        .enumerate()
        .map(|(number, mut line)| {
            line.body["id"] = format!("il_{}_{number}", id.trim_start_matches("in_")).into();
            line.body
        })
        .collect();
    let body = json!({
        "id": id, "object": "invoice", "status": "draft", "customer": schedule["customer"], "created": at, "livemode": false,
        "currency": data[0]["currency"], "total": total, "subtotal": total, "amount_due": total.max(0), "amount_paid": 0,
        "amount_remaining": total.max(0), "billing_reason": reason, "number": null, "auto_advance": true,
        "collection_method": schedule["default_settings"]["collection_method"],
        "due_date": days.map(|days| at.saturating_add(days.saturating_mul(86_400))), "effective_at": null,
        "metadata": {}, "period_start": at, "period_end": at,
        "parent": { "type": "subscription_details", "subscription_details": { "subscription": subscription, "metadata": schedule["metadata"] } },
        "lines": { "object": "list", "has_more": false, "data": data, "url": format!("/v1/invoices/{id}/lines") },
        "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null },
    });
    store.put("invoice", &body, Logged::No, Some("invoice.created"))
}

/// Drafts that are old enough become invoices.
pub fn finalise_due(store: &mut Store<'_>) -> Result<(), Reply> {
    let now = store.now();
    let is_due = |invoice: &&Value| {
        let made = invoice["created"].as_i64().unwrap_or(i64::MAX);
        invoice["status"] == "draft" && made.saturating_add(DRAFT_SECONDS) <= now
    };
    let due: Vec<Value> = store.newest("invoice").into_iter().filter(is_due).cloned().collect();
    for mut invoice in due.into_iter().rev() {
        finalise(store, &mut invoice)?;
    }
    Ok(())
}

fn finalise(store: &mut Store<'_>, invoice: &mut Value) -> Result<(), Reply> {
    let now = store.now();
    let count = store.newest("invoice").iter().filter(|other| !other["number"].is_null()).count();
    invoice["number"] = format!("STRIPE-{:06}", count + 1).into();
    invoice["status_transitions"]["finalized_at"] = now.into();
    invoice["effective_at"] = now.into();
    // Nothing is due, so nobody pays: what is below zero goes to the customer's balance.
    let event = if invoice["total"].as_i64().unwrap_or_default() <= 0 {
        invoice["status"] = "paid".into();
        invoice["status_transitions"]["paid_at"] = now.into();
        "invoice.paid"
    } else {
        invoice["status"] = "open".into();
        "invoice.finalized"
    };
    store.put("invoice", invoice, Logged::No, Some(event))
}

/// `POST /v1/invoices/{id}/{action}`: each state has its ways out, and no others.
pub fn act(app: &App, call: &Call, asked: &Asked, id: &str, action: &str) -> Result<Value, Reply> {
    Params::of(call, &["paid_out_of_band", "auto_advance", "expand"])?;
    let mut state = app.state();
    let mut store = Store::new(&mut state, asked);
    let mut body = store.get("invoice", id).cloned().ok_or_else(|| missing(app, "invoice", id, None))?;
    let status = body["status"].as_str().unwrap_or_default().to_owned();
    let now = store.now();
    let (next, at, event) = match (action, &*status) {
        ("finalize", "draft") => {
            finalise(&mut store, &mut body)?;
            return Ok(body);
        }
        ("pay", "open" | "uncollectible") => ("paid", "paid_at", "invoice.paid"),
        ("void", "open" | "uncollectible") => ("void", "voided_at", "invoice.voided"),
        ("mark_uncollectible", "open") => ("uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible"),
        ("pay", "paid") => return Err(wrong("invoice_no_payment_due", "id", "Invoice is already paid")),
        _ => {
            let detail = format!("an invoice that is {status} cannot be changed so: {action}");
            return Err(wrong("invoice_not_editable", "id", &detail));
        }
    };
    body["status"] = next.into();
    body["status_transitions"][at] = now.into();
    if next == "paid" {
        body["amount_paid"] = body["amount_due"].clone();
        body["amount_remaining"] = 0.into();
    }
    store.put("invoice", &body, Logged::No, Some(event))?;
    Ok(body)
}
