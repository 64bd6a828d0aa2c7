//! Fuzzing on the stable toolchain: a seeded mutator over kept corpora. It sees no coverage; what it sees is how a target answers, and an
//! input whose answer (such as a failure's class, code and field) is new joins the corpus of the run. The same seed gives the same inputs.
//!
//! What panics, disagrees with another decoder, does not survive a round trip, or loses money is a finding; the input is written to a file
//! that the tests replay from then on.

mod mutate;
pub mod run;
pub mod targets;

pub use run::{Finding, Run, corpus_folder, inputs_of, keep_panics, try_input};

/// Something that takes bytes from strangers.
pub trait Target: Send + Sync {
    fn name(&self) -> &'static str;
    /// Good inputs to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;
    /// Pieces of the language that a mutation may put in.
    fn words(&self) -> &'static [&'static str] {
        &[]
    }
    /// How it answers, in a few words; what is new is interesting.
    ///
    /// # Errors
    /// What must not be.
    fn answer(&self, input: &[u8]) -> Result<String, String>;
}
