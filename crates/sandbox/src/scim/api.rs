//! `/scim/v2/Users` and `/scim/v2/Groups`: create, read, find by filter, replace (RFC 7644 §3).

use axum::http::{Method, header};
use serde_json::{Map, Value, json};

use super::read;
use crate::{
    call::{Call, Reply},
    clock::timestamp,
    rest::{App, Asked},
};

/// Error codes and the status they travel with; RFC 7644 §3.12 has the words in lower case (`scimType`).
const CODES: &[(&str, u16)] = &[
    ("invalidFilter", 400),
    ("invalidSyntax", 400),
    ("invalidValue", 400),
    ("INVALID_TOKEN", 401),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("uniqueness", 409),
    ("RATE_LIMITED", 429),
    ("UNAVAILABLE", 503),
];

/// The status of a code; `None` if the platform has no such code.
pub fn status_of(code: &str) -> Option<u16> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
}

/// RFC 7644 §3.12: the status is text, and `scimType` goes with 400 and 409 only.
pub fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if matches!(status, 400 | 409) {
        body["scimType"] = code.into();
    }
    scim(status, &body)
}

fn scim(status: u16, body: &Value) -> Reply {
    Reply::json(status, "application/scim+json", body)
}

/// `GET /scim/v2/Users/*`.
pub fn route(call: &Call) -> String {
    let mut route = format!("{} ", call.method);
    for (at, segment) in call.segments.iter().enumerate() {
        route.push('/');
        route.push_str(if at == 3 { "*" } else { segment });
    }
    route
}

/// Reads a body; the error says what is wrong with it.
type Read = fn(&[u8]) -> Result<Map<String, Value>, String>;

/// A kind of resource.
struct Kind {
    object: &'static str,
    path: &'static str,
    name: &'static str,
    read: Read,
    /// The attribute that no two may share, whatever the case of its letters.
    unique: Option<&'static str>,
}

const KINDS: [Kind; 2] = [
    Kind { object: "user", path: "Users", name: "User", read: read::user, unique: Some("userName") },
    Kind { object: "group", path: "Groups", name: "Group", read: read::group, unique: None },
];

pub fn answer(app: &App, call: &Call, asked: &Asked) -> Reply {
    carry_out(app, call, asked).unwrap_or_else(|refusal| refusal)
}

fn carry_out(app: &App, call: &Call, asked: &Asked) -> Result<Reply, Reply> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["scim", "v2", path, id @ ..] = &segments[..] else { return Err(not_there(app)) };
    let kind = KINDS.iter().find(|kind| kind.path == *path).ok_or_else(|| not_there(app))?;
    match (&call.method, id) {
        (&Method::POST, []) => put(app, call, asked, kind, None),
        (&Method::PUT, [id]) => put(app, call, asked, kind, Some(id)),
        (&Method::GET, []) => find(app, call, asked, kind),
        (&Method::GET, [id]) => {
            let found = app.read(kind.object, id, asked, Value::clone).ok_or_else(|| not_there(app))?;
            Ok(scim(200, &found))
        }
        _ => Err(app.problem("METHOD_NOT_ALLOWED", "this resource is made by POST, replaced by PUT and read by GET")),
    }
}

fn not_there(app: &App) -> Reply {
    app.problem("NOT_FOUND", "there is no such resource")
}

/// Makes a resource, or replaces one.
fn put(app: &App, call: &Call, asked: &Asked, kind: &Kind, id: Option<&str>) -> Result<Reply, Reply> {
    let mut body = (kind.read)(&call.body).map_err(|reason| app.problem("invalidValue", &reason))?;
    let made = uuid::Uuid::new_v4().to_string();
    let is_new = id.is_none();
    let id = id.unwrap_or(&made);
    let external_id = body.get("externalId").and_then(Value::as_str).unwrap_or(id).to_owned();
    let account = external_id.split('/').next().unwrap_or_default().to_owned();
    let location = format!("{}/scim/v2/{}/{id}", app.base_url, kind.path);
    let now = timestamp(asked.now_ms).to_string();
    let (status, body) = app.write(call, asked, (kind.object, id, &account), |before, others| {
        if before.is_none() && !is_new {
            return Err(not_there(app));
        }
        if let Some(unique) = kind.unique {
            let own = folded(body.get(unique));
            if others.of(kind.object).any(|(other, value)| other != id && folded(value.get(unique)) == own) {
                return Err(app.problem("uniqueness", &format!("{unique} is taken")));
            }
        }
        check_members(app, &body, others)?;
        let created = before.map_or_else(|| json!(now), |before| before["meta"]["created"].clone());
        body.insert("id".to_owned(), json!(id));
        let meta = json!({
            "resourceType": kind.name, "created": created, "lastModified": now, "location": location,
        });
        body.insert("meta".to_owned(), meta);
        Ok(Value::Object(body))
    })?;
    let reply = scim(status, &body);
    Ok(match location.parse() {
        Ok(location) => reply.with(header::LOCATION, location),
        Err(_) => reply,
    })
}

fn folded(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_lowercase()
}

/// Members of a group are there.
fn check_members(app: &App, body: &Map<String, Value>, others: &crate::rest::View<'_>) -> Result<(), Reply> {
    for member in body.get("members").and_then(Value::as_array).into_iter().flatten() {
        let id = member["value"].as_str().unwrap_or_default();
        if !others.has("user", id) {
            return Err(app.problem("invalidValue", &format!("members: there is no user `{id}`")));
        }
    }
    Ok(())
}

/// RFC 7644 §3.4.2, with the one filter that is needed: `attribute eq "text"`.
fn find(app: &App, call: &Call, asked: &Asked, kind: &Kind) -> Result<Reply, Reply> {
    let filter = call.parameter("filter").unwrap_or_default();
    let parts = filter
        .split_once(" eq ")
        .and_then(|(name, text)| Some((name.trim(), serde_json::from_str::<String>(text).ok()?)));
    let (name, text) = parts.ok_or_else(|| app.problem("invalidFilter", "filter: attribute eq \"text\""))?;
    let all = app.all(kind.object, asked).into_iter().map(|(_, body)| body);
    let found: Vec<Value> = all
        .filter(|body| match name {
            "userName" => folded(body.get(name)) == text.to_lowercase(),
            _ => body.get(name).and_then(Value::as_str) == Some(&*text),
        })
        .collect();
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "startIndex": 1,
        "itemsPerPage": found.len(),
        "Resources": found,
    });
    Ok(scim(200, &body))
}
