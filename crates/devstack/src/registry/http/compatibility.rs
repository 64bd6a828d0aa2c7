//! Whether a schema may become a new version.

use axum::{extract::Path, response::Response};
use serde_json::json;

use super::{
    Answer, Registry,
    wire::{Body, Flags, SchemaBody, ok},
    with,
};
use crate::registry::catalog::Wanted;

pub(super) async fn compatible_with(
    registry: Registry,
    Path((subject, version)): Path<(String, String)>,
    flags: Flags,
    body: Body,
) -> Answer {
    let (wanted, body) = (Wanted::parse(&version)?, SchemaBody::read(body)?);
    let problems = with(registry, move |catalog| {
        let candidate = body.candidate(catalog)?;
        catalog.problems_with(&subject, wanted, &candidate)
    });
    Ok(verdict(&problems.await?, flags.verbose))
}

pub(super) async fn compatible_with_all(
    registry: Registry,
    Path(subject): Path<String>,
    flags: Flags,
    body: Body,
) -> Answer {
    let body = SchemaBody::read(body)?;
    let problems = with(registry, move |catalog| {
        let candidate = body.candidate(catalog)?;
        catalog.problems(&subject, &candidate)
    });
    Ok(verdict(&problems.await?, flags.verbose))
}

pub(super) fn verdict(problems: &[String], verbose: bool) -> Response {
    let mut answer = json!({"is_compatible": problems.is_empty()});
    if verbose {
        answer["messages"] = json!(problems);
    }
    ok(answer)
}
