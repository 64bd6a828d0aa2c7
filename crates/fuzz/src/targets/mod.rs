//! Everything that reads what strangers write.

mod abroad;
mod decide;
mod json;
mod plans;
mod text;
mod wire;

use crate::Target;

/// The target that asks a decoder in another language, where there is one.
///
/// # Errors
/// If there is none, and what to do.
pub fn abroad() -> anyhow::Result<Box<dyn Target>> {
    Ok(Box::new(abroad::Abroad::start()?))
}

/// All targets that need nothing but this program.
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
        Box::new(plans::Plans),
        Box::new(decide::Decide::order_flow()),
        Box::new(decide::Decide::erp_sync()),
        Box::new(decide::Decide::provisioning()),
        Box::new(decide::Decide::crm_sync()),
        Box::new(decide::Decide::analytics_feed()),
    ]
}

/// A failure as an answer: what machines know it by.
fn told(failure: &failure::Failure) -> String {
    format!("{:?} {} {}", failure.class, failure.code, failure.field.as_deref().unwrap_or_default())
}
