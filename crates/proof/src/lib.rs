//! The proof, as programs: `simulate` runs schedules, `mutants` shows that deliberate bugs of the runtime are found.

pub mod mutant;
pub mod progress;
#[cfg(feature = "services")]
pub mod services;

use testkit::simulation::{Scenario, cases};

/// All cases that this build has.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    #[cfg_attr(not(feature = "services"), expect(unused_mut, reason = "services add theirs"))]
    let mut all = cases::all();
    #[cfg(feature = "services")]
    all.extend(services::all());
    all
}
