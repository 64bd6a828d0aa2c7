//! Everything that reads what strangers write.

mod decide;
mod json;
mod text;
mod wire;

use crate::Target;

/// All targets.
#[must_use]
pub fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(wire::Framing),
        Box::new(wire::Datum::new()),
        Box::new(wire::EnvelopeHeaders),
        Box::new(wire::LetterHeaders),
        Box::new(json::Structured),
        Box::new(text::Condition),
        Box::new(text::Mapping),
        Box::new(text::Labels),
        Box::new(decide::Decide::erp_sync()),
        Box::new(decide::Decide::crm_sync()),
        Box::new(decide::Decide::analytics_feed()),
    ]
}

/// A failure as an answer: what machines know it by.
fn told(failure: &failure::Failure) -> String {
    format!("{:?} {} {}", failure.class, failure.code, failure.field.as_deref().unwrap_or_default())
}
