//! What an ERP must hold of a business in the end, as numbers that can be compared from outside.

use events::{
    CreditNoteIssued, Event, InvoicePosted, PaymentDisputed, PaymentReceived,
    common::{DisputeStatus, LineItem},
};
use serde::Serialize;

/// Amounts are in minor units of one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    pub customers: u64,
    /// One for each term of a contract.
    pub orders: u64,
    /// Contracts whose revenue is planned.
    pub revenue_plans: u64,
    pub invoices: u64,
    /// Drafts that were taken back before they were posted: nothing in the ERP.
    pub voided: u64,
    pub credit_memos: u64,
    /// Credit memos of what nobody expects to be paid any more.
    pub write_offs: u64,
    pub payments: u64,
    /// Money that went back, that of lost disputes too.
    pub refunds: u64,
    /// Entries of disputes, and what takes them back.
    pub journals: u64,
    /// With tax.
    pub invoiced_minor: i64,
    /// With tax, as a positive credit.
    pub credited_minor: i64,
    pub paid_minor: i64,
    /// Usage, charged or still added up; what a correction replaces is taken off.
    pub rated_minor: i64,
    /// The part of what was paid that settled no invoice when it came.
    pub unapplied_minor: i64,
    pub written_off_minor: i64,
    /// What went back, without lost disputes.
    pub refunded_minor: i64,
    /// What went back because a dispute was lost.
    pub charged_back_minor: i64,
    /// What is in dispute and not decided yet.
    pub disputed_minor: i64,
    /// Invoiced less credited of contracts whose revenue is planned, without tax: what was ever deferred.
    pub planned_billed_minor: i64,
}

impl Effects {
    /// Records made in the outside system; changes of records are not counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        let documents = self.invoices + self.credit_memos + self.write_offs + self.payments;
        self.customers + self.orders + self.revenue_plans + documents + self.refunds + self.journals
    }

    /// What customers owe in the end; below zero, what they have in credit.
    #[must_use]
    pub const fn receivable_minor(&self) -> i64 {
        let back = self.refunded_minor + self.charged_back_minor;
        self.invoiced_minor - self.credited_minor - self.written_off_minor - self.paid_minor + back
    }

    pub(super) fn add(&mut self, event: &Event) {
        match event {
            Event::ContractActivated(event) => {
                self.orders += 1;
                self.revenue_plans += u64::from(!event.revenue_plan.is_empty());
            }
            Event::SubscriptionRenewalAccepted(_) => self.orders += 1,
            Event::UsageRated(usage) => self.rated_minor += usage.amount_minor,
            Event::InvoicePosted(invoice) => self.invoice(invoice),
            Event::InvoiceVoided(_) => self.voided += 1,
            Event::InvoiceMarkedUncollectible(event) => {
                self.write_offs += 1;
                self.written_off_minor += event.write_off_minor;
            }
            Event::CreditNoteIssued(note) => self.credit(note),
            Event::PaymentReceived(payment) => self.payment(payment),
            Event::PaymentRefunded(refund) => {
                self.refunds += 1;
                self.refunded_minor += refund.amount_minor;
            }
            Event::PaymentDisputed(dispute) => self.dispute(dispute),
            Event::ContractAmended(_)
            | Event::ContractCancelled(_)
            | Event::PaymentFailed(_)
            | Event::UsageThresholdExceeded(_) => {}
        }
    }

    fn invoice(&mut self, invoice: &InvoicePosted) {
        self.invoices += 1;
        self.invoiced_minor += invoice.totals.payable_minor;
        self.planned_billed_minor += planned(&invoice.lines);
    }

    fn credit(&mut self, note: &CreditNoteIssued) {
        self.credit_memos += 1;
        self.credited_minor += note.totals.payable_minor;
        self.planned_billed_minor -= planned(&note.lines);
    }

    fn payment(&mut self, payment: &PaymentReceived) {
        self.payments += 1;
        self.paid_minor += payment.amount_minor;
        self.unapplied_minor += payment.unapplied_minor;
    }

    /// A generated dispute is always opened before it is decided.
    fn dispute(&mut self, dispute: &PaymentDisputed) {
        match dispute.status {
            DisputeStatus::Opened => {
                self.journals += 1;
                self.disputed_minor += dispute.amount_minor;
            }
            DisputeStatus::Won | DisputeStatus::Lost => {
                self.journals += 1;
                self.disputed_minor -= dispute.amount_minor;
            }
            DisputeStatus::UnderReview | DisputeStatus::Unknown => {}
        }
        if dispute.status == DisputeStatus::Lost {
            self.refunds += 1;
            self.charged_back_minor += dispute.amount_minor;
        }
    }
}

/// What of a document belongs to performance obligations, without tax.
fn planned(lines: &[LineItem]) -> i64 {
    lines.iter().filter(|line| line.performance_obligation_id.is_some()).map(|line| line.net_minor).sum()
}

/// The currency of an event that an ERP books.
pub(super) fn currency(event: &Event) -> Option<&str> {
    match event {
        Event::ContractActivated(event) => Some(&event.currency),
        Event::InvoicePosted(event) => Some(&event.currency),
        Event::InvoiceVoided(event) => Some(&event.currency),
        Event::InvoiceMarkedUncollectible(event) => Some(&event.currency),
        Event::CreditNoteIssued(event) => Some(&event.currency),
        Event::PaymentReceived(event) => Some(&event.currency),
        Event::PaymentRefunded(event) => Some(&event.currency),
        Event::PaymentDisputed(event) => Some(&event.currency),
        Event::SubscriptionRenewalAccepted(event) => Some(&event.currency),
        Event::UsageRated(event) => Some(&event.currency),
        Event::ContractAmended(_)
        | Event::ContractCancelled(_)
        | Event::PaymentFailed(_)
        | Event::UsageThresholdExceeded(_) => None,
    }
}
