//! Confluent's REST API over the catalog. Every answer, errors included, is JSON of the registry's media type.
//!
//! Any content type is taken on requests, so that `curl -d` works without a header.

mod compatibility;
mod schemas;
mod settings;
mod subjects;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{delete, get, post},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::{
    compatibility::{compatible_with, compatible_with_all},
    schemas::{ids_of_guid, schema_by_guid, schema_by_id, schema_subjects, schema_text, schema_versions, schemas},
    settings::{drop_level, drop_mode, level, mode, set_level, set_mode},
    subjects::{
        delete_subject, delete_version, look_up, referenced_by, register, subjects, version, version_schema, versions,
    },
    wire::{Body, Flags, MOST_BODY, ok, plain},
};
use super::{Error, catalog::Catalog};

/// What the handlers share.
pub struct Shared {
    pub catalog: Mutex<Catalog>,
    /// SHA-256 of the `Authorization` value that is let in; `None` lets everybody in.
    pub credentials: Option<[u8; 32]>,
}

type Registry = State<Arc<Shared>>;
type Answer = Result<Response, Error>;

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
