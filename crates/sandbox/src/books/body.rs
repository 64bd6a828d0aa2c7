//! Turns a request's JSON body into normalised fields: known names, right types, resolved references.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::{
    kind::Kind,
    money,
    refusal::{Code, Refusal},
    schema::{self, Field, Type},
    store::Store,
};

/// The caller's choice for names that the record type does not have (`X-NetSuite-PropertyNameValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameCheck {
    /// Refuse the request.
    Error,
    /// Take the rest and say nothing that a program would notice: the vendor's default.
    Ignore,
}

/// Normalised fields; a `null` asks to clear a field.
pub type Fields = Map<String, Value>;

/// Reads the body of a write to `kind`.
///
/// # Errors
/// The first field that has an unknown name (when checked), a value of the wrong type or a reference to nothing.
pub fn normalise(store: &Store, kind: Kind, body: &Fields, names: NameCheck) -> Result<Fields, Refusal> {
    let reader = Reader { store, names };
    reader.object(body, "", &|name| schema::field(kind, name))
}

struct Reader<'a> {
    store: &'a Store,
    names: NameCheck,
}

impl Reader<'_> {
    fn object(&self, body: &Fields, prefix: &str, lookup: &dyn Fn(&str) -> Option<Field>) -> Result<Fields, Refusal> {
        let mut out = Fields::new();
        for (name, value) in body {
            let path = format!("{prefix}{name}");
            let value = match lookup(name) {
                Some(Field { ty: Type::ReadOnly, .. }) => continue,
                Some(_) if value.is_null() => Value::Null,
                Some(field) => self.value(value, field.ty, &path)?,
                None if self.store.custom_fields.declares(name) => self.custom(value, &path)?,
                None if self.names == NameCheck::Ignore => continue,
                None => {
                    let detail =
                        format!("Unknown reference or field name {name}: the record type has no such property.");
                    return Err(Refusal::field(Code::InvalidContent, path, detail));
                }
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }

    fn value(&self, value: &Value, ty: Type, path: &str) -> Result<Value, Refusal> {
        let wrong = |expected: &str| {
            let detail = format!("Invalid value for the resource or sub-resource field '{path}'. Provide {expected}.");
            Refusal::field(Code::InvalidContent, path, detail)
        };
        match ty {
            Type::Text => value.as_str().map(Value::from).ok_or_else(|| wrong("a string")),
            Type::Number => number(value).ok_or_else(|| wrong("a number")),
            Type::Bool => value.as_bool().map(Value::from).ok_or_else(|| wrong("a boolean")),
            Type::Date => date(value).map(Value::from).ok_or_else(|| wrong("a date of the form YYYY-MM-DD")),
            Type::Choice => choice(value).ok_or_else(|| wrong("an object with an id")),
            Type::Object => value.is_object().then(|| value.clone()).ok_or_else(|| wrong("an object")),
            Type::Ref(kind) => self.reference(value, kind, path),
            Type::List(fields) => self.list(value, fields, path).ok_or_else(|| wrong("an object with items"))?,
            Type::ReadOnly => Ok(Value::Null),
        }
    }

    fn custom(&self, value: &Value, path: &str) -> Result<Value, Refusal> {
        if value.is_object() || value.is_array() {
            let detail = format!("Invalid value for the resource or sub-resource field '{path}'. Provide a scalar.");
            return Err(Refusal::field(Code::InvalidContent, path, detail));
        }
        Ok(value.clone())
    }

    fn list(&self, value: &Value, fields: &[Field], path: &str) -> Option<Result<Value, Refusal>> {
        let items = value.get("items")?.as_array()?;
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let prefix = format!("{path}.items[{index}].");
            let lookup = |name: &str| fields.iter().find(|field| field.name == name).copied().or_else(|| links(name));
            match self.object(item.as_object()?, &prefix, &lookup) {
                Ok(item) => out.push(Value::Object(item)),
                Err(refusal) => return Some(Err(refusal)),
            }
        }
        Some(Ok(json!({ "items": out })))
    }

    fn reference(&self, value: &Value, kind: Kind, path: &str) -> Result<Value, Refusal> {
        let Some(asked) = Asked::read(value) else {
            let detail =
                format!("Invalid value for the resource or sub-resource field '{path}'. Provide an id or externalId.");
            return Err(Refusal::field(Code::InvalidContent, path, detail));
        };
        let (id, name) = resolve(self.store, kind, &asked).ok_or_else(|| Refusal::unknown_value(path, asked.text()))?;
        Ok(match name {
            Some(name) => json!({ "id": id.to_string(), "refName": name }),
            None => json!({ "id": id.to_string() }),
        })
    }
}

/// Every sublist line answers with its links; a caller may send them back.
fn links(name: &str) -> Option<Field> {
    (name == "links").then_some(Field { name: "links", ty: Type::ReadOnly })
}

/// How a caller names another record.
enum Asked<'a> {
    Id(std::borrow::Cow<'a, str>),
    External(&'a str),
}

impl<'a> Asked<'a> {
    fn read(value: &'a Value) -> Option<Asked<'a>> {
        match value {
            Value::String(id) => Some(Asked::Id(id.as_str().into())),
            Value::Number(id) => Some(Asked::Id(id.to_string().into())),
            Value::Object(object) => match (object.get("id"), object.get("externalId"), object.get("refName")) {
                (Some(id), _, _) => Asked::read(id),
                (None, Some(external_id), _) => external_id.as_str().map(Asked::External),
                (None, None, Some(name)) => name.as_str().map(Asked::External),
                (None, None, None) => None,
            },
            Value::Null | Value::Bool(_) | Value::Array(_) => None,
        }
    }

    fn text(&self) -> &str {
        match self {
            Asked::Id(id) => id,
            Asked::External(external_id) => external_id,
        }
    }
}

/// Internal id, and the name to show, of the record that `asked` means.
fn resolve(store: &Store, kind: Kind, asked: &Asked<'_>) -> Option<(u64, Option<String>)> {
    match asked {
        Asked::Id(id) => {
            let id = match id.strip_prefix("eid:") {
                Some(external_id) => return resolve(store, kind, &Asked::External(external_id)),
                None => id.parse().ok()?,
            };
            store.get(kind, id).map(|record| (id, record.external_id.as_deref().map(str::to_owned)))
        }
        Asked::External(external_id) => {
            let shown = (kind == Kind::ServiceSaleItem || kind == Kind::Currency).then(|| (*external_id).to_owned());
            find(store, kind, external_id).map(|id| (id, shown))
        }
    }
}

/// Internal id of what has this external id: a record, or an item family the SKU belongs to.
pub fn find(store: &Store, kind: Kind, external_id: &str) -> Option<u64> {
    store.by_external(kind, external_id).or_else(|| {
        let family = |(prefix, id): &(Box<str>, u64)| external_id.starts_with(&**prefix).then_some(*id);
        (kind == Kind::ServiceSaleItem).then(|| store.families.iter().find_map(family)).flatten()
    })
}

fn number(value: &Value) -> Option<Value> {
    money::decimal(value)?;
    match value {
        Value::String(text) => serde_json::from_str(text.trim()).ok().filter(Value::is_number),
        _ => Some(value.clone()),
    }
}

fn date(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    text.parse::<Date>().ok().filter(|_| text.len() == 10).map(|date| date.to_string())
}

fn choice(value: &Value) -> Option<Value> {
    match value {
        Value::String(id) => Some(json!({ "id": id })),
        Value::Number(id) => Some(json!({ "id": id.to_string() })),
        Value::Bool(flag) => Some(json!({ "id": flag.to_string() })),
        Value::Object(object) => {
            let id = object.get("id").or_else(|| object.get("refName"))?;
            id.as_str()
                .map(str::to_owned)
                .or_else(|| id.as_i64().map(|id| id.to_string()))
                .map(|id| json!({ "id": id }))
        }
        Value::Null | Value::Array(_) => None,
    }
}

/// Internal id in a normalised reference field.
pub fn ref_id(fields: &Fields, name: &str) -> Option<u64> {
    fields.get(name)?.get("id")?.as_str()?.parse().ok()
}

/// Text of a normalised text or custom field.
pub fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Lines of a normalised sublist; empty when there is none.
pub fn items<'a>(fields: &'a Fields, list: &str) -> &'a [Value] {
    fields.get(list).and_then(|list| list.get("items")).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
