//! Voided drafts and write-offs.

use super::Shaper;
use events::{InvoiceMarkedUncollectible, InvoiceVoided, common::Reason};

impl Shaper<'_> {
    /// The first and last event of an invoice that was never posted.
    pub(super) fn voided(&self, invoice: u32, payable_minor: i64) -> InvoiceVoided {
        InvoiceVoided {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            invoice_id: self.names.invoice(self.account.index, invoice),
            contract_id: Some(self.contract_id()),
            voided_on: self.day(),
            timezone: self.timezone(),
            reason: Reason { code: "wrong_quantity".to_owned(), text: None },
            currency: self.currency(),
            payable_minor,
            ..InvoiceVoided::default()
        }
    }

    pub(super) fn written_off(&self, invoice: u32, write_off_minor: i64) -> InvoiceMarkedUncollectible {
        let invoice_id = self.names.invoice(self.account.index, invoice);
        InvoiceMarkedUncollectible {
            account_id: self.account_id(),
            entity_version: 2,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            invoice_number: Some(invoice_id.to_uppercase()),
            invoice_id,
            contract_id: Some(self.contract_id()),
            marked_on: self.day(),
            timezone: self.timezone(),
            reason: Reason { code: "no_answer_to_reminders".to_owned(), text: None },
            currency: self.currency(),
            write_off_minor,
            ..InvoiceMarkedUncollectible::default()
        }
    }
}
