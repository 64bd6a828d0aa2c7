//! A golden record of every version: its schema as registered, a datum, and the same as JSON. Made once, kept for ever.

use crate::{
    history::golden_path,
    model::{Definition, Record, Type},
    output::Output,
    source::{Event, Library},
};
use anyhow::{Context, Result, bail};
use apache_avro::{Schema, types::Value as Avro};
use serde_json::{Map, Value as Json, json};
use std::{fs, path::Path};

/// Plans the golden files of versions that have none yet; those that exist are kept as they are.
pub fn plan(library: &Library, schemas: &Path, output: &mut Output) -> Result<()> {
    for event in &library.events {
        for version in &event.versions {
            let exists = |extension| schemas.join(golden_path(event, version.minor, extension)).exists();
            if exists("avsc") && exists("avro") && exists("json") {
                continue;
            }
            let Some(text) = &version.inlined else {
                bail!("the golden record of {} v{}.{} is gone: restore it", event.name, event.major, version.minor);
            };
            let (avro, json) = sample_record(&event.record, library)?;
            let schema = Schema::parse_str(text)?;
            let datum = apache_avro::to_avro_datum(&schema, avro).with_context(|| format!("golden record of {}", event.name))?;
            add(event, version.minor, "avsc", format!("{text}\n").into_bytes(), output);
            add(event, version.minor, "avro", datum, output);
            add(event, version.minor, "json", format!("{:#}\n", Json::Object(json)).into_bytes(), output);
        }
    }
    // Compared as they are, so that an edited golden file is noticed by the history and by the tests that decode it.
    for event in &library.events {
        for version in &event.versions {
            for extension in ["avsc", "avro", "json"] {
                let path = golden_path(event, version.minor, extension);
                if let Ok(found) = fs::read(schemas.join(&path)) {
                    output.add(format!("schemas/{path}"), found);
                }
            }
        }
    }
    Ok(())
}

fn add(event: &Event, minor: u32, extension: &str, content: Vec<u8>, output: &mut Output) {
    output.add(format!("schemas/{}", golden_path(event, minor, extension)), content);
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
