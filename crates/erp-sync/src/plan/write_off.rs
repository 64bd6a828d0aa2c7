//! `invoice.marked_uncollectible`: a credit memo of the bad-debt item, set against the invoice. Tax that was charged is not taken back:
//! whether a tax authority gives relief is for a credit note to say.

use super::{Decision, Place, erp_id, lines::extra, posting_period, same_currency, version};
use crate::{
    document::{ErpDocument, Invoice, Known, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Application, NewCreditMemo};
use events::InvoiceMarkedUncollectible;
use failure::Failure;

/// # Errors
/// A version out of order, more than is open, a mapping without item for what is written off.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &InvoiceMarkedUncollectible) -> Result<Decision, Failure> {
    let before = known.invoice(&event.invoice_id);
    version::next(&event.invoice_id, before.map(|invoice| invoice.entity_version), event.entity_version)?;
    let invoice = before.ok_or_else(|| {
        let reason = format!("invoice `{}` that is written off is not posted yet", event.invoice_id);
        Failure::not_yet("INVOICE_NOT_POSTED", &event.invoice_id, reason).at_field("invoice_id")
    })?;
    same_currency("currency", &event.invoice_id, &invoice.currency, &event.currency)?;
    posting_period(event.posting_period.as_deref(), event.marked_on)?;
    if event.write_off_minor > invoice.open_minor {
        let (wanted, open) = (event.write_off_minor, invoice.open_minor);
        return Err(exceeds(format!("{wanted} is written off of invoice `{}`, {open} is open", event.invoice_id))
            .at_field("write_off_minor"));
    }
    let settled = Invoice {
        entity_version: event.entity_version,
        open_minor: invoice.open_minor - event.write_off_minor,
        ..invoice.clone()
    };
    let credit_memo = request(mapping, event, invoice)?;
    Ok(Decision::new().effect(ErpEffect::IssueCreditMemo { credit_memo, version: event.entity_version }).put(
        kind::INVOICE,
        &event.invoice_id,
        ErpDocument::Invoice(settled),
    ))
}

/// More than there is: something else may have crossed it.
pub(super) fn exceeds(reason: String) -> Failure {
    Failure::business("AMOUNT_EXCEEDS_OPEN", connectors::queue::FINANCE, reason)
}

fn request(mapping: &Mapping, event: &InvoiceMarkedUncollectible, invoice: &Invoice) -> Result<NewCreditMemo, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let item = mapping.posting_item("write_off", mapping.posting.write_off.as_ref())?;
    let id = format!("write-off/{}/{}", event.invoice_id, event.entity_version);
    let printed = event.invoice_number.as_deref().unwrap_or(&event.invoice_id);
    let memo = format!("Write-off of invoice {printed} ({})", event.reason.code);
    Ok(NewCreditMemo {
        credit_note_id: id,
        number: format!("WO-{printed}-{}", event.entity_version),
        header: place.header(&event.account_id, event.contract_id.as_deref(), event.marked_on, memo),
        lines: vec![extra(&place, "write-off", item, "Written off", event.write_off_minor)],
        applications: vec![Application {
            invoice: erp_id("invoice", &event.invoice_id, invoice.erp.as_ref())?.to_owned(),
            amount_minor: event.write_off_minor,
            discount_minor: 0,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{State, activated, invoiced, kept, mapping, paid};
    use jiff::civil::date;

    fn uncollectible(amount_minor: i64) -> InvoiceMarkedUncollectible {
        InvoiceMarkedUncollectible {
            account_id: "A-1".into(),
            entity_version: 2,
            legal_entity_id: "UK".into(),
            invoice_id: "INV-1".into(),
            currency: "GBP".into(),
            marked_on: date(2026, 6, 1),
            write_off_minor: amount_minor,
            ..InvoiceMarkedUncollectible::default()
        }
    }

    fn with(more: &[events::Event]) -> State {
        let mut events = vec![activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[1000]).into()];
        events.extend_from_slice(more);
        kept(&mapping(), &events)
    }

    #[test]
    fn what_nobody_expects_to_be_paid_any_more_is_written_off_against_its_invoice() {
        let state = with(&[paid("A-1", "P-1", &[("INV-1", 700)], 0).into(), uncollectible(500).into()]);
        assert_eq!(state.status("invoice", "INV-1"), "settled");
    }

    #[test]
    fn more_than_is_open_is_never_written_off() {
        let state = with(&[paid("A-1", "P-1", &[("INV-1", 700)], 0).into()]);
        let failure = plan(&mapping(), Known(&state.documents()), &uncollectible(501)).err().expect("too much");
        assert_eq!((failure.code.as_ref(), failure.field.as_deref()), ("AMOUNT_EXCEEDS_OPEN", Some("write_off_minor")));
    }
}
