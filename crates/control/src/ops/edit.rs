//! Planning an edit: a change to a decoded copy of one letter.

use super::{draft::Draft, letters, plans, typed};
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    letters::{Body, LetterId, Seen, Selection, State, mask},
    plan::{Edit, Pace, Plan, difference},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use events::Headers;
use ledger::Verb;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Change {
    id: String,
    reason: String,
    #[serde(default)]
    patch: Value,
    #[serde(default)]
    whole: bool,
}

/// The headers of a record whose value is Avro in Confluent framing now, whatever it was before.
pub(super) fn as_avro(headers: &Headers) -> Headers {
    let about_value = ["content-type", events::wire::VALUE_SCHEMA_ID];
    let kept = headers.0.iter().filter(|(name, _)| !about_value.contains(&name.as_ref())).cloned();
    let mut headers = Headers(kept.collect());
    headers.push("content-type", "application/avro");
    headers
}

/// Plans an edit: the change applied to a decoded copy, checked against schema and rules, encoded anew.
pub(super) async fn plan(session: &Session<'_>, input: Value) -> Result<Value> {
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
    let selection = Selection { ids: vec![seen.id.to_string()], ..Selection::default() };
    let mut draft = Draft::new(Verb::Edit, selection, Pace::default(), None);
    draft.take(&seen)?;
    let plan = draft.plan(session, &*ledger).await?;
    let plan = Plan { edit: Some(Edit { value_base64: BASE64_STANDARD.encode(value), diff }), ..plan };
    plans::remember(session, &plan, &reason).await?;
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
