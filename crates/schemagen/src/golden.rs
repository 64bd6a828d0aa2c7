//! A golden record of every version: its schema as registered, a datum, and the same as JSON. Made once, kept for ever.

use crate::{
    history::golden_path,
    model::{Definition, Record, Type},
    output::Output,
    source::{Event, Library, Version},
};
use anyhow::{Context, Result, bail};
use apache_avro::{Schema, types::Value as Avro, writer::datum::GenericDatumWriter};
use serde_json::{Map, Value as Json, json};
use std::{fs, path::Path};

/// Plans the golden files of versions that are new; those of recorded versions are kept as they are.
pub fn plan(library: &Library, schemas: &Path, output: &mut Output) -> Result<()> {
    for event in &library.events {
        for version in &event.versions {
            match (is_complete(event, version, schemas), &version.inlined) {
                (true, _) => {}
                (false, Some(text)) => create(event, version.minor, text, library, output)?,
                (false, None) => {
                    bail!("the golden record of {} v{}.{} is gone: restore it", event.name, event.major, version.minor)
                }
            }
        }
    }
    Ok(())
}

/// Whether all three files are there, for the schema as it is. (That a recorded schema never changes is the history's task.)
fn is_complete(event: &Event, version: &Version, schemas: &Path) -> bool {
    let path = |extension| schemas.join(golden_path(event, version.minor, extension));
    let recorded = fs::read_to_string(path("avsc")).unwrap_or_default();
    let same = version.inlined.as_ref().is_none_or(|text| recorded.trim_end() == text);
    !recorded.is_empty() && same && path("avro").exists() && path("json").exists()
}

fn create(event: &Event, minor: u32, text: &str, library: &Library, output: &mut Output) -> Result<()> {
    let (avro, json) = sample_record(&event.record, library)?;
    let schema = Schema::parse_str(text)?;
    let writer = GenericDatumWriter::builder(&schema).build()?;
    let datum = writer.write_value_to_vec(avro).with_context(|| format!("golden record of {}", event.name))?;
    let mut add =
        |extension, content: Vec<u8>| output.add(format!("schemas/{}", golden_path(event, minor, extension)), content);
    add("avsc", format!("{text}\n").into_bytes());
    add("avro", datum);
    add("json", format!("{:#}\n", Json::Object(json)).into_bytes());
    Ok(())
}

fn sample_record(record: &Record, library: &Library) -> Result<(Avro, Map<String, Json>)> {
    let mut avro = Vec::new();
    let mut json = Map::new();
    for field in &record.fields {
        let (a, j) = sample(&field.name, &field.kind, library)?;
        avro.push((field.name.clone(), a));
        json.insert(field.name.clone(), j);
    }
    Ok((Avro::Record(avro), json))
}

fn sample(name: &str, kind: &Type, library: &Library) -> Result<(Avro, Json)> {
    Ok(match kind {
        Type::Boolean => (Avro::Boolean(true), json!(true)),
        Type::Int => (Avro::Int(3), json!(3)),
        Type::Long => (Avro::Long(-12_345), json!(-12_345)),
        Type::String => {
            let text = match name {
                "currency" | "tax_currency" => "GBP".to_owned(),
                "timezone" => "Europe/London".to_owned(),
                other => format!("{other} – Ω"),
            };
            (Avro::String(text.clone()), Json::String(text))
        }
        Type::Date => (Avro::Date(20_454), json!("2026-01-01")),
        Type::TimestampMicros => (Avro::TimestampMicros(1_767_225_600_123_456), json!("2026-01-01T00:00:00.123456Z")),
        Type::Decimal { scale, .. } => {
            let unscaled = -125i64 * 10i64.pow(scale.saturating_sub(1));
            (Avro::Decimal(unscaled.to_be_bytes().into()), json!("-12.5"))
        }
        Type::Named(reference) => match library.common.get(reference) {
            Some(Definition::Record(record)) => {
                let (avro, json) = sample_record(record, library)?;
                (avro, Json::Object(json))
            }
            Some(Definition::Enumeration(enumeration)) => {
                let symbol = &enumeration.symbols[1];
                (Avro::Enum(1, symbol.clone()), Json::String(symbol.clone()))
            }
            None => bail!("schemas/common has no {reference}"),
        },
        Type::Array(inner) => {
            let (a, j) = sample(name, inner, library)?;
            (Avro::Array(vec![a]), Json::Array(vec![j]))
        }
        Type::Nullable(inner) => {
            let (a, j) = sample(name, inner, library)?;
            (Avro::Union(1, Box::new(a)), j)
        }
    })
}
