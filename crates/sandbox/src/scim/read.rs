//! Reading the bodies of requests by the schemas of RFC 7643 §4: what is required, what is immutable, what no schema names.

use serde_json::{Map, Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Attributes of a user that this stand-in keeps, and of which form they are.
const USER_ATTRIBUTES: &[(&str, Form)] = &[
    ("externalId", Form::Text),
    ("userName", Form::Text),
    ("displayName", Form::Text),
    ("name", Form::Complex(&["formatted", "familyName", "givenName"])),
    ("emails", Form::Values(&["value", "display", "type", "primary"])),
    ("locale", Form::Text),
    ("timezone", Form::Text),
    ("active", Form::Flag),
];
const GROUP_ATTRIBUTES: &[(&str, Form)] = &[
    ("externalId", Form::Text),
    ("displayName", Form::Text),
    ("members", Form::Values(&["value", "$ref", "type", "display"])),
];

#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    /// One value with these parts.
    Complex(&'static [&'static str]),
    /// Several such values.
    Values(&'static [&'static str]),
}

/// A user as it is kept, without what the service adds.
pub fn user(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut user = resource(bytes, USER, USER_ATTRIBUTES)?;
    if !user.contains_key("userName") {
        return Err("userName is required".to_owned());
    }
    user.entry("active").or_insert(json!(true));
    Ok(user)
}

/// A group as it is kept.
pub fn group(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let group = resource(bytes, GROUP, GROUP_ATTRIBUTES)?;
    if !group.contains_key("displayName") {
        return Err("displayName is required".to_owned());
    }
    Ok(group)
}

fn resource(bytes: &[u8], schema: &str, attributes: &[(&str, Form)]) -> Result<Map<String, Value>, String> {
    let Ok(Value::Object(mut sent)) = serde_json::from_slice(bytes) else { return Err("a JSON object".to_owned()) };
    if sent.remove("schemas") != Some(json!([schema])) {
        return Err(format!("schemas must be [\"{schema}\"]"));
    }
    // The service's own: what clients send of these is passed over (RFC 7643 §3.1).
    sent.remove("id");
    sent.remove("meta");
    for (name, value) in &sent {
        let known = attributes.iter().find(|(known, _)| known == name);
        let (_, form) = known.ok_or_else(|| format!("{name} is no attribute of the schema"))?;
        check(name, *form, value)?;
    }
    sent.insert("schemas".to_owned(), json!([schema]));
    Ok(sent)
}

fn check(name: &str, form: Form, value: &Value) -> Result<(), String> {
    let is_good = match form {
        Form::Text => value.as_str().is_some_and(|text| !text.is_empty()),
        Form::Flag => value.is_boolean(),
        Form::Complex(parts) => is_complex(value, parts),
        Form::Values(parts) => {
            let primaries = |values: &[Value]| values.iter().filter(|value| value["primary"] == true).count();
            value
                .as_array()
                .is_some_and(|values| values.iter().all(|value| is_complex(value, parts)) && primaries(values) <= 1)
        }
    };
    if is_good { Ok(()) } else { Err(format!("{name} has not the form that its schema says")) }
}

fn is_complex(value: &Value, parts: &[&str]) -> bool {
    value.as_object().is_some_and(|value| value.keys().all(|part| parts.contains(&part.as_str())))
}
