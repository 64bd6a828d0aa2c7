//! How far a long run is and how long the rest will take, one line at most every second, and a clean end on Ctrl-C.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

pub struct Progress {
    started: Instant,
    shown: Option<Instant>,
    total: u64,
    is_terminal: bool,
}

impl Progress {
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self { started: Instant::now(), shown: None, total, is_terminal: std::io::stderr().is_terminal() }
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells of `done` of the total, unless it did so just now.
    pub fn tell(&mut self, done: u64, what: &str) {
        let every = Duration::from_secs(if self.is_terminal { 1 } else { 15 });
        if done == 0 || self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = self.elapsed().as_secs_f64();
        let rest = elapsed / done as f64 * self.total.saturating_sub(done) as f64;
        let end = if self.is_terminal { "\r" } else { "\n" };
        eprint!("{done} of {} {what}, {elapsed:.0} s, about {rest:.0} s to go   {end}", self.total);
        std::io::stderr().flush().ok();
    }
}
