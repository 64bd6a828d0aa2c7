//! Payments, received and failed.

use super::{Shaper, timestamp};
use crate::business::life::Paid;
use events::{common::*, *};

impl Shaper<'_> {
    pub(super) fn paid(&self, paid: &Paid) -> PaymentReceived {
        let Paid { payment, version, allocations, unapplied } = paid;
        let payment_id = self.names.payment(self.account.index, *payment);
        let applied: i64 = allocations.iter().map(|(_, amount)| amount).sum();
        let method = self.method();
        PaymentReceived {
            account_id: self.account_id(),
            entity_version: *version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            method,
            amount_minor: applied + unapplied,
            currency: self.currency(),
            received_on: self.day(),
            value_on: Some(self.day()),
            timezone: self.timezone(),
            allocations: allocations.iter().map(|(invoice, amount)| self.allocation(*invoice, *amount)).collect(),
            unapplied_minor: *unapplied,
            bank_reference: (method == PaymentMethod::BankTransfer).then(|| payment_id.to_uppercase().into()),
            payment_id,
            ..PaymentReceived::default()
        }
    }

    pub(super) fn allocation(&self, invoice: u32, amount_minor: i64) -> PaymentAllocation {
        let invoice_id = self.names.invoice(self.account.index, invoice);
        PaymentAllocation { invoice_id, amount_minor, ..PaymentAllocation::default() }
    }

    pub(super) fn method(&self) -> PaymentMethod {
        match self.account.index % 4 {
            0 => PaymentMethod::Card,
            1 => PaymentMethod::DirectDebit,
            _ => PaymentMethod::BankTransfer,
        }
    }

    pub(super) fn payment_failed(
        &self,
        payment: u32,
        attempt: i32,
        invoice: u32,
        amount_minor: i64,
        next_at: Option<i64>,
    ) -> PaymentFailed {
        PaymentFailed {
            account_id: self.account_id(),
            entity_version: i64::from(attempt),
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            payment_id: self.names.payment(self.account.index, payment),
            attempt_no: attempt,
            invoice_id: self.names.invoice(self.account.index, invoice),
            amount_minor,
            currency: self.currency(),
            method: PaymentMethod::Card,
            failure_code: "card_declined".to_owned(),
            decline_code: Some("insufficient_funds".to_owned()),
            category: if next_at.is_some() { FailureCategory::Soft } else { FailureCategory::Hard },
            next_attempt_at: next_at.map(timestamp),
            dunning_step: Some(attempt),
            ..PaymentFailed::default()
        }
    }
}
