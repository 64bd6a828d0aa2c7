//! What happened to an account, in numbers.

use super::{amend::Change, contract::Line};
use crate::business::{chance::EventId, money::Charge, rating::Rated};
use jiff::civil::Date;

/// Something that happened to an account.
#[derive(Debug, Clone)]
pub enum Happening {
    Activated,
    Amended(Box<Amended>),
    Renewed {
        before: Vec<Line>,
        uplift_basis_points: i64,
    },
    Cancelled(Cancelled),
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
    Credited(Credited),
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
    Used(Used),
    Crossed {
        threshold: u32,
        meter: usize,
        period: (Date, Date),
        observed: i64,
    },
}

/// A change of a contract. Amounts are in minor units.
#[derive(Debug, Clone, Default)]
pub struct Amended {
    pub kind: AmendmentKind,
    pub changes: Vec<Change>,
    /// When it holds; never later than it is recorded.
    pub effective_ms: i64,
    pub is_retrospective: bool,
    /// Change of a billing period's amount that no line says: of what is suspended and resumed.
    pub whole: i64,
    /// Change of the value of the term.
    pub delta_value: i64,
    /// What it costs, or gives back, until the next regular invoice.
    pub proration: Option<Charge>,
    pub is_given_back: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AmendmentKind {
    Add,
    Remove,
    #[default]
    Quantity,
    Price,
    PlanChange,
    TermExtension,
    Suspend,
    Resume,
}

/// The end of a contract.
#[derive(Debug, Clone, Copy)]
pub struct Cancelled {
    pub on: Date,
    pub at_once: bool,
    /// What was paid for the time after it is given back.
    pub is_refunded: bool,
    /// Without tax, in minor units.
    pub fee: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Credited {
    pub credit_note: u32,
    /// The invoice that is corrected.
    pub invoice: Option<u32>,
    pub charges: Vec<Charge>,
    pub why: Why,
}

/// Why a credit note is issued, and so where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Set against its invoice.
    Overcharge,
    /// Stands on the account.
    Goodwill,
    /// Less was used than was billed: stands on the account.
    UsageCorrected,
    /// What was paid for time that is not served: stands on the account.
    Unserved,
    /// Paid out.
    Returned,
}

/// A batch of usage.
#[derive(Debug, Clone)]
pub struct Used {
    pub batch: u32,
    pub meter: usize,
    pub period: (Date, Date),
    pub quantity: i64,
    pub included: i64,
    pub rated: Vec<Rated>,
    /// Measured after its period was billed.
    pub is_late: bool,
    pub replaces: Option<Replaced>,
}

/// A batch that was wrong.
#[derive(Debug, Clone, Copy)]
pub struct Replaced {
    pub batch: u32,
    pub quantity: i64,
    /// What it was rated at, in minor units.
    pub amount: i64,
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
