//! `invoice.posted`: the invoice with its lines and tax, after its order.

use super::{Decision, Place, amendment, lines, posting_period, revenue, scope, version};
use crate::{
    document::{self, ErpDocument, Invoice, Known, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Foreign, NewInvoice};
use events::InvoicePosted;
use failure::Failure;
use rust_decimal::Decimal;

/// # Errors
/// A version out of order, a contract or customer that is not there yet, anything that the mapping does not name.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &InvoicePosted) -> Result<Decision, Failure> {
    let posted = known.invoice(&event.invoice_id);
    version::first(&event.invoice_id, posted.map(|invoice| invoice.entity_version), event.entity_version)?;
    let document = format!("invoice `{}`", event.invoice_id);
    after_its_order(known, &document, &event.account_id, event.contract_id.as_deref())?;
    posting_period(event.posting_period.as_deref(), event.issue_on)?;
    let invoice = request(mapping, event)?;
    let total_minor = lines::total(&invoice.lines)?;
    let document = Invoice {
        account_id: event.account_id.clone(),
        entity_version: event.entity_version,
        currency: event.currency.clone(),
        total_minor,
        open_minor: total_minor,
        is_voided: false,
        erp: None,
    };
    let (account, place) = (known.account(&event.account_id), (&*event.legal_entity_id, &*event.currency));
    let decision = scope::enabled(mapping, Decision::new(), account, &event.invoice_id, place)?;
    let decision = decision.effect(ErpEffect::PostInvoice { invoice, version: event.entity_version }).put(
        kind::INVOICE,
        &event.invoice_id,
        ErpDocument::Invoice(document),
    );
    let planned =
        event.contract_id.as_deref().and_then(|contract_id| known.revenue(contract_id).zip(Some(contract_id)));
    Ok(match planned.and_then(|(plan, contract_id)| Some((revenue::billed(plan, &event.lines, 1)?, contract_id))) {
        Some((plan, contract_id)) => decision.put(kind::REVENUE, contract_id, ErpDocument::Revenue(plan)),
        None => decision,
    })
}

/// `document` names what waits. Its contract has an order first: what it bills or gives back of the contract's revenue plan would be lost.
pub(super) fn after_its_order(
    known: Known<'_>,
    document: &str,
    account_id: &str,
    contract_id: Option<&str>,
) -> Result<(), Failure> {
    if let Some(contract_id) = contract_id {
        let is_ordered = known.contract(contract_id).is_some_and(|contract| contract.erp.is_some());
        if !is_ordered {
            let reason = format!("contract `{contract_id}` of {document} has no order yet");
            return Err(Failure::not_yet("CONTRACT_NOT_ACTIVE", contract_id, reason).at_field("contract_id"));
        }
    }
    customer(known, account_id)
}

/// Nothing is booked before its customer is there. Only a contract makes one, and which one it will be nobody can say.
pub(super) fn customer(known: Known<'_>, account_id: &str) -> Result<(), Failure> {
    if known.account(account_id).is_some_and(|account| account.erp.is_some()) {
        return Ok(());
    }
    let reason = format!("account `{account_id}` has no customer in the ERP yet");
    Err(Failure::not_yet("CUSTOMER_NOT_CREATED", account_id, reason).at_field("account_id"))
}

/// The tax in the tax authority's currency, as the invoice states it.
fn tax_abroad(event: &InvoicePosted) -> Option<Foreign> {
    let (currency, minor) = event.tax_currency.as_ref().zip(event.tax_in_tax_currency_minor)?;
    Some(Foreign {
        currency: currency.clone(),
        amount: Decimal::from_i128_with_scale(i128::from(minor), events::currency::exponent(currency)?),
        rate: None,
        rate_on: event.tax_point_on,
        source: "tax".to_owned(),
    })
}

fn request(mapping: &Mapping, event: &InvoicePosted) -> Result<NewInvoice, Failure> {
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let memo = match &event.contract_id {
        Some(contract_id) => format!("Invoice {} of contract {contract_id}", event.invoice_number),
        None => format!("Invoice {}", event.invoice_number),
    };
    Ok(NewInvoice {
        invoice_id: event.invoice_id.clone(),
        number: event.invoice_number.clone(),
        header: connectors::Header {
            foreign: tax_abroad(event),
            ..place.header(&event.account_id, event.contract_id.as_deref(), event.issue_on, memo)
        },
        due_on: event.due_on,
        terms: mapping.terms("payment_terms", event.payment_terms.as_ref())?,
        purchase_order: event.po_number.clone(),
        lines: lines::of_document(&place, &event.lines, &event.tax_breakdown, &event.totals)?,
    })
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &InvoicePosted) -> Vec<ledger::DocumentKey> {
    let mut keys =
        vec![document::key(kind::ACCOUNT, &event.account_id), document::key(kind::INVOICE, &event.invoice_id)];
    keys.extend(event.contract_id.iter().flat_map(|contract_id| amendment::reads(contract_id)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, invoiced, kept, mapping, state};
    use failure::Class;

    #[test]
    fn an_invoice_waits_for_the_contract_it_belongs_to() {
        let failure = plan(&mapping(), Known(&state(&[]).documents()), &invoiced("A-1", "INV-1", &[100]))
            .err()
            .expect("too early");
        assert_eq!((failure.class, failure.code.as_ref()), (Class::NotYet, "CONTRACT_NOT_ACTIVE"));
        assert_eq!(failure.awaits.as_deref(), Some("C-1"));
    }

    #[test]
    fn an_invoice_is_posted_with_its_lines_and_is_open_for_its_total() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[700, 300]).into()]);
        let documents = state.documents();
        let invoice = Known(&documents).invoice("INV-1").expect("kept");
        assert_eq!((invoice.total_minor, invoice.open_minor), (1200, 1200));
        assert!(invoice.erp.is_some(), "the ERP's id was noted");
    }

    #[test]
    fn an_invoice_of_an_account_without_contract_posts_once_the_customer_is_there() {
        let mut event = invoiced("A-1", "INV-1", &[100]);
        event.contract_id = None;
        let failure = plan(&mapping(), Known(&state(&[]).documents()), &event).err().expect("no customer");
        assert_eq!(failure.code, "CUSTOMER_NOT_CREATED");
        let state = kept(&mapping(), &[activated("A-1", "C-9").into()]);
        assert!(plan(&mapping(), Known(&state.documents()), &event).is_ok());
    }

    #[test]
    fn a_posted_invoice_is_never_edited() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into(), invoiced("A-1", "INV-1", &[100]).into()]);
        let again = InvoicePosted { entity_version: 2, ..invoiced("A-1", "INV-1", &[200]) };
        let failure = plan(&mapping(), Known(&state.documents()), &again).err().expect("refused");
        assert_eq!(failure.class, Class::Contract);
    }

    #[test]
    fn a_posting_period_other_than_the_documents_month_is_for_finance() {
        let state = kept(&mapping(), &[activated("A-1", "C-1").into()]);
        let event = InvoicePosted { posting_period: Some("2031-05".into()), ..invoiced("A-1", "INV-1", &[100]) };
        let failure = plan(&mapping(), Known(&state.documents()), &event).err().expect("refused");
        assert_eq!((failure.code.as_ref(), failure.owner.as_deref()), ("PERIOD_DIFFERS", Some("finance")));
    }

    #[test]
    fn amounts_keep_the_decimals_of_their_currency() {
        for (currency, exponent) in [("JPY", 0), ("GBP", 2), ("KWD", 3)] {
            let event = InvoicePosted { currency: currency.into(), ..invoiced("A-1", "INV-1", &[1050]) };
            let invoice = request(&mapping(), &event).expect("a request");
            assert_eq!(invoice.header.currency.exponent, exponent);
        }
    }
}
