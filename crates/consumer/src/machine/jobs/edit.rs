//! An edit stands beside the original: the row keeps its bytes, and what is tried is the original with other value and headers.

use events::Headers;
use ledger::{Edit, ParkedRecord};

/// The edit as it is put into the row. While nothing was sent for the event, it gets an identity of its own that follows from the
/// original's and the number of the edit: a second edit is another event, a second submission is the same one. Once something
/// was sent, the identity stays, because outside systems know the event by it.
#[must_use]
pub fn edited(row: &ParkedRecord, edit: &Edit, job: &str) -> Edit {
    let number = row.fate.edit.as_ref().map_or(0, |edit| edit.number) + 1;
    let was_sent = !row.fate.receipts.is_empty() || !row.fate.unknown.is_empty();
    let mut headers = edit.headers.clone();
    if let Some(id) = row.headers.text("ce_id") {
        let id = if was_sent { identity(row).unwrap_or(id).to_owned() } else { format!("{id}#edit-{number}") };
        set(&mut headers, "ce_id", id);
    }
    Edit { number, job: job.to_owned(), value: edit.value.clone(), headers }
}

/// Whether the job has put its edit into the row already.
pub(super) fn is_in_place(row: &ParkedRecord, job: &str) -> bool {
    row.fate.edit.as_ref().is_some_and(|edit| edit.job == job)
}

/// The identity the row goes by now.
fn identity(row: &ParkedRecord) -> Option<&str> {
    row.fate.edit.as_ref().and_then(|edit| edit.headers.text("ce_id"))
}

fn set(headers: &mut Headers, name: &str, value: String) {
    headers.0.retain(|(known, _)| **known != *name);
    headers.push(name, value);
}
