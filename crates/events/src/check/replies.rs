//! The rules of what services answer.

use super::{
    Check, active,
    document::{equal, sum},
    events::posting_period,
    filled, invalid, zone,
};
use crate::{CustomerOnboarded, JournalPosted, OrderAccepted, OrderCancelled, OrderRejected, common::FxRate};
use failure::Failure;

impl Check for OrderAccepted {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("erp_system", &self.erp_system)?;
        filled("erp_order_id", &self.erp_order_id)?;
        rate(self.exchange_rate.as_ref())?;
        let gross = sum([self.total_net_minor, self.total_tax_minor])?;
        equal("total_gross_minor", "net + tax", gross, self.total_gross_minor)
    }
}

impl Check for OrderRejected {
    fn check(&self) -> Result<(), Failure> {
        filled("erp_system", &self.erp_system)?;
        match self.reasons.iter().position(|reason| reason.message.trim().is_empty()) {
            Some(index) => Err(invalid(format!("reasons[{index}].message"), "must not be empty")),
            None if self.reasons.is_empty() => Err(invalid("reasons", "a rejection has at least one reason")),
            None => Ok(()),
        }
    }
}

impl Check for OrderCancelled {
    fn check(&self) -> Result<(), Failure> {
        filled("erp_system", &self.erp_system)?;
        filled("reason.code", &self.reason.code)
    }
}

impl Check for CustomerOnboarded {
    fn check(&self) -> Result<(), Failure> {
        active("customer.currency", &self.customer.currency)?;
        filled("erp_system", &self.erp_system)?;
        filled("erp_customer_id", &self.erp_customer_id)
    }
}

impl Check for JournalPosted {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        zone("timezone", &self.timezone)?;
        posting_period(Some(&self.posting_period))?;
        rate(self.exchange_rate.as_ref())?;
        if self.lines.len() < 2 {
            return Err(invalid("lines", "an entry has at least two lines"));
        }
        let debits = sum(self.lines.iter().map(|line| line.debit_minor))?;
        let credits = sum(self.lines.iter().map(|line| line.credit_minor))?;
        equal("lines.debit_minor", "the sum of the credits", credits, debits)
    }
}

fn rate(rate: Option<&FxRate>) -> Result<(), Failure> {
    let Some(rate) = rate else { return Ok(()) };
    active("exchange_rate.from_currency", &rate.from_currency)?;
    active("exchange_rate.to_currency", &rate.to_currency)?;
    filled("exchange_rate.source", &rate.source)
}
