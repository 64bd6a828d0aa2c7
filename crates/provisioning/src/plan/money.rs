//! Payments: what failed, what came in, and since when access is suspended for it.

use super::{Decision, When, carry_out};
use crate::{
    document::{AccessDocument, Account, Failed, Invoice, Known, Payment, Settled, Suspension, key, kind},
    handler::Provisioning,
    policy::Dunning,
};
use events::{CreditNoteIssued, Payload, PaymentFailed, PaymentReceived, version};
use failure::Failure;
use ledger::{DocumentKey, Millis};
use std::collections::BTreeMap;

type Plan = Result<Decision, Failure>;

const DAY_MS: Millis = 24 * 3_600 * 1_000;

pub(crate) fn failed(service: &Provisioning, known: Known<'_>, event: &PaymentFailed, when: When) -> Plan {
    let decision = next(known, &event.payment_id, event)?;
    let mut invoice = known.invoice(&event.account_id, &event.invoice_id);
    let failure = Failed {
        at_ms: event.effective_at.as_millisecond(),
        step: event.dunning_step.unwrap_or(event.attempt_no),
        amount_minor: event.amount_minor,
    };
    invoice.failures.insert(format!("{}/{}", event.payment_id, event.attempt_no), failure);
    let invoices = BTreeMap::from([(event.invoice_id.clone(), invoice)]);
    Ok(weigh(service, decision, known.account(&event.account_id), invoices, when))
}

pub(crate) fn received(service: &Provisioning, known: Known<'_>, event: &PaymentReceived, when: When) -> Plan {
    let decision = next(known, &event.payment_id, event)?;
    let mut invoices: BTreeMap<String, Invoice> = BTreeMap::new();
    for allocation in &event.allocations {
        let id = &allocation.invoice_id;
        let invoice = invoices.entry(id.clone()).or_insert_with(|| known.invoice(&event.account_id, id));
        let key = format!("{}/{}", event.payment_id, event.entity_version);
        let none = Settled { at_ms: event.effective_at.as_millisecond(), amount_minor: 0 };
        let settled = invoice.settled.entry(key).or_insert(none);
        for part in [allocation.amount_minor, allocation.discount_minor, allocation.write_off_minor] {
            settled.amount_minor = settled.amount_minor.saturating_add(part);
        }
    }
    Ok(weigh(service, decision, known.account(&event.account_id), invoices, when))
}

/// A credit against an invoice settles that much of it.
pub(crate) fn credited(service: &Provisioning, known: Known<'_>, event: &CreditNoteIssued, when: When) -> Plan {
    let Some(preceding) = &event.preceding_invoice else {
        return Ok(Decision::skip("the credit stands on the account and settles no invoice"));
    };
    let mut invoice = known.invoice(&event.account_id, &preceding.invoice_id);
    let amount_minor = event.application.as_ref().map_or(event.totals.payable_minor, |split| split.to_invoice_minor);
    let settled = Settled { at_ms: event.effective_at.as_millisecond(), amount_minor };
    invoice.settled.insert(format!("credit/{}", event.credit_note_id), settled);
    let invoices = BTreeMap::from([(preceding.invoice_id.clone(), invoice)]);
    Ok(weigh(service, Decision::new(), known.account(&event.account_id), invoices, when))
}

/// What goes back changes no access: only its version is kept, so that the next one of the payment fits.
pub(crate) fn noted<E: Payload>(known: Known<'_>, payment_id: &str, event: &E) -> Plan {
    let decision = next(known, payment_id, event)?;
    Ok(Decision { skipped: Some("money that goes back changes no access"), ..decision })
}

fn next<E: Payload>(known: Known<'_>, payment_id: &str, event: &E) -> Plan {
    version::next(payment_id, known.payment_version(payment_id), event.entity_version())?;
    let payment = Payment { account_id: event.account_id().to_owned(), entity_version: event.entity_version() };
    Ok(Decision::new().put(kind::PAYMENT, payment_id, AccessDocument::Payment(payment)))
}

/// Keeps the invoices, and says of each since when the account is suspended for it.
fn weigh(
    service: &Provisioning,
    mut decision: Decision,
    mut account: Account,
    invoices: BTreeMap<String, Invoice>,
    when: When,
) -> Decision {
    for (id, invoice) in invoices {
        match suspension(&invoice, service.policy.dunning) {
            Some(suspension) => account.dunning.insert(id.clone(), suspension),
            None => account.dunning.remove(&id),
        };
        decision = decision.put(kind::INVOICE, id, AccessDocument::Invoice(invoice));
    }
    carry_out(service, decision, account, None, when)
}

/// From when access is suspended for an invoice, and when it was paid: what came in since its last failure comes to what failed then.
fn suspension(invoice: &Invoice, dunning: Dunning) -> Option<Suspension> {
    let at_step = dunning.suspend_at_step?;
    let reached =
        invoice.failures.values().filter(|failure| failure.step >= at_step).map(|failure| failure.at_ms).min()?;
    let from_ms = reached.saturating_add(Millis::from(dunning.grace_days) * DAY_MS);
    let last = invoice.failures.values().max_by_key(|failure| (failure.at_ms, failure.step))?;
    let mut since: Vec<&Settled> = invoice.settled.values().filter(|settled| settled.at_ms >= last.at_ms).collect();
    since.sort_by_key(|settled| settled.at_ms);
    let mut sum = 0_i64;
    let paid = since.into_iter().find_map(|settled| {
        sum = sum.saturating_add(settled.amount_minor);
        (sum >= last.amount_minor).then_some(settled.at_ms)
    });
    // Paid within the grace: access never was suspended.
    (paid.is_none_or(|paid| paid > from_ms)).then_some(Suspension { from_ms, paid_ms: paid })
}

/// The documents that the plans look at.
pub(crate) fn reads<'a>(
    account_id: &str,
    payment_id: Option<&str>,
    invoices: impl Iterator<Item = &'a str>,
) -> Vec<DocumentKey> {
    let mut keys = vec![key(kind::ACCOUNT, account_id)];
    keys.extend(payment_id.map(|id| key(kind::PAYMENT, id)));
    keys.extend(invoices.map(|id| key(kind::INVOICE, id)));
    keys
}
