//! The rules of each event type.

use super::{
    Check, active,
    document::{equal, period, sum, sums, term},
    filled, invalid, not_negative, within, zone,
};
use crate::{
    ContractActivated, ContractAmended, ContractCancelled, CreditNoteIssued, InvoiceMarkedUncollectible, InvoicePosted,
    InvoiceVoided, PaymentDisputed, PaymentFailed, PaymentReceived, PaymentRefunded, SubscriptionRenewalAccepted,
    UsageRated, UsageThresholdExceeded,
    common::{ContractLine, LineChange, ThresholdType},
};
use failure::Failure;
use std::collections::HashSet;

impl Check for ContractActivated {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        active("customer.currency", &self.customer.currency)?;
        filled("customer.legal_name", self.customer.legal_name.reveal())?;
        term("term", &self.term)?;
        if let Some(schedule) = &self.billing_schedule {
            zone("billing_schedule.timezone", &schedule.timezone)?;
            if !(1..=31).contains(&schedule.anchor_day) {
                return Err(invalid("billing_schedule.anchor_day", "is a day of the month, 1 to 31"));
            }
        }
        within("total_contract_value_minor", self.total_contract_value_minor.unwrap_or(0))?;
        for (index, obligation) in self.revenue_plan.iter().enumerate() {
            let field = |name: &str| format!("revenue_plan[{index}].{name}");
            named(field, "standalone_selling_price_minor", obligation.standalone_selling_price_minor)?;
            named(field, "allocated_price_minor", obligation.allocated_price_minor)?;
        }
        super::deals::taxes(&self.taxes, self.total_tax_minor)?;
        unique_lines("lines", &self.lines)
    }
}

impl Check for ContractAmended {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("amendment_id", &self.amendment_id)?;
        if self.sequence_no < 1 {
            return Err(invalid("sequence_no", "amendments count from 1"));
        }
        within("delta_mrr_minor", self.delta_mrr_minor)?;
        within("delta_tcv_minor", self.delta_tcv_minor)?;
        changes(&self.changes)?;
        self.new_term.as_ref().map_or(Ok(()), |new| term("new_term", new))
    }
}

/// The lines of an amendment, before and after.
pub(super) fn changes(changes: &[LineChange]) -> Result<(), Failure> {
    for (index, change) in changes.iter().enumerate() {
        if change.before.is_none() && change.after.is_none() {
            return Err(invalid(format!("changes[{index}]"), "needs `before` or `after`"));
        }
        let field = |name: &str| format!("changes[{index}].{name}.amount_minor");
        named(field, "before", change.before.as_ref().map_or(0, |line| line.amount_minor))?;
        named(field, "after", change.after.as_ref().map_or(0, |line| line.amount_minor))?;
    }
    Ok(())
}

impl Check for ContractCancelled {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        zone("timezone", &self.timezone)?;
        not_negative("early_termination_fee_minor", self.early_termination_fee_minor.unwrap_or(0))
    }
}

impl Check for InvoicePosted {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("invoice_number", &self.invoice_number)?;
        zone("timezone", &self.timezone)?;
        if let Some(tax_currency) = &self.tax_currency {
            active("tax_currency", tax_currency)?;
        }
        if let Some(span) = &self.period {
            period("period", span)?;
        }
        posting_period(self.posting_period.as_deref())?;
        sums(&self.lines, &self.tax_breakdown, &self.totals)
    }
}

impl Check for InvoiceVoided {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("reason.code", &self.reason.code)?;
        zone("timezone", &self.timezone)
    }
}

impl Check for InvoiceMarkedUncollectible {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("reason.code", &self.reason.code)?;
        zone("timezone", &self.timezone)?;
        above_zero("write_off_minor", self.write_off_minor)?;
        posting_period(self.posting_period.as_deref())
    }
}

impl Check for CreditNoteIssued {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("credit_note_number", &self.credit_note_number)?;
        zone("timezone", &self.timezone)?;
        if let Some(invoice) = &self.preceding_invoice {
            filled("preceding_invoice.invoice_id", &invoice.invoice_id)?;
        }
        posting_period(self.posting_period.as_deref())?;
        sums(&self.lines, &self.tax_breakdown, &self.totals)?;
        not_negative("totals.payable_minor", self.totals.payable_minor)?;
        let Some(application) = &self.application else { return Ok(()) };
        let applied = sum([application.to_invoice_minor, application.refund_minor, application.balance_minor])?;
        equal("totals.payable_minor", "the sum of the application", applied, self.totals.payable_minor)
    }
}

impl Check for PaymentReceived {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        zone("timezone", &self.timezone)?;
        above_zero("amount_minor", self.amount_minor)?;
        not_negative("unapplied_minor", self.unapplied_minor)?;
        let mut invoices = HashSet::new();
        for (index, allocation) in self.allocations.iter().enumerate() {
            if allocation.invoice_id.trim().is_empty() {
                return Err(invalid(format!("allocations[{index}].invoice_id"), "must not be empty"));
            }
            if allocation.amount_minor < 0 {
                return Err(invalid(format!("allocations[{index}].amount_minor"), "must not be negative"));
            }
            if !invoices.insert(allocation.invoice_id.as_str()) {
                return Err(invalid(format!("allocations[{index}].invoice_id"), "is paid twice by this payment"));
            }
        }
        if let Some(settlement) = &self.settlement {
            active("settlement.amount.currency", &settlement.amount.currency)?;
        }
        let split =
            sum(self.allocations.iter().map(|allocation| allocation.amount_minor).chain([self.unapplied_minor]))?;
        equal("amount_minor", "the sum of the allocations and unapplied_minor", split, self.amount_minor)
    }
}

impl Check for PaymentFailed {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("invoice_id", &self.invoice_id)?;
        if self.attempt_no < 1 {
            return Err(invalid("attempt_no", "attempts count from 1"));
        }
        not_negative("amount_minor", self.amount_minor)
    }
}

impl Check for PaymentRefunded {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("refund_id", &self.refund_id)?;
        zone("timezone", &self.timezone)?;
        above_zero("amount_minor", self.amount_minor)
    }
}

impl Check for PaymentDisputed {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("dispute_id", &self.dispute_id)?;
        zone("timezone", &self.timezone)?;
        above_zero("amount_minor", self.amount_minor)
    }
}

impl Check for SubscriptionRenewalAccepted {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("renewal_id", &self.renewal_id)?;
        term("renewed_term", &self.renewed_term)?;
        within("total_contract_value_minor", self.total_contract_value_minor.unwrap_or(0))?;
        unique_lines("lines_after", &self.lines_after)
    }
}

impl Check for UsageRated {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("contract_id", &self.contract_id)?;
        period("period", &self.period)?;
        within("amount_minor", self.amount_minor)?;
        if self.tiers.is_empty() {
            return Ok(());
        }
        let tiers = sum(self.tiers.iter().map(|tier| tier.amount_minor))?;
        equal("amount_minor", "the sum of the tiers", tiers, self.amount_minor)
    }
}

impl Check for UsageThresholdExceeded {
    fn check(&self) -> Result<(), Failure> {
        period("period", &self.period)?;
        match (&self.currency, self.threshold_type) {
            (Some(currency), _) => active("currency", currency),
            (None, ThresholdType::Spend) => Err(invalid("currency", "a spend threshold needs one")),
            (None, _) => Ok(()),
        }
    }
}

fn above_zero(field: &str, amount: i64) -> Result<(), Failure> {
    if amount > 0 { within(field, amount) } else { Err(invalid(field, "must be above zero")) }
}

/// The field's name is put together only for a failure.
fn named(field: impl Fn(&str) -> String, name: &str, amount: i64) -> Result<(), Failure> {
    within(name, amount).map_err(|failure| failure.at_field(field(name)))
}

pub(super) fn unique_lines(field: &str, lines: &[ContractLine]) -> Result<(), Failure> {
    for (index, line) in lines.iter().enumerate() {
        named(|name| format!("{field}[{index}].{name}"), "amount_minor", line.amount_minor)?;
    }
    let mut ids = HashSet::with_capacity(lines.len());
    match lines.iter().position(|line| !ids.insert(line.contract_line_id.as_str())) {
        Some(index) => Err(invalid(format!("{field}[{index}].contract_line_id"), "is used twice in this contract")),
        None => Ok(()),
    }
}

pub(super) fn posting_period(text: Option<&str>) -> Result<(), Failure> {
    let month = |text: &str| text.len() == 7 && format!("{text}-01").parse::<jiff::civil::Date>().is_ok();
    if text.is_none_or(month) { Ok(()) } else { Err(invalid("posting_period", "is a month such as 2026-01")) }
}
