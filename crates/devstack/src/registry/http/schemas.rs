//! Schemas by id and by guid, whatever their subjects.

use std::sync::Arc;

use axum::{extract::Path, http::StatusCode};
use serde_json::json;

use super::{
    Answer, Registry,
    wire::{Flags, describe, ok, respond, schema_string},
    with,
};
use crate::registry::{Error, catalog::Catalog, state::Stored};

pub(super) async fn schemas(registry: Registry, flags: Flags) -> Answer {
    let list = with(registry, move |catalog| {
        let state = catalog.state();
        let mut list = Vec::new();
        for subject in state.subjects.keys().filter(|subject| subject.starts_with(&flags.subject_prefix)) {
            let versions: Vec<_> = state.versions(subject, flags.deleted).collect();
            let from = if flags.latest_only { versions.len().saturating_sub(1) } else { 0 };
            list.extend(versions[from..].iter().map(|(number, version)| describe(subject, *number, version)));
        }
        Ok(list)
    });
    Ok(ok(json!(list.await?)))
}

pub(super) fn known<'a>(catalog: &'a Catalog, id: &str) -> Result<&'a Arc<Stored>, Error> {
    let found = id.parse().ok().and_then(|id: u32| catalog.state().schema(id));
    found.ok_or_else(|| Error::SchemaNotFound(id.to_owned()))
}

pub(super) async fn schema_by_id(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
    let answer = with(registry, move |catalog| {
        let stored = known(catalog, &id)?;
        let is_elsewhere = !flags.subject.is_empty()
            && !catalog.state().uses(stored.id, true).any(|(subject, _)| subject == flags.subject);
        if is_elsewhere {
            return Err(Error::SchemaNotFound(id));
        }
        let mut answer = schema_string(stored);
        if flags.fetch_max_id {
            answer["maxId"] = json!(catalog.state().last_id());
        }
        Ok(answer)
    });
    Ok(ok(answer.await?))
}

pub(super) async fn schema_text(registry: Registry, Path(id): Path<String>) -> Answer {
    Ok(respond(StatusCode::OK, with(registry, move |catalog| Ok(known(catalog, &id)?.text.clone())).await?))
}

pub(super) async fn schema_subjects(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
    let subjects = with(registry, move |catalog| {
        let id = known(catalog, &id)?.id;
        let mut list: Vec<String> = catalog.state().uses(id, flags.deleted).map(|(one, _)| one.to_owned()).collect();
        list.dedup();
        Ok(list)
    });
    Ok(ok(json!(subjects.await?)))
}

pub(super) async fn schema_versions(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
    let uses = with(registry, move |catalog| {
        let id = known(catalog, &id)?.id;
        let uses = catalog.state().uses(id, flags.deleted);
        Ok(uses.map(|(subject, version)| json!({"subject": subject, "version": version})).collect::<Vec<_>>())
    });
    Ok(ok(json!(uses.await?)))
}

pub(super) fn known_guid<'a>(catalog: &'a Catalog, guid: &str) -> Result<&'a Arc<Stored>, Error> {
    let found = uuid::Uuid::parse_str(guid).ok().and_then(|guid| catalog.state().by_guid(guid));
    found.ok_or_else(|| Error::SchemaNotFound(guid.to_owned()))
}

pub(super) async fn schema_by_guid(registry: Registry, Path(guid): Path<String>) -> Answer {
    Ok(ok(with(registry, move |catalog| Ok(schema_string(known_guid(catalog, &guid)?))).await?))
}

pub(super) async fn ids_of_guid(registry: Registry, Path(guid): Path<String>) -> Answer {
    let id = with(registry, move |catalog| Ok(known_guid(catalog, &guid)?.id)).await?;
    Ok(ok(json!([{"context": ".", "id": id}])))
}
