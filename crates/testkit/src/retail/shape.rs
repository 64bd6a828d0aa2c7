//! How the documents of the file look as events.

use super::{CURRENCY, Purchase, Row, pence};
use events::{
    ContractActivated, CreditNoteIssued, InvoicePosted,
    common::{Address, ChargeType, Customer, InvoiceRef, LineItem, Reason, Term, Totals},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rust_decimal::Decimal;
use std::sync::OnceLock;

/// The selling entity, as `deploy/policies/erp-mapping.yaml` names it.
const LEGAL_ENTITY: &str = "online-retail";
/// The item that stands for all stock codes where a mapping does not name them.
const SKU: &str = "RETAIL";
const TIMEZONE: &str = "Europe/London";

pub(super) fn contract(account: &str, first: &Row) -> ContractActivated {
    let at = instant(first.issued);
    let legal_name = if first.customer_id.is_empty() {
        format!("Walk-in customers, {}", first.country)
    } else {
        format!("Customer {}", first.customer_id)
    };
    ContractActivated {
        account_id: account.to_owned(),
        entity_version: 1,
        effective_at: at,
        recorded_at: at,
        legal_entity_id: LEGAL_ENTITY.to_owned(),
        contract_id: contract_id(account),
        customer: Customer {
            legal_name: legal_name.into(),
            currency: CURRENCY.to_owned(),
            billing_address: country(first).map(|country| Address { country, ..Address::default() }),
            ..Customer::default()
        },
        currency: CURRENCY.to_owned(),
        term: Term { start_on: first.issued.date(), timezone: TIMEZONE.to_owned(), ..Term::default() },
        ..ContractActivated::default()
    }
}

pub(super) fn invoice(number: &str, account: &str, first: &Row, lines: Vec<LineItem>) -> InvoicePosted {
    let at = instant(first.issued);
    InvoicePosted {
        account_id: account.to_owned(),
        entity_version: 1,
        effective_at: at,
        recorded_at: at,
        legal_entity_id: LEGAL_ENTITY.to_owned(),
        invoice_id: number.to_owned(),
        invoice_number: number.to_owned(),
        contract_id: Some(contract_id(account)),
        issue_on: first.issued.date(),
        timezone: TIMEZONE.to_owned(),
        currency: CURRENCY.to_owned(),
        totals: totals(&lines),
        lines,
        ..InvoicePosted::default()
    }
}

pub(super) fn credit_note(
    number: &str,
    account: &str,
    first: &Row,
    lines: Vec<LineItem>,
    corrected: Option<&Purchase>,
) -> CreditNoteIssued {
    let at = instant(first.issued);
    CreditNoteIssued {
        account_id: account.to_owned(),
        entity_version: 1,
        effective_at: at,
        recorded_at: at,
        legal_entity_id: LEGAL_ENTITY.to_owned(),
        credit_note_id: number.to_owned(),
        credit_note_number: number.to_owned(),
        preceding_invoice: corrected.map(|purchase| InvoiceRef {
            invoice_id: purchase.number.clone(),
            invoice_number: Some(purchase.number.clone()),
            issue_on: Some(purchase.issue_on),
        }),
        contract_id: Some(contract_id(account)),
        reason: Reason { code: "return".to_owned(), text: None },
        issue_on: first.issued.date(),
        timezone: TIMEZONE.to_owned(),
        currency: CURRENCY.to_owned(),
        totals: totals(&lines),
        lines,
        ..CreditNoteIssued::default()
    }
}

/// The lines of a document; those of a credit note with the sign turned, so that a credit is positive.
///
/// # Errors
/// The row whose amount cannot be computed, and why.
pub(super) fn lines(rows: &[Row], is_credit: bool) -> Result<Vec<LineItem>, (&Row, String)> {
    let line = |(place, row): (usize, &Row)| {
        let quantity = if is_credit { -row.quantity } else { row.quantity };
        Ok(LineItem {
            line_id: (place + 1).to_string(),
            product_id: row.stock_code.clone(),
            sku: Some(SKU.to_owned()),
            description: (!row.description.is_empty()).then(|| row.description.clone()),
            charge_type: if is_credit { ChargeType::Credit } else { ChargeType::OneTime },
            quantity: Decimal::from(quantity),
            unit_price: row.unit_price,
            net_minor: pence(quantity, row.unit_price)?,
            ..LineItem::default()
        })
    };
    let with_row = |(place, row)| line((place, row)).map_err(|reason| (row, reason));
    rows.iter().enumerate().map(with_row).collect()
}

/// The file's prices stand as they are: no tax is added and none is taken out.
fn totals(lines: &[LineItem]) -> Totals {
    let net = lines.iter().map(|line| line.net_minor).sum();
    Totals {
        line_net_minor: net,
        tax_exclusive_minor: net,
        tax_inclusive_minor: net,
        payable_minor: net,
        ..Totals::default()
    }
}

fn contract_id(account: &str) -> String {
    format!("contract-{account}")
}

fn country(row: &Row) -> Option<String> {
    (!row.country.is_empty() && row.country != "Unspecified").then(|| row.country.clone())
}

/// The file's times have no zone; they are the seller's.
fn instant(local: DateTime) -> Timestamp {
    static LONDON: OnceLock<TimeZone> = OnceLock::new();
    let london = LONDON.get_or_init(|| TimeZone::get(TIMEZONE).expect("the zones are compiled in"));
    // In the hour that the clocks skip or repeat, the usual reading; outside the calendar's range nothing is left to read.
    london.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::UNIX_EPOCH)
}
