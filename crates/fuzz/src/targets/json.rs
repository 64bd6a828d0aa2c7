//! CloudEvents in structured mode: one JSON object.

use super::{told, wire::samples};
use crate::Target;
use events::{Envelope, Event, EventSet};

pub struct Structured;

impl Target for Structured {
    fn name(&self) -> &'static str {
        "structured"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        let text =
            |(envelope, event): &(Envelope, Event)| envelope.to_structured(event.to_json()).to_string().into_bytes();
        samples().iter().map(text).collect()
    }
    fn words(&self) -> &'static [&'static str] {
        &[
            "null",
            "0",
            "-1",
            "9223372036854775807",
            "1e400",
            "\"\"",
            "[]",
            "{}",
            ",",
            "\"2026-02-30\"",
            "\"XXX\"",
            "0.1",
        ]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(input) else { return Ok("no JSON".to_owned()) };
        let (envelope, data) = match Envelope::from_structured(&value) {
            Ok(read) => read,
            Err(failure) => return Ok(told(&failure)),
        };
        let topic = events::topics::of_type(&envelope.event_type).map_or("no topic", |subject| subject.topic);
        match Event::decode_json(topic, data) {
            Err(failure) => Ok(format!("{topic} {}", told(&failure))),
            Ok(event) => {
                let again = Event::decode_json(topic, &event.to_json())
                    .map_err(|failure| format!("{topic}: what we write is refused: {failure}"))?;
                if again != event {
                    return Err(format!("{topic}: what we write is another event"));
                }
                Ok(format!("{topic} {}", event.check().map_or_else(|failure| told(&failure), |()| "sound".to_owned())))
            }
        }
    }
}
