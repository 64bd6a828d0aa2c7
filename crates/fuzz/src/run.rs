//! A run over one target: mutates, asks, keeps what is answered in a new way, stops at the first finding.

use crate::{Target, mutate::mutate};
use rand::{Rng as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// What must not be, and the input that brings it about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub input: Vec<u8>,
    pub what: String,
}

/// Inputs kept in the repository, one file each.
#[must_use]
pub fn corpus_folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The target's own seeds, then what the repository keeps, by name.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn inputs_of(target: &dyn Target) -> std::io::Result<Vec<Vec<u8>>> {
    let mut inputs = target.seeds();
    let Ok(entries) = std::fs::read_dir(corpus_folder(target.name())) else { return Ok(inputs) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for file in files {
        inputs.push(std::fs::read(file)?);
    }
    Ok(inputs)
}

thread_local! {
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are not printed from now on; where they were is told with the finding.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        PANICKED_AT.with_borrow_mut(|at| *at = place);
    }));
}

/// Asks once; a panic is a finding.
///
/// # Errors
/// What must not be.
pub fn try_input(target: &dyn Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| target.answer(input))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let place = PANICKED_AT.with_borrow_mut(std::mem::take);
        Err(format!("a panic: {} {place}", text.unwrap_or("no text")))
    })
}

/// Goes on from input to input.
pub struct Run<'a> {
    target: &'a dyn Target,
    rng: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
    answers: BTreeSet<String>,
    pub executions: u64,
}

impl<'a> Run<'a> {
    /// Asks all inputs of the corpus first.
    ///
    /// # Errors
    /// The first of them that is a finding.
    pub fn start(target: &'a dyn Target, corpus: Vec<Vec<u8>>, seed: u64) -> Result<Self, Finding> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut run = Self { target, rng, corpus: Vec::new(), answers: BTreeSet::new(), executions: 0 };
        for input in corpus {
            run.ask(input, true)?;
        }
        Ok(run)
    }

    fn ask(&mut self, input: Vec<u8>, keep: bool) -> Result<(), Finding> {
        self.executions += 1;
        match try_input(self.target, &input) {
            Err(what) => Err(Finding { input, what }),
            Ok(answer) => {
                if self.answers.insert(answer) || keep {
                    self.corpus.push(input);
                }
                Ok(())
            }
        }
    }

    /// One more input.
    ///
    /// # Errors
    /// If it is a finding.
    pub fn step(&mut self) -> Result<(), Finding> {
        let empty = Vec::new();
        // What came last is nearest to something new.
        let newest = self.corpus.len().saturating_sub(self.rng.random_range(1..=32));
        let input = match self.rng.random_bool(0.3) {
            true => self.corpus.get(newest),
            false => self.corpus.choose(&mut self.rng),
        };
        let (input, other) = (input.unwrap_or(&empty).clone(), self.corpus.choose(&mut self.rng).unwrap_or(&empty));
        let changed = mutate(&mut self.rng, &input, other, self.target.words());
        self.ask(changed, false)
    }

    /// Different answers so far.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Makes a finding smaller by leaving pieces out, as long as something is found.
    #[must_use]
    pub fn shrink(&self, finding: Finding) -> Finding {
        let mut best = finding;
        let mut piece = best.input.len() / 2;
        while piece > 0 {
            let mut at = 0;
            while at < best.input.len() {
                let mut shorter = best.input.clone();
                shorter.drain(at..(at + piece).min(shorter.len()));
                match try_input(self.target, &shorter) {
                    Err(what) => best = Finding { input: shorter, what },
                    Ok(_) => at += piece,
                }
            }
            piece /= 2;
        }
        best
    }
}
