//! Letters put somewhere else: moved to a topic for good, or shown once more to all readers of the topic they came from. The broker
//! acknowledges every copy before the job that closes or retries the letters exists.

use super::draft;
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    lane::{self, Copy},
    letters::LetterId,
    ops::letters,
    plan::{Item, Plan, Target},
};
use consumer::machine::moved_headers;
use kafka::{Admin, Outgoing};
use ledger::{Ledger, ParkedRecord, Verb};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Says that copies go to the topics that the letters came from.
pub(super) const ORIGINAL: &str = "original";
/// Letters whose bytes are in memory at once.
const PAGE: usize = 500;

/// The same request, for the topics that the letters came from.
pub(super) fn to_original(mut input: Value) -> Value {
    input["to"] = Value::from(ORIGINAL);
    input
}

/// Where copies will go, and who would see them.
pub(super) async fn target(
    session: &Session<'_>,
    service: &str,
    to: &str,
    topics: &BTreeSet<String>,
) -> Result<Target> {
    let is_original = to == ORIGINAL;
    if !is_original {
        allowed(service, to, topics)?;
    }
    let named: BTreeSet<&str> = if is_original { topics.iter().map(String::as_str).collect() } else { [to].into() };
    let mut ends = BTreeMap::new();
    for topic in &named {
        ends.insert((*topic).to_owned(), lane::ends(&session.app.kafka, topic).await?);
    }
    let admin = Admin::connect(&session.app.kafka)?;
    let readers = admin.groups_of(&named.iter().copied().collect::<Vec<_>>()).await?;
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    Ok(Target { to: to.to_owned(), ends, groups_are_known: readers.is_some(), groups: readers.unwrap_or_default() })
}

pub(super) fn allowed(service: &str, to: &str, topics: &BTreeSet<String>) -> Result<()> {
    let refused = |why: &str, hint: &str| Err(Error::invalid(format!("`{to}` {why}")).hint(hint.to_owned()));
    if topics.contains(to) {
        return refused("is where letters came from", "throughline dlq retry … --to original");
    }
    if to.starts_with("__") || to.starts_with("dlq.") {
        return refused("is a topic that only its owner writes to", "name a topic of your own");
    }
    if to == format!("replay.{service}") {
        return refused("brings letters back to the service that failed", "throughline dlq retry");
    }
    Ok(())
}

/// Puts the copies of a plan, unless its job exists: then they are there.
///
/// # Errors
/// `PLAN_STALE` before anything is put, where a letter is not what the plan says (it is left out with `skip_changed`);
/// `BROKER_UNAVAILABLE`: the same call may be repeated.
pub(super) async fn put(
    session: &Session<'_>,
    ledger: &dyn Ledger,
    plan: &Plan,
    hash: &str,
    reason: &str,
    skip_changed: bool,
) -> Result<()> {
    let Some(target) = plan.target.clone() else { return Ok(()) };
    if ledger.job(&Plan::job_id(hash)).await?.is_some() {
        return Ok(());
    }
    let _turn = session.app.copying.lock().await;
    let mut changed = Vec::new();
    for item in &plan.items {
        let id = draft::letter_of(item)?;
        if !fits(item, &letters::record(ledger, &id).await?) {
            changed.push(id.row());
        }
    }
    if !changed.is_empty() && !skip_changed {
        return Err(super::plans::stale(plan, &changed));
    }
    let mut there: HashSet<String> = HashSet::new();
    for (topic, ends) in &target.ends {
        let found = lane::there(&session.app.kafka, topic, ends, hash).await?;
        there.extend(found.into_iter().map(|(of, ..)| of));
    }
    let mut sent = 0;
    for page in plan.items.chunks(PAGE) {
        let mut copies = Vec::with_capacity(page.len());
        for item in page {
            let id = draft::letter_of(item)?;
            let record = letters::record(ledger, &id).await?;
            if fits(item, &record) {
                copies.push(copy(&target, &id, record, &session.caller.name, reason));
            }
        }
        sent += lane::put(&session.app.kafka, copies, hash, &there).await?;
    }
    let mut audit = session.audit("letters.copied", &Plan::job_id(hash), reason);
    let topics: Vec<&String> = target.ends.keys().collect();
    audit.after = Some(
        serde_json::json!({ "plan": hash, "copies": sent, "there_before": there.len(), "to": topics }).to_string(),
    );
    Ok(ledger.append_audit(&audit).await?)
}

fn fits(item: &Item, record: &ParkedRecord) -> bool {
    record.fate.version == item.version && record.fate.state.is_alive()
}

/// Key, value and headers byte for byte. A moved letter says besides whence it came and why.
fn copy(target: &Target, id: &LetterId, row: ParkedRecord, who: &str, reason: &str) -> Copy {
    let (topic, headers) = if target.to == ORIGINAL {
        (row.topic, row.headers)
    } else {
        (target.to.clone(), moved_headers(&id.service, &row, (who, reason)))
    };
    let record =
        Outgoing { topic: topic.into(), partition: None, key: row.key, value: row.value, headers, timestamp_ms: None };
    Copy { of: id.to_string(), record }
}

/// Which verb may go somewhere else.
pub(super) fn must_be(plan: &Plan, verb: Verb, elsewhere: bool) -> Result<()> {
    if plan.action == verb && plan.target.is_some() == elsewhere {
        return Ok(());
    }
    let to = plan.target.as_ref().map(|target| format!(" to {}", target.to)).unwrap_or_default();
    Err(Error::new(
        Kind::Invalid,
        "INVALID",
        format!("this is a plan to {}{to}, not to {}", plan.action.as_str(), verb.as_str()),
    ))
}
