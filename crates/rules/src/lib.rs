#![doc = include_str!("../README.md")]

mod cases;
mod change;
mod diff;
mod expression;
mod facts;
mod judge;
mod judge_change;
mod load;
pub mod policy;
mod problem;
mod reader;
mod store;
mod verdict;

pub use cases::{Case, CaseResult, Subject};
pub use change::{Amendment, Changed, Renewal, Repriced};
pub use diff::{Change, diff};
pub use expression::{Expression, compile};
pub use facts::{Deal, Exposure, Line, Quote, Seller};
pub use judge_change::PRICE_UPLIFT;
pub use load::Policies;
pub use problem::{Problem, Problems};
pub use store::{Refresh, Store};
pub use verdict::{Approval, Finding, Treatment, Verdict};
