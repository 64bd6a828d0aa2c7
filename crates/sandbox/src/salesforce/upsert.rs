//! Upsert by external id: one record, or up to 200 in a collection in which each fails or succeeds on its own.

use std::collections::BTreeSet;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    app::App,
    refusal::{Refusal, json_reply},
    schema::{Object, VERSION},
    store::{Entry, State, Write},
    write::{self, Manner, Sent},
};
use crate::call::{Call, Reply};

/// Records of one collection; the vendor's limit.
const MOST_RECORDS: usize = 200;

/// What the request itself says of how it is to be done.
pub struct Asked<'a> {
    pub client: Option<&'a str>,
    pub visible_ms: Option<i64>,
}

fn external_id_field(object: &Object, field: &str) -> Result<(), Refusal> {
    if field.eq_ignore_ascii_case(object.external_id) {
        return Ok(());
    }
    let message = format!("Provided external ID field does not exist or is not accessible: {field}");
    Err(Refusal::new("NOT_FOUND", message))
}

/// `…/sobjects/{object}/{field}/{value}`: PATCH upserts, GET reads.
pub fn by_external_id(
    app: &App,
    call: &Call,
    object: &'static Object,
    (field, value): (&str, &str),
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    external_id_field(object, field)?;
    let mut state = app.state();
    let now_ms = app.clock.now_ms();
    let found = state.store.find(object, value);
    if found.len() > 1 {
        let url = |id: &str| format!("/services/data/{VERSION}/sobjects/{}/{id}", object.name);
        return Ok(json_reply(300, &found.iter().map(|record| url(&record.id)).collect()));
    }
    if call.method == Method::GET {
        let seen = found.first().and_then(|record| Some((*record, record.seen(now_ms)?)));
        let (record, fields) =
            seen.ok_or_else(|| Refusal::new("NOT_FOUND", "The requested resource does not exist"))?;
        return Ok(json_reply(200, &super::query::shown(object, record, fields, None)));
    }
    if call.method != Method::PATCH {
        return Err(Refusal::new("METHOD_NOT_ALLOWED", format!("HTTP method '{}' not allowed", call.method)));
    }
    let is_created = found.is_empty();
    let sent: Sent<'_> = serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::new("JSON_PARSER_ERROR", format!("Unexpected character: {error}")))?;
    if let Some(name) = sent.keys().find(|name| name.eq_ignore_ascii_case(field) || name.eq_ignore_ascii_case("Id")) {
        let message = format!("The {name} field should not be specified in the sobject data.");
        return Err(Refusal::new("INVALID_FIELD", message).at(name));
    }
    let settings = app.settings();
    let required = settings.required_fields.get(object.name).map(Vec::as_slice).unwrap_or_default();
    let manner = Manner { client: asked.client, visible_ms: asked.visible_ms, required };
    let write = write::read(&state.store, object, value, &sent, manner)?;
    unlocked(&state, &write)?;
    commit(&mut state, now_ms, vec![write])?;
    let id = state.store.find(object, value).first().map(|record| record.id.clone());
    let body = json!({ "id": id, "success": true, "errors": [], "created": is_created });
    Ok(match settings.updated_status {
        _ if is_created => json_reply(201, &body),
        204 => Reply::empty(204),
        _ => json_reply(200, &body),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collection<'a> {
    #[serde(default)]
    all_or_none: bool,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(rename = "type")]
    object: String,
}

/// `PATCH …/composite/sobjects/{object}/{field}`: answers in the order of the records.
pub fn collection(
    app: &App,
    call: &Call,
    object: &'static Object,
    field: &str,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    external_id_field(object, field)?;
    if call.method != Method::PATCH {
        return Err(Refusal::new("METHOD_NOT_ALLOWED", format!("HTTP method '{}' not allowed", call.method)));
    }
    let collection: Collection<'_> = serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::new("JSON_PARSER_ERROR", format!("Unexpected character: {error}")))?;
    if collection.records.len() > MOST_RECORDS {
        let message = format!("record limit reached. cannot submit more than {MOST_RECORDS} records into this call");
        return Err(Refusal::new("EXCEEDED_ID_LIMIT", message));
    }
    let settings = app.settings();
    let required = settings.required_fields.get(object.name).map(Vec::as_slice).unwrap_or_default();
    let manner = Manner { client: asked.client, visible_ms: asked.visible_ms, required };
    let mut state = app.state();
    let mut seen = BTreeSet::new();
    let mut one = |record: &RawValue| -> Result<Write, Refusal> {
        let (external_id, sent) = member(object, record)?;
        if !seen.insert(external_id.to_lowercase()) {
            let message = format!("Duplicate external id specified: {external_id}");
            return Err(Refusal::new("DUPLICATE_VALUE", message).at(object.external_id));
        }
        let write = write::read(&state.store, object, &external_id, &sent, manner)?;
        unlocked(&state, &write)?;
        Ok(write)
    };
    let mut read: Vec<Result<Write, Refusal>> = collection.records.iter().map(|record| one(record)).collect();
    if collection.all_or_none && read.iter().any(Result::is_err) {
        let rolled_back = || {
            let message =
                "Record rolled back because not all records were valid and the request was using AllOrNone header";
            Refusal::new("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)
        };
        read.iter_mut().filter(|write| write.is_ok()).for_each(|write| *write = Err(rolled_back()));
    }
    let created: Vec<bool> = read
        .iter()
        .map(|write| write.as_ref().is_ok_and(|write| state.store.find(object, &write.external_id).is_empty()))
        .collect();
    let writes: Vec<Write> = read.iter().filter_map(|write| write.as_ref().ok().cloned()).collect();
    if !writes.is_empty() {
        commit(&mut state, app.clock.now_ms(), writes)?;
    }
    let answers = read.iter().zip(created).map(|(write, created)| answer(&state, object, write, created));
    Ok(json_reply(200, &answers.collect::<Value>()))
}

/// The external id of a record in a collection, and its other fields.
fn member<'a>(object: &Object, record: &'a RawValue) -> Result<(String, Sent<'a>), Refusal> {
    let mut sent: Sent<'a> = serde_json::from_str(record.get())
        .map_err(|error| Refusal::new("JSON_PARSER_ERROR", format!("Unexpected character: {error}")))?;
    let attributes = sent.remove("attributes").and_then(|value| serde_json::from_str::<Attributes>(value.get()).ok());
    if !attributes.is_some_and(|attributes| attributes.object.eq_ignore_ascii_case(object.name)) {
        let message = format!("Include an entity type in the request: {} is expected", object.name);
        return Err(Refusal::new("INVALID_TYPE", message));
    }
    let key = sent.keys().find(|name| name.eq_ignore_ascii_case(object.external_id)).cloned();
    let external_id = key.and_then(|key| sent.remove(&key));
    let external_id = external_id.and_then(|value| serde_json::from_str::<String>(value.get()).ok());
    let missing = || Refusal::new("REQUIRED_FIELD_MISSING", format!("{} not specified", object.external_id));
    Ok((external_id.ok_or_else(missing)?, sent))
}

fn answer(state: &State, object: &'static Object, write: &Result<Write, Refusal>, created: bool) -> Value {
    match write {
        Ok(write) => {
            let id = state.store.find(object, &write.external_id).first().map(|record| record.id.clone());
            json!({ "id": id, "success": true, "errors": [], "created": created })
        }
        Err(refusal) => json!({ "success": false, "errors": [refusal.of_record()], "created": false }),
    }
}

/// Rows of one account are held by somebody: a job, or another request in progress.
fn unlocked(state: &State, write: &Write) -> Result<(), Refusal> {
    if !state.locked.contains(&write.account) {
        return Ok(());
    }
    let message = "unable to obtain exclusive access to this record or 1 records";
    Err(Refusal::new("UNABLE_TO_LOCK_ROW", message))
}

fn commit(state: &mut State, at: i64, writes: Vec<Write>) -> Result<(), Refusal> {
    state.commit(Entry::Writes { at, writes }).map_err(|error| {
        tracing::error!(%error, "a change could not be kept");
        Refusal::new("UNKNOWN_EXCEPTION", "An unexpected error occurred.")
    })
}
