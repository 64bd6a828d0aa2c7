//! What a retry would do, told by the service itself: a job that changes nothing.

use crate::{
    app::Session,
    error::Result,
    letters::{LetterId, Seen},
};
use ledger::{Creation, ItemFilter, JobAction, JobSpec, JobState, Ledger, NewItem, NewJob, StopRule, Verb};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A service that runs notices a job within a second or two.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(100);
const PAGE: usize = 10_000;

/// Predictions by letter, as far as there are any in time: the word and a note.
pub(super) async fn ask(
    session: &Session<'_>,
    service: &str,
    found: &[Seen],
    seconds: u64,
) -> Result<HashMap<LetterId, (String, Option<String>)>> {
    let ledger = session.ledger(service).await?;
    let id = format!("p-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let items = found.iter().map(|seen| NewItem { row: seen.id.row(), version: seen.record.fate.version, edit: None });
    let spec = JobSpec {
        verb: Verb::Predict,
        rate: None,
        ramp: Vec::new(),
        max: None,
        stop: StopRule::default(),
        plan_hash: None,
        who: session.caller.name.clone(),
        reason: "plan".to_owned(),
        ticket: None,
        approver: None,
    };
    let job = NewJob { id: id.clone(), at_ms: session.app.now_ms(), spec, items: items.collect() };
    let audit = session.audit("job.predict", &id, "plan");
    if let Creation::Refused { .. } = ledger.create_job(&job, &audit).await? {
        return Ok(HashMap::new());
    }
    let ended = until_done(&*ledger, &id, Duration::from_secs(seconds)).await?;
    if !ended {
        ledger.set_job(&id, JobAction::Cancel, &session.audit("job.cancel", &id, "nobody predicts in time")).await?;
    }
    read(&*ledger, service, &id).await
}

async fn until_done(ledger: &dyn Ledger, id: &str, wait: Duration) -> Result<bool> {
    let begun = Instant::now();
    loop {
        let state = ledger.job(id).await?.map(|job| job.state);
        match state {
            Some(state) if !state.is_live() => return Ok(true),
            Some(JobState::Queued) if begun.elapsed() >= NOTICED_WITHIN.min(wait) => return Ok(false),
            None => return Ok(false),
            Some(_) if begun.elapsed() >= wait => return Ok(false),
            Some(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn read(ledger: &dyn Ledger, service: &str, id: &str) -> Result<HashMap<LetterId, (String, Option<String>)>> {
    let mut predictions = HashMap::new();
    let mut filter = ItemFilter { limit: PAGE, ..ItemFilter::default() };
    loop {
        let page = ledger.job_items(id, &filter).await?;
        filter.after = page.last().map(|item| item.row.clone());
        let is_last = page.len() < PAGE;
        for item in page {
            if let Some(prediction) = item.result.prediction {
                let word = prediction.as_str().to_owned();
                predictions.insert(LetterId::at(service, &item.row), (word, item.result.note));
            }
        }
        if is_last {
            return Ok(predictions);
        }
    }
}
