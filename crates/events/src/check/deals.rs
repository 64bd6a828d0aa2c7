//! The rules of deals, of what is asked for them, and of their cases.
//!
//! Only what makes an event unreadable for every reader is refused here. What is wrong with a deal as business is for the policies, which tell
//! everything at once.

use super::{Check, active, document::equal, document::sum, events::unique_lines, filled, invalid, zone};
use crate::{
    CustomerCreditHoldChanged, FalloutClosed, FalloutDecided, FalloutOpened, OpportunityClosedWon, OpportunityReopened,
    OrderCancelRequested, OrderRequested, SagaStep,
    common::{FalloutAction, LineTax, SagaKind},
};
use failure::Failure;

impl Check for OpportunityClosedWon {
    fn check(&self) -> Result<(), Failure> {
        zone("term.timezone", &self.term.timezone)
    }
}

impl Check for OpportunityReopened {
    fn check(&self) -> Result<(), Failure> {
        filled("reason.code", &self.reason.code)
    }
}

impl Check for CustomerCreditHoldChanged {
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

impl Check for FalloutDecided {
    fn check(&self) -> Result<(), Failure> {
        filled("decision_id", &self.decision_id)?;
        filled("decided_by", &self.decided_by)?;
        match self.action {
            FalloutAction::Unknown => Err(invalid("action", "is retry, approve, reject or waive")),
            FalloutAction::Waive if self.codes.is_empty() => Err(invalid("codes", "name what is waived")),
            FalloutAction::Retry | FalloutAction::Approve | FalloutAction::Reject | FalloutAction::Waive => Ok(()),
        }
    }
}

impl Check for OrderRequested {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        active("customer.currency", &self.customer.currency)?;
        filled("contract_id", &self.contract_id)?;
        filled("opportunity_id", &self.opportunity_id)?;
        filled("customer.legal_name", self.customer.legal_name.reveal())?;
        super::document::term("term", &self.term)?;
        unique_lines("lines", &self.lines)?;
        let net = sum(self.lines.iter().map(|line| line.amount_minor))?;
        equal("total_net_minor", "the sum of the lines", net, self.total_net_minor)?;
        taxes(&self.taxes, self.total_tax_minor)
    }
}

/// Taxes are of lines, and add up to their total.
pub(super) fn taxes(taxes: &[LineTax], total: Option<i64>) -> Result<(), Failure> {
    let sum = sum(taxes.iter().map(|line| line.tax.tax_minor))?;
    match total {
        Some(total) => equal("total_tax_minor", "the sum of the taxes", sum, total),
        None if taxes.is_empty() => Ok(()),
        None => Err(invalid("total_tax_minor", "taxes have a total")),
    }
}

impl Check for OrderCancelRequested {
    fn check(&self) -> Result<(), Failure> {
        filled("contract_id", &self.contract_id)?;
        filled("reason.code", &self.reason.code)
    }
}

impl Check for FalloutOpened {
    fn check(&self) -> Result<(), Failure> {
        filled("opportunity_id", &self.opportunity_id)?;
        if self.reasons.is_empty() {
            return Err(invalid("reasons", "a case has at least one reason"));
        }
        Ok(())
    }
}

impl Check for FalloutClosed {
    fn check(&self) -> Result<(), Failure> {
        filled("opportunity_id", &self.opportunity_id)
    }
}

impl Check for SagaStep {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        if self.attempt < 1 {
            return Err(invalid("attempt", "attempts count from 1"));
        }
        match self.kind {
            SagaKind::Unknown => Err(invalid("kind", "says what happened")),
            SagaKind::StepSucceeded | SagaKind::StepFailed => filled("step", self.step.as_deref().unwrap_or_default()),
            SagaKind::Started
            | SagaKind::Compensating
            | SagaKind::Compensated
            | SagaKind::Completed
            | SagaKind::Stuck => Ok(()),
        }
    }
}
