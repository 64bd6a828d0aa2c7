//! Writes of records: create, update, upsert, delete, transform.

use serde_json::Value;

use super::{Manner, transform};
use crate::{
    Error,
    app::App,
    books::{
        body::{Fields, NameCheck},
        kind::Kind,
        refusal::{At, Code, Refusal},
        store::Change,
        write::{self, Target, Write},
    },
    call::{Call, Reply},
    state::State,
    wal::Entry,
};

/// Carries out a write with this body. 204, with `Location` for what exists afterwards.
pub fn write(app: &App, call: &Call, manner: Manner, kind: Kind, rest: &[&str], body: &[u8]) -> Result<Reply, Refusal> {
    let mut state = app.state();
    match (call.method.as_str(), rest) {
        ("POST", []) => put(app, &mut state, call, manner, kind, Target::New, parse(body)?),
        ("PUT", [id]) => {
            let external_id =
                id.strip_prefix("eid:").filter(|external_id| !external_id.is_empty()).ok_or_else(|| {
                    let detail = "An upsert needs an external ID in the URL (eid:…); internal IDs are not allowed.";
                    Refusal { code: Code::InvalidParameter, detail: detail.to_owned(), at: At::Url((*id).to_owned()) }
                })?;
            put(app, &mut state, call, manner, kind, Target::External(external_id.to_owned()), parse(body)?)
        }
        ("PATCH", [id]) => {
            let id = existing(&state, kind, id)?;
            put(app, &mut state, call, manner, kind, Target::Existing(id), parse(body)?)
        }
        ("DELETE", [id]) => {
            let id = existing(&state, kind, id)?;
            let change = write::prepare_delete(&state.store, kind, id)?;
            commit(app, &mut state, change)?;
            Ok(Reply::empty(204))
        }
        ("POST", [id, action]) if action.starts_with("!transform") => Err(transform::incomplete(id)),
        ("POST", [id, "!transform", target]) => {
            let id = existing(&state, kind, id)?;
            let (target, fields) = transform::transform(&state.store, kind, id, target, parse(body)?)?;
            put(app, &mut state, call, manner, target, Target::New, fields)
        }
        _ => Err(Refusal::new(Code::MethodNotAllowed, format!("{} is not allowed here.", call.method))),
    }
}

fn put(
    app: &App,
    state: &mut State,
    call: &Call,
    manner: Manner,
    kind: Kind,
    target: Target,
    body: Fields,
) -> Result<Reply, Refusal> {
    let replace: Vec<String> = call
        .parameter("replace")
        .map(|lists| lists.split(',').map(|list| list.trim().to_owned()).collect())
        .unwrap_or_default();
    let write =
        Write { kind, target, body: &body, replace: &replace, names: name_check(call)?, today: app.clock.today() };
    let put = write::prepare(&state.store, &write)?;
    required(app, kind, put.body.get())?;
    let id = put.id;
    let is_new = state.store.get(kind, id).is_none();
    let at = commit(app, state, Change::Put(put))?;
    if let Some(hidden_ms) = manner.visibility_ms.filter(|_| is_new) {
        state.store.hide(kind, id, at.saturating_add_unsigned(hidden_ms));
    }
    Ok(Reply::empty(204).located(&format!("{}/{}/{id}", app.record_base(), kind.name())))
}

/// What the form of the record type asks for.
fn required(app: &App, kind: Kind, body: &str) -> Result<(), Refusal> {
    let settings = app.settings();
    let Some(wanted) = settings.required_fields.get(kind.name()) else { return Ok(()) };
    let fields: Fields = serde_json::from_str(body).unwrap_or_default();
    match wanted.iter().find(|name| fields.get(*name).is_none_or(serde_json::Value::is_null)) {
        Some(missing) => Err(Refusal::missing(missing)),
        None => Ok(()),
    }
}

/// Logs and applies a change; returns the virtual time of the commit.
fn commit(app: &App, state: &mut State, change: Change) -> Result<i64, Refusal> {
    let at = app.clock.now_ms();
    state.commit(Entry::Change { at, change }).map_err(|error| failed(&error))?;
    Ok(at)
}

/// A failure of the sandbox itself; nothing was committed.
pub fn failed(error: &Error) -> Refusal {
    tracing::error!(%error, "could not commit");
    let code = if matches!(error, Error::Stopped) { Code::ServiceUnavailable } else { Code::UnexpectedError };
    Refusal::new(code, error.to_string())
}

/// Internal id for a path segment: `eid:<external id>` or an internal id. Writes see records that reads do not see yet.
pub fn existing(state: &State, kind: Kind, asked: &str) -> Result<u64, Refusal> {
    let found = match asked.strip_prefix("eid:") {
        Some(external_id) => state.store.by_external(kind, external_id),
        None => asked.parse().ok().filter(|id| state.store.get(kind, *id).is_some()),
    };
    found.ok_or_else(|| write::nonexistent(kind, asked))
}

fn parse(body: &[u8]) -> Result<Fields, Refusal> {
    if body.is_empty() {
        return Ok(Fields::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::new(Code::InvalidContent, "The request body must be a JSON object.")),
        Err(error) => Err(Refusal::new(Code::InvalidContent, format!("Invalid JSON in the request body: {error}"))),
    }
}

fn name_check(call: &Call) -> Result<NameCheck, Refusal> {
    const HEADER: &str = "X-NetSuite-PropertyNameValidation";
    match call.header(HEADER).map(str::to_ascii_lowercase).as_deref() {
        Some("error") => Ok(NameCheck::Error),
        None | Some("warning" | "ignore") => Ok(NameCheck::Ignore),
        Some(other) => {
            let detail = format!("Invalid value {other}. Provide Error, Warning or Ignore.");
            Err(Refusal { code: Code::InvalidHeader, detail, at: At::Header(HEADER) })
        }
    }
}
