//! What operators accepted: positions set by hand, on the record. What lies before such a position was not read, by somebody's
//! decision, and what the journal says of a topic that was made anew since is about records that are gone.

use crate::{Error, places::Place};
use ledger::{AuditRow, Ledger, Position};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// What `throughline slice accept` writes into the audit.
#[derive(Debug, Deserialize)]
struct After {
    #[serde(flatten)]
    position: Position,
    /// The slice's next journal entry when it was accepted.
    next_entry: i64,
}

/// Topic and slice.
type Partition = (Arc<str>, i32);

#[derive(Debug, Default)]
pub struct Accepted {
    /// Entries below this one are about an earlier topic of that name.
    anew: BTreeMap<Partition, i64>,
    /// Offsets that were passed over, as spans without their ends.
    passed: BTreeMap<Partition, Vec<(i64, i64)>>,
}

impl Accepted {
    pub async fn read(ledger: &dyn Ledger) -> Result<Self, Error> {
        let mut accepted = Self::default();
        for AuditRow { row, .. } in ledger.audit(usize::MAX >> 1).await? {
            let slice = row.subject.split('/').nth(1).and_then(|slice| slice.parse().ok());
            let after = row.after.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let before = row.before.as_deref().and_then(|text| serde_json::from_str(text).ok());
            if row.action == "slice.accept"
                && let (Some(slice), Some(after)) = (slice, after)
            {
                accepted.take(slice, before, after);
            }
        }
        Ok(accepted)
    }

    fn take(&mut self, slice: i32, before: Option<Position>, After { position, next_entry }: After) {
        let place = (Arc::from(position.topic), slice);
        let anew = before.as_ref().is_some_and(|before| before.topic_id != position.topic_id);
        if anew {
            self.anew.insert(place.clone(), next_entry);
            self.passed.remove(&place);
        }
        let from = before.filter(|_| !anew).map_or(0, |before| before.next_offset);
        if from < position.next_offset {
            self.passed.entry(place).or_default().push((from, position.next_offset));
        }
    }

    /// Whether an entry speaks of an earlier topic of that name.
    pub fn is_gone(&self, topic: &Arc<str>, slice: i32, entry: i64) -> bool {
        self.anew.get(&(topic.clone(), slice)).is_some_and(|first| entry < *first)
    }

    /// Whether an operator decided not to have the record read.
    pub fn passed(&self, place: &Place) -> bool {
        let spans = self.passed.get(&(place.topic.clone(), place.partition));
        spans.is_some_and(|spans| spans.iter().any(|(from, to)| (*from..*to).contains(&place.offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{NewAudit, memory::MemoryLedger};
    use serde_json::json;

    fn position(id: &str, next_offset: i64) -> Position {
        Position { topic: "t".to_owned(), topic_id: Some(id.to_owned()), next_offset }
    }

    async fn accept(ledger: &MemoryLedger, before: &Position, after: &Position, next_entry: i64) {
        let mut row = json!(after);
        row["next_entry"] = json!(next_entry);
        let audit = NewAudit {
            at_ms: 0,
            actor: "somebody".to_owned(),
            action: "slice.accept".to_owned(),
            subject: "erp-sync/3/t".to_owned(),
            reason: String::new(),
            before: Some(json!(before).to_string()),
            after: Some(row.to_string()),
        };
        ledger.accept_position(3, after, &audit).await.expect("set");
    }

    #[tokio::test]
    async fn what_was_passed_over_and_what_belongs_to_an_earlier_topic_is_known_from_the_audit() {
        let ledger = MemoryLedger::default();
        ledger.take_over(3, "somebody").await.expect("ours");
        accept(&ledger, &position("a", 10), &position("a", 14), 5).await;
        let accepted = Accepted::read(&ledger).await.expect("read");
        let passed = |accepted: &Accepted, offset| accepted.passed(&Place { topic: "t".into(), partition: 3, offset });
        assert!(passed(&accepted, 10) && passed(&accepted, 13) && !passed(&accepted, 9) && !passed(&accepted, 14));
        assert!(!accepted.is_gone(&"t".into(), 3, 1), "it is the same topic");

        accept(&ledger, &position("a", 14), &position("b", 2), 9).await;
        let accepted = Accepted::read(&ledger).await.expect("read");
        assert!(
            accepted.is_gone(&"t".into(), 3, 8)
                && !accepted.is_gone(&"t".into(), 3, 9)
                && !accepted.is_gone(&"t".into(), 4, 8)
        );
        assert!(passed(&accepted, 1) && !passed(&accepted, 10), "the spans of the earlier topic mean nothing any more");
    }
}
