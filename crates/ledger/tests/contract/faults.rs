use crate::builders::*;
use crate::stage::Stage;
use ledger::faulty::{Fault, FaultyLedger};
use ledger::*;
use std::sync::Arc;

/// A small life of a service, each call repeated until it works.
async fn live(ledger: &dyn Ledger) {
    macro_rules! until_done {
        ($call:expr) => {
            loop {
                match $call.await {
                    Ok(answer) => break answer,
                    Err(Error::Unavailable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
    }
    let epoch = until_done!(ledger.take_over(0, "me")).epoch;
    for entry in 1..=3 {
        let mut commit = full(0, epoch, entry);
        commit.closed_entry = Some(entry - 1);
        if entry == 3 {
            let end = fate(ParkedState::Applied);
            commit.parked.push(ParkedChange::Update { sequence: "seq-1".into(), no: 1, fate: end });
        }
        assert_eq!(until_done!(ledger.commit(std::slice::from_ref(&commit))), [CommitOutcome::Committed]);
    }
    until_done!(ledger.set_stopped(0, Some("why"), &audit("stop")));
}

/// What is there apart from epochs and audit rows, which a repeat may add.
async fn result(ledger: &dyn Ledger) -> String {
    let mut slices = ledger.slices().await.unwrap();
    let mut entries = ledger.entries(0, 0, 99).await.unwrap();
    slices.iter_mut().for_each(|slice| (slice.epoch, slice.taken_ms) = (0, 0));
    entries.iter_mut().for_each(|entry| entry.epoch = 0);
    let documents = ledger.documents(&DocumentFilter { limit: 99, ..DocumentFilter::default() }).await.unwrap();
    let parked = ledger.parked_records(&ParkedFilter { limit: 99, ..ParkedFilter::default() }).await.unwrap();
    format!("{slices:?} {entries:?} {documents:?} {parked:?}")
}

pub async fn a_lost_answer_is_harmless_at_every_call(stage: Stage) {
    let plain = stage.ledger().await;
    live(&*plain).await;
    let twin = result(&*plain).await;
    for fault in [Fault::Before, Fault::After] {
        for at in 0..5 {
            let stage = stage.another();
            let inner = stage.ledger().await;
            let faulty =
                FaultyLedger::new(Arc::clone(&inner), move |call| if call.number == at { fault } else { Fault::None });
            live(&faulty).await;
            assert_eq!(result(&*inner).await, twin, "{fault:?} at call {at}");
            assert_eq!(verify_audit(&inner.audit(9).await.unwrap()), Ok(()));
        }
    }
}
