//! The rules of what is asked of contracts, of signed quotes, of renewals that are coming, and of what customers are told.

use super::{
    Check, active,
    document::{equal, sum, term},
    events::{changes, unique_lines},
    filled, invalid, within, zone,
};
use crate::{
    ContractAmendmentDeclined, ContractAmendmentRequested, NotificationRequested, QuoteAccepted,
    SubscriptionRenewalDeclined, SubscriptionRenewalDue,
};
use failure::Failure;

impl Check for ContractAmendmentRequested {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("contract_id", &self.contract_id)?;
        within("delta_mrr_minor", self.delta_mrr_minor)?;
        within("delta_tcv_minor", self.delta_tcv_minor)?;
        changes(&self.changes)?;
        self.new_term.as_ref().map_or(Ok(()), |new| term("new_term", new))
    }
}

impl Check for ContractAmendmentDeclined {
    fn check(&self) -> Result<(), Failure> {
        filled("contract_id", &self.contract_id)?;
        if self.reasons.is_empty() {
            return Err(invalid("reasons", "an amendment is declined for at least one reason"));
        }
        Ok(())
    }
}

impl Check for QuoteAccepted {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("opportunity_id", &self.opportunity_id)?;
        let is_hash = self.document_hash.len() == 64 && self.document_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return Err(invalid("document_hash", "is the SHA-256 of the document: 64 hexadecimal digits"));
        }
        unique_lines("lines", &self.lines)?;
        let net = sum(self.lines.iter().map(|line| line.amount_minor))?;
        equal("total_minor", "the sum of the lines", net, self.total_minor)
    }
}

impl Check for SubscriptionRenewalDue {
    fn check(&self) -> Result<(), Failure> {
        active("currency", &self.currency)?;
        filled("contract_id", &self.contract_id)?;
        zone("timezone", &self.timezone)
    }
}

impl Check for SubscriptionRenewalDeclined {
    fn check(&self) -> Result<(), Failure> {
        filled("contract_id", &self.contract_id)?;
        filled("reason.code", &self.reason.code)
    }
}

impl Check for NotificationRequested {
    fn check(&self) -> Result<(), Failure> {
        filled("template", &self.template)?;
        filled("about_id", &self.about_id)
    }
}
