//! The policies, one module a file: its form, and what it is asked.

pub mod approvals;
pub mod checks;
pub mod compensation;
pub mod entities;
pub mod nexus;
pub mod ownership;
pub mod prices;
pub mod products;
pub mod revenue;
pub mod routing;

/// The form every name of a rule or code has.
pub(crate) fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
