//! What is still to come, ordered by time.

use super::happening::{Disputed, OutOf, Replaced, Why};
use crate::business::{chance::EventId, money::Charge};
use jiff::civil::Date;

/// What is still to come, ordered by time and then by the order it was planned in.
#[derive(Debug)]
pub struct Due {
    pub at_ms: i64,
    pub order: u32,
    pub contract: usize,
    pub cause: Option<EventId>,
    pub plan: Plan,
}

#[derive(Debug)]
pub enum Plan {
    Activate,
    Use,
    /// Usage of a period that was billed without it.
    UseLate {
        period: (Date, Date),
        used: i64,
        more: i64,
    },
    /// A batch was wrong.
    Correct {
        period: (Date, Date),
        wrong: Replaced,
    },
    Cross {
        period: (Date, Date),
        observed: i64,
    },
    Bill {
        /// A first draft of it was voided.
        is_redone: bool,
    },
    /// What is billed out of turn.
    BillExtra {
        charges: Vec<Charge>,
    },
    Amend,
    /// A step of a ramp, so many months after the start.
    Step {
        months: u32,
    },
    Resume,
    /// Renew or leave at the end of the term.
    Decide {
        end: Date,
    },
    Leave,
    WriteOff {
        invoice: u32,
        amount: i64,
    },
    Credit {
        invoice: Option<u32>,
        charges: Vec<Charge>,
        why: Why,
        /// The payment, with its next version, out of which the credit is paid back.
        pays_back: Option<(u32, i64)>,
    },
    Pay(Box<Pay>),
    Fail {
        payment: u32,
        attempt: i32,
        invoice: u32,
        amount: i64,
    },
    Refund {
        payment: u32,
        version: i64,
        out_of: OutOf,
        amount: i64,
    },
    Dispute(Box<Disputed>),
    End,
}

/// Money on its way.
#[derive(Debug, Default)]
pub struct Pay {
    /// The number it has if an attempt failed before, with the version of the next event about it.
    pub known: Option<(u32, i64)>,
    pub allocations: Box<[(u32, i64)]>,
    pub unapplied: i64,
    /// What is credited and paid back afterwards.
    pub returned: Option<Charge>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}
