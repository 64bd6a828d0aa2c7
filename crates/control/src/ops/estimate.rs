//! How long a job would take: by its rate, or by how fast the outside system took letters before.

use crate::{error::Result, plan::EstimatedBy};
use ledger::{Job, JobFilter, JobState, Ledger, Verb};

/// Letters that a job must have moved before it tells how fast the outside system takes them.
const ENOUGH: u64 = 20;
/// Jobs that are looked at, the newest first.
const MOST_JOBS: usize = 50;

/// Seconds for so many letters, and what says so. The account's quota is in what was measured: services call as fast as it lets them.
pub async fn of(items: u64, rate: Option<u32>, ledger: &dyn Ledger) -> Result<(Option<u64>, Option<EstimatedBy>)> {
    let filter = JobFilter { no_predictions: true, limit: MOST_JOBS, ..JobFilter::default() };
    let jobs = ledger.jobs(&filter).await?;
    Ok(slower(items, rate.map(f64::from), jobs.iter().find_map(measured)))
}

/// Letters a second of a job that was neither held back by a rate of its own nor by people.
fn measured(job: &Job) -> Option<f64> {
    let is_telling = job.spec.verb == Verb::Retry && job.spec.rate.is_none() && job.state == JobState::Finished;
    let took = u32::try_from(job.updated_ms - job.created_ms).ok().filter(|took| *took > 0)?;
    let done = u32::try_from(job.counts.done).ok().filter(|_| is_telling && job.counts.done >= ENOUGH)?;
    Some(f64::from(done) * 1_000.0 / f64::from(took))
}

fn slower(items: u64, rate: Option<f64>, measured: Option<f64>) -> (Option<u64>, Option<EstimatedBy>) {
    let (per_second, by) = match (rate, measured) {
        (Some(rate), Some(measured)) if measured < rate => (measured, EstimatedBy::LastJob),
        (Some(rate), _) => (rate, EstimatedBy::Rate),
        (None, Some(measured)) => (measured, EstimatedBy::LastJob),
        (None, None) => return (None, None),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below the limit")]
    let seconds = (items as f64 / per_second.max(f64::MIN_POSITIVE)).ceil() as u64;
    (Some(seconds), Some(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_rate_and_what_was_measured_counts() {
        assert_eq!(slower(100, Some(10.0), None), (Some(10), Some(EstimatedBy::Rate)));
        assert_eq!(slower(100, Some(10.0), Some(4.0)), (Some(25), Some(EstimatedBy::LastJob)));
        assert_eq!(slower(100, Some(10.0), Some(400.0)), (Some(10), Some(EstimatedBy::Rate)));
        assert_eq!(slower(100, None, Some(50.0)), (Some(2), Some(EstimatedBy::LastJob)));
        assert_eq!(slower(100, None, None), (None, None));
    }
}
