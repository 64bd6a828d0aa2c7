use crate::builders::*;
use crate::stage::Stage;
use ledger::*;
use std::collections::BTreeSet;

pub async fn a_new_slice_starts_at_entry_1_of_epoch_1(stage: Stage) {
    let ledger = stage.ledger().await;
    let takeover = ledger.take_over(4, "me").await.unwrap();
    assert_eq!((takeover.epoch, takeover.next_entry, takeover.closed_entry), (1, 1, 0));
    assert!(takeover.positions.is_empty() && takeover.open_entries.is_empty() && takeover.timers.is_empty());
    assert_eq!((takeover.floor_ms, takeover.stopped), (0, None));
    let slices = ledger.slices().await.unwrap();
    assert_eq!((slices.len(), slices[0].slice, slices[0].owner.as_str()), (1, 4, "me"));
    assert_eq!(ledger.take_over(4, "you").await.unwrap().epoch, 2);
    assert!(matches!(ledger.take_over(-1, "me").await, Err(Error::Misuse(_))));
}

pub async fn everything_that_is_open_is_read_back(stage: Stage) {
    let ledger = stage.ledger().await;
    let epoch = ledger.take_over(0, "me").await.unwrap().epoch;
    for entry in 1..=3 {
        let mut commit = full(0, epoch, entry);
        commit.closed_entry = (entry == 3).then_some(1);
        ledger.commit(&[commit]).await.unwrap();
    }
    // What other slices hold is none of this slice's business.
    ledger.take_over(1, "me").await.unwrap();
    ledger.commit(&[full(1, 1, 1)]).await.unwrap();

    let takeover = stage.ledger().await.take_over(0, "you").await.unwrap();
    assert_eq!((takeover.epoch, takeover.next_entry, takeover.closed_entry), (2, 4, 1));
    assert_eq!(takeover.positions, [position("contract.activated.v1", 308)]);
    let entries: Vec<_> = takeover.open_entries.iter().map(|e| (e.entry, e.epoch, e.at_ms, e.body.clone())).collect();
    assert_eq!(entries, [(2, 1, TODAY, full(0, 1, 2).body), (3, 1, TODAY, full(0, 1, 3).body)]);
    let sequences: Vec<_> = takeover.sequences.iter().map(|s| s.sequence.as_str()).collect();
    assert_eq!(sequences, ["seq-1", "seq-2", "seq-3"]);
    assert_eq!(takeover.sequences[0], sequence(0, "seq-1"));
    assert_eq!(takeover.timers.len(), 3);
    assert_eq!(takeover.timers[0], timer("timer-1", TODAY + 5));
    assert_eq!(takeover.published, [mark("out.v1", 2)]);
}

pub async fn racing_owners_get_different_epochs(stage: Stage) {
    let mut ledgers = Vec::new();
    for _ in 0..4 {
        ledgers.push(stage.ledger().await);
    }
    let race = ledgers.iter().cycle().take(16).map(|ledger| ledger.take_over(7, "racer"));
    let takeovers = futures::future::try_join_all(race).await.unwrap();
    let epochs: BTreeSet<i64> = takeovers.iter().map(|takeover| takeover.epoch).collect();
    assert_eq!(epochs, (1..=16).collect());
    // Only the last of them may write.
    for epoch in 1..=16 {
        let outcome = ledgers[0].commit(&[batch(7, epoch, 1)]).await.unwrap();
        assert_eq!(outcome, [if epoch == 16 { CommitOutcome::Committed } else { CommitOutcome::Fenced }]);
    }
}

pub async fn many_open_entries_are_all_read_back(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    for entry in 1..=520 {
        ledger.commit(&[batch(0, 1, entry)]).await.unwrap();
    }
    let takeover = ledger.take_over(0, "me").await.unwrap();
    let entries: Vec<i64> = takeover.open_entries.iter().map(|entry| entry.entry).collect();
    assert_eq!(entries, (1..=520).collect::<Vec<_>>());
    let page = ledger.entries(0, 500, 3).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.entry).collect::<Vec<_>>(), [500, 501, 502]);
    assert!(ledger.entries(0, 1, 0).await.unwrap().is_empty());
}
