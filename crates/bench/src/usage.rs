//! What this process has used: processor time by `getrusage`, the peak of its resident memory by the kernel's own count.

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use std::time::{Duration, Instant};

/// A moment, and what had been used by then.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub at: Instant,
    cpu: Duration,
}

impl Moment {
    pub fn now() -> Self {
        let micros = getrusage(UsageWho::RUSAGE_SELF)
            .map_or(0, |usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds());
        Self { at: Instant::now(), cpu: Duration::from_micros(u64::try_from(micros).unwrap_or(0)) }
    }

    /// Seconds from here to `later`: by the clock, and of processors.
    pub fn until(&self, later: &Self) -> (f64, f64) {
        ((later.at - self.at).as_secs_f64(), later.cpu.saturating_sub(self.cpu).as_secs_f64())
    }
}

/// Forgets the peak so far. Where the kernel does not allow it, the peak is that of the whole process.
pub fn reset_peak() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        eprintln!("the peak of resident memory counts from the start of the process: {error}");
    }
}

/// Highest resident memory since the start or the last reset, in bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
