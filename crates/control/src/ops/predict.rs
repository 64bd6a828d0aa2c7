//! What a retry would do, told by the service itself: a job that changes nothing.

use super::draft;
use crate::{app::Session, error::Result, letters::LetterId, plan::Item};
use ledger::{Creation, ItemFilter, ItemState, JobAction, JobSpec, JobState, Ledger, NewItem, NewJob, StopRule, Verb};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A service that runs notices a job within a second or two.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(100);
const PAGE: usize = 1_000;

/// Writes into the items what would happen to each, as far as the service tells it in time.
pub(super) async fn ask(session: &Session<'_>, service: &str, items: &mut [Item], seconds: u64) -> Result<()> {
    let ledger = session.ledger(service).await?;
    let id = format!("p-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let mut asked = Vec::with_capacity(items.len());
    for item in items.iter() {
        asked.push(NewItem { row: draft::letter_of(item)?.row(), version: item.version, edit: None });
    }
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
        to: None,
    };
    let job = NewJob { id: id.clone(), at_ms: session.app.now_ms(), spec, items: asked };
    let audit = session.audit("job.predict", &id, "plan");
    if let Creation::Refused { .. } = ledger.create_job(&job, &audit).await? {
        return Ok(());
    }
    let ended = until_done(&*ledger, &id, Duration::from_secs(seconds)).await?;
    if !ended {
        ledger.set_job(&id, JobAction::Cancel, &session.audit("job.cancel", &id, "nobody predicts in time")).await?;
    }
    read(&*ledger, service, &id, items).await
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

async fn read(ledger: &dyn Ledger, service: &str, id: &str, items: &mut [Item]) -> Result<()> {
    let places: HashMap<String, usize> = items.iter().enumerate().map(|(at, item)| (item.id.clone(), at)).collect();
    let mut filter = ItemFilter { state: Some(ItemState::Predicted), limit: PAGE, ..ItemFilter::default() };
    loop {
        let page = ledger.job_items(id, &filter).await?;
        filter.after = page.last().map(|item| item.row.clone());
        let is_last = page.len() < PAGE;
        for told in page {
            let place = places.get(&LetterId::at(service, &told.row).to_string());
            if let (Some(item), Some(prediction)) = (place.and_then(|at| items.get_mut(*at)), told.result.prediction) {
                (item.predicted, item.note) = (prediction.as_str().to_owned(), told.result.note);
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
