//! Planning and applying: the two halves of everything that changes letters.

use super::{page, typed};
use crate::{
    app::{OWN, Session},
    error::{Error, Kind, Result},
    letters::{Body, LetterId, Money, Seen, Selection, State, mask, time},
    ops::{jobs, letters, predict},
    plan::{Edit, Item, Pace, Plan, UNPREDICTED, difference},
    rights::Right,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::Headers;
use ledger::{Creation, Ledger, NewItem, NewJob, StopRule, Verb};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

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
}

#[derive(Deserialize)]
struct Apply {
    plan: Value,
    reason: String,
    ticket: Option<String>,
    #[serde(default)]
    skip_changed: bool,
}

#[derive(Deserialize)]
struct Change {
    id: String,
    reason: String,
    #[serde(default)]
    patch: Value,
    #[serde(default)]
    whole: bool,
}

/// Plans of one service are kept in mind by their hash for at least so many later rows of the audit.
const REMEMBERED: usize = 20_000;

pub(super) async fn plan(session: &Session<'_>, verb: Verb, input: Value) -> Result<Value> {
    let wanted: Wanted = typed(input)?;
    wanted.selection.must_choose()?;
    let pace = wanted.pace()?;
    let selection = match verb {
        // What was discarded has ended.
        Verb::Restore => Selection { state: Some("ended".to_owned()), ..wanted.selection.clone() },
        _ => wanted.selection.clone(),
    };
    let mut found = page::selected(session, &selection, true).await?;
    found.retain(|letter| match verb {
        Verb::Restore => letter.record.fate.state == ledger::ParkedState::Discarded,
        _ => letter.state != State::Ended,
    });
    let service = one_service(&found)?;
    if let Some(max) = pace.max.filter(|max| found.len() > *max as usize) {
        let message = format!("{} letters match, more than --max {max}", found.len());
        return Err(Error::new(Kind::Policy, "TOO_MANY", message).hint("narrow the selection or raise --max"));
    }
    let predictions = match verb {
        Verb::Retry if wanted.predict_seconds > 0 => {
            predict::ask(session, &service, &found, wanted.predict_seconds).await?
        }
        _ => HashMap::new(),
    };
    let ledger = session.ledger(&service).await?;
    let plan = draw(session, &*ledger, verb, &service, &wanted.selection, pace, &found, &predictions).await?;
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

/// A job belongs to one service.
fn one_service(found: &[Seen]) -> Result<String> {
    let mut services: Vec<&str> = found.iter().map(|letter| letter.id.service.as_str()).collect();
    services.dedup();
    services.sort_unstable();
    services.dedup();
    match services[..] {
        [] => Err(Error::new(Kind::NotFound, "NOTHING_MATCHES", "no letter matches")),
        [one] => Ok(one.to_owned()),
        _ => Err(Error::invalid(format!("letters of {} match", services.join(" and ")))
            .hint("plan one service at a time: --service")),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the plan")]
async fn draw(
    session: &Session<'_>,
    ledger: &dyn Ledger,
    action: Verb,
    service: &str,
    selection: &Selection,
    pace: Pace,
    found: &[Seen],
    predictions: &HashMap<LetterId, (String, Option<String>)>,
) -> Result<Plan> {
    let (mut at_risk, mut by_code, mut predicted) = (Money::default(), BTreeMap::new(), BTreeMap::new());
    let mut items = Vec::with_capacity(found.len());
    let mut own: HashMap<(i32, &str), i64> = HashMap::new();
    for letter in found {
        at_risk.add_all(&letter.money);
        let code = letter.record.fate.failure.as_ref().map(|failure| failure.code.to_string());
        *by_code.entry(code.clone().unwrap_or_else(|| "BLOCKED".to_owned())).or_default() += 1;
        let (word, note) = predictions.get(&letter.id).cloned().unwrap_or_else(|| (UNPREDICTED.to_owned(), None));
        *predicted.entry(word.clone()).or_default() += 1;
        *own.entry((letter.id.slice, letter.id.sequence.as_str())).or_default() += 1;
        let version = letter.record.fate.version;
        items.push(Item { id: letter.id.to_string(), version, code, predicted: word, note });
    }
    let sequences = ledger.sequences(None).await?;
    let followers = sequences
        .iter()
        .filter_map(|sequence| Some(sequence.depth - own.get(&(sequence.slice, sequence.sequence.as_str()))?))
        .sum();
    let estimate_seconds = pace.rate.map(|rate| (items.len() as u64).div_ceil(u64::from(rate.max(1))));
    Ok(Plan {
        v: 1,
        action,
        service: service.to_owned(),
        selection: selection.clone(),
        cut_off: time(session.app.now_ms()).unwrap_or_default(),
        made_by: session.caller.name.clone(),
        items,
        followers,
        at_risk,
        by_code,
        predicted,
        pace,
        estimate_seconds,
        edit: None,
    })
}

/// Keeps in the audit that this plan was made here, and by whom.
async fn remember(session: &Session<'_>, plan: &Plan, reason: &str) -> Result<()> {
    let mut audit = session.audit(&format!("plan.{}", plan.action.as_str()), &plan.hash(), reason);
    audit.after = Some(json!({ "service": plan.service, "letters": plan.items.len() }).to_string());
    session.app.own().await?.append_audit(&audit).await?;
    Ok(())
}

/// Who made the plan, as the audit has it.
async fn maker(session: &Session<'_>, hash: &str) -> Result<String> {
    let rows = session.app.own().await?.audit(REMEMBERED).await?;
    let made = rows.into_iter().rev().find(|row| row.row.subject == hash && row.row.action.starts_with("plan."));
    made.map(|row| row.row.actor).ok_or_else(|| {
        Error::new(Kind::Stale, "PLAN_UNKNOWN", format!("{OWN} does not know a plan with this hash"))
            .hint("it was not made here, or long ago: plan again")
    })
}

pub(super) async fn apply(session: &Session<'_>, verb: Verb, input: Value) -> Result<Value> {
    let Apply { plan, reason, ticket, skip_changed } = typed(input)?;
    let (plan, hash) = Plan::open(&plan)?;
    if plan.action != verb {
        let message = format!("this is a plan to {}, not to {}", plan.action.as_str(), verb.as_str());
        return Err(Error::invalid(message));
    }
    let ledger = session.ledger(&plan.service).await?;
    let maker = maker(session, &hash).await?;
    second_person(session, &plan, &maker).await?;
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

fn stale(plan: &Plan, changed: &[ledger::RowKey]) -> Error {
    let named: Vec<_> = changed.iter().take(3).map(|row| LetterId::at(&plan.service, row).to_string()).collect();
    let message = format!("{} letters are not what the plan says any more: {}", changed.len(), named.join(", "));
    Error::new(Kind::Stale, "PLAN_STALE", message).hint("plan again, or leave them out with --skip-changed")
}

async fn second_person(session: &Session<'_>, plan: &Plan, maker: &str) -> Result<()> {
    let policy = session.app.policy;
    let many = i64::try_from(plan.items.len()).unwrap_or(i64::MAX) > policy.second_above;
    let is_edit = plan.action == Verb::Edit;
    if !(many || (is_edit && policy.edit_needs_second)) {
        return Ok(());
    }
    if session.caller.name == maker {
        let message = "another person than who made this plan must apply it";
        return Err(
            Error::new(Kind::Policy, "NEEDS_SECOND", message).hint("give them the plan file: throughline dlq apply")
        );
    }
    if is_edit { session.must(Right::DlqEditApprove, &plan.service).await } else { Ok(()) }
}

async fn new_item(ledger: &dyn Ledger, item: &Item, plan: &Plan) -> Result<NewItem> {
    let id: LetterId = item.id.parse()?;
    let edit = match &plan.edit {
        None => None,
        Some(edit) => {
            let value = BASE64_STANDARD.decode(&edit.value_base64);
            let value = value.map_err(|_| Error::invalid("the plan's edit is no base64"))?;
            let headers = as_avro(&letters::record(ledger, &id).await?.headers);
            // The ledger numbers edits itself.
            Some(ledger::Edit { number: 0, job: String::new(), value: Some(value.into()), headers })
        }
    };
    Ok(NewItem { row: id.row(), version: item.version, edit })
}

/// The headers of a record whose value is Avro in Confluent framing now, whatever it was before.
fn as_avro(headers: &Headers) -> Headers {
    let about_value = ["content-type", events::wire::VALUE_SCHEMA_ID];
    let kept = headers.0.iter().filter(|(name, _)| !about_value.contains(&name.as_ref())).cloned();
    let mut headers = Headers(kept.collect());
    headers.push("content-type", "application/avro");
    headers
}

/// Plans an edit: the change applied to a decoded copy, checked against schema and rules, encoded anew.
pub(super) async fn edit(session: &Session<'_>, input: Value) -> Result<Value> {
    let Change { id, reason, patch, whole } = typed(input)?;
    let id: LetterId = id.parse()?;
    let ledger = session.ledger(&id.service).await?;
    let record = letters::record(&*ledger, &id).await?;
    if !record.fate.state.is_alive() {
        return Err(Error::stale(format!("{id} has ended: {}", record.fate.state.as_str())));
    }
    let decoder = session.app.decoder();
    let before = match (decoder.parked(&record).await, whole) {
        (Body::Read(body), _) => body,
        (Body::Unreadable(_), true) => Value::Null,
        (Body::Unreadable(failure), false) => {
            return Err(Error::new(Kind::Invalid, "UNREADABLE", format!("nobody can read {id}: {failure}"))
                .hint("give the whole event instead of a change: --body FILE"));
        }
    };
    let mut after = if whole { Value::Null } else { before.clone() };
    merge(&mut after, patch);
    let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
    let value = decoder.encode(&record.topic, &after, &key).await?;
    let hidden = |body: &Value| if body.is_null() { Value::Null } else { mask::masked(&record.topic, body) };
    let changed = difference(&before, &after);
    if changed.is_empty() {
        return Err(Error::invalid("the edit changes nothing"));
    }
    let masked = (hidden(&before), hidden(&after));
    let diff = changed
        .into_iter()
        .map(|one| {
            let shown = difference(&masked.0, &masked.1).into_iter().find(|other| other.field == one.field);
            shown.unwrap_or_else(|| crate::plan::Difference {
                before: json!("‹masked›"),
                after: json!("‹masked, changed›"),
                ..one
            })
        })
        .collect();
    let seen = Seen { id, state: State::Open, body: None, money: crate::letters::at_risk(&after), record };
    let service = seen.id.service.clone();
    let selection = Selection { ids: vec![seen.id.to_string()], ..Selection::default() };
    let found = [seen];
    let pace = Pace::default();
    let plan = draw(session, &*ledger, Verb::Edit, &service, &selection, pace, &found, &HashMap::new()).await?;
    let plan = Plan { edit: Some(Edit { value_base64: BASE64_STANDARD.encode(value), diff }), ..plan };
    remember(session, &plan, &reason).await?;
    Ok(plan.sealed())
}

/// JSON merge patch (RFC 7396), except that `null` sets a field to null: events have no absent fields. Keys may be paths: `a.b[0].c`.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (path, value) in fields {
        merge(at(target, &path), value);
    }
}

/// The place of a path, made if it is not there.
fn at<'a>(target: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(target, |place, part| {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        if !place.is_object() {
            *place = json!({});
        }
        indices.split('[').filter_map(|index| index.trim_end_matches(']').parse::<usize>().ok()).fold(
            &mut place[name],
            |place, index| {
                let is_there = place.as_array().is_some_and(|items| index < items.len());
                if is_there { &mut place[index] } else { place }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_reaches_into_objects_and_lists_and_null_is_a_value() {
        let mut body = json!({ "a": 1, "b": { "c": [{ "d": 1 }, { "d": 2 }] }, "e": "x" });
        merge(&mut body, json!({ "b.c[1].d": 3, "e": null, "f": { "g": true } }));
        assert_eq!(body, json!({ "a": 1, "b": { "c": [{ "d": 1 }, { "d": 3 }] }, "e": null, "f": { "g": true } }));
    }
}
