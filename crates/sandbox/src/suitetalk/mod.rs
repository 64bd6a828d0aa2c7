//! The SuiteTalk REST surface: routes a call to what answers it.

pub mod column;
pub mod errors;
pub mod filter;
pub mod jobs;
pub mod listing;
pub mod read;
pub mod records;
pub mod sql;
pub mod suiteql;
pub mod system;
pub mod token;
pub mod transform;

use crate::{
    app::App,
    books::{
        kind::Kind,
        refusal::{At, Code, Refusal},
    },
    call::{Call, Reply},
};

/// Content type of records and lists.
pub const RESOURCE: &str = "application/vnd.oracle.resource+json; type=singular";
/// Content type of lists.
pub const COLLECTION: &str = "application/vnd.oracle.resource+json; type=collection";

/// What a write needs to know beside the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Hide what is written from reads for this much virtual time.
    pub visibility_ms: Option<u64>,
}

/// Answers a call; a write is committed (and in the log) when this returns.
pub fn answer(app: &App, call: &Call, manner: Manner) -> Reply {
    match route(app, call, manner) {
        Ok(reply) => reply,
        Err(refusal) => errors::reply(&refusal),
    }
}

/// The path of the token endpoint, which needs no token.
pub const TOKEN_PATH: &str = "/services/rest/auth/oauth2/v1/token";

fn route(app: &App, call: &Call, manner: Manner) -> Result<Reply, Refusal> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    match (method, segments.as_slice()) {
        ("POST", ["services", "rest", "auth", "oauth2", "v1", "token"]) => Ok(token::issue(app, call)),
        ("POST", ["services", "rest", "query", "v1", "suiteql"]) => suiteql::query(app, call),
        ("GET", ["services", "rest", "system", "v1", "governanceLimits"]) => system::governance_limits(app),
        ("GET", ["services", "rest", "async", "v1", "job", id, rest @ ..]) => jobs::poll(app, id, rest),
        (_, ["services", "rest", "record", "v1", name, rest @ ..]) => {
            let kind = Kind::parse(name).ok_or_else(|| {
                let detail = format!("Record type '{name}' does not exist.");
                Refusal { code: Code::NotFound, detail, at: At::Url((*name).to_owned()) }
            })?;
            record(app, call, manner, kind, rest)
        }
        _ => Err(Refusal::new(Code::NotFound, format!("There is nothing at {} {}.", call.method, call.path))),
    }
}

fn record(app: &App, call: &Call, manner: Manner, kind: Kind, rest: &[&str]) -> Result<Reply, Refusal> {
    match (call.method.as_str(), rest) {
        ("GET", []) => listing::list(app, call, kind),
        ("GET", [id]) => read::get(app, call, kind, id),
        ("GET", [id, list]) => read::sublist(app, kind, id, list),
        ("POST" | "PATCH" | "PUT" | "DELETE", _) if call.prefers("respond-async") => {
            jobs::submit(app, call, manner, kind, rest)
        }
        ("POST" | "PATCH" | "PUT" | "DELETE", _) => records::write(app, call, manner, kind, rest, &call.body),
        _ => Err(Refusal::new(Code::MethodNotAllowed, format!("{} is not allowed here.", call.method))),
    }
}
