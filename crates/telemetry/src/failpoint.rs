//! Places at which a process can be told to die, for the chaos runs. Without the feature `failpoints`, which no build for production has,
//! [`hit`] is empty and nothing is read from the environment.
//!
//! `THROUGHLINE_FAILPOINT=c5:kill:17` raises SIGKILL on the process itself when it reaches `c5` for the 17th time; `stop` instead of
//! `kill` raises SIGSTOP. `THROUGHLINE_FAILPOINT_ONCE=FILE` makes that happen once: the file is made just before, and where it exists the
//! point is disarmed, so that the process that is started again lives.

/// Whether the points are compiled in.
pub const COMPILED_IN: bool = cfg!(feature = "failpoints");

/// The process is at this point.
#[inline]
pub fn hit(point: &str) {
    #[cfg(feature = "failpoints")]
    armed::hit(point);
    #[cfg(not(feature = "failpoints"))]
    let _ = point;
}

#[cfg(feature = "failpoints")]
mod armed {
    use nix::sys::signal::{Signal, raise};
    use std::{
        fs::OpenOptions,
        io::Write as _,
        path::PathBuf,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    struct Armed {
        point: String,
        signal: Signal,
        nth: u64,
        once: Option<PathBuf>,
        reached: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn read() -> Option<Armed> {
        let text = std::env::var("THROUGHLINE_FAILPOINT").ok()?;
        let mut parts = text.splitn(3, ':');
        let (point, action) = (parts.next()?.to_owned(), parts.next().unwrap_or("kill"));
        let nth = parts.next().and_then(|nth| nth.parse().ok()).unwrap_or(1);
        let signal = if action == "stop" { Signal::SIGSTOP } else { Signal::SIGKILL };
        let once = std::env::var_os("THROUGHLINE_FAILPOINT_ONCE").map(PathBuf::from);
        Some(Armed { point, signal, nth, once, reached: AtomicU64::new(0) })
    }

    pub fn hit(point: &str) {
        let Some(armed) = ARMED.get_or_init(read) else { return };
        if armed.point != point || armed.reached.fetch_add(1, Ordering::Relaxed) + 1 != armed.nth {
            return;
        }
        if let Some(path) = &armed.once {
            let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(path) else { return };
            // What is not written is missed by the one who looks for it, which voids his run.
            let _ = writeln!(file, "{point} {} {}", armed.nth, std::process::id());
        }
        let _ = raise(armed.signal);
    }
}
