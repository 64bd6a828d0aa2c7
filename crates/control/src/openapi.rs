//! The OpenAPI document, made from the route table: it cannot say anything else than the server does.

use crate::{
    params::{Kind, Param},
    rights::{Right, Role},
    routes::{Method, ROUTES, Route},
};
use serde_json::{Map, Value, json};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        let method = match route.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        path[method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Throughline control",
            "version": "1",
            "description": "Dead letters, jobs and audit of all services. Every answer is a JSON object with `v`; fields are only ever added.",
        },
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "description": roles() } },
            "schemas": { "Error": error(), "Answer": answer() },
        },
    })
}

fn operation(route: &Route) -> Value {
    let params = route.all_params();
    let (inside, rest): (Vec<&Param>, Vec<&Param>) = params.iter().partition(|param| route.in_path(param.name));
    let mut parameters: Vec<Value> = inside.iter().map(|param| parameter(param, "path")).collect();
    let mut operation = json!({
        "operationId": format!("{:?}", route.op),
        "summary": route.about,
        "description": format!("Needs the right `{}`.", route.right),
        "responses": {
            "200": { "description": "The answer.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Answer" } } } },
            "default": { "description": "Refused; nothing was changed.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } },
        },
    });
    match route.method {
        Method::Get => parameters.extend(rest.iter().map(|param| parameter(param, "query"))),
        Method::Post => operation["requestBody"] = body(&rest),
    }
    operation["parameters"] = Value::Array(parameters);
    operation
}

fn parameter(param: &Param, place: &str) -> Value {
    json!({ "name": param.name, "in": place, "required": param.required || place == "path",
        "description": param.about, "schema": param.kind.schema() })
}

fn body(params: &[&Param]) -> Value {
    let field = |param: &&Param| {
        let mut schema = param.kind.schema();
        if !matches!(param.kind, Kind::Time) {
            schema["description"] = json!(param.about);
        }
        (param.name.to_owned(), schema)
    };
    let required: Vec<_> = params.iter().filter(|param| param.required).map(|param| param.name).collect();
    let fields: Map<String, Value> = params.iter().map(field).collect();
    json!({ "required": !required.is_empty(), "content": { "application/json": { "schema": {
        "type": "object", "additionalProperties": false, "properties": fields, "required": required } } } })
}

fn roles() -> String {
    let role = |role: &Role| {
        let rights = Right::ALL.into_iter().filter(|right| role.allows(*right));
        format!("{}: {}", role.as_str(), rights.map(Right::as_str).collect::<Vec<_>>().join(", "))
    };
    let roles: Vec<_> = Role::ALL.iter().map(role).collect();
    format!("A local token, or a JWT whose roles claim lists ROLE or ROLE:SERVICE. {}.", roles.join("; "))
}

fn answer() -> Value {
    json!({ "type": "object", "properties": { "v": { "const": 1 } }, "required": ["v"],
        "description": "Lists have `next` where there is another page: pass it as `cursor`." })
}

fn error() -> Value {
    let text = json!({ "type": "string" });
    json!({ "type": "object", "required": ["v", "error"], "properties": { "v": { "const": 1 }, "error": {
        "type": "object", "required": ["code", "message", "hint", "retryable", "request_id"], "properties": {
            "code": { "type": "string", "description": "Upper-case and stable." }, "message": text, "hint": text,
            "retryable": { "type": "boolean" }, "request_id": text } } } })
}
