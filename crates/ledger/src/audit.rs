//! The audit trail's hash chain: whoever changes, removes or reorders a row breaks every hash after it.

use crate::jobs::JobStop;
use crate::types::{AuditRow, Millis, NewAudit};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Appends `row` behind `last` (the newest row so far, if any).
pub(crate) fn chain(last: Option<(i64, &str)>, row: &NewAudit) -> AuditRow {
    let (seq, previous) = last.map_or((1, ""), |(seq, hash)| (seq + 1, hash));
    AuditRow { seq, row: row.clone(), hash: hash_of(previous, seq, row) }
}

/// Checks a run of audit rows in the order of their numbers; the error names the first row that does not fit.
/// A run that starts at 1 is checked whole. In a later run the first row is taken as the anchor of those behind it.
pub fn verify_audit(rows: &[AuditRow]) -> Result<(), i64> {
    let mut last: Option<&AuditRow> = None;
    for row in rows {
        let fits = match last {
            Some(previous) => row.seq == previous.seq + 1 && row.hash == hash_of(&previous.hash, row.seq, &row.row),
            None => row.seq > 1 || (row.seq == 1 && row.hash == hash_of("", 1, &row.row)),
        };
        if !fits {
            return Err(row.seq);
        }
        last = Some(row);
    }
    Ok(())
}

/// Each field goes in with its length, so that no two rows have the same bytes; an absent one differs from an empty one.
fn hash_of(previous: &str, seq: i64, row: &NewAudit) -> String {
    let mut place = Vec::new();
    field(&mut place, Some(previous));
    field(&mut place, Some(&seq.to_string()));
    let digest = Sha256::new().chain_update(place).chain_update(own_bytes(row)).finalize();
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn field(bytes: &mut Vec<u8>, value: Option<&str>) {
    bytes.extend(value.map_or(0, |text| text.len() as u64 + 1).to_be_bytes());
    bytes.extend(value.unwrap_or_default().as_bytes());
}

/// What is hashed of a row itself, behind the previous hash and the number. A database that chains rows by itself gets these.
pub(crate) fn own_bytes(row: &NewAudit) -> Vec<u8> {
    let mut bytes = Vec::new();
    field(&mut bytes, Some(&row.at_ms.to_string()));
    for text in [&row.actor, &row.action, &row.subject, &row.reason] {
        field(&mut bytes, Some(text));
    }
    field(&mut bytes, row.before.as_deref());
    field(&mut bytes, row.after.as_deref());
    bytes
}

/// That a job was stopped by its rule: no person does it, and it is on the record all the same.
pub(crate) fn of_stop(at_ms: Millis, stop: &JobStop) -> NewAudit {
    NewAudit {
        at_ms,
        actor: "auto".to_owned(),
        action: "job.stop".to_owned(),
        subject: stop.job.clone(),
        reason: stop.reason.clone(),
        before: None,
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reason: &str) -> NewAudit {
        NewAudit {
            at_ms: 7,
            actor: "ops".into(),
            action: "resume".into(),
            subject: "slice 3".into(),
            reason: reason.into(),
            before: None,
            after: Some(String::new()),
        }
    }

    fn three() -> Vec<AuditRow> {
        let first = chain(None, &row("a"));
        let second = chain(Some((first.seq, &first.hash)), &row("b"));
        let third = chain(Some((second.seq, &second.hash)), &row("c"));
        vec![first, second, third]
    }

    #[test]
    fn a_whole_chain_and_its_tail_verify() {
        let rows = three();
        assert_eq!(verify_audit(&rows), Ok(()));
        assert_eq!(verify_audit(&rows[1..]), Ok(()));
        assert_eq!(verify_audit(&[]), Ok(()));
    }

    #[test]
    fn a_changed_removed_or_moved_row_is_named() {
        let mut changed = three();
        changed[1].row.after = None;
        assert_eq!(verify_audit(&changed), Err(2));
        let mut removed = three();
        removed.remove(1);
        assert_eq!(verify_audit(&removed), Err(3));
        let mut moved = three();
        moved.swap(0, 1);
        assert_eq!(verify_audit(&moved), Err(1));
        let mut first = three();
        first[0].row.actor = "else".into();
        assert_eq!(verify_audit(&first), Err(1));
    }
}
