//! Invoices and credit notes.

use super::Shaper;
use crate::business::{
    calendar::days_after,
    life::{Credited, Why},
    money::{Charge, Kind},
};
use events::{common::*, *};
use jiff::civil::Date;
use rust_decimal::Decimal;

impl Shaper<'_> {
    pub(super) fn billed(
        &self,
        invoice: u32,
        period: (Date, Date),
        charges: &[Charge],
        sum_error: i64,
    ) -> InvoicePosted {
        let number = self.names.invoice(self.account.index, invoice);
        InvoicePosted {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            invoice_number: number.to_uppercase(),
            invoice_id: number,
            contract_id: Some(self.contract_id()),
            issue_on: self.day(),
            timezone: self.timezone(),
            due_on: Some(days_after(self.day(), i64::from(self.account.terms.1))),
            period: Some(self.period(period)),
            currency: self.currency(),
            lines: self.lines(charges, Some(period)),
            tax_breakdown: self.taxes(charges),
            totals: totals(charges, sum_error),
            payment_terms: Some(self.terms()),
            ..InvoicePosted::default()
        }
    }

    pub(super) fn credited(&self, credited: &Credited) -> CreditNoteIssued {
        let Credited { credit_note, invoice, charges, why } = credited;
        let number = self.names.credit_note(self.account.index, *credit_note);
        let preceding_invoice = invoice.map(|invoice| {
            let invoice_id = self.names.invoice(self.account.index, invoice);
            InvoiceRef { invoice_number: Some(invoice_id.to_uppercase()), invoice_id, issue_on: None }
        });
        let gross = charges.iter().map(Charge::gross).sum();
        let (code, (to_invoice_minor, refund_minor, balance_minor)) = match why {
            Why::Overcharge => ("overcharge", (gross, 0, 0)),
            Why::Goodwill => ("goodwill", (0, 0, gross)),
            Why::UsageCorrected => ("usage_corrected", (0, 0, gross)),
            Why::Unserved => ("not_served", (0, 0, gross)),
            Why::Returned => ("returned", (0, gross, 0)),
        };
        CreditNoteIssued {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            credit_note_number: number.to_uppercase(),
            credit_note_id: number,
            preceding_invoice,
            contract_id: Some(self.contract_id()),
            reason: Reason { code: code.to_owned(), text: None },
            issue_on: self.day(),
            timezone: self.timezone(),
            currency: self.currency(),
            lines: self.lines(charges, None),
            tax_breakdown: self.taxes(charges),
            totals: totals(charges, 0),
            application: Some(CreditApplication { to_invoice_minor, refund_minor, balance_minor }),
            ..CreditNoteIssued::default()
        }
    }

    pub(super) fn lines(&self, charges: &[Charge], period: Option<(Date, Date)>) -> Vec<LineItem> {
        let line = |(place, charge): (usize, &Charge)| LineItem {
            line_id: (place + 1).to_string(),
            product_id: charge.product.to_owned(),
            description: Some(charge.description.to_owned()),
            charge_type: charge_type(charge.kind),
            quantity: Decimal::from(charge.quantity),
            unit: Some(charge.unit.to_owned()),
            unit_price: charge.price.major(self.market().exponent),
            net_minor: charge.net,
            tax_minor: charge.tax,
            taxes: self.taxes(std::slice::from_ref(charge)),
            service_period: period.filter(|_| charge.kind.is_of_line()).map(|period| self.period(period)),
            contract_line_id: charge.kind.is_of_line().then(|| self.line_id(charge.line)),
            performance_obligation_id: self.obligation_id(charge.line).filter(|_| charge.kind.is_of_line()),
            ..LineItem::default()
        };
        charges.iter().enumerate().map(line).collect()
    }

    /// One rate per document; sellers without such a tax have none to show.
    pub(super) fn taxes(&self, charges: &[Charge]) -> Vec<TaxLine> {
        let Some(rate) = charges.first().and_then(|charge| charge.rate) else { return Vec::new() };
        vec![TaxLine {
            jurisdiction: Some(rate.country.to_owned()),
            category_code: rate.category.code().to_owned(),
            rate_percent: Decimal::new(rate.basis_points, 2),
            taxable_minor: charges.iter().map(|charge| charge.net).sum(),
            tax_minor: charges.iter().map(|charge| charge.tax).sum(),
            exemption_reason: rate.category.reason().map(str::to_owned),
            ..TaxLine::default()
        }]
    }
}

const fn charge_type(kind: Kind) -> ChargeType {
    match kind {
        Kind::Recurring => ChargeType::Recurring,
        Kind::Usage => ChargeType::Usage,
        Kind::Proration => ChargeType::Proration,
        Kind::Fee => ChargeType::OneTime,
    }
}

fn totals(charges: &[Charge], sum_error: i64) -> Totals {
    let net: i64 = charges.iter().map(|charge| charge.net).sum();
    let tax: i64 = charges.iter().map(|charge| charge.tax).sum();
    Totals {
        line_net_minor: net + sum_error,
        tax_exclusive_minor: net + sum_error,
        tax_minor: tax,
        tax_inclusive_minor: net + tax + sum_error,
        payable_minor: net + tax + sum_error,
        ..Totals::default()
    }
}
