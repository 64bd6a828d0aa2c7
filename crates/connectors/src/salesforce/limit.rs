//! What is left of the organisation's quota, as every answer tells: `Sforce-Limit-Info: api-usage=10018/100000; api-bursts=1/750`.
//!
//! The quota counts 24 rolling hours and belongs to everybody who uses the organisation. While most of it is left nothing is held
//! back. Beyond the share that we may use without a thought, calls are spread over the day that has to pass before all of it is back.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long to stay away when the quota is used up: parts of it come back by the minute.
pub(super) const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// The share of the quota up to which nobody is held back.
const FREE_SHARE: f64 = 0.8;
const DAY_SECONDS: f64 = 86_400.0;
/// However little is left, this much is tried: a call every ten seconds finds out that the day has moved on.
const LEAST_PER_SECOND: f64 = 0.1;

/// The newest that an answer said.
#[derive(Debug, Default)]
pub(super) struct Quota {
    said: Mutex<Option<Usage>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Usage {
    used: f64,
    most: f64,
}

impl Quota {
    /// Notes the header of an answer. One that cannot be read says nothing.
    pub(super) fn note(&self, header: &str) {
        if let Some(usage) = usage(header) {
            *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
        }
    }

    /// Calls a second that what is left bears, for a whole day; `None` while there is plenty.
    pub(super) fn per_second(&self) -> Option<f64> {
        let Usage { used, most } = (*self.said.lock().unwrap_or_else(PoisonError::into_inner))?;
        if used < most * FREE_SHARE {
            return None;
        }
        Some(((most - used) / DAY_SECONDS).max(LEAST_PER_SECOND))
    }
}

fn usage(header: &str) -> Option<Usage> {
    let usage = header.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, most) = usage.split_once('/')?;
    let (used, most) = (used.trim().parse().ok()?, most.trim().parse().ok()?);
    (most > 0.0).then_some(Usage { used, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(header: &str) -> Option<f64> {
        let quota = Quota::default();
        quota.note(header);
        quota.per_second()
    }

    #[test]
    fn all_forms_of_the_header_are_read() {
        assert_eq!(usage("api-usage=10018/100000"), Some(Usage { used: 10018.0, most: 100_000.0 }));
        assert_eq!(usage("api-usage=1/5; api-bursts=1/750"), Some(Usage { used: 1.0, most: 5.0 }));
        assert_eq!(usage("per-app-api-usage=17/250(appName=x)"), None);
        assert_eq!(usage(""), None);
    }

    #[test]
    fn calls_are_held_back_when_little_is_left_and_never_stop() {
        assert_eq!(after("api-usage=79999/100000"), None);
        let slow = after("api-usage=91360/100000").expect("held back");
        assert!((slow - 0.1).abs() < 1e-9, "{slow}");
        assert!(after("api-usage=800000/1000000").is_some_and(|rate| rate > 2.0 && rate < 2.4));
        assert_eq!(after("api-usage=100000/100000"), Some(LEAST_PER_SECOND));
    }
}
