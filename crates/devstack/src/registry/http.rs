//! Confluent's REST API over the catalog. Every answer, errors included, is JSON of the registry's media type.
//!
//! Any content type is taken on requests, so that `curl -d` works without a header.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Error, Level, Mode,
    catalog::{Candidate, Catalog, Wanted},
    state::{Reference, Stored, Version},
};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Bytes of a request's body. The largest schemas in use are a few hundred KiB.
const MOST_BODY: usize = 4 << 20;

/// What the handlers share.
pub struct Shared {
    pub catalog: Mutex<Catalog>,
    /// SHA-256 of the `Authorization` value that is let in; `None` lets everybody in.
    pub credentials: Option<[u8; 32]>,
}

type Registry = State<Arc<Shared>>;
type Answer = Result<Response, Error>;
type Body = Result<Bytes, BytesRejection>;

/// The whole API.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || ok(json!({}))))
        .route("/livez", get(async || ok(json!({"status": "live"}))))
        .route("/readyz", get(async || ok(json!({"status": "ready"}))))
        .route("/contexts", get(async || ok(json!(["."]))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(referenced_by))
        .route("/schemas", get(schemas))
        .route("/schemas/types", get(async || ok(json!(["AVRO"]))))
        .route("/schemas/ids/{id}", get(schema_by_id))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/schemas/guids/{guid}", get(schema_by_guid))
        .route("/schemas/guids/{guid}/ids", get(ids_of_guid))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible_with))
        .merge(settings())
        .fallback(async || plain(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || plain(StatusCode::METHOD_NOT_ALLOWED, 405, "HTTP 405 Method Not Allowed"))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), authorise))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(shared)
}

fn settings() -> Router<Arc<Shared>> {
    Router::new()
        .route("/config", get(async |s: Registry| level(s, None, Flags::default()).await))
        .route("/config", axum::routing::put(async |s: Registry, body: Body| set_level(s, None, body).await))
        .route("/config", delete(async |s: Registry| drop_level(s, None).await))
        .route(
            "/config/{subject}",
            get(async |s: Registry, Path(of): Path<String>, q: Flags| level(s, Some(of), q).await),
        )
        .route(
            "/config/{subject}",
            axum::routing::put(async |s: Registry, Path(of): Path<String>, body: Body| {
                set_level(s, Some(of), body).await
            }),
        )
        .route("/config/{subject}", delete(async |s: Registry, Path(of): Path<String>| drop_level(s, Some(of)).await))
        .route("/mode", get(async |s: Registry| mode(s, None, Flags::default()).await))
        .route("/mode", axum::routing::put(async |s: Registry, q: Flags, body: Body| set_mode(s, None, q, body).await))
        .route("/mode/{subject}", get(async |s: Registry, Path(of): Path<String>, q: Flags| mode(s, Some(of), q).await))
        .route(
            "/mode/{subject}",
            axum::routing::put(async |s: Registry, Path(of): Path<String>, q: Flags, body: Body| {
                set_mode(s, Some(of), q, body).await
            }),
        )
        .route("/mode/{subject}", delete(async |s: Registry, Path(of): Path<String>| drop_mode(s, of).await))
}

/// Switches in the query string. Read as leniently as Java does: unknown ones are ignored, and `True`, which Python's
/// client sends, is true. Nothing in it is refused.
#[derive(Debug, Default)]
struct Flags {
    deleted: bool,
    deleted_only: bool,
    permanent: bool,
    verbose: bool,
    force: bool,
    default_to_global: bool,
    latest_only: bool,
    fetch_max_id: bool,
    subject_prefix: String,
    subject: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Flags {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let mut flags = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let is_on = value.eq_ignore_ascii_case("true");
            match &*name {
                "deleted" => flags.deleted = is_on,
                "deletedOnly" => flags.deleted_only = is_on,
                "permanent" => flags.permanent = is_on,
                "verbose" => flags.verbose = is_on,
                "force" => flags.force = is_on,
                "defaultToGlobal" => flags.default_to_global = is_on,
                "latestOnly" => flags.latest_only = is_on,
                "fetchMaxId" => flags.fetch_max_id = is_on,
                "subjectPrefix" => flags.subject_prefix = value.into_owned(),
                "subject" => flags.subject = value.into_owned(),
                _ => {}
            }
        }
        Ok(flags)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaBody {
    schema: String,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    id: Option<i64>,
    #[serde(default)]
    version: Option<i64>,
}

impl SchemaBody {
    fn read(body: Body) -> Result<Self, Error> {
        let body: Self = read(body)?;
        match body.schema_type.as_deref() {
            None | Some("AVRO" | "") => Ok(body),
            Some(other) => {
                Err(Error::InvalidSchema(format!("Invalid schema type {other}: this registry keeps AVRO only")))
            }
        }
    }

    fn candidate(self, catalog: &Catalog) -> Result<Candidate, Error> {
        catalog.candidate(&self.schema, self.references.unwrap_or_default())
    }

    /// What mode IMPORT asks for. 0 and -1 stand for "not given", as in Confluent's clients.
    fn wanted(&self) -> (Option<u32>, Option<u32>) {
        let given = |number: Option<i64>| number.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        (given(self.id), given(self.version))
    }
}

/// Runs `work` on the catalog, off the async threads: a change waits for the disk.
async fn with<T: Send + 'static>(
    State(shared): Registry,
    work: impl FnOnce(&mut Catalog) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let run = move || work(&mut shared.catalog.lock().unwrap_or_else(PoisonError::into_inner));
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(error) => Err(Error::Store(std::io::Error::other(error))),
    }
}

async fn subjects(registry: Registry, flags: Flags) -> Answer {
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

async fn versions(registry: Registry, Path(subject): Path<String>, flags: Flags) -> Answer {
    let list = with(registry, move |catalog| {
        let all = catalog.state().versions(&subject, flags.deleted || flags.deleted_only);
        let list: Vec<u32> =
            all.filter(|(_, one)| !flags.deleted_only || one.is_deleted).map(|(number, _)| number).collect();
        if list.is_empty() { Err(Error::SubjectNotFound(subject)) } else { Ok(list) }
    });
    Ok(ok(json!(list.await?)))
}

async fn register(registry: Registry, Path(subject): Path<String>, body: Body) -> Answer {
    let body = SchemaBody::read(body)?;
    let answer = with(registry, move |catalog| {
        let wanted = body.wanted();
        let candidate = body.candidate(catalog)?;
        let (number, version) = catalog.register(&subject, candidate, wanted)?;
        Ok(json!({"id": version.schema.id, "version": number, "guid": version.schema.guid}))
    });
    Ok(ok(answer.await?))
}

async fn look_up(registry: Registry, Path(subject): Path<String>, flags: Flags, body: Body) -> Answer {
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

async fn version(registry: Registry, Path((subject, version)): Path<(String, String)>, flags: Flags) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let answer = with(registry, move |catalog| {
        let (number, version) = catalog.version(&subject, wanted, flags.deleted)?;
        Ok(describe(&subject, number, version))
    });
    Ok(ok(answer.await?))
}

async fn version_schema(registry: Registry, Path((subject, version)): Path<(String, String)>, flags: Flags) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let text =
        with(registry, move |catalog| Ok(catalog.version(&subject, wanted, flags.deleted)?.1.schema.text.clone()));
    Ok(respond(StatusCode::OK, text.await?))
}

async fn referenced_by(registry: Registry, Path((subject, version)): Path<(String, String)>) -> Answer {
    let wanted = Wanted::parse(&version)?;
    let ids = with(registry, move |catalog| {
        let (number, _) = catalog.version(&subject, wanted, true)?;
        Ok(catalog.state().referenced_by(&subject, number))
    });
    Ok(ok(json!(ids.await?)))
}

async fn delete_subject(registry: Registry, Path(subject): Path<String>, flags: Flags) -> Answer {
    Ok(ok(json!(with(registry, move |catalog| catalog.delete_subject(&subject, flags.permanent)).await?)))
}

async fn delete_version(registry: Registry, Path((subject, version)): Path<(String, String)>, flags: Flags) -> Answer {
    let wanted = Wanted::parse(&version)?;
    Ok(ok(json!(with(registry, move |catalog| catalog.delete_version(&subject, wanted, flags.permanent)).await?)))
}

async fn schemas(registry: Registry, flags: Flags) -> Answer {
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

fn known<'a>(catalog: &'a Catalog, id: &str) -> Result<&'a Arc<Stored>, Error> {
    let found = id.parse().ok().and_then(|id: u32| catalog.state().schema(id));
    found.ok_or_else(|| Error::SchemaNotFound(id.to_owned()))
}

async fn schema_by_id(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
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

async fn schema_text(registry: Registry, Path(id): Path<String>) -> Answer {
    Ok(respond(StatusCode::OK, with(registry, move |catalog| Ok(known(catalog, &id)?.text.clone())).await?))
}

async fn schema_subjects(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
    let subjects = with(registry, move |catalog| {
        let id = known(catalog, &id)?.id;
        let mut list: Vec<String> = catalog.state().uses(id, flags.deleted).map(|(one, _)| one.to_owned()).collect();
        list.dedup();
        Ok(list)
    });
    Ok(ok(json!(subjects.await?)))
}

async fn schema_versions(registry: Registry, Path(id): Path<String>, flags: Flags) -> Answer {
    let uses = with(registry, move |catalog| {
        let id = known(catalog, &id)?.id;
        let uses = catalog.state().uses(id, flags.deleted);
        Ok(uses.map(|(subject, version)| json!({"subject": subject, "version": version})).collect::<Vec<_>>())
    });
    Ok(ok(json!(uses.await?)))
}

fn known_guid<'a>(catalog: &'a Catalog, guid: &str) -> Result<&'a Arc<Stored>, Error> {
    let found = uuid::Uuid::parse_str(guid).ok().and_then(|guid| catalog.state().by_guid(guid));
    found.ok_or_else(|| Error::SchemaNotFound(guid.to_owned()))
}

async fn schema_by_guid(registry: Registry, Path(guid): Path<String>) -> Answer {
    Ok(ok(with(registry, move |catalog| Ok(schema_string(known_guid(catalog, &guid)?))).await?))
}

async fn ids_of_guid(registry: Registry, Path(guid): Path<String>) -> Answer {
    let id = with(registry, move |catalog| Ok(known_guid(catalog, &guid)?.id)).await?;
    Ok(ok(json!([{"context": ".", "id": id}])))
}

async fn compatible_with(
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

async fn compatible_with_all(registry: Registry, Path(subject): Path<String>, flags: Flags, body: Body) -> Answer {
    let body = SchemaBody::read(body)?;
    let problems = with(registry, move |catalog| {
        let candidate = body.candidate(catalog)?;
        catalog.problems(&subject, &candidate)
    });
    Ok(verdict(&problems.await?, flags.verbose))
}

fn verdict(problems: &[String], verbose: bool) -> Response {
    let mut answer = json!({"is_compatible": problems.is_empty()});
    if verbose {
        answer["messages"] = json!(problems);
    }
    ok(answer)
}

async fn level(registry: Registry, subject: Option<String>, flags: Flags) -> Answer {
    let level = with(registry, move |catalog| {
        let state = catalog.state();
        match (subject, flags.default_to_global) {
            (Some(subject), false) => state.own_level(Some(&subject)).ok_or(Error::NoSubjectCompatibility(subject)),
            (subject, _) => Ok(state.level(subject.as_deref())),
        }
    });
    Ok(ok(json!({"compatibilityLevel": level.await?.as_str()})))
}

async fn set_level(registry: Registry, subject: Option<String>, body: Body) -> Answer {
    #[derive(Deserialize)]
    struct Setting {
        compatibility: String,
    }
    let level = Level::parse(&read::<Setting>(body)?.compatibility)?;
    with(registry, move |catalog| catalog.set_level(subject.as_deref(), Some(level))).await?;
    Ok(ok(json!({"compatibility": level.as_str()})))
}

async fn drop_level(registry: Registry, subject: Option<String>) -> Answer {
    let old = with(registry, move |catalog| {
        let old = catalog.state().own_level(subject.as_deref());
        if let (None, Some(subject)) = (old, &subject) {
            return Err(Error::SubjectNotFound(subject.clone()));
        }
        catalog.set_level(subject.as_deref(), None)?;
        Ok(old.unwrap_or(Level::Backward))
    });
    Ok(ok(json!({"compatibilityLevel": old.await?.as_str()})))
}

async fn mode(registry: Registry, subject: Option<String>, flags: Flags) -> Answer {
    let mode = with(registry, move |catalog| {
        let state = catalog.state();
        match (subject, flags.default_to_global) {
            (Some(subject), false) => state.own_mode(Some(&subject)).ok_or(Error::NoSubjectMode(subject)),
            (subject, _) => Ok(state.mode(subject.as_deref())),
        }
    });
    Ok(ok(json!({"mode": mode.await?.as_str()})))
}

async fn set_mode(registry: Registry, subject: Option<String>, flags: Flags, body: Body) -> Answer {
    #[derive(Deserialize)]
    struct Setting {
        mode: String,
    }
    let mode = Mode::parse(&read::<Setting>(body)?.mode)?;
    with(registry, move |catalog| catalog.set_mode(subject.as_deref(), Some(mode), flags.force)).await?;
    Ok(ok(json!({"mode": mode.as_str()})))
}

async fn drop_mode(registry: Registry, subject: String) -> Answer {
    let old = with(registry, move |catalog| {
        let old = catalog.state().own_mode(Some(&subject)).ok_or_else(|| Error::SubjectNotFound(subject.clone()))?;
        catalog.set_mode(Some(&subject), None, false)?;
        Ok(old)
    });
    Ok(ok(json!({"mode": old.await?.as_str()})))
}

fn schema_string(stored: &Stored) -> Value {
    let mut answer = json!({"schema": stored.text, "guid": stored.guid});
    if !stored.references.is_empty() {
        answer["references"] = json!(stored.references);
    }
    answer
}

fn describe(subject: &str, number: u32, version: &Version) -> Value {
    let mut answer = schema_string(&version.schema);
    answer["subject"] = json!(subject);
    answer["version"] = json!(number);
    answer["id"] = json!(version.schema.id);
    if version.is_deleted {
        answer["deleted"] = json!(true);
    }
    answer
}

fn read<T: for<'de> Deserialize<'de>>(body: Body) -> Result<T, Error> {
    let bytes = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::InvalidSchema(format!("the body has more than {MOST_BODY} bytes")),
        _ => Error::BadBody(error.body_text()),
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| Error::BadBody(error.to_string()))?;
    // Readable JSON of the wrong form is Confluent's 422, not 400.
    serde_json::from_value(value).map_err(|error| Error::InvalidSchema(error.to_string()))
}

async fn authorise(State(shared): Registry, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/livez" | "/readyz");
    let given = request.headers().get(header::AUTHORIZATION).map(|value| Sha256::digest(value.as_bytes()));
    match shared.credentials {
        // Digests are compared, so how long it takes says nothing about the secret.
        Some(expected) if !is_probe && given.is_none_or(|given| given[..] != expected) => {
            let mut answer = plain(StatusCode::UNAUTHORIZED, 401, "Unauthorized");
            let challenge = header::HeaderValue::from_static("Basic realm=\"SchemaRegistry\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            answer
        }
        Some(_) | None => next.run(request).await,
    }
}

fn ok(body: Value) -> Response {
    respond(StatusCode::OK, body.to_string())
}

fn plain(status: StatusCode, code: u32, message: &str) -> Response {
    respond(status, json!({"error_code": code, "message": message}).to_string())
}

fn respond(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        plain(status, self.code(), &self.to_string())
    }
}
