//! Versions of a subject: each counts once, in order, without gaps, as in the ERP.

use failure::Failure;

/// Whether `version` of `subject` is the next one after `known` (none yet: `None`).
///
/// # Errors
/// `STALE_VERSION` for one that is not newer, `VERSION_GAP` for one that is too new: the missing one is awaited.
pub fn next(subject: &str, known: Option<i64>, version: i64) -> Result<(), Failure> {
    let known = known.unwrap_or(0);
    if version <= known {
        let reason = format!("version {version} of `{subject}`, but version {known} is published already");
        return Err(Failure::contract("STALE_VERSION", reason).at_field("entity_version"));
    }
    if version > known + 1 {
        let reason = format!("version {version} of `{subject}`, but only version {known} is published");
        return Err(Failure::not_yet("VERSION_GAP", subject, reason).at_field("entity_version"));
    }
    Ok(())
}

/// A document or contract is made once.
///
/// # Errors
/// Those of [`next`], and `FIELD_INVALID` where it is there already.
pub fn first(subject: &str, known: Option<i64>, version: i64) -> Result<(), Failure> {
    next(subject, known, version)?;
    if known.is_some() {
        let reason = format!("`{subject}` is there already; what changes it is an event of its own");
        return Err(Failure::contract("FIELD_INVALID", reason).at_field("entity_version"));
    }
    Ok(())
}
