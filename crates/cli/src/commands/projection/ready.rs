//! How far a generation is: nobody may be sent to rows that are not all there.

use super::SERVICE;
use crate::{
    exit::Result,
    stack::{Stack, broker_trouble, ledger_trouble},
};
use events::Generation;
use kafka::Admin;
use std::collections::BTreeMap;

/// What a generation has to have read: the ends of its inputs, by topic and partition.
pub(super) type Ends = BTreeMap<(&'static str, i32), i64>;

/// One look at a generation.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Records it has not taken, up to the ends asked for.
    pub(super) lag: i64,
    pub(super) parked: usize,
    pub(super) stopped: Vec<i32>,
}

impl State {
    /// Against the given ends, or the present ones. Under live traffic only fixed ends are ever reached.
    pub(super) async fn read(
        stack: &Stack,
        admin: &Admin,
        generation: Generation,
        ends: Option<&Ends>,
    ) -> Result<Self> {
        let ledger = stack.ledger(&generation.name(SERVICE)).await?;
        let present = if ends.is_none() { present_ends(admin).await? } else { Ends::new() };
        let slices = ledger.slices().await.map_err(|error| ledger_trouble(&error))?;
        let sequences = ledger.sequences(None).await.map_err(|error| ledger_trouble(&error))?;
        let mut lag = 0;
        for ((topic, partition), end) in ends.unwrap_or(&present) {
            let slice = slices.iter().find(|slice| slice.slice == *partition);
            let position = slice.and_then(|slice| slice.positions.iter().find(|position| position.topic == *topic));
            let next = match position {
                Some(position) => position.next_offset,
                None => admin.watermarks(topic, *partition).await.map_err(|error| broker_trouble(&error))?.0,
            };
            lag += (end - next).max(0);
        }
        let stopped = slices.iter().filter(|slice| slice.stopped.is_some()).map(|slice| slice.slice).collect();
        Ok(Self { lag, parked: sequences.len(), stopped })
    }

    /// What no override lifts: rows that are still to come.
    pub(super) fn unfinished(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.lag > 0 {
            reasons.push(format!("{} records are still to be read", self.lag));
        }
        if !self.stopped.is_empty() {
            let slices: Vec<String> = self.stopped.iter().map(i32::to_string).collect();
            reasons.push(format!("slices are stopped: {}", slices.join(", ")));
        }
        reasons
    }
}

/// The ends of everything the projection reads, as they are now.
pub(super) async fn present_ends(admin: &Admin) -> Result<Ends> {
    let mut ends = Ends::new();
    for topic in verify::inputs_of(SERVICE) {
        for partition in 0..admin.partitions(topic).await.map_err(|error| broker_trouble(&error))? {
            let (_, end) = admin.watermarks(topic, partition).await.map_err(|error| broker_trouble(&error))?;
            ends.insert((topic, partition), end);
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_or_stopped_is_unfinished_and_what_is_parked_is_not() {
        assert!(State { parked: 3, ..State::default() }.unfinished().is_empty());
        let behind = State { lag: 7, stopped: vec![2, 5], ..State::default() }.unfinished().join("; ");
        assert!(behind.contains("7 records") && behind.contains("2, 5"), "{behind}");
    }
}
