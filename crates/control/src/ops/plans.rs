//! Planning and applying: the two halves of everything that changes letters.

use super::{draft::Draft, edit, elsewhere, page::Letters, typed};
use crate::{
    app::{OWN, Session},
    error::{Error, Kind, Result},
    letters::{LetterId, Selection},
    ops::{jobs, letters, predict},
    plan::{Item, Pace, Plan},
    rights::Right,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{Creation, Ledger, NewItem, NewJob, StopRule, Verb};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Wanted {
    #[serde(flatten)]
    selection: Selection,
    rate: Option<u32>,
    #[serde(default)]
    ramp: Vec<String>,
    max: Option<u32>,
    stop_after: Option<u32>,
    stop_percent: Option<u8>,
    stop_same: Option<u32>,
    #[serde(default)]
    predict_seconds: u64,
    max_replays: Option<i32>,
    to: Option<String>,
}

#[derive(Deserialize)]
struct Apply {
    plan: Value,
    reason: String,
    ticket: Option<String>,
    #[serde(default)]
    skip_changed: bool,
}

/// Plans of one service are kept in mind by their hash for at least so many later rows of the audit.
const REMEMBERED: i64 = 20_000;
/// Rows of the audit that are read in one go.
const AUDIT_PAGE: i64 = 1_000;

pub(super) async fn plan(session: &Session<'_>, verb: Verb, input: Value) -> Result<Value> {
    let wanted: Wanted = typed(input)?;
    wanted.selection.must_choose()?;
    let pace = wanted.pace()?;
    let selection = match verb {
        // What was discarded has ended.
        Verb::Restore => Selection { state: Some("ended".to_owned()), ..wanted.selection.clone() },
        // Whatever holds bytes of the person, also behind another letter and given up before.
        Verb::Erase => Selection { state: Some("all".to_owned()), ..wanted.selection.clone() },
        _ => wanted.selection.clone(),
    };
    let mut draft = Draft::new(verb, wanted.selection.clone(), pace, wanted.max_replays);
    let letters = Letters::of(session, &selection, true).await?;
    letters.each(|letter| draft.take(&letter)).await?;
    let service = draft.service()?;
    let ledger = session.ledger(&service).await?;
    if verb == Verb::Retry && wanted.predict_seconds > 0 {
        predict::ask(session, &service, &mut draft.items, wanted.predict_seconds).await?;
    }
    let topics = std::mem::take(&mut draft.topics);
    let mut plan = draft.plan(session, &*ledger).await?;
    if let Some(to) = &wanted.to {
        plan.target = Some(elsewhere::target(session, &service, to, &topics).await?);
    }
    remember(session, &plan, "planned").await?;
    Ok(plan.sealed())
}

impl Wanted {
    fn pace(&self) -> Result<Pace> {
        let ramp: std::result::Result<Vec<u32>, _> = self.ramp.iter().map(|size| size.parse()).collect();
        let ramp = ramp.map_err(|_| Error::invalid("`ramp` is a list of batch sizes, such as 1, 10, 100"))?;
        let stop = StopRule { refailed: self.stop_after, percent: self.stop_percent, same_fingerprint: self.stop_same };
        Ok(Pace { rate: self.rate, ramp, max: self.max, stop })
    }
}

/// Keeps in the audit that this plan was made here, and by whom.
pub(super) async fn remember(session: &Session<'_>, plan: &Plan, reason: &str) -> Result<()> {
    let after = json!({ "service": plan.service, "letters": plan.items.len() });
    remembered(session, &format!("plan.{}", plan.action.as_str()), &plan.hash(), reason, after).await
}

pub(super) async fn remembered(
    session: &Session<'_>,
    action: &str,
    hash: &str,
    reason: &str,
    after: Value,
) -> Result<()> {
    let mut audit = session.audit(action, hash, reason);
    audit.after = Some(after.to_string());
    Ok(session.app.own().await?.append_audit(&audit).await?)
}

/// Who made the plan, as the audit has it.
pub(super) async fn maker(session: &Session<'_>, hash: &str) -> Result<String> {
    let own = session.app.own().await?;
    let newest = own.audit(1).await?.last().map_or(0, |row| row.seq);
    let mut end = newest + 1;
    while end > 1 && newest - end < REMEMBERED {
        let from = (end - AUDIT_PAGE).max(1);
        let rows = own.audit_page(from, usize::try_from(end - from).unwrap_or(0)).await?;
        let made = rows.into_iter().rev().find(|row| row.row.subject == hash && row.row.action.starts_with("plan."));
        if let Some(made) = made {
            return Ok(made.row.actor);
        }
        end = from;
    }
    Err(Error::new(Kind::Stale, "PLAN_UNKNOWN", format!("{OWN} does not know a plan with this hash"))
        .hint("it was not made here, or long ago: plan again"))
}

pub(super) async fn apply(session: &Session<'_>, verb: Verb, elsewhere: bool, input: Value) -> Result<Value> {
    let Apply { plan, reason, ticket, skip_changed } = typed(input)?;
    let (plan, hash) = Plan::open(&plan)?;
    elsewhere::must_be(&plan, verb, elsewhere)?;
    let ledger = session.ledger(&plan.service).await?;
    let maker = maker(session, &hash).await?;
    second_person(session, &plan, &maker).await?;
    elsewhere::put(session, &*ledger, &plan, &hash, &reason, skip_changed).await?;
    let who = session.caller.name.clone();
    let spec = plan.spec(&hash, &who, &reason, ticket);
    let mut items = Vec::with_capacity(plan.items.len());
    for item in &plan.items {
        items.push(new_item(&*ledger, item, &plan).await?);
    }
    let mut audit = session.audit(&format!("job.{}", verb.as_str()), &Plan::job_id(&hash), &reason);
    audit.after = Some(json!({ "plan": hash, "letters": items.len(), "made_by": maker }).to_string());
    let id = Plan::job_id(&hash);
    let mut skipped = 0;
    loop {
        let job = NewJob { id: id.clone(), at_ms: session.app.now_ms(), spec: spec.clone(), items: items.clone() };
        match ledger.create_job(&job, &audit).await? {
            Creation::Created(job) => {
                return Ok(json!({ "job": jobs::shown(&plan.service, &job), "skipped": skipped }));
            }
            Creation::Refused { held, .. } if !held.is_empty() && plan.action == Verb::Edit => {
                let message = format!("somebody else is changing this letter: job {}", held[0].1);
                return Err(Error::new(Kind::Stale, "EDITED_MEANWHILE", message)
                    .hint("wait for it, look at the letter again, then edit what is left to edit"));
            }
            Creation::Refused { held, .. } if !held.is_empty() => {
                let named: Vec<_> = held
                    .iter()
                    .take(3)
                    .map(|(row, job)| format!("{} (by {job})", LetterId::at(&plan.service, row)))
                    .collect();
                let message = format!("another job holds {} of the letters: {}", held.len(), named.join(", "));
                return Err(
                    Error::new(Kind::Policy, "HELD", message).hint("wait for it, or cancel it: throughline job ls")
                );
            }
            Creation::Refused { changed, .. } if skip_changed && changed.len() < items.len() && !changed.is_empty() => {
                skipped += changed.len();
                items.retain(|item| !changed.contains(&item.row));
            }
            Creation::Refused { changed, .. } => return Err(stale(&plan, &changed)),
        }
    }
}

pub(super) fn stale(plan: &Plan, changed: &[ledger::RowKey]) -> Error {
    let named: Vec<_> = changed.iter().take(3).map(|row| LetterId::at(&plan.service, row).to_string()).collect();
    let message = format!("{} letters are not what the plan says any more: {}", changed.len(), named.join(", "));
    Error::new(Kind::Stale, "PLAN_STALE", message).hint("plan again, or leave them out with --skip-changed")
}

async fn second_person(session: &Session<'_>, plan: &Plan, maker: &str) -> Result<()> {
    let is_edit = plan.action == Verb::Edit;
    if is_edit && session.app.policy.edit_needs_second {
        must_be_another(session, maker)?;
        return session.must(Right::DlqEditApprove, &plan.service).await;
    }
    second_for_many(session, plan.items.len(), maker)
}

/// Above the policy's number another person than the maker must apply a plan.
pub(super) fn second_for_many(session: &Session<'_>, items: usize, maker: &str) -> Result<()> {
    let many = i64::try_from(items).unwrap_or(i64::MAX) > session.app.policy.second_above;
    if many { must_be_another(session, maker) } else { Ok(()) }
}

fn must_be_another(session: &Session<'_>, maker: &str) -> Result<()> {
    if session.caller.name != maker {
        return Ok(());
    }
    let message = "another person than who made this plan must apply it";
    Err(Error::new(Kind::Policy, "NEEDS_SECOND", message).hint("give them the plan file: throughline dlq apply"))
}

async fn new_item(ledger: &dyn Ledger, item: &Item, plan: &Plan) -> Result<NewItem> {
    let id: LetterId = item.id.parse()?;
    let edit = match &plan.edit {
        None => None,
        Some(edit) => {
            let value = BASE64_STANDARD.decode(&edit.value_base64);
            let value = value.map_err(|_| Error::invalid("the plan's edit is no base64"))?;
            let headers = edit::as_avro(&letters::record(ledger, &id).await?.headers);
            // The ledger numbers edits itself.
            Some(ledger::Edit { number: 0, job: String::new(), value: Some(value.into()), headers })
        }
    };
    Ok(NewItem { row: id.row(), version: item.version, edit })
}
