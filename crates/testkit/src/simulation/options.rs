//! How rough a simulated world is.

/// The same options and the same seed give the same run.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    /// Faults before the world heals; 0 for a twin.
    pub faults: u32,
    /// Chance that an input record is published again, at a later offset.
    pub duplicates: f64,
    /// Whether topics are read at unequal speed, so that related events overtake each other between topics.
    pub disorder: bool,
    /// Whether the whole input is published once more when all is done (I10).
    pub rereads: bool,
    /// Whether nearly every look-up fails, so that outcomes stay unknown until their events are parked.
    pub blind: bool,
    /// Whether what waits for something that never comes is left to people after a minute, not years: for inputs whose end nobody knows.
    pub impatient: bool,
    /// Whether what happens is written down step by step.
    pub traced: bool,
}

/// Faults of a stormy world, before people act.
pub const FAULTS: u32 = 40;

impl Options {
    #[must_use]
    pub const fn calm() -> Self {
        Self {
            seed: 0,
            faults: 0,
            duplicates: 0.0,
            disorder: false,
            rereads: false,
            blind: false,
            impatient: false,
            traced: false,
        }
    }

    #[must_use]
    pub const fn stormy(seed: u64) -> Self {
        Self {
            seed,
            faults: FAULTS,
            duplicates: 0.2,
            disorder: seed.is_multiple_of(2),
            rereads: seed.is_multiple_of(5),
            blind: seed % 7 == 5,
            impatient: false,
            traced: false,
        }
    }
}
