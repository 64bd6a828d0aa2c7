//! Whether a reader can read what a writer wrote, by Avro's rules and a few of our own.

use crate::source::Kind;
use anyhow::{Context, Result, bail};
use apache_avro::{
    Schema,
    schema_compatibility::{Compatibility, SchemaCompatibility},
};

/// One recorded version: its name for messages, and its schema as registered.
pub struct Recorded<'a> {
    pub label: String,
    pub text: &'a str,
}

/// Proves that the new version may join the older ones of its major.
pub fn prove(kind: Kind, new: &Recorded<'_>, older: &[Recorded<'_>]) -> Result<()> {
    for old in older {
        can_read(new, old).with_context(|| format!("{} breaks {}", new.label, kind.compatibility()))?;
        if kind == Kind::State {
            can_read(old, new).with_context(|| format!("{} breaks {}", new.label, kind.compatibility()))?;
        }
    }
    Ok(())
}

fn can_read(reader: &Recorded<'_>, writer: &Recorded<'_>) -> Result<()> {
    let reader_schema = Schema::parse_str(reader.text).with_context(|| reader.label.clone())?;
    let writer_schema = Schema::parse_str(writer.text).with_context(|| writer.label.clone())?;
    let hint = "add a field with a default, or start a new major version";
    // `Ok(Partial)` means that some data cannot be read (an enum symbol, a union branch): that is not compatible.
    match SchemaCompatibility::can_read(&writer_schema, &reader_schema) {
        Ok(Compatibility::Full) => {}
        Ok(partial) => bail!("{} reads {} only partly ({partial:?}); {hint}", reader.label, writer.label),
        Err(error) => bail!("{} cannot read {}: {error}; {hint}", reader.label, writer.label),
    }
    let changed = logical_types_that_changed(&writer_schema, &reader_schema);
    if !changed.is_empty() {
        bail!("{} gives another meaning to {} of {}; {hint}", reader.label, changed.join(", "), writer.label);
    }
    Ok(())
}

/// Avro lets a reader take timestamp-millis for timestamp-micros, and one scale for another: we do not.
fn logical_types_that_changed(writer: &Schema, reader: &Schema) -> Vec<String> {
    let mut changed = Vec::new();
    compare(writer, reader, "", &mut changed);
    changed
}

fn compare(writer: &Schema, reader: &Schema, path: &str, changed: &mut Vec<String>) {
    match (writer, reader) {
        (Schema::Record(old), Schema::Record(new)) => {
            for field in &new.fields {
                if let Some(before) = old.fields.iter().find(|candidate| candidate.name == field.name) {
                    compare(&before.schema, &field.schema, &format!("{path}.{}", field.name), changed);
                }
            }
        }
        (Schema::Array(old), Schema::Array(new)) => compare(&old.items, &new.items, &format!("{path}[]"), changed),
        (Schema::Union(old), Schema::Union(new)) => {
            if let (Some(old), Some(new)) = (old.variants().last(), new.variants().last()) {
                compare(old, new, path, changed);
            }
        }
        (Schema::Union(_), new) => changed.extend((!is_plain(new)).then(|| path.trim_start_matches('.').to_owned())),
        (old, Schema::Union(new)) => {
            if let Some(new) = new.variants().last() {
                compare(old, new, path, changed);
            }
        }
        (old, new) => {
            let same = match (old, new) {
                (Schema::Decimal(a), Schema::Decimal(b)) => a.scale == b.scale,
                (a, b) => is_plain(a) && is_plain(b) || std::mem::discriminant(a) == std::mem::discriminant(b),
            };
            if !same {
                changed.push(path.trim_start_matches('.').to_owned());
            }
        }
    }
}

/// Whether Avro's own rules say everything about it.
fn is_plain(schema: &Schema) -> bool {
    !matches!(
        schema,
        Schema::Decimal(_)
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"E","namespace":"throughline.v1","fields":[{fields}]}}"#)
    }

    fn verdict(kind: Kind, new: &str, old: &str) -> Result<(), String> {
        let (new, old) = (record(new), record(old));
        let old = [Recorded { label: "v1.0".into(), text: &old }];
        prove(kind, &Recorded { label: "v1.1".into(), text: &new }, &old).map_err(|error| format!("{error:#}"))
    }

    const A: &str = r#"{"name":"a","type":"string"}"#;

    #[test]
    fn a_new_field_with_a_default_is_compatible() {
        let new = format!(r#"{A},{{"name":"b","type":["null","string"],"default":null}}"#);
        assert_eq!(verdict(Kind::Fact, &new, A), Ok(()));
        assert_eq!(verdict(Kind::State, &new, A), Ok(()));
    }

    #[test]
    fn a_new_field_without_a_default_is_refused_with_the_reason() {
        let new = format!(r#"{A},{{"name":"b","type":"string"}}"#);
        let reason = verdict(Kind::Fact, &new, A).expect_err("old records have no b");
        assert!(reason.contains("BACKWARD_TRANSITIVE") && reason.contains("v1.0") && reason.contains('b'), "{reason}");
    }

    #[test]
    fn a_state_may_not_drop_a_required_field_but_a_fact_may() {
        let old = format!(r#"{A},{{"name":"b","type":"string"}}"#);
        assert_eq!(verdict(Kind::Fact, A, &old), Ok(()));
        assert!(verdict(Kind::State, A, &old).is_err());
    }

    #[test]
    fn partly_readable_is_not_compatible() {
        let old = r#"{"name":"a","type":{"type":"enum","name":"K","symbols":["x","y"]}}"#;
        let new = r#"{"name":"a","type":{"type":"enum","name":"K","symbols":["x"]}}"#;
        assert!(verdict(Kind::Fact, new, old).is_err());
    }

    #[test]
    fn a_unit_of_time_or_a_scale_may_not_change_silently() {
        let millis = r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"}}"#;
        let micros = r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-micros"}}"#;
        assert!(verdict(Kind::Fact, micros, millis).is_err());
        let two = r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#;
        let four = r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":4}}"#;
        assert!(verdict(Kind::Fact, four, two).is_err());
    }
}
