//! Whether every datum of a writer's schema can be read as our event: Avro's resolution rules as serde applies them, and
//! two of our own (units of time and scales must be the same). Decided once per schema, not per record.

use super::shape::{Field, Node, NodeId, Shape};

/// `Err` names the field and the reason.
pub fn check(writer: &Shape, reader: &Shape) -> Result<(), String> {
    let mut pairs = Pairs { writer, reader, seen: Vec::new() };
    pairs.compare(writer.root(), reader.root(), "")
}

struct Pairs<'a> {
    writer: &'a Shape,
    reader: &'a Shape,
    seen: Vec<(NodeId, NodeId)>,
}

impl Pairs<'_> {
    fn compare(&mut self, writer: NodeId, reader: NodeId, path: &str) -> Result<(), String> {
        if self.seen.contains(&(writer, reader)) {
            return Ok(());
        }
        self.seen.push((writer, reader));
        let (writer_shape, reader_shape) = (self.writer, self.reader);
        match (writer_shape.node(writer), reader_shape.node(reader)) {
            (Node::Union(branches), _) => branches.iter().try_for_each(|branch| self.branch(*branch, reader, path)),
            (_, Node::Union(_)) => self.branch(writer, reader, path),
            (Node::Record(written), Node::Record(read)) => self.fields(written, read, path),
            (Node::Array(written), Node::Array(read)) => self.compare(*written, *read, &format!("{path}[]")),
            (Node::Decimal { scale: written, .. }, Node::Decimal { scale: read, .. }) if written != read => {
                Err(format!("`{path}` has scale {written}, expected {read}"))
            }
            // A symbol we do not know reads as `unknown`.
            (Node::Decimal { .. }, Node::Decimal { .. }) | (Node::Enum(_), Node::Enum(_)) => Ok(()),
            (Node::Int, Node::Long) => Ok(()),
            (written, read) if written == read => Ok(()),
            (written, read) => Err(format!("`{path}` is {}, expected {}", describe(written), describe(read))),
        }
    }

    /// One branch of a writer's union (or a plain type) against what may be a union of ours.
    fn branch(&mut self, writer: NodeId, reader: NodeId, path: &str) -> Result<(), String> {
        let reader_shape = self.reader;
        let Node::Union(ours) = reader_shape.node(reader) else {
            return match self.writer.node(writer) {
                Node::Null => Err(format!("`{path}` may be null")),
                _ => self.compare(writer, reader, path),
            };
        };
        let null = *self.writer.node(writer) == Node::Null;
        let Some(fitting) = ours.iter().find(|branch| (*reader_shape.node(**branch) == Node::Null) == null) else {
            return Err(format!("`{path}` may be null"));
        };
        if null { Ok(()) } else { self.compare(writer, *fitting, path) }
    }

    fn fields(&mut self, written: &[Field], read: &[Field], path: &str) -> Result<(), String> {
        for field in read {
            let place = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            match written.iter().find(|candidate| candidate.name == field.name) {
                Some(found) => self.compare(found.node, field.node, &place)?,
                None if field.has_default => {}
                None => return Err(format!("`{place}` is missing")),
            }
        }
        Ok(())
    }
}

pub fn describe(node: &Node) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Boolean => "boolean".to_owned(),
        Node::Int => "int".to_owned(),
        Node::Long => "long".to_owned(),
        Node::Float => "float".to_owned(),
        Node::Double => "double".to_owned(),
        Node::Bytes => "bytes".to_owned(),
        Node::String => "string".to_owned(),
        Node::Fixed(_) => "fixed".to_owned(),
        Node::Enum(_) => "enum".to_owned(),
        Node::Array(_) => "array".to_owned(),
        Node::Map(_) => "map".to_owned(),
        Node::Union(_) => "union".to_owned(),
        Node::Record(_) => "record".to_owned(),
        Node::Date => "date".to_owned(),
        Node::TimestampMicros => "timestamp-micros".to_owned(),
        Node::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Node::Other(logical, _) => logical.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(writer: &str, reader: &str) -> Result<(), String> {
        let record = |kind: &str| {
            let fields = format!(r#"[{{"name":"a","type":{kind}}}]"#);
            Shape::parse(&format!(r#"{{"type":"record","name":"E","fields":{fields}}}"#)).expect("a valid schema")
        };
        check(&record(writer), &record(reader))
    }

    #[test]
    fn what_serde_reads_is_readable() {
        for (writer, reader) in [
            (r#""int""#, r#""long""#),
            (r#""string""#, r#"["null","string"]"#),
            (r#"["string","null"]"#, r#"["null","string"]"#),
            (r#"{"type":"string","logicalType":"uuid"}"#, r#""string""#),
            (
                r#"{"type":"enum","name":"K","symbols":["x","new"]}"#,
                r#"{"type":"enum","name":"K","symbols":["unknown","x"]}"#,
            ),
        ] {
            assert_eq!(verdict(writer, reader), Ok(()), "{writer} as {reader}");
        }
    }

    #[test]
    fn what_would_be_misread_is_refused_with_the_field() {
        for (writer, reader) in [
            (r#""long""#, r#""int""#),
            (r#"["null","string"]"#, r#""string""#),
            (r#"["null","string","long"]"#, r#"["null","string"]"#),
            (
                r#"{"type":"long","logicalType":"timestamp-millis"}"#,
                r#"{"type":"long","logicalType":"timestamp-micros"}"#,
            ),
            (r#""double""#, r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
            (
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":4}"#,
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
            ),
        ] {
            let reason = verdict(writer, reader).expect_err(writer);
            assert!(reason.contains("`a`"), "{reason}");
        }
    }

    #[test]
    fn a_schema_that_contains_itself_is_compared_once() {
        let list = r#"{"type":"record","name":"E","fields":[{"name":"next","type":["null","E"],"default":null}]}"#;
        let shape = Shape::parse(list).expect("a valid schema");
        assert_eq!(check(&shape, &shape), Ok(()));
    }
}
