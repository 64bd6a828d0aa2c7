//! The part of Avro that our schemas may use, as a typed model: what is not here (maps, floats, unions other than
//! nullable) is refused when a schema is read.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// A type of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Boolean,
    Int,
    Long,
    String,
    Date,
    TimestampMicros,
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A shared type of `schemas/common`, by its full name.
    Named(String),
    Array(Box<Type>),
    /// `["null", T]`, default null.
    Nullable(Box<Type>),
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: Type,
    pub default: Option<Value>,
    /// What personal data it holds, such as `name`.
    pub pii: Option<String>,
    /// What personal data it stands for: the field holds a pseudonym of it.
    pub masks: Option<String>,
    pub doc: String,
}

#[derive(Debug, Clone)]
pub struct Record {
    /// Without namespace.
    pub name: String,
    pub doc: String,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub struct Enumeration {
    pub name: String,
    pub doc: String,
    pub symbols: Vec<String>,
}

/// A shared type.
#[derive(Debug, Clone)]
pub enum Definition {
    Record(Record),
    Enumeration(Enumeration),
}

impl Record {
    pub fn parse(json: &Value) -> Result<Self> {
        let name = text(json, "name")?;
        let fields = json.get("fields").and_then(Value::as_array).context("`fields` is missing")?;
        let fields = fields
            .iter()
            .map(|field| {
                let label = field.get("name").and_then(Value::as_str).unwrap_or("?").to_owned();
                Field::parse(field).with_context(|| format!("field `{label}` of {name}"))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { name, doc: documentation(json)?, fields })
    }
}

impl Enumeration {
    pub fn parse(json: &Value) -> Result<Self> {
        let symbols = json.get("symbols").and_then(Value::as_array).context("`symbols` is missing")?;
        let symbols: Vec<String> = symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        ensure!(
            json.get("default").and_then(Value::as_str) == Some("unknown")
                && symbols.first().is_some_and(|s| s == "unknown"),
            "an enum starts with the symbol `unknown` and has it as default, so that new symbols stay readable"
        );
        Ok(Self { name: text(json, "name")?, doc: documentation(json)?, symbols })
    }
}

impl Field {
    fn parse(json: &Value) -> Result<Self> {
        let kind = Type::parse(json.get("type").context("`type` is missing")?)?;
        let default = json.get("default").cloned();
        if matches!(kind, Type::Nullable(_)) {
            ensure!(default == Some(Value::Null), "a nullable field needs `\"default\": null`");
        }
        let pii = json.get("pii").and_then(Value::as_str).map(str::to_owned);
        if pii.is_some() {
            let plain =
                matches!(&kind, Type::String) || matches!(&kind, Type::Nullable(inner) if **inner == Type::String);
            ensure!(plain, "only a string can be tagged as personal data");
            ensure!(json.get("confluent:tags").is_some(), "personal data also needs `\"confluent:tags\": [\"PII\"]`");
        }
        let masks = json.get("masks").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { name: text(json, "name")?, kind, default, pii, masks, doc: documentation(json)? })
    }
}

impl Record {
    /// What data teams read is flat, and holds pseudonyms at most.
    pub fn is_for_analysts(&self, common: &std::collections::BTreeMap<String, Definition>) -> Result<()> {
        for field in &self.fields {
            let plain = match &field.kind {
                Type::Nullable(inner) => inner,
                kind => kind,
            };
            let nested = match plain {
                Type::Array(_) | Type::Nullable(_) => true,
                Type::Named(name) => matches!(common.get(name), Some(Definition::Record(_))),
                _ => false,
            };
            ensure!(!nested, "field `{}`: analytics topics are flat, without lists and records", field.name);
            ensure!(field.pii.is_none(), "field `{}`: no personal data may reach an analytics topic", field.name);
            let pseudonym = field.name.ends_with("_token");
            ensure!(
                pseudonym == field.masks.is_some() && (!pseudonym || *plain == Type::String),
                "field `{}`: a pseudonym is a string called `…_token`, and `masks` says of what",
                field.name
            );
        }
        Ok(())
    }
}

impl Type {
    pub fn parse(json: &Value) -> Result<Self> {
        match json {
            Value::String(name) => Self::named(name),
            Value::Array(branches) => match branches.as_slice() {
                [Value::String(null), inner] if null == "null" => Ok(Self::Nullable(Box::new(Self::parse(inner)?))),
                _ => bail!("the only union allowed is [\"null\", T]"),
            },
            Value::Object(object) => Self::annotated(object),
            other => bail!("not a type: {other}"),
        }
    }

    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "string" => Self::String,
            name if name.starts_with("throughline.common.") => Self::Named(name.to_owned()),
            "null" | "float" | "double" | "bytes" | "map" => bail!("type `{name}` is not allowed"),
            name => bail!("`{name}` is neither a type nor a shared type of schemas/common"),
        })
    }

    fn annotated(object: &Map<String, Value>) -> Result<Self> {
        let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
        let logical = object.get("logicalType").and_then(Value::as_str);
        let number = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        Ok(match (kind, logical) {
            ("int", Some("date")) => Self::Date,
            ("long", Some("timestamp-micros")) => Self::TimestampMicros,
            ("bytes", Some("decimal")) => {
                let (precision, scale) = (number("precision").unwrap_or(0), number("scale").unwrap_or(0));
                ensure!((1..=28).contains(&precision) && scale <= precision, "a decimal has 1 to 28 digits");
                Self::Decimal { precision, scale }
            }
            ("array", None) => Self::Array(Box::new(Self::parse(object.get("items").context("`items` is missing")?)?)),
            (kind, None) => Self::named(kind)?,
            (kind, Some(logical)) => bail!("{kind} with logical type {logical} is not allowed"),
        })
    }

    /// The name of the shared type inside, if any.
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Array(inner) | Self::Nullable(inner) => inner.reference(),
            Self::Boolean | Self::Int | Self::Long | Self::String | Self::Date | Self::TimestampMicros => None,
            Self::Decimal { .. } => None,
        }
    }
}

pub fn text(json: &Value, key: &str) -> Result<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("`{key}` is missing"))
}

fn documentation(json: &Value) -> Result<String> {
    let doc = text(json, "doc").context("everything is documented")?;
    ensure!(!doc.trim().is_empty(), "`doc` is empty");
    Ok(doc)
}
