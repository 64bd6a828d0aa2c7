//! Jobs: where they stand, and what people may do to them.

use super::{
    page::{Page, cursor},
    typed,
};
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    letters::{LetterId, time},
};
use ledger::{ItemFilter, Job, JobAction, JobFilter, JobItem, Ledger, RowKey};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
struct List {
    service: Option<String>,
    #[serde(default)]
    live: bool,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
struct One {
    id: String,
    #[serde(default)]
    reason: String,
    #[serde(flatten)]
    page: Page,
}

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let List { service, live, page } = typed(input)?;
    let mut found = Vec::new();
    for service in session.services(service.as_deref()).await? {
        let ledger = match session.ledger(&service).await {
            Ok(ledger) => ledger,
            Err(error) if error.code == "NO_LEDGER" => continue,
            Err(error) => return Err(error),
        };
        let filter = JobFilter { live, no_predictions: true, limit: 1_000, ..JobFilter::default() };
        found.extend(ledger.jobs(&filter).await?.into_iter().map(|job| (service.clone(), job)));
    }
    found.sort_by(|(_, a), (_, b)| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
    found.truncate(page.limit());
    let rows: Vec<Value> = found.iter().map(|(service, job)| shown(service, job)).collect();
    Ok(json!({ "jobs": rows }))
}

pub(super) async fn show(session: &Session<'_>, input: Value) -> Result<Value> {
    let One { id, .. } = typed(input)?;
    let (service, _, job) = find(session, &id).await?;
    Ok(json!({ "job": shown(&service, &job) }))
}

pub(super) async fn items(session: &Session<'_>, input: Value) -> Result<Value> {
    let One { id, page, .. } = typed(input)?;
    let (service, ledger, _) = find(session, &id).await?;
    let after: Option<RowKey> = match page.after()? {
        None => None,
        Some(mark) => Some(mark.parse::<LetterId>()?.row()),
    };
    let filter = ItemFilter { after, limit: page.limit() + 1, ..ItemFilter::default() };
    let mut items = ledger.job_items(&id, &filter).await?;
    let more = items.len() > page.limit();
    items.truncate(page.limit());
    let next = items.last().filter(|_| more).map(|item| cursor(&LetterId::at(&service, &item.row).to_string()));
    let rows: Vec<Value> = items.iter().map(|item| item_shown(&service, item)).collect();
    Ok(json!({ "items": rows, "next": next }))
}

pub(super) async fn set(session: &Session<'_>, action: JobAction, input: Value) -> Result<Value> {
    let One { id, reason, .. } = typed(input)?;
    let (service, ledger, job) = find(session, &id).await?;
    session.must(session.right, &service).await?;
    if !job.state.is_live() {
        let message = format!("job {id} is over: {}", job.state.as_str());
        return Err(Error::new(Kind::Stale, "JOB_OVER", message));
    }
    let word = match action {
        JobAction::Pause => "job.pause",
        JobAction::Resume => "job.resume",
        JobAction::Cancel => "job.cancel",
    };
    let job = ledger.set_job(&id, action, &session.audit(word, &id, &reason)).await?;
    Ok(json!({ "job": shown(&service, &job) }))
}

/// The job and the ledger it is in.
async fn find(session: &Session<'_>, id: &str) -> Result<(String, Arc<dyn Ledger>, Job)> {
    for service in session.services(None).await? {
        let Ok(ledger) = session.ledger(&service).await else { continue };
        if let Some(job) = ledger.job(id).await? {
            return Ok((service, ledger, job));
        }
    }
    Err(Error::not_found(format!("there is no job {id}")).hint("`throughline job ls` shows all"))
}

/// A job as every answer shows it.
pub(super) fn shown(service: &str, job: &Job) -> Value {
    json!({
        "id": job.id, "service": service, "verb": job.spec.verb, "state": job.state, "stopped": job.stopped,
        "counts": job.counts, "total": job.counts.total, "pending": job.counts.pending, "done": job.counts.done,
        "refailed": job.counts.refailed,
        "who": job.spec.who, "approver": job.spec.approver, "reason": job.spec.reason, "ticket": job.spec.ticket,
        "rate": job.spec.rate, "ramp": job.spec.ramp, "stop": job.spec.stop, "plan": job.spec.plan_hash,
        "created": time(job.created_ms), "updated": time(job.updated_ms),
    })
}

fn item_shown(service: &str, item: &JobItem) -> Value {
    let result = &item.result;
    json!({
        "id": LetterId::at(service, &item.row).to_string(), "state": result.state,
        "ended": result.ended.map(ledger::ParkedState::as_str), "code": result.code, "fingerprint": result.fingerprint,
        "prediction": result.prediction, "note": result.note, "at": time(result.changed_ms),
    })
}
