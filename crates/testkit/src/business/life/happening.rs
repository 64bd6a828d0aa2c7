//! What happened to an account, in numbers.

use super::contract::Line;
use crate::business::{chance::EventId, money::Charge};
use jiff::civil::Date;

/// Something that happened to an account.
#[derive(Debug, Clone)]
pub enum Happening {
    Activated,
    Amended {
        before: Option<Line>,
        after: Line,
    },
    Renewed {
        before: Vec<Line>,
        uplift_basis_points: i64,
    },
    Cancelled {
        on: Date,
        at_once: bool,
    },
    Billed {
        invoice: u32,
        period: (Date, Date),
        charges: Vec<Charge>,
        sum_error: i64,
    },
    /// A draft that was taken back before it was posted.
    Voided {
        invoice: u32,
        payable: i64,
    },
    WrittenOff {
        invoice: u32,
        amount: i64,
    },
    Credited {
        credit_note: u32,
        invoice: Option<u32>,
        charge: Charge,
        is_paid_out: bool,
    },
    Paid(Paid),
    PaymentFailed {
        payment: u32,
        attempt: i32,
        invoice: u32,
        amount: i64,
        next_at: Option<i64>,
    },
    Refunded {
        payment: u32,
        version: i64,
        refund: u32,
        out_of: OutOf,
        amount: i64,
    },
    Disputed(Disputed),
    Used {
        batch: u32,
        meter: usize,
        period: (Date, Date),
        quantity: i64,
        charges: Vec<Charge>,
    },
    Crossed {
        threshold: u32,
        meter: usize,
        period: (Date, Date),
        observed: i64,
    },
}

/// Money that arrived. Amounts are in minor units.
#[derive(Debug, Clone)]
pub struct Paid {
    pub payment: u32,
    pub version: i64,
    /// Invoices and what each of them gets.
    pub allocations: Box<[(u32, i64)]>,
    /// What is left over on the account.
    pub unapplied: i64,
}

/// Whose money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOf {
    /// What settled an invoice: that is open again.
    Invoice(u32),
    /// What was left over.
    Balance,
    CreditNote(u32),
}

/// One step of a dispute.
#[derive(Debug, Clone, Copy)]
pub struct Disputed {
    pub payment: u32,
    pub version: i64,
    pub dispute: u32,
    pub invoice: u32,
    pub amount: i64,
    pub step: Step,
    /// Until when evidence is taken.
    pub due_by: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Opened,
    UnderReview,
    Won,
    Lost,
}

/// How an account's last event is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    None,
    Contract,
    Business,
    Conflict,
}

/// One event in numbers.
#[derive(Debug, Clone)]
pub struct Moment {
    pub at_ms: i64,
    pub id: EventId,
    pub cause: Option<EventId>,
    /// Index of the contract concerned.
    pub contract: usize,
    pub happening: Happening,
    pub flaw: Flaw,
}
