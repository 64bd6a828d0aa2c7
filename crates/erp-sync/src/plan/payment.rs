//! `payment.received`: a payment applied to its invoices as far as they are open; what is left over stays on the account.

use super::{Decision, Place, erp_id, invoice::customer, same_currency, scope, version};
use crate::{
    document::{self, ErpDocument, Invoice, Known, Payment, PaymentState, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Application, Foreign, NewPayment};
use events::{
    PaymentReceived,
    common::{PaymentAllocation, Settlement},
};
use failure::Failure;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// # Errors
/// A version out of order, an invoice or customer that is not there yet, anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &PaymentReceived) -> Result<Decision, Failure> {
    let before = known.payment(&event.payment_id);
    let version = before.map(|payment| payment.entity_version);
    match before.map(|payment| payment.state) {
        Some(PaymentState::Received) => version::first(&event.payment_id, version, event.entity_version)?,
        Some(PaymentState::Failed) | None => version::next(&event.payment_id, version, event.entity_version)?,
    }
    let invoices = invoices(known, event)?;
    customer(known, &event.account_id)?;
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = format!("Payment {} ({})", event.payment_id, event.method);
    let (account, at) = (known.account(&event.account_id), (&*event.legal_entity_id, &*event.currency));
    let mut decision = scope::enabled(mapping, Decision::new(), account, &event.payment_id, at)?;
    let mut applications = Vec::new();
    let mut settled_invoices = BTreeMap::new();
    for (allocation, invoice) in invoices {
        let Some(application) = application(allocation, invoice)? else { continue };
        let settled = application.amount_minor + application.discount_minor;
        let left = Invoice { open_minor: invoice.open_minor - settled, ..invoice.clone() };
        decision = decision.put(kind::INVOICE, &allocation.invoice_id, ErpDocument::Invoice(left));
        settled_invoices.insert(allocation.invoice_id.clone(), application.clone());
        applications.push(application);
    }
    let applied: i64 = applications.iter().map(|application| application.amount_minor).sum();
    let document = Payment {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        state: PaymentState::Received,
        currency: event.currency.clone(),
        amount_minor: event.amount_minor,
        unapplied_minor: event.amount_minor - applied,
        applications: settled_invoices,
        disputes: BTreeMap::new(),
        erp: None,
    };
    let payment = NewPayment {
        payment_id: event.payment_id.clone(),
        header: connectors::Header {
            foreign: event.settlement.as_ref().and_then(settled),
            ..place.header(&event.account_id, None, event.received_on, memo)
        },
        amount_minor: event.amount_minor,
        applications,
    };
    Ok(decision.effect(ErpEffect::ApplyPayment { payment, version: event.entity_version }).put(
        kind::PAYMENT,
        &event.payment_id,
        ErpDocument::Payment(document),
    ))
}

/// What arrived at the bank, with the rate as it was stated.
fn settled(settlement: &Settlement) -> Option<Foreign> {
    let exponent = events::currency::exponent(&settlement.amount.currency)?;
    Some(Foreign {
        currency: settlement.amount.currency.clone(),
        amount: Decimal::from_i128_with_scale(i128::from(settlement.amount.amount_minor), exponent),
        rate: settlement.rate,
        rate_on: settlement.rate_on,
        source: "settlement".to_owned(),
    })
}

/// The invoices that are paid, all of them posted.
fn invoices<'a>(
    known: Known<'a>,
    event: &'a PaymentReceived,
) -> Result<Vec<(&'a PaymentAllocation, &'a Invoice)>, Failure> {
    let find = |(index, allocation): (usize, &'a PaymentAllocation)| {
        let PaymentAllocation { invoice_id, .. } = allocation;
        let field = format!("allocations[{index}].invoice_id");
        let invoice = known.invoice(invoice_id).ok_or_else(|| {
            let reason = format!("invoice `{invoice_id}` of payment `{}` is not posted yet", event.payment_id);
            Failure::not_yet("INVOICE_NOT_POSTED", invoice_id, reason).at_field(&*field)
        })?;
        same_currency(&field, invoice_id, &invoice.currency, &event.currency)?;
        Ok((allocation, invoice))
    };
    event.allocations.iter().enumerate().map(find).collect()
}

/// Money first, then what is settled without money; never more than is open. Nothing is open: nothing to apply.
fn application(allocation: &PaymentAllocation, invoice: &Invoice) -> Result<Option<Application>, Failure> {
    let amount_minor = allocation.amount_minor.min(invoice.open_minor);
    if amount_minor <= 0 {
        return Ok(None);
    }
    let on_top = allocation.discount_minor.saturating_add(allocation.write_off_minor);
    let discount_minor = on_top.clamp(0, invoice.open_minor - amount_minor);
    let id = erp_id("invoice", &allocation.invoice_id, invoice.erp.as_ref())?;
    Ok(Some(Application { invoice: id.to_owned(), amount_minor, discount_minor }))
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &PaymentReceived) -> Vec<ledger::DocumentKey> {
    let mut keys =
        vec![document::key(kind::ACCOUNT, &event.account_id), document::key(kind::PAYMENT, &event.payment_id)];
    keys.extend(event.allocations.iter().map(|paid| document::key(kind::INVOICE, &paid.invoice_id)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{State, activated, failed, invoiced, kept, mapping, paid, state};
    use events::Event;
    use failure::Class;

    fn with_invoices(more: &[Event]) -> State {
        let mut events = vec![
            activated("A-1", "C-1").into(),
            invoiced("A-1", "INV-1", &[1000]).into(),
            invoiced("A-1", "INV-2", &[500]).into(),
        ];
        events.extend_from_slice(more);
        kept(&mapping(), &events)
    }

    fn open(state: &State, invoice: &str) -> i64 {
        Known(&state.documents()).invoice(invoice).map(|invoice| invoice.open_minor).expect("posted")
    }

    #[test]
    fn a_partial_payment_leaves_the_rest_open() {
        let state = with_invoices(&[paid("A-1", "P-1", &[("INV-1", 700)], 0).into()]);
        assert_eq!(open(&state, "INV-1"), 500);
        let status = state.status("invoice", "INV-1");
        assert_eq!(status, "partly_settled");
    }

    #[test]
    fn one_payment_settles_several_invoices() {
        let state = with_invoices(&[paid("A-1", "P-1", &[("INV-1", 1200), ("INV-2", 600)], 0).into()]);
        assert_eq!((open(&state, "INV-1"), open(&state, "INV-2")), (0, 0));
        assert_eq!(state.status("payment", "P-1"), "applied");
    }

    #[test]
    fn an_over_payment_stays_on_the_account() {
        let state = with_invoices(&[paid("A-1", "P-1", &[("INV-1", 1500)], 100).into()]);
        assert_eq!(open(&state, "INV-1"), 0);
        assert_eq!(Known(&state.documents()).payment("P-1").map(|payment| payment.unapplied_minor), Some(400));
    }

    #[test]
    fn money_for_an_invoice_that_is_settled_stays_on_the_account() {
        let state = with_invoices(&[paid("A-1", "P-1", &[("INV-1", 1200)], 0).into()]);
        let decision =
            plan(&mapping(), Known(&state.documents()), &paid("A-1", "P-2", &[("INV-1", 50)], 0)).expect("a plan");
        let [ErpEffect::ApplyPayment { payment, .. }] = decision.effects.as_slice() else {
            panic!("{:?}", decision.effects)
        };
        assert!(payment.applications.is_empty());
        assert_eq!(payment.amount_minor, 50);
    }

    #[test]
    fn discounts_and_write_offs_settle_without_money_up_to_what_is_open() {
        let mut event = paid("A-1", "P-1", &[("INV-1", 1150)], 0);
        event.allocations[0].discount_minor = 30;
        event.allocations[0].write_off_minor = 40;
        let state = with_invoices(&[event.into()]);
        assert_eq!(open(&state, "INV-1"), 0);
    }

    #[test]
    fn a_payment_waits_for_its_invoice() {
        let failure = plan(&mapping(), Known(&state(&[]).documents()), &paid("A-1", "P-1", &[("INV-9", 1)], 0))
            .err()
            .expect("early");
        assert_eq!((failure.class, failure.awaits.as_deref()), (Class::NotYet, Some("INV-9")));
        assert_eq!(failure.field.as_deref(), Some("allocations[0].invoice_id"));
    }

    #[test]
    fn a_payment_that_failed_before_is_received_under_its_next_version() {
        let state = with_invoices(&[failed("A-1", "P-1", 1).into()]);
        let event = PaymentReceived { entity_version: 2, ..paid("A-1", "P-1", &[("INV-1", 1200)], 0) };
        assert!(plan(&mapping(), Known(&state.documents()), &event).is_ok());
        let early = PaymentReceived { entity_version: 3, ..event };
        let failure = plan(&mapping(), Known(&state.documents()), &early).err().expect("a gap");
        assert_eq!(failure.code, "VERSION_GAP");
    }
}
