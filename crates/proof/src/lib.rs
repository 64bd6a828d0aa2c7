//! The proof, as programs: `simulate` runs schedules, `mutants` shows that deliberate bugs of the runtime are found.

pub mod mutant;
pub mod progress;
