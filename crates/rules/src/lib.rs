#![doc = include_str!("../README.md")]

mod cases;
mod diff;
mod expression;
mod facts;
mod judge;
mod load;
pub mod policy;
mod problem;
mod reader;
mod store;
mod verdict;

pub use cases::{Case, CaseResult};
pub use diff::{Change, diff};
pub use expression::{Expression, compile};
pub use facts::{Deal, Exposure, Line, Seller};
pub use load::Policies;
pub use problem::{Problem, Problems};
pub use store::{Refresh, Store};
pub use verdict::{Approval, Finding, Treatment, Verdict};
