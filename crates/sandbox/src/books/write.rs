//! A write from body to committed change: merge with what is stored, check every rule, compute what follows.

use jiff::civil::Date;
use serde_json::{Value, value::to_raw_value};

use super::{
    body::{self, Fields, NameCheck},
    customer, document,
    kind::Kind,
    merge,
    refusal::{Code, Refusal},
    store::{Change, Head, Put, Record, Store},
};
use crate::clock::timestamp;

/// Which record a write means.
#[derive(Clone, Debug)]
pub enum Target {
    /// A new record.
    New,
    /// Whatever has this external id, made if there is none.
    External(String),
    /// The record with this internal id.
    Existing(u64),
}

/// A write as the caller asked for it.
#[derive(Debug)]
pub struct Write<'a> {
    pub kind: Kind,
    pub target: Target,
    pub body: &'a Fields,
    /// Sublists to replace instead of merging.
    pub replace: &'a [String],
    pub names: NameCheck,
    /// Default of the transaction date.
    pub today: Date,
}

/// Turns a write into a change that can be committed. Nothing is changed yet.
///
/// # Errors
/// The first rule the write breaks.
pub fn prepare(store: &Store, write: &Write<'_>) -> Result<Put, Refusal> {
    let kind = write.kind;
    writable(kind)?;
    let patch = body::normalise(store, kind, write.body, write.names)?;
    let id = existing_id(store, write)?;
    let old = id.and_then(|id| store.get(kind, id));
    if let Some(old) = old {
        check_unchanged(old, write.body)?;
    }
    let external_id = external_id(store, write, &patch, id)?;
    let event = |name: &str| body::text(&patch, &format!("{}_tl_{name}", prefix(kind))).map(Box::from);
    let (event_id, correlation_id) = (event("event_id"), event("correlation_id"));

    let mut fields = merge::merge(old.map(stored_fields).unwrap_or_default(), patch, write.replace);
    fields.remove("externalId");
    let id = id.unwrap_or_else(|| store.next_id());
    let number = number(store, kind, id, &fields)?;
    let document = match kind {
        Kind::Customer => {
            customer::check(store, id, old, &mut fields)?;
            None
        }
        _ => Some(document::check(store, kind, old, &mut fields, write.today)?),
    };
    let account_id = body::text(&fields, &format!("{}_tl_account_id", prefix(kind))).map(Box::from);
    let account_id = account_id.or_else(|| match &document {
        Some(document) => store.get(Kind::Customer, document.customer)?.head.account_id.clone(),
        None => external_id.clone(),
    });
    let head = Head { event_id, correlation_id, account_id, document };
    let body = to_raw_value(&fields).map_err(|error| Refusal::new(Code::UnexpectedError, error.to_string()))?;
    Ok(Put { kind, id, external_id, number: Some(number), head, body })
}

/// Checks that a record may be deleted.
///
/// # Errors
/// There is none, something depends on it, or its period is closed.
pub fn prepare_delete(store: &Store, kind: Kind, id: u64) -> Result<Change, Refusal> {
    writable(kind)?;
    let record = store.get(kind, id).ok_or_else(|| nonexistent(kind, &id.to_string()))?;
    let depended_on = record.settled != 0
        || (kind == Kind::Customer && store.standing(id).is_some_and(|standing| standing.documents > 0));
    if depended_on {
        let detail = "This record cannot be deleted because it has dependent records.";
        return Err(Refusal::new(Code::UserError, detail));
    }
    if let Some(document) = record.head.document.as_ref().filter(|_| kind.is_posting()) {
        document::check_period(store, document.date, None)?;
    }
    Ok(Change::Delete { kind, id })
}

/// The refusal for a record that does not exist (or is not visible yet).
pub fn nonexistent(kind: Kind, asked: &str) -> Refusal {
    let detail =
        format!("The record instance does not exist. Provide a valid record instance ID: {} {asked}.", kind.name());
    Refusal { code: Code::NonexistentId, detail, at: super::refusal::At::Url(asked.to_owned()) }
}

fn writable(kind: Kind) -> Result<(), Refusal> {
    if kind.is_writable() {
        return Ok(());
    }
    let detail = format!("You do not have permission to change records of type {}.", kind.name());
    Err(Refusal::new(Code::InsufficientPermission, detail))
}

fn existing_id(store: &Store, write: &Write<'_>) -> Result<Option<u64>, Refusal> {
    match &write.target {
        Target::New => Ok(None),
        Target::External(external_id) => Ok(store.by_external(write.kind, external_id)),
        Target::Existing(id) if store.get(write.kind, *id).is_some() => Ok(Some(*id)),
        Target::Existing(id) => Err(nonexistent(write.kind, &id.to_string())),
    }
}

/// Optimistic check: a caller that sends back `lastModifiedDate` writes only over that very state.
fn check_unchanged(old: &Record, body: &Fields) -> Result<(), Refusal> {
    match body.get("lastModifiedDate").and_then(Value::as_str) {
        Some(seen) if seen != timestamp(old.modified_ms).to_string() => {
            Err(Refusal::new(Code::RecordHasBeenChanged, "Record has been changed"))
        }
        _ => Ok(()),
    }
}

fn external_id(store: &Store, write: &Write<'_>, patch: &Fields, id: Option<u64>) -> Result<Option<Box<str>>, Refusal> {
    let kind = write.kind;
    let sent = body::text(patch, "externalId");
    if let (Target::External(named), Some(sent)) = (&write.target, sent)
        && named != sent
    {
        let detail = format!("The external id {sent} in the body is not the one in the URL, {named}.");
        return Err(Refusal::field(Code::InvalidContent, "externalId", detail));
    }
    let wanted = match (&write.target, sent) {
        (Target::External(named), _) => Some(named.as_str()),
        (_, Some(sent)) => Some(sent),
        (_, None) => id.and_then(|id| store.get(kind, id)?.external_id.as_deref()),
    };
    let Some(wanted) = wanted else { return Ok(None) };
    if store.by_external(kind, wanted).is_some_and(|holder| Some(holder) != id) {
        let code = if kind == Kind::Customer { Code::DuplicateEntity } else { Code::DuplicateRecord };
        let detail = format!("This {} already exists: external id {wanted}.", kind.name());
        return Err(Refusal::field(code, "externalId", detail));
    }
    Ok(Some(wanted.into()))
}

/// `tranId` or `entityId`: the caller's, which must be unique, or the next automatic one.
fn number(store: &Store, kind: Kind, id: u64, fields: &Fields) -> Result<Box<str>, Refusal> {
    let name = if kind == Kind::Customer { "entityId" } else { "tranId" };
    let Some(wanted) = body::text(fields, name) else {
        return Ok(format!("{}{id}", kind.number_prefix()).into());
    };
    if store.table(kind).numbers.get(wanted).is_none_or(|holder| *holder == id) {
        return Ok(wanted.into());
    }
    let code = if kind == Kind::Customer { Code::UniqueCustomerId } else { Code::DuplicateRecord };
    let detail = format!("A {} with the number {wanted} already exists. Enter a unique {name}.", kind.name());
    Err(Refusal::field(code, name, detail))
}

fn prefix(kind: Kind) -> &'static str {
    if kind == Kind::Customer { "custentity" } else { "custbody" }
}

/// The stored fields of a record.
pub fn stored_fields(record: &Record) -> Fields {
    serde_json::from_str(record.body.get()).unwrap_or_default()
}
