//! A parked sequence whose last record ended with the last owner, who was killed before it could say that nothing is parked any more:
//! it happens while the broker takes nothing, because then outcomes are committed and nothing new is decided.

use consumer::machine::{Arrived, Decoder, Input, Machine, Output, Prepared, Settings};
use events::Record;
use failure::{Class, Failure};
use ledger::{Ledger as _, ParkedSequence, SequenceChange, memory::MemoryLedger};
use std::sync::Arc;
use testkit::simulation::cases::{
    books::{Books, honest_key},
    fact::Fact,
};

struct Undecodable;

#[async_trait::async_trait]
impl Decoder<Fact> for Undecodable {
    async fn decode(&self, record: Record) -> Arrived<Fact> {
        let reason = Failure::bug("INVARIANT_BROKEN", "there is no record");
        Arrived::new(record, None, events::PayloadHash(0), Err(reason), 0)
    }
}

fn sequence(depth: i64) -> ParkedSequence {
    ParkedSequence {
        slice: 0,
        sequence: format!("a{depth}"),
        class: Class::NotYet,
        code: "CONTRACT_NOT_ACTIVE".to_owned(),
        reason: "no order yet".to_owned(),
        owner: None,
        field: None,
        awaits: None,
        attempts: 1,
        next_attempt_ms: Some(1_000),
        since_ms: 0,
        head_no: 1,
        tail_no: 1 + depth,
        depth,
    }
}

#[tokio::test]
async fn an_owner_ends_the_empty_sequences_that_it_takes_over_and_no_others() {
    let ledger = MemoryLedger::default();
    let mut takeover = ledger.take_over(0, "test").await.expect("free");
    takeover.sequences = vec![sequence(0), sequence(2)];
    let prepared = Prepared::read(&ledger, &Undecodable, 0, takeover, Vec::new()).await.expect("new");
    let books = Arc::new(Books { effect_key: honest_key });
    let mut machine = Machine::new(books, Settings::default(), 0, prepared, 0);
    let outputs = machine.step(0, Input::Tick);
    let changes = outputs.into_iter().filter_map(|output| match output {
        Output::Commit(commit) => Some(commit.sequences),
        _ => None,
    });
    let changes: Vec<SequenceChange> = changes.flatten().collect();
    assert_eq!(changes, [SequenceChange::Remove { sequence: "a0".to_owned() }]);
}
