//! Progress of long work: one line that rewrites itself on a terminal, a line each ten seconds elsewhere.

use serde_json::json;
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// `--progress`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProgressMode {
    /// A live line on a terminal, else a line each 10 s
    #[default]
    Auto,
    /// NDJSON events on standard error
    Json,
    None,
}

/// Counts up; shows itself from a thread of its own, so that counting costs an addition.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
    shower: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    what: &'static str,
    total: Option<u64>,
    done: AtomicU64,
    refused: AtomicU64,
    ended: AtomicBool,
    begun: Instant,
}

impl Progress {
    pub(super) fn start(mode: ProgressMode, what: &'static str, total: Option<u64>) -> Self {
        let shared = Arc::new(Shared {
            what,
            total,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            begun: Instant::now(),
        });
        let live = io::stderr().is_terminal();
        let shower = (mode != ProgressMode::None).then(|| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.show(mode, live))
        });
        Self { shared, shower }
    }

    pub(crate) fn add(&self, done: u64) {
        self.shared.done.fetch_add(done, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(shower) = self.shower.take() {
            shower.thread().unpark();
            // A panic in the shower has been printed already and must not end the command.
            let _ = shower.join();
        }
    }
}

impl Shared {
    fn show(&self, mode: ProgressMode, live: bool) {
        let pause =
            if live && mode == ProgressMode::Auto { Duration::from_millis(200) } else { Duration::from_secs(10) };
        let mut shown = self.begun;
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::park_timeout(pause.saturating_sub(shown.elapsed()));
            if shown.elapsed() < pause {
                continue;
            }
            shown = Instant::now();
            let text = if mode == ProgressMode::Json { self.json() } else { self.line() };
            let text =
                if live && mode == ProgressMode::Auto { format!("\r\u{1b}[K{text}") } else { format!("{text}\n") };
            // Progress that nobody can see is not worth an error.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        if live && mode == ProgressMode::Auto {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }

    fn rate(&self) -> f64 {
        self.done.load(Ordering::Relaxed) as f64 / self.begun.elapsed().as_secs_f64().max(0.001)
    }

    fn line(&self) -> String {
        let (done, refused, rate) =
            (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed), self.rate());
        let refused = if refused > 0 { format!(" · refused {}", grouped(refused)) } else { String::new() };
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return format!("{} {} · {rate:.0}/s{refused}", self.what, grouped(done));
        };
        let bar: String = (0..10).map(|tenth| if done * 10 >= (tenth + 1) * total { '█' } else { '░' }).collect();
        let left = if rate > 0.0 { total.saturating_sub(done) as f64 / rate } else { 0.0 };
        format!("{} {bar} {}/{} · {rate:.0}/s{refused} · ETA {left:.0} s", self.what, grouped(done), grouped(total))
    }

    fn json(&self) -> String {
        let (done, refused) = (self.done.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed));
        let seconds = self.begun.elapsed().as_secs_f64();
        json!({ "v": 1, "event": "progress", "what": self.what, "done": done, "refused": refused, "total": self.total,
            "seconds": seconds })
        .to_string()
    }
}

/// `12345` as `12 345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([grouped(7), grouped(412), grouped(1_204), grouped(1_000_000)], ["7", "412", "1 204", "1 000 000"]);
    }

    #[test]
    fn a_line_shows_share_and_refusals() {
        let progress = Progress::start(ProgressMode::None, "publish", Some(1_204));
        progress.add(412);
        progress.refuse();
        let line = progress.shared.line();
        assert!(line.starts_with("publish ███░░░░░░░ 412/1 204 · "), "{line}");
        assert!(line.contains(" · refused 1 · ETA "), "{line}");
    }
}
