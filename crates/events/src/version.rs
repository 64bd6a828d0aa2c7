//! Versions of a subject: each is applied once, in order, without gaps, by every service alike.

use failure::Failure;

/// Whether `version` of `subject` is the next one after `known` (none yet: `None`).
///
/// # Errors
/// `STALE_VERSION` for one that is not newer, `VERSION_GAP` for one that is too new: the missing one is awaited.
pub fn next(subject: &str, known: Option<i64>, version: i64) -> Result<(), Failure> {
    let known = known.unwrap_or(0);
    if version <= known {
        let reason = format!("version {version} of `{subject}`, but version {known} is applied already");
        return Err(Failure::contract("STALE_VERSION", reason).at_field("entity_version"));
    }
    if version > known + 1 {
        let reason = format!("version {version} of `{subject}`, but only version {known} is applied");
        return Err(Failure::not_yet("VERSION_GAP", subject, reason).at_field("entity_version"));
    }
    Ok(())
}

/// What is never edited, such as a posted document, has a first version only; corrections are documents or events of their own.
///
/// # Errors
/// Those of [`next`], and `FIELD_INVALID` where it is there already.
pub fn first(subject: &str, known: Option<i64>, version: i64) -> Result<(), Failure> {
    next(subject, known, version)?;
    if known.is_some() {
        let reason = format!(
            "`{subject}` is there already and is never edited; corrections come as documents or events of their own"
        );
        return Err(Failure::contract("FIELD_INVALID", reason).at_field("entity_version"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::Class;

    #[test]
    fn only_the_next_version_passes() {
        assert_eq!(next("C-1", None, 1), Ok(()));
        assert_eq!(next("C-1", Some(1), 2), Ok(()));
        for version in [0, 1] {
            let failure = next("C-1", Some(1), version).expect_err("stale");
            assert_eq!((failure.class, failure.code.as_ref()), (Class::Contract, "STALE_VERSION"));
        }
        let failure = next("C-1", Some(1), 3).expect_err("a gap");
        assert_eq!((failure.class, failure.code.as_ref()), (Class::NotYet, "VERSION_GAP"));
        assert_eq!(failure.awaits.as_deref(), Some("C-1"));
    }

    #[test]
    fn a_second_version_of_a_posted_document_is_refused_for_good() {
        let failure = first("INV-1", Some(1), 2).expect_err("never edited");
        assert_eq!((failure.class, failure.code.as_ref()), (Class::Contract, "FIELD_INVALID"));
    }
}
