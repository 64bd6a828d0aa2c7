//! Schemas at run time: the writer's schema, whether it can be read as our event, and the JSON form checked against ours.

mod json;
mod readable;
mod shape;
mod writer;

pub(crate) use json::decode as decode_json;
pub use writer::{MAX_ALLOC_BYTES, WriterSchema};

use shape::Shape;
use std::{collections::BTreeMap, sync::LazyLock};

/// Our own schemas, by topic.
static READERS: LazyLock<BTreeMap<&'static str, Shape>> = LazyLock::new(|| {
    let parse = |schema: &str| Shape::parse(schema).expect("generated schemas are valid, a test reads each");
    crate::topics::SUBJECTS.iter().map(|subject| (subject.topic, parse(subject.schema))).collect()
});

fn reader(topic: &str) -> Option<&'static Shape> {
    READERS.get(topic)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_generated_schema_is_readable() {
        for subject in crate::topics::SUBJECTS {
            let shape = super::reader(subject.topic).expect("each topic has a shape");
            assert_eq!(shape.root_name(), Some(subject.full_name));
        }
    }
}
