//! `invoice.voided`: only an invoice that was never posted can be taken back. What is posted is credited instead.

use super::{Decision, version};
use crate::document::{ErpDocument, Invoice, Known, kind};
use events::InvoiceVoided;
use failure::Failure;

const NEVER_POSTED: &str = "the invoice was voided before it was posted: there is nothing to take back";

/// # Errors
/// A version out of order; `INVOICE_POSTED` for one that the ERP has.
pub fn plan(known: Known<'_>, event: &InvoiceVoided) -> Result<Decision, Failure> {
    let posted = known.invoice(&event.invoice_id);
    version::next(&event.invoice_id, posted.map(|invoice| invoice.entity_version), event.entity_version)?;
    if let Some(record) = posted.and_then(|invoice| invoice.erp.as_ref()) {
        let reason = format!(
            "invoice `{}` is posted in the ERP as {}; a posted invoice is never deleted, it is credited",
            event.invoice_id, record.id
        );
        return Err(Failure::business("INVOICE_POSTED", connectors::queue::FINANCE, reason).at_field("invoice_id"));
    }
    let voided = Invoice {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        total_minor: 0,
        open_minor: 0,
        is_voided: true,
        erp: None,
    };
    Ok(Decision::skip(NEVER_POSTED).put(kind::INVOICE, &event.invoice_id, ErpDocument::Invoice(voided)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, invoiced, kept, mapping, state};

    fn voided(entity_version: i64) -> InvoiceVoided {
        InvoiceVoided {
            account_id: "A-1".into(),
            entity_version,
            invoice_id: "INV-1".into(),
            currency: "GBP".into(),
            ..InvoiceVoided::default()
        }
    }

    #[test]
    fn a_posted_invoice_is_never_deleted() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[100]).into()]);
        let failure = plan(Known(&state.documents()), &voided(2)).err().expect("posted");
        assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("INVOICE_POSTED", Some("finance")));
    }

    #[test]
    fn an_invoice_voided_before_it_was_posted_is_never_posted() {
        let decision = plan(Known(&state(&[]).documents()), &voided(1)).expect("nothing there");
        assert!(decision.skipped.is_some() && decision.documents.len() == 1);
        let failure = plan(Known(&state(&[]).documents()), &voided(2)).err().expect("its posting is on the way");
        assert_eq!(failure.code, "VERSION_GAP");
    }
}
