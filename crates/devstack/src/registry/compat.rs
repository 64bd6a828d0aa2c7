//! Whether two versions of a schema get on. Only a full match counts: a reader that may meet a symbol or a branch it
//! does not know is not compatible, which is what the Java and Python libraries say too.

use std::collections::HashMap;

use apache_avro::{
    Schema,
    schema::Name,
    schema_compatibility::{Compatibility, SchemaCompatibility},
};

use super::Level;

/// Nodes an expanded schema may have: above it a few lines of nested types could fill the memory.
const MOST_NODES: usize = 100_000;

/// An older version to compare with.
pub struct Older<'a> {
    pub version: u32,
    pub text: &'a str,
    pub schema: &'a Schema,
}

/// Why `new` does not get on with `older` at `level`, in the form of Confluent's verbose messages; empty if it does.
#[must_use]
pub fn problems(new: &Schema, older: &Older<'_>, level: Level) -> Vec<String> {
    let mut found = Vec::new();
    if level.reads_old()
        && let Some(why) = cannot_read(older.schema, new)
    {
        found.push(message("the new schema cannot read what the old one wrote", &why));
    }
    if level.read_by_old()
        && let Some(why) = cannot_read(new, older.schema)
    {
        found.push(message("the old schema cannot read what the new one writes", &why));
    }
    if !found.is_empty() {
        found.push(format!("{{oldSchemaVersion: {}}}", older.version));
        found.push(format!("{{oldSchema: '{}'}}", older.text));
        found.push(format!("{{compatibility: '{}'}}", level.as_str()));
    }
    found
}

fn message(rule: &str, why: &str) -> String {
    format!("{{errorType:'READER_WRITER_MISMATCH', description:'{rule}: {why}'}}")
}

fn cannot_read(writer: &Schema, reader: &Schema) -> Option<String> {
    let (Some(writer), Some(reader)) = (expand(writer), expand(reader)) else {
        return Some(format!("a schema has more than {MOST_NODES} parts when its named types are written out"));
    };
    match SchemaCompatibility::can_read(&writer, &reader) {
        Ok(Compatibility::Full) => None,
        Ok(Compatibility::Partial) => {
            Some("the reader lacks an enum symbol or a union branch that the writer may use".to_owned())
        }
        Err(error) => Some(chain(&error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    // Types are printed over many lines; a message is one.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The schema with every name replaced by its definition, except where it is inside itself. The library compares a
/// name with a name only, so a field put before the first use of a shared type would otherwise be a mismatch.
fn expand(schema: &Schema) -> Option<Schema> {
    let mut names = HashMap::new();
    definitions(schema, &mut names);
    let mut left = MOST_NODES;
    replace(schema, &names, &mut Vec::new(), &mut left)
}

fn definitions<'a>(schema: &'a Schema, into: &mut HashMap<Name, &'a Schema>) {
    if !matches!(schema, Schema::Ref { .. })
        && let Some(name) = schema.name()
    {
        into.insert(name.clone(), schema);
    }
    match schema {
        Schema::Record(record) => record.fields.iter().for_each(|field| definitions(&field.schema, into)),
        Schema::Union(union) => union.variants().iter().for_each(|branch| definitions(branch, into)),
        Schema::Array(array) => definitions(&array.items, into),
        Schema::Map(map) => definitions(&map.types, into),
        _ => {}
    }
}

fn replace(
    schema: &Schema,
    names: &HashMap<Name, &Schema>,
    inside: &mut Vec<Name>,
    left: &mut usize,
) -> Option<Schema> {
    *left = left.checked_sub(1)?;
    Some(match schema {
        Schema::Ref { name } if !inside.contains(name) => match names.get(name) {
            Some(definition) => replace(definition, names, inside, left)?,
            None => schema.clone(),
        },
        Schema::Record(record) => {
            inside.push(record.name.clone());
            let mut record = record.clone();
            for field in &mut record.fields {
                field.schema = replace(&field.schema, names, inside, left)?;
            }
            inside.pop();
            Schema::Record(record)
        }
        Schema::Array(array) => {
            let mut array = array.clone();
            *array.items = replace(&array.items, names, inside, left)?;
            Schema::Array(array)
        }
        Schema::Map(map) => {
            let mut map = map.clone();
            *map.types = replace(&map.types, names, inside, left)?;
            Schema::Map(map)
        }
        Schema::Union(union) => {
            let branches: Option<Vec<_>> =
                union.variants().iter().map(|branch| replace(branch, names, inside, left)).collect();
            Schema::union(branches?).ok()?
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, level: Level) -> bool {
        let old_schema = Schema::parse_str(old).expect("old parses");
        let new_schema = Schema::parse_str(new).expect("new parses");
        problems(&new_schema, &Older { version: 1, text: old, schema: &old_schema }, level).is_empty()
    }

    const ONE: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;
    const OPTIONAL: &str =
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"int","default":0}]}"#;
    const REQUIRED: &str =
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"int"}]}"#;

    #[test]
    fn a_field_without_default_may_not_be_added_but_may_go() {
        assert!(check(ONE, OPTIONAL, Level::Full));
        assert!(!check(ONE, REQUIRED, Level::Backward));
        assert!(check(ONE, REQUIRED, Level::Forward));
        assert!(check(REQUIRED, ONE, Level::Backward));
        assert!(!check(REQUIRED, ONE, Level::Forward));
        assert!(check(ONE, r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#, Level::None));
    }

    #[test]
    fn a_symbol_the_reader_lacks_is_incompatible_though_the_library_calls_it_partial() {
        let old = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
        let fewer = r#"{"type":"enum","name":"E","symbols":["A"]}"#;
        let with_default = r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#;
        assert!(!check(old, fewer, Level::Backward));
        assert!(check(old, with_default, Level::Backward));
    }

    #[test]
    fn a_shared_type_used_earlier_than_before_is_still_the_same_type() {
        let money = r#"{"type":"record","name":"M","fields":[{"name":"n","type":"long"}]}"#;
        let old = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{money}}}]}}"#);
        let new = format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"z","type":["null",{money}],"default":null}},{{"name":"a","type":"M"}}]}}"#
        );
        assert!(check(&old, &new, Level::Full));
    }

    #[test]
    fn a_type_inside_itself_ends() {
        let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"],"default":null}]}"#;
        assert!(check(list, list, Level::FullTransitive));
    }
}
