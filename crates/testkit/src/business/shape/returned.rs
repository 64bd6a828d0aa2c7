//! Payments that go back, or that a bank asks back.

use super::{Shaper, timestamp};
use crate::business::life::{Disputed, OutOf, Step};
use events::{
    PaymentDisputed, PaymentRefunded,
    common::{DisputeStatus, Reason},
};

impl Shaper<'_> {
    pub(super) fn refunded(
        &self,
        (payment, version): (u32, i64),
        refund: u32,
        out_of: OutOf,
        amount_minor: i64,
    ) -> PaymentRefunded {
        let index = self.account.index;
        let (invoice_id, credit_note_id, code) = match out_of {
            OutOf::Invoice(invoice) => (Some(self.names.invoice(index, invoice)), None, "paid_in_error"),
            OutOf::Balance => (None, None, "overpaid"),
            OutOf::CreditNote(note) => (None, Some(self.names.credit_note(index, note)), "credited"),
        };
        PaymentRefunded {
            account_id: self.account_id(),
            entity_version: version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            payment_id: self.names.payment(index, payment),
            refund_id: self.names.refund(index, refund),
            invoice_id,
            credit_note_id,
            amount_minor,
            currency: self.currency(),
            method: self.method(),
            refunded_on: self.day(),
            timezone: self.timezone(),
            reason: Reason { code: code.to_owned(), text: None },
            ..PaymentRefunded::default()
        }
    }

    pub(super) fn disputed(&self, dispute: &Disputed) -> PaymentDisputed {
        let index = self.account.index;
        PaymentDisputed {
            account_id: self.account_id(),
            entity_version: dispute.version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            payment_id: self.names.payment(index, dispute.payment),
            dispute_id: self.names.dispute(index, dispute.dispute),
            invoice_id: Some(self.names.invoice(index, dispute.invoice)),
            status: status(dispute.step),
            amount_minor: dispute.amount,
            currency: self.currency(),
            disputed_on: self.day(),
            timezone: self.timezone(),
            due_by_at: matches!(dispute.step, Step::Opened | Step::UnderReview).then(|| timestamp(dispute.due_by)),
            reason: Reason { code: "not_recognised".to_owned(), text: None },
            ..PaymentDisputed::default()
        }
    }
}

const fn status(step: Step) -> DisputeStatus {
    match step {
        Step::Opened => DisputeStatus::Opened,
        Step::UnderReview => DisputeStatus::UnderReview,
        Step::Won => DisputeStatus::Won,
        Step::Lost => DisputeStatus::Lost,
    }
}
