//! The form of requests and answers.

use std::convert::Infallible;

use axum::{
    body::Bytes,
    extract::{FromRequestParts, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{
    Error,
    catalog::{Candidate, Catalog},
    state::{Reference, Stored, Version},
};

pub(super) type Body = Result<Bytes, BytesRejection>;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Bytes of a request's body. The largest schemas in use are a few hundred KiB.
pub(super) const MOST_BODY: usize = 4 << 20;

/// Switches in the query string. Read as leniently as Java does: unknown ones are ignored, and `True`, which Python's
/// client sends, is true. Nothing in it is refused.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub deleted: bool,
    pub deleted_only: bool,
    pub permanent: bool,
    pub verbose: bool,
    pub force: bool,
    pub default_to_global: bool,
    pub latest_only: bool,
    pub fetch_max_id: bool,
    pub subject_prefix: String,
    pub subject: String,
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
pub(super) struct SchemaBody {
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
    pub fn read(body: Body) -> Result<Self, Error> {
        let body: Self = read(body)?;
        match body.schema_type.as_deref() {
            None | Some("AVRO" | "") => Ok(body),
            Some(other) => {
                Err(Error::InvalidSchema(format!("Invalid schema type {other}: this registry keeps AVRO only")))
            }
        }
    }

    pub fn candidate(self, catalog: &Catalog) -> Result<Candidate, Error> {
        catalog.candidate(&self.schema, self.references.unwrap_or_default())
    }

    /// What mode IMPORT asks for. 0 and -1 stand for "not given", as in Confluent's clients.
    pub fn wanted(&self) -> (Option<u32>, Option<u32>) {
        let given = |number: Option<i64>| number.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        (given(self.id), given(self.version))
    }
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(body: Body) -> Result<T, Error> {
    let bytes = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::InvalidSchema(format!("the body has more than {MOST_BODY} bytes")),
        _ => Error::BadBody(error.body_text()),
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| Error::BadBody(error.to_string()))?;
    // Readable JSON of the wrong form is Confluent's 422, not 400.
    serde_json::from_value(value).map_err(|error| Error::InvalidSchema(error.to_string()))
}

pub(super) fn schema_string(stored: &Stored) -> Value {
    let mut answer = json!({"schema": stored.text, "guid": stored.guid});
    if !stored.references.is_empty() {
        answer["references"] = json!(stored.references);
    }
    answer
}

pub(super) fn describe(subject: &str, number: u32, version: &Version) -> Value {
    let mut answer = schema_string(&version.schema);
    answer["subject"] = json!(subject);
    answer["version"] = json!(number);
    answer["id"] = json!(version.schema.id);
    if version.is_deleted {
        answer["deleted"] = json!(true);
    }
    answer
}

pub(super) fn ok(body: Value) -> Response {
    respond(StatusCode::OK, body.to_string())
}

pub(super) fn plain(status: StatusCode, code: u32, message: &str) -> Response {
    respond(status, json!({"error_code": code, "message": message}).to_string())
}

pub(super) fn respond(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        plain(status, self.code(), &self.to_string())
    }
}
