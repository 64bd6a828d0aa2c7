//! Everything the sandbox remembers, behind one lock: books, jobs, tokens, and the log that makes them last.

use std::{collections::HashMap, fmt, path::Path};

use crate::{
    Error,
    books::{
        seed::{self, Seed},
        store::Store,
    },
    suitetalk::jobs::Jobs,
    wal::{Entry, Wal},
};

/// Live access tokens and the virtual time at which each expires.
#[derive(Default)]
pub struct Tokens(HashMap<Box<str>, i64>);

/// Expired tokens are swept when there are this many.
const SWEEP_AT: usize = 1_000;

impl Tokens {
    /// Takes a token in that is good until `expires_ms`.
    pub fn add(&mut self, token: &str, expires_ms: i64, now_ms: i64) {
        if self.0.len() >= SWEEP_AT {
            self.0.retain(|_, expires| *expires > now_ms);
        }
        self.0.insert(token.into(), expires_ms);
    }

    /// Whether the token was issued and has not expired.
    pub fn is_live(&self, token: &str, now_ms: i64) -> bool {
        self.0.get(token).is_some_and(|expires| *expires > now_ms)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

/// The mutable state of a sandbox.
#[derive(Debug)]
pub struct State {
    pub store: Store,
    pub jobs: Jobs,
    /// Not kept across a restart: clients must cope with a 401 anyway.
    pub tokens: Tokens,
    offset_ms: i64,
    seed: Seed,
    log: Log,
}

#[derive(Debug)]
enum Log {
    Memory,
    Disk(Wal),
    /// Nothing may be committed any more.
    Closed,
}

impl State {
    /// The state kept in `directory`, or a fresh one loaded with `seed`.
    ///
    /// # Errors
    /// The folder or the log in it cannot be used; the seed is wrong.
    pub fn open(directory: Option<&Path>, seed: Seed, now_ms: i64) -> Result<State, Error> {
        let mut state = State {
            store: Store::default(),
            jobs: Jobs::default(),
            tokens: Tokens::default(),
            offset_ms: 0,
            seed,
            log: Log::Memory,
        };
        let mut is_new = true;
        if let Some(directory) = directory {
            let wal = Wal::open(directory, &mut |entry: Entry| {
                is_new = false;
                state.apply(entry)
            })?;
            state.log = Log::Disk(wal);
        }
        if is_new {
            let seed = Box::new(state.seed.clone());
            state.commit(Entry::Seed { at: now_ms, seed })?;
        }
        Ok(state)
    }

    /// Writes an entry to the log, then makes it true.
    ///
    /// # Errors
    /// The log cannot be written (nothing is changed then), or the sandbox was stopped.
    pub fn commit(&mut self, entry: Entry) -> Result<(), Error> {
        match &mut self.log {
            Log::Memory => {}
            Log::Disk(wal) => wal.append(&entry)?,
            Log::Closed => return Err(Error::Stopped),
        }
        self.apply(entry)
    }

    fn apply(&mut self, entry: Entry) -> Result<(), Error> {
        match entry {
            Entry::Change { at, change } => self.store.apply(change, at, false),
            Entry::Job(job) => self.jobs.add(job),
            Entry::Seed { at, seed } => seed.load(&mut self.store, at)?,
            Entry::Period { at, start, period } => seed::save_period(&mut self.store, start, period, at),
            Entry::Hold { external_id, on: true } => {
                self.store.holds.insert(external_id);
            }
            Entry::Hold { external_id, on: false } => {
                self.store.holds.remove(&external_id);
            }
            Entry::Clock { offset_ms } => self.offset_ms = offset_ms,
        }
        Ok(())
    }

    /// Offset of the virtual clock that was last committed.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Forgets everything and loads the seed the sandbox was started with.
    ///
    /// # Errors
    /// The log cannot be cleared.
    pub fn reset(&mut self, now_ms: i64) -> Result<(), Error> {
        if let Log::Disk(wal) = &mut self.log {
            wal.clear()?;
        }
        self.store = Store::default();
        self.jobs = Jobs::default();
        self.tokens = Tokens::default();
        self.offset_ms = 0;
        let seed = Box::new(self.seed.clone());
        self.commit(Entry::Seed { at: now_ms, seed })
    }

    /// Syncs and closes the log. From now on every commit is refused.
    ///
    /// # Errors
    /// The disk refuses the sync.
    pub fn close(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.log, Log::Closed) {
            Log::Disk(wal) => wal.sync(),
            Log::Memory | Log::Closed => Ok(()),
        }
    }
}
