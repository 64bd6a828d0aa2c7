//! `payment.refunded`: money that goes back to the customer.
//!
//! A refund is paid out of what a payment or a credit note has left over. Where it takes the payment of an invoice back, the payment settles
//! that invoice less first: the invoice is open again, whatever became of its period.

use super::{Decision, Place, erp_id, same_currency, version, write_off::exceeds};
use crate::{
    document::{CreditNote, ErpDocument, Invoice, Known, Payment, PaymentState, key, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Application, NewRefund, PaymentChange};
use events::PaymentRefunded;
use failure::Failure;
use ledger::DocumentKey;

/// # Errors
/// A version out of order, a payment or document that is not there yet, more than is left over.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &PaymentRefunded) -> Result<Decision, Failure> {
    let payment = received(known, &event.payment_id, event.entity_version)?;
    same_currency("currency", &event.payment_id, &payment.currency, &event.currency)?;
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = format!("Refund {} of payment {} ({})", event.refund_id, event.payment_id, event.reason.code);
    let header = place.header(&event.account_id, None, event.refunded_on, memo);
    let payment = Payment { entity_version: event.entity_version, ..payment.clone() };
    let refund = |out_of: &str| NewRefund {
        refund_id: event.refund_id.clone(),
        header: header.clone(),
        amount_minor: event.amount_minor,
        out_of: out_of.to_owned(),
    };
    let version = event.entity_version;
    if let Some(id) = &event.credit_note_id {
        let note = note(known, event, id)?;
        let paid_out = CreditNote { unapplied_minor: note.unapplied_minor - event.amount_minor, ..note.clone() };
        let refund = refund(erp_id("credit note", id, note.erp.as_ref())?);
        return Ok(Decision::new()
            .effect(ErpEffect::Refund { refund, version })
            .put(kind::CREDIT_NOTE, id, ErpDocument::CreditNote(paid_out))
            .put(kind::PAYMENT, &event.payment_id, ErpDocument::Payment(payment)));
    }
    let taken = Taken {
        payment_id: &event.payment_id,
        invoice_id: event.invoice_id.as_deref(),
        amount_minor: event.amount_minor,
        version,
    };
    let (decision, payment) = taken.free(&place, known, payment)?;
    let refund = refund(erp_id("payment", &event.payment_id, payment.erp.as_ref())?);
    let payment = Payment { unapplied_minor: payment.unapplied_minor - event.amount_minor, ..payment };
    Ok(decision.effect(ErpEffect::Refund { refund, version }).put(
        kind::PAYMENT,
        &event.payment_id,
        ErpDocument::Payment(payment),
    ))
}

/// The payment, which must have been received.
pub(super) fn received<'a>(known: Known<'a>, payment_id: &str, entity_version: i64) -> Result<&'a Payment, Failure> {
    let payment = known.payment(payment_id);
    version::next(payment_id, payment.map(|payment| payment.entity_version), entity_version)?;
    payment.filter(|payment| payment.state == PaymentState::Received).ok_or_else(|| {
        let reason = format!("payment `{payment_id}` was not received, so that nothing of it can go back");
        exceeds(reason).at_field("payment_id")
    })
}

fn note<'a>(known: Known<'a>, event: &PaymentRefunded, id: &str) -> Result<&'a CreditNote, Failure> {
    let note = known.credit_note(id).ok_or_else(|| {
        let reason = format!("credit note `{id}` of refund `{}` is not issued yet", event.refund_id);
        Failure::not_yet("CREDIT_NOTE_NOT_ISSUED", id, reason).at_field("credit_note_id")
    })?;
    same_currency("currency", id, &note.currency, &event.currency)?;
    if note.unapplied_minor < event.amount_minor {
        let (wanted, left) = (event.amount_minor, note.unapplied_minor);
        return Err(
            exceeds(format!("{wanted} of credit note `{id}` is paid back, {left} is left")).at_field("amount_minor")
        );
    }
    Ok(note)
}

/// What is taken out of a payment.
pub(super) struct Taken<'a> {
    pub(super) payment_id: &'a str,
    /// The invoice that it settled, if it did.
    pub(super) invoice_id: Option<&'a str>,
    pub(super) amount_minor: i64,
    pub(super) version: i64,
}

impl Taken<'_> {
    /// Makes the amount free: as much of it as is not left over is taken off the invoice that it settles.
    pub(super) fn free(
        &self,
        place: &Place<'_>,
        known: Known<'_>,
        mut payment: Payment,
    ) -> Result<(Decision, Payment), Failure> {
        let decision = Decision::new();
        let Some(invoice_id) = self.invoice_id else {
            return if payment.unapplied_minor >= self.amount_minor {
                Ok((decision, payment))
            } else {
                Err(self.too_much(payment.unapplied_minor))
            };
        };
        let application = payment.applications.get(invoice_id).cloned();
        let Some(application) = application.filter(|of| of.amount_minor >= self.amount_minor) else {
            let settled = payment.applications.get(invoice_id).map_or(0, |of| of.amount_minor);
            return Err(self.too_much(settled));
        };
        let rest = application.amount_minor - self.amount_minor;
        // A discount was given for paying: it falls with the last of the payment.
        let lost_discount = if rest == 0 { application.discount_minor } else { 0 };
        if rest == 0 {
            payment.applications.remove(invoice_id);
        } else {
            payment.applications.insert(invoice_id.to_owned(), Application { amount_minor: rest, ..application });
        }
        payment.unapplied_minor += self.amount_minor;
        let change = PaymentChange {
            payment_id: self.payment_id.to_owned(),
            account_id: payment.account_id.clone(),
            currency: place.currency.clone(),
            applications: payment.applications.values().cloned().collect(),
        };
        let mut decision = decision.effect(ErpEffect::ChangePayment { change, version: self.version });
        if let Some(invoice) = known.invoice(invoice_id) {
            let open_minor = invoice.open_minor + self.amount_minor + lost_discount;
            let open = Invoice { open_minor, ..invoice.clone() };
            decision = decision.put(kind::INVOICE, invoice_id, ErpDocument::Invoice(open));
        }
        Ok((decision, payment))
    }

    fn too_much(&self, there: i64) -> Failure {
        let of = self.invoice_id.map_or_else(|| "left over".to_owned(), |id| format!("on invoice `{id}`"));
        let reason = format!("{} of payment `{}` is taken back, {there} is {of}", self.amount_minor, self.payment_id);
        exceeds(reason).at_field("amount_minor")
    }
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &PaymentRefunded) -> Vec<DocumentKey> {
    let mut keys = vec![key(kind::PAYMENT, &event.payment_id)];
    keys.extend(event.invoice_id.iter().map(|id| key(kind::INVOICE, id)));
    keys.extend(event.credit_note_id.iter().map(|id| key(kind::CREDIT_NOTE, id)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{State, activated, credited, failed, invoiced, kept, mapping, paid, refunded};
    use consumer::Effect as _;

    fn with(more: &[events::Event]) -> State {
        let mut events = vec![
            activated("A-1", "C-1").into(),
            invoiced("A-1", "INV-1", &[1000]).into(),
            paid("A-1", "P-1", &[("INV-1", 1200)], 100).into(),
        ];
        events.extend_from_slice(more);
        kept(&mapping(), &events)
    }

    #[test]
    fn a_refund_of_an_invoice_opens_it_again_before_the_money_goes() {
        let event = PaymentRefunded { invoice_id: Some("INV-1".into()), ..refunded("P-1", "R-1", 2, 400) };
        let decision = plan(&mapping(), Known(&with(&[]).documents()), &event).expect("a plan");
        let keys: Vec<_> = decision.effects.iter().map(ErpEffect::key).collect();
        assert_eq!(keys, ["payment:P-1:v2:change", "refund:R-1:v2:create"]);
        let state = with(&[event.into()]);
        let documents = state.documents();
        assert_eq!(Known(&documents).invoice("INV-1").map(|invoice| invoice.open_minor), Some(400));
        assert_eq!(Known(&documents).payment("P-1").map(|payment| payment.unapplied_minor), Some(100));
    }

    #[test]
    fn an_over_payment_goes_back_out_of_what_stands_on_the_account() {
        let state = with(&[refunded("P-1", "R-1", 2, 100).into()]);
        let documents = state.documents();
        assert_eq!(Known(&documents).payment("P-1").map(|payment| payment.unapplied_minor), Some(0));
        let failure = plan(&mapping(), Known(&documents), &refunded("P-1", "R-2", 3, 1)).err().expect("nothing left");
        assert_eq!(failure.code, "AMOUNT_EXCEEDS_OPEN");
    }

    #[test]
    fn a_credit_note_is_paid_out_as_far_as_it_stands_open() {
        let event = PaymentRefunded { credit_note_id: Some("CN-1".into()), ..refunded("P-1", "R-1", 2, 480) };
        let state = with(&[credited("A-1", "CN-1", None, 400).into(), event.into()]);
        assert_eq!(state.status("credit_note", "CN-1"), "applied");
        let more = PaymentRefunded { credit_note_id: Some("CN-1".into()), ..refunded("P-1", "R-2", 3, 1) };
        assert_eq!(
            plan(&mapping(), Known(&state.documents()), &more).err().expect("paid out").code,
            "AMOUNT_EXCEEDS_OPEN"
        );
    }

    #[test]
    fn nothing_goes_back_of_a_payment_that_failed() {
        let state = kept(&mapping(), &[failed("A-1", "P-1", 1).into()]);
        let failure = plan(&mapping(), Known(&state.documents()), &refunded("P-1", "R-1", 2, 1)).err().expect("failed");
        assert_eq!(failure.code, "AMOUNT_EXCEEDS_OPEN");
    }
}
