//! A schema with the schemas it refers to put in where each is mentioned first, which is the form Avro parsers read.

use super::RegistryError;
use super::error::describe;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_referenced_schema};
use schema_registry_converter::schema_registry_common::{RegisteredReference, RegisteredSchema};
use serde_json::Value;
use std::collections::HashMap;

/// A schema that needs more than this is not one of ours.
const MAX_REFERENCES: usize = 200;

pub(super) enum Error {
    Registry(RegistryError),
    /// What the registry holds is not what a schema should be.
    Json(String),
}

/// The schema's JSON, self-contained.
pub(super) async fn whole(settings: &SrSettings, registered: &RegisteredSchema) -> Result<String, Error> {
    if registered.references.is_empty() {
        return Ok(registered.schema.clone());
    }
    let mut definitions = Definitions(fetch(settings, &registered.references).await?);
    let mut schema = read(&registered.schema)?;
    definitions.put_in(&mut schema, "");
    Ok(schema.to_string())
}

async fn fetch(settings: &SrSettings, references: &[RegisteredReference]) -> Result<HashMap<String, Value>, Error> {
    let mut definitions = HashMap::new();
    let mut seen = Vec::new();
    let mut open: Vec<RegisteredReference> = references.to_vec();
    while let Some(reference) = open.pop() {
        let place = (reference.subject.clone(), reference.version);
        if seen.contains(&place) {
            continue;
        }
        if seen.len() >= MAX_REFERENCES {
            return Err(Error::Json(format!("refers to more than {MAX_REFERENCES} schemas")));
        }
        seen.push(place);
        let found = get_referenced_schema(settings, &reference).await;
        // A reference that is missing is a fault of the registry: it refuses to delete what is referred to.
        let found = found.map_err(|error| match describe(&reference.subject, &error) {
            RegistryError::NotFound { what } => {
                Error::Registry(RegistryError::Unavailable(format!("it has lost `{what}`, which a schema refers to")))
            }
            other => Error::Registry(other),
        })?;
        let definition = read(&found.schema)?;
        if let Some(name) = full_name(&definition, "") {
            definitions.insert(name, definition);
        }
        open.extend(found.references);
    }
    Ok(definitions)
}

fn read(schema: &str) -> Result<Value, Error> {
    serde_json::from_str(schema).map_err(|error| Error::Json(format!("is not JSON: {error}")))
}

/// Definitions not yet put in, by full name.
struct Definitions(HashMap<String, Value>);

impl Definitions {
    fn put_in(&mut self, schema: &mut Value, namespace: &str) {
        match schema {
            Value::String(name) => {
                let full = if name.contains('.') || namespace.is_empty() {
                    name.clone()
                } else {
                    format!("{namespace}.{name}")
                };
                if let Some(mut definition) = self.0.remove(&full).or_else(|| self.0.remove(name)) {
                    // Its own names are relative to its own namespace.
                    self.put_in(&mut definition, "");
                    *schema = definition;
                }
            }
            Value::Array(branches) => branches.iter_mut().for_each(|branch| self.put_in(branch, namespace)),
            Value::Object(_) => self.put_in_type(schema, namespace),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn put_in_type(&mut self, schema: &mut Value, namespace: &str) {
        let inner = full_name(schema, namespace)
            .and_then(|name| name.rsplit_once('.').map(|(space, _)| space.to_owned()))
            .unwrap_or_else(|| namespace.to_owned());
        let Value::Object(parts) = schema else { return };
        for part in ["items", "values"] {
            if let Some(part) = parts.get_mut(part) {
                self.put_in(part, &inner);
            }
        }
        if let Some(Value::Array(fields)) = parts.get_mut("fields") {
            for field in fields {
                if let Some(kind) = field.get_mut("type") {
                    self.put_in(kind, &inner);
                }
            }
        }
        // `{"type": "a.Name"}` and `{"type": {...}}` are legal ways to write a type.
        if let Some(kind) = parts.get_mut("type")
            && !kind
                .as_str()
                .is_some_and(|word| matches!(word, "record" | "error" | "enum" | "fixed" | "array" | "map"))
        {
            self.put_in(kind, &inner);
        }
    }
}

/// Full name of a definition as the specification forms it.
fn full_name(definition: &Value, namespace: &str) -> Option<String> {
    let name = definition.get("name")?.as_str()?;
    let space = definition.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    Some(if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_is_put_in_once_by_full_or_relative_name() {
        let money = json!({"type": "record", "name": "Money", "namespace": "a.common", "fields": [
            {"name": "currency", "type": "Currency"}
        ]});
        let currency = json!({"type": "enum", "name": "Currency", "namespace": "a.common", "symbols": ["EUR"]});
        let mut definitions = Definitions(HashMap::from([
            ("a.common.Money".to_owned(), money),
            ("a.common.Currency".to_owned(), currency.clone()),
        ]));
        let mut schema = json!({"type": "record", "name": "Invoice", "namespace": "a", "fields": [
            {"name": "total", "type": "a.common.Money"},
            {"name": "tax", "type": ["null", "a.common.Money"]},
            {"name": "paid_in", "type": {"type": "array", "items": "a.common.Currency"}},
        ]});
        definitions.put_in(&mut schema, "");
        assert_eq!(schema["fields"][0]["type"]["name"], "Money");
        assert_eq!(schema["fields"][0]["type"]["fields"][0]["type"], currency);
        assert_eq!(schema["fields"][1]["type"][1], "a.common.Money");
        assert_eq!(schema["fields"][2]["type"]["items"], "a.common.Currency");
    }
}
