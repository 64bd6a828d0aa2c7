//! Subjects and their versions.

use axum::extract::Path;
use serde_json::json;

use super::{
    Answer, Registry,
    wire::{Body, Flags, SchemaBody, describe, ok, respond},
    with,
};
use crate::registry::{Error, catalog::Wanted};
use axum::http::StatusCode;

pub(super) async fn subjects(registry: Registry, flags: Flags) -> Answer {
    let list = with(registry, move |catalog| {
        let state = catalog.state();
        let is_listed = |subject: &str| {
            let live = state.versions(subject, false).next().is_some();
            let shown = if flags.deleted_only { !live } else { live || flags.deleted };
            shown && subject.starts_with(&flags.subject_prefix)
        };
        Ok(state.subjects.keys().filter(|subject| is_listed(subject)).cloned().collect::<Vec<_>>())
    });
    Ok(ok(json!(list.await?)))
}

pub(super) async fn versions(registry: Registry, Path(subject): Path<String>, flags: Flags) -> Answer {
    let list = with(registry, move |catalog| {
        let all = catalog.state().versions(&subject, flags.deleted || flags.deleted_only);
        let list: Vec<u32> =
            all.filter(|(_, one)| !flags.deleted_only || one.is_deleted).map(|(number, _)| number).collect();
        if list.is_empty() { Err(Error::SubjectNotFound(subject)) } else { Ok(list) }
    });
    Ok(ok(json!(list.await?)))
}

pub(super) async fn register(registry: Registry, Path(subject): Path<String>, body: Body) -> Answer {
    let body = SchemaBody::read(body)?;
    let answer = with(registry, move |catalog| {
        let wanted = body.wanted();
        let candidate = body.candidate(catalog)?;
        let (number, version) = catalog.register(&subject, candidate, wanted)?;
        Ok(json!({"id": version.schema.id, "version": number, "guid": version.schema.guid}))
    });
    Ok(ok(answer.await?))
}

pub(super) async fn look_up(registry: Registry, Path(subject): Path<String>, flags: Flags, body: Body) -> Answer {
    let body = SchemaBody::read(body)?;
    let answer = with(registry, move |catalog| {
        if catalog.state().versions(&subject, flags.deleted).next().is_none() {
            return Err(Error::SubjectNotFound(subject));
        }
        let candidate = body.candidate(catalog)?;
        let found = catalog.look_up(&subject, &candidate, flags.deleted);
        found.map(|(number, version)| describe(&subject, number, version)).ok_or(Error::SchemaNotUnderSubject)
    });
    Ok(ok(answer.await?))
}

pub(super) async fn version(
    registry: Registry,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let answer = with(registry, move |catalog| {
        let (number, version) = catalog.version(&subject, wanted, flags.deleted)?;
        Ok(describe(&subject, number, version))
    });
    Ok(ok(answer.await?))
}

pub(super) async fn version_schema(
    registry: Registry,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let text =
        with(registry, move |catalog| Ok(catalog.version(&subject, wanted, flags.deleted)?.1.schema.text.clone()));
    Ok(respond(StatusCode::OK, text.await?))
}

pub(super) async fn referenced_by(registry: Registry, Path((subject, version)): Path<(String, String)>) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let ids = with(registry, move |catalog| {
        let (number, _) = catalog.version(&subject, wanted, true)?;
        Ok(catalog.state().referenced_by(&subject, number))
    });
    Ok(ok(json!(ids.await?)))
}

pub(super) async fn delete_subject(registry: Registry, Path(subject): Path<String>, flags: Flags) -> Answer {
    Ok(ok(json!(with(registry, move |catalog| catalog.delete_subject(&subject, flags.permanent)).await?)))
}

pub(super) async fn delete_version(
    registry: Registry,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
) -> Answer {
    let wanted = Wanted::parse(&version)?;
    Ok(ok(json!(with(registry, move |catalog| catalog.delete_version(&subject, wanted, flags.permanent)).await?)))
}
