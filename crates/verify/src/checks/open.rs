//! I6: lag is zero and no intent stays open.

use super::{Finding, Ranges};
use crate::{Check, Known};

pub fn nothing(known: &Known, ranges: &Ranges) -> Check {
    let mut finding = Finding::new();
    let journal = &known.journal;
    for ((topic, partition), (low, end)) in ranges {
        let position = journal.positions.get(&(topic.clone(), *partition)).copied().unwrap_or(*low);
        finding.expect(position >= *end, || format!("{topic}/{partition}: {} records to read", end - position));
    }
    for step in &journal.open_steps {
        finding.expect(false, || format!("the outcome of {step} is not known"));
    }
    for intent in &journal.intents {
        finding.expect(false, || format!("intent {intent} is open"));
    }
    finding.expect(journal.open_entries == 0, || format!("{} journal entries are not closed", journal.open_entries));
    finding.check("I6", "lag is zero and no intent stays open", "partitions and intents")
}
