//! How fast a job goes here, and when it ends by its own rule. The slice's part of a rate is its part of the items, so that all
//! slices together keep to it.

use ledger::{Job, JobCounts, Millis, StopRule};

/// Tried items from which on a percentage means something.
const ENOUGH: u64 = 20;

#[derive(Debug)]
pub(super) struct Pace {
    /// Milliseconds between two items here; 0 without a rate.
    interval: f64,
    next: f64,
    ramp: Vec<u32>,
    /// Items that batches of the ramp have let through so far, the current one included; `None` behind the ramp.
    let_through: Option<u64>,
    batch: usize,
    charged: u64,
    results: u64,
    /// What all slices had when the ledger was asked last, and what failed again here since.
    counts: JobCounts,
    tried_since: u64,
    refailed_since: u64,
    last_fingerprint: Option<String>,
    in_row: u32,
    is_over: bool,
}

impl Pace {
    pub(super) fn new(job: &Job, now: Millis) -> Self {
        let ramp: Vec<u32> = job.spec.ramp.iter().copied().filter(|size| *size > 0).collect();
        let mut pace = Self {
            interval: 0.0,
            next: now as f64,
            let_through: ramp.first().map(|size| u64::from(*size)),
            ramp,
            batch: 0,
            charged: 0,
            results: 0,
            counts: job.counts,
            tried_since: 0,
            refailed_since: 0,
            last_fingerprint: None,
            in_row: 0,
            is_over: false,
        };
        pace.told(job);
        pace
    }

    /// What the ledger says now: the part of the rate follows what is left of the job here and elsewhere.
    pub(super) fn told(&mut self, job: &Job) {
        self.counts = job.counts;
        (self.tried_since, self.refailed_since) = (0, 0);
        let all_in_here = job.counts.pending.max(1) as f64 / job.pending_here.max(1) as f64;
        self.interval =
            job.spec.rate.filter(|rate| *rate > 0).map_or(0.0, |rate| 1_000.0 / f64::from(rate) * all_in_here);
    }

    /// Whether one more sequence may be begun, while `own` of the job's are under way here.
    pub(super) fn allows(&self, now: Millis, own: usize) -> bool {
        let in_batch = self.let_through.is_none_or(|most| self.charged < most || own == 0);
        !self.is_over && in_batch && self.next <= now as f64
    }

    pub(super) fn next(&self) -> Millis {
        self.next.ceil() as Millis
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn started(&mut self, now: Millis) {
        while self.let_through.is_some_and(|most| self.charged >= most) {
            self.batch += 1;
            let size = self.ramp.get(self.batch).map(|size| u64::from(*size));
            self.let_through = size.and_then(|size| self.let_through.map(|most| most.max(self.charged) + size));
        }
        self.charge(now);
    }

    /// An item has its result. Those that moved behind another are charged here.
    pub(super) fn resulted(&mut self, refailed: Option<String>, now: Millis) {
        self.results += 1;
        self.tried_since += 1;
        if self.results > self.charged {
            self.charge(now);
        }
        match refailed {
            Some(fingerprint) => {
                self.refailed_since += 1;
                self.in_row = if self.last_fingerprint.as_ref() == Some(&fingerprint) { self.in_row + 1 } else { 1 };
                self.last_fingerprint = Some(fingerprint);
            }
            None => (self.in_row, self.last_fingerprint) = (0, None),
        }
    }

    /// A row that is no item moved, because one before it in its sequence did: the outside system has it to do all the same.
    pub(super) fn followed(&mut self, now: Millis) {
        self.spend(now);
    }

    fn charge(&mut self, now: Millis) {
        self.charged += 1;
        self.spend(now);
    }

    fn spend(&mut self, now: Millis) {
        // What was not used is gone: a rate is no account to draw from.
        self.next = self.next.max(now as f64 - self.interval) + self.interval;
    }

    /// Why the job must stop, once.
    pub(super) fn must_stop(&mut self, rule: &StopRule) -> Option<String> {
        let refailed = self.counts.refailed + self.refailed_since;
        let tried = self.counts.refailed + self.counts.done + self.tried_since;
        let by_count = rule.refailed.filter(|most| refailed >= u64::from(*most));
        let by_percent = rule.percent.filter(|most| tried >= ENOUGH && refailed * 100 > u64::from(*most) * tried);
        let by_cause = rule.same_fingerprint.filter(|most| self.in_row >= *most);
        let reason = match (by_count, by_percent, by_cause) {
            _ if self.is_over => return None,
            (Some(most), ..) => format!("{refailed} items failed again, the job stops at {most}"),
            (_, Some(most), _) => format!("{refailed} of {tried} tried items failed again, more than {most} %"),
            (.., Some(_)) => {
                let cause = self.last_fingerprint.as_deref().unwrap_or_default();
                format!("{} items in a row failed again with fingerprint {cause}", self.in_row)
            }
            (None, None, None) => return None,
        };
        self.is_over = true;
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{JobSpec, JobState, Verb};

    fn job(rate: Option<u32>, ramp: &[u32], pending: u64, here: u64) -> Job {
        let spec = JobSpec {
            verb: Verb::Retry,
            rate,
            ramp: ramp.to_vec(),
            max: None,
            stop: StopRule::default(),
            plan_hash: None,
            who: "ops".into(),
            reason: "why".into(),
            ticket: None,
            approver: None,
            to: None,
        };
        Job {
            id: "j".into(),
            spec,
            state: JobState::Running,
            stopped: None,
            counts: JobCounts { total: pending, pending, ..JobCounts::default() },
            pending_here: here,
            created_ms: 0,
            updated_ms: 0,
        }
    }

    #[test]
    fn a_slice_has_the_part_of_the_rate_that_it_has_of_the_items() {
        let mut pace = Pace::new(&job(Some(10), &[], 100, 20), 1_000);
        let mut started = 0;
        for now in 1_000..11_000 {
            if pace.allows(now, 0) {
                pace.started(now);
                started += 1;
            }
        }
        assert_eq!(started, 20, "a fifth of ten a second, over ten seconds");
    }

    #[test]
    fn items_that_moved_behind_another_count_against_the_rate() {
        let mut pace = Pace::new(&job(Some(10), &[], 100, 100), 1_000);
        pace.started(1_000);
        (0..5).for_each(|_| pace.resulted(None, 1_000));
        assert!(!pace.allows(1_400, 0));
        assert!(pace.allows(1_500, 0));
    }

    #[test]
    fn rows_that_follow_count_against_the_rate_and_not_against_the_ramp() {
        let mut pace = Pace::new(&job(Some(10), &[2], 100, 100), 1_000);
        pace.started(1_000);
        (0..4).for_each(|_| pace.followed(1_000));
        assert!(!pace.allows(1_400, 1));
        assert!(pace.allows(1_500, 1), "the batch has room for a second item");
    }

    #[test]
    fn a_batch_of_the_ramp_ends_before_the_next_starts() {
        let mut pace = Pace::new(&job(None, &[1, 2], 100, 100), 0);
        assert!(pace.allows(0, 0));
        pace.started(0);
        assert!(!pace.allows(0, 1), "the first batch is one item");
        assert!(pace.allows(0, 0));
        pace.started(0);
        assert!(pace.allows(0, 1));
        pace.started(0);
        assert!(!pace.allows(0, 2));
        pace.started(0);
        assert!((0..100).all(|own| pace.allows(0, own)), "no batches behind the ramp");
    }

    #[test]
    fn each_stop_rule_stops_once() {
        let cause = |n: u32| Some(format!("v1:{n}"));
        let rules = [
            (StopRule { refailed: Some(3), ..StopRule::default() }, 3),
            (StopRule { percent: Some(10), ..StopRule::default() }, 20),
            (StopRule { same_fingerprint: Some(2), ..StopRule::default() }, 9),
        ];
        for (rule, expected) in rules {
            let mut pace = Pace::new(&job(None, &[], 100, 100), 0);
            let mut stopped_at = None;
            for n in 1..=30 {
                pace.resulted(cause(if n == 9 { 8 } else { n }), 0);
                if pace.must_stop(&rule).is_some() {
                    assert_eq!(stopped_at.replace(n), None);
                }
            }
            assert_eq!(stopped_at, Some(expected), "{rule:?}");
        }
    }
}
