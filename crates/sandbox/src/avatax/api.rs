//! Routes of the API, and the states of a transaction: saved, committed, cancelled.

use axum::http::Method;
use serde_json::{Value, json};

use super::{read, refusal::wrong};
use crate::{
    call::{Call, Reply},
    rest::{App, Asked},
};

const OBJECT: &str = "transaction";

/// `POST /api/v2/companies/*/transactions/*/commit`.
pub fn route(call: &Call) -> String {
    let mut route = format!("{} ", call.method);
    let is_company = call.segments.get(2).is_some_and(|segment| segment == "companies");
    for (at, segment) in call.segments.iter().enumerate() {
        route.push('/');
        route.push_str(if is_company && (at == 3 || at == 5) { "*" } else { segment });
    }
    route
}

pub fn answer(app: &App, call: &Call, asked: &Asked) -> Reply {
    carry_out(app, call, asked).unwrap_or_else(|refusal| refusal)
}

fn carry_out(app: &App, call: &Call, asked: &Asked) -> Result<Reply, Reply> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["api", "v2", path @ ..] = &segments[..] else { return Err(nothing(app)) };
    let (status, body) = match (&call.method, path) {
        (&Method::POST, ["transactions", "create"]) => (201, create(app, call, asked, &call.body, false)?),
        (&Method::POST, ["transactions", "createoradjust"]) => (201, adjust(app, call, asked)?),
        (&Method::GET, ["companies", company, "transactions", code]) => {
            let found = app.read(OBJECT, &key(company, code), asked, Value::clone);
            (200, found.ok_or_else(|| nothing(app))?)
        }
        (&Method::POST, ["companies", company, "transactions", code, "commit"]) => {
            (200, commit(app, call, asked, (company, code))?)
        }
        (&Method::POST, ["companies", company, "transactions", code, "void"]) => {
            (200, void(app, call, asked, (company, code))?)
        }
        _ => return Err(nothing(app)),
    };
    Ok(Reply::json(status, "application/json", &narrowed(call, body)))
}

/// Lines, their details and addresses come where they are asked for.
fn narrowed(call: &Call, mut body: Value) -> Value {
    let includes = call.parameter("$include").unwrap_or("Lines,Details").to_lowercase();
    if !includes.contains("details") {
        for line in body["lines"].as_array_mut().into_iter().flatten() {
            line.as_object_mut().map(|line| line.remove("details"));
        }
    }
    if !includes.contains("addresses") {
        body.as_object_mut().map(|body| body.remove("addresses"));
    }
    if !includes.contains("lines") && !includes.contains("details") {
        body.as_object_mut().map(|body| body.remove("lines"));
    }
    body
}

fn nothing(app: &App) -> Reply {
    app.problem("EntityNotFoundError", "Transaction not found")
}

fn key(company: &str, code: &str) -> String {
    format!("{company}/{code}")
}

/// `{adjustmentReason, adjustmentDescription, createTransactionModel}`: also what is committed is replaced.
fn adjust(app: &App, call: &Call, asked: &Asked) -> Result<Value, Reply> {
    let sent: Value = serde_json::from_slice(&call.body)
        .map_err(|error| wrong("JsonFormatError", "HttpRequest", &error.to_string()))?;
    if sent["adjustmentReason"].as_str().is_none_or(str::is_empty) {
        return Err(wrong("ValueRequiredError", "adjustmentReason", "Field adjustmentReason is required."));
    }
    create(app, call, asked, sent["createTransactionModel"].to_string().as_bytes(), true)
}

fn create(app: &App, call: &Call, asked: &Asked, bytes: &[u8], adjusts: bool) -> Result<Value, Reply> {
    let sent = read::sent(bytes)?;
    let mut body = sent.taxed()?;
    body["status"] = if sent.commit { "Committed" } else { "Saved" }.into();
    // An order is an estimate: nothing of it is kept.
    if sent.kind == "SalesOrder" {
        body["id"] = 0.into();
        body["status"] = "Temporary".into();
        return Ok(body);
    }
    let (company, code) = (sent.company_code.unwrap_or_default(), sent.code.unwrap_or_default());
    let account = sent.customer_code.unwrap_or_default();
    let (_, kept) = app.write(call, asked, (OBJECT, &key(&company, &code), &account), |before, others| {
        if let Some(before) = before {
            if before["status"] != "Saved" && !(adjusts && before["status"] == "Committed") {
                let detail = format!("Document {code} is {} already.", before["status"].as_str().unwrap_or_default());
                return Err(wrong("DocumentCodeConflict", "code", &detail));
            }
            body["id"] = before["id"].clone();
        } else {
            body["id"] = (others.of(OBJECT).count() + 1).into();
        }
        body["externalId"] = code.as_str().into();
        Ok(body)
    })?;
    Ok(kept)
}

fn commit(app: &App, call: &Call, asked: &Asked, at: (&str, &str)) -> Result<Value, Reply> {
    let sent: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    if sent["commit"] != true {
        return Err(wrong("ValueRequiredError", "commit", "Field commit must be true."));
    }
    change(app, call, asked, at, |status| match status {
        "Saved" | "Posted" => Some("Committed"),
        _ => None,
    })
}

fn void(app: &App, call: &Call, asked: &Asked, at: (&str, &str)) -> Result<Value, Reply> {
    let sent: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let reasons = ["Unspecified", "PostFailed", "DocDeleted", "DocVoided", "AdjustmentCancelled"];
    if !reasons.iter().any(|reason| sent["code"] == *reason) {
        return Err(wrong("InvalidEnumValue", "code", "The reason must be one that the API names."));
    }
    change(app, call, asked, at, |status| match status {
        "Saved" | "Posted" | "Committed" => Some("Cancelled"),
        _ => None,
    })
}

fn change(
    app: &App,
    call: &Call,
    asked: &Asked,
    (company, code): (&str, &str),
    next: fn(&str) -> Option<&'static str>,
) -> Result<Value, Reply> {
    let key = key(company, code);
    let account = app.state().get(OBJECT, &key).map(|record| record.body["customerCode"].clone()).unwrap_or(json!(""));
    let account = account.as_str().unwrap_or_default().to_owned();
    let (_, kept) = app.write(call, asked, (OBJECT, &key, &account), |before, _| {
        let mut body = before.cloned().ok_or_else(|| nothing(app))?;
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        let Some(next) = next(&status) else {
            return Err(wrong("CannotModifyLockedTransaction", "status", &format!("The document is {status}.")));
        };
        body["status"] = next.into();
        Ok(body)
    })?;
    Ok(kept)
}
