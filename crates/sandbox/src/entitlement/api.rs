//! The API itself: two resources, written whole by PUT and guarded by their revision.

use axum::http::{HeaderValue, Method, header};
use serde_json::{Value, json};

use super::read;
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

/// Error codes and the status they travel with.
const CODES: &[(&str, u16)] = &[
    ("INVALID_REQUEST", 400),
    ("INVALID_TOKEN", 401),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("STALE_REVISION", 409),
    ("TENANT_UNKNOWN", 409),
    ("IDEMPOTENCY_KEY_REUSED", 409),
    ("UNKNOWN_FEATURE", 422),
    ("QUANTITY_NEGATIVE", 422),
    ("VALIDITY_INVALID", 422),
    ("LIMIT_EXCEEDED", 422),
    ("RATE_LIMITED", 429),
    ("UNAVAILABLE", 503),
];

/// The status of a code; `None` if the platform has no such code.
pub fn status_of(code: &str) -> Option<u16> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, status)| *status)
}

/// Errors are problem details (RFC 9457) with a code.
pub fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let body = json!({ "type": "about:blank", "title": code, "status": status, "code": code, "detail": detail });
    Reply::json(status, "application/problem+json", &body)
}

/// `PUT /v1/tenants/*/entitlements/*`.
pub fn route(call: &Call) -> String {
    let mut route = format!("{} ", call.method);
    for (at, segment) in call.segments.iter().enumerate() {
        route.push('/');
        route.push_str(if call.segments[0] == "v1" && (at == 2 || at == 4) { "*" } else { segment });
    }
    route
}

pub fn answer(app: &App, call: &Call, asked: &Asked) -> Reply {
    carry_out(app, call, asked).unwrap_or_else(|refusal| refusal)
}

fn carry_out(app: &App, call: &Call, asked: &Asked) -> Result<Reply, Reply> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let not_allowed = || {
        let allowed = if segments.len() == 4 { "GET" } else { "GET, PUT" };
        let problem = app.problem("METHOD_NOT_ALLOWED", "resources are read by GET and written by PUT");
        problem.with(header::ALLOW, HeaderValue::from_static(allowed))
    };
    let (status, body) = match (&call.method, &segments[..]) {
        (&Method::PUT, ["v1", "tenants", tenant]) => put_tenant(app, call, asked, tenant)?,
        (&Method::PUT, ["v1", "tenants", tenant, "entitlements", id]) => {
            put_entitlement(app, call, asked, (tenant, id))?
        }
        (&Method::GET, ["v1", "tenants", tenant]) => (200, found(app, asked, "tenant", tenant)?),
        (&Method::GET, ["v1", "tenants", tenant, "entitlements"]) => (200, list(app, asked, tenant)?),
        (&Method::GET, ["v1", "tenants", tenant, "entitlements", id]) => {
            (200, found(app, asked, "entitlement", &key(tenant, id))?)
        }
        (_, ["v1", "tenants", _] | ["v1", "tenants", _, "entitlements"] | ["v1", "tenants", _, "entitlements", _]) => {
            return Err(not_allowed());
        }
        _ => return Err(app.problem("NOT_FOUND", "there is no such resource")),
    };
    Ok(Reply::json(status, "application/json", &body))
}

fn key(tenant: &str, id: &str) -> String {
    format!("{tenant}/{id}")
}

fn found(app: &App, asked: &Asked, object: &str, id: &str) -> Result<Value, Reply> {
    let found = app.read(object, id, asked, Value::clone);
    found.ok_or_else(|| app.problem("NOT_FOUND", &format!("there is no such {object}")))
}

fn list(app: &App, asked: &Asked, tenant: &str) -> Result<Value, Reply> {
    found(app, asked, "tenant", tenant)?;
    let all = app.all("entitlement", asked).into_iter().map(|(_, body)| body);
    Ok(json!({ "entitlements": all.filter(|body| body["tenant_id"] == tenant).collect::<Vec<_>>() }))
}

/// A revision that is not newer than what is there says that the writer is behind.
fn check_revision(app: &App, before: Option<&Value>, body: &Value) -> Result<(), Reply> {
    let (known, sent) = (before.and_then(|before| before["revision"].as_u64()).unwrap_or(0), body["revision"].as_u64());
    if sent.is_some_and(|sent| sent <= known) {
        let detail = format!("revision {} was sent, {known} is there", sent.unwrap_or(0));
        return Err(app.problem("STALE_REVISION", &detail));
    }
    Ok(())
}

fn put_tenant(app: &App, call: &Call, asked: &Asked, id: &str) -> Result<(u16, Value), Reply> {
    let body = read::tenant(id, &call.body).map_err(|(code, detail)| app.problem(code, &detail))?;
    app.write(call, asked, ("tenant", id, id), |before, _| {
        check_revision(app, before, &body)?;
        Ok(body)
    })
}

fn put_entitlement(app: &App, call: &Call, asked: &Asked, (tenant, id): (&str, &str)) -> Result<(u16, Value), Reply> {
    let body = read::entitlement(tenant, id, &call.body).map_err(|(code, detail)| app.problem(code, &detail))?;
    let settings = app.settings();
    app.write(call, asked, ("entitlement", &key(tenant, id), tenant), |before, others| {
        if !others.has("tenant", tenant) {
            return Err(app.problem("TENANT_UNKNOWN", "the tenant must be there first"));
        }
        let feature = body["feature"].as_str().unwrap_or_default();
        if settings.unknown_features.iter().any(|unknown| unknown == feature) {
            return Err(app.problem("UNKNOWN_FEATURE", &format!("feature: `{feature}` is not known")));
        }
        let count = || others.of("entitlement").filter(|(_, other)| other["tenant_id"] == tenant).count();
        if before.is_none() && count() >= settings.tenant_entitlements {
            let detail = format!("a tenant has at most {} entitlements", settings.tenant_entitlements);
            return Err(app.problem("LIMIT_EXCEEDED", &detail));
        }
        check_revision(app, before, &body)?;
        Ok(body)
    })
}
