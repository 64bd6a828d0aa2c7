//! Decides from the outside whether a run kept its promise. A history is a set of NDJSON lines ([`Line`]) that publishers, drains
//! of topics, ledgers and the outside system's own log wrote independently of each other; [`check`] compares them and names every
//! invariant of the design that does not hold (I1–I10, and I11 against a twin).
//!
//! Pure: no clock, no network. It knows nothing of the runtime, so a bug there cannot hide itself here. What a history has no lines
//! for is reported as not compared, never as kept.

mod check;
mod line;
mod read;

pub use check::{Broken, Compared, Report, check};
pub use line::{Appeared, Decided, Effect, Line, Money, Place, Published};
pub use read::{Error, read, read_folder, write};
