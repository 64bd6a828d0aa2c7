use crate::builders::*;
use crate::stage::Stage;
use ledger::*;

pub async fn an_accepted_position_fences_the_owner_and_a_stop_does_not(stage: Stage) {
    let (owner, operator) = (stage.ledger().await, stage.ledger().await);
    owner.take_over(0, "me").await.unwrap();
    owner.commit(&[full(0, 1, 1)]).await.unwrap();
    operator.set_stopped(0, Some("maintenance"), &audit("stop")).await.unwrap();
    assert_eq!(owner.commit(&[full(0, 1, 2)]).await.unwrap(), [CommitOutcome::Committed]);
    let fresh = Position { topic: "contract.activated.v1".into(), topic_id: Some("id-2".into()), next_offset: 0 };
    operator.accept_position(0, &fresh, &audit("accept")).await.unwrap();
    operator.accept_position(0, &position("new.v1", 4), &audit("accept")).await.unwrap();
    assert_eq!(owner.commit(&[full(0, 1, 3)]).await.unwrap(), [CommitOutcome::Fenced]);
    let takeover = owner.take_over(0, "me").await.unwrap();
    assert_eq!((takeover.epoch, takeover.next_entry), (4, 3));
    assert_eq!(takeover.positions, [fresh, position("new.v1", 4)]);
    assert_eq!(takeover.stopped.as_deref(), Some("maintenance"));
}

pub async fn every_operation_is_chained_in_the_audit(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.set_stopped(0, Some("why"), &audit("stop")).await.unwrap();
    ledger.set_stopped(0, None, &audit("resume\0")).await.unwrap();
    ledger.accept_position(0, &position("t", 1), &audit("accept")).await.unwrap();
    let rows = ledger.audit(10).await.unwrap();
    assert_eq!(
        rows.iter().map(|r| (r.seq, r.row.action.as_str())).collect::<Vec<_>>(),
        [(1, "stop"), (2, "resume\0"), (3, "accept")]
    );
    assert_eq!(rows[0].row, audit("stop"));
    assert_eq!(verify_audit(&rows), Ok(()));
    let newest = ledger.audit(2).await.unwrap();
    assert_eq!(newest.as_slice(), &rows[1..]);
    assert_eq!(verify_audit(&newest), Ok(()));
    let mut forged = rows;
    forged[1].row.actor = "nobody".into();
    assert_eq!(verify_audit(&forged), Err(2));
}

pub async fn operators_at_once_make_one_chain(stage: Stage) {
    let ledger = stage.ledger().await;
    for slice in 0..4 {
        ledger.take_over(slice, "me").await.unwrap();
    }
    let others = [stage.ledger().await, stage.ledger().await];
    let at_once = (0..20).map(|n| {
        let ledger = others[n as usize % 2].clone();
        async move { ledger.set_stopped(n % 4, Some("why"), &audit(&format!("stop {n}"))).await }
    });
    futures::future::try_join_all(at_once).await.unwrap();
    let rows = ledger.audit(100).await.unwrap();
    assert_eq!(rows.len(), 20);
    assert_eq!(verify_audit(&rows), Ok(()));
}

pub async fn an_operation_on_an_unknown_slice_changes_nothing(stage: Stage) {
    let ledger = stage.ledger().await;
    assert!(matches!(ledger.set_stopped(3, None, &audit("resume")).await, Err(Error::Misuse(_))));
    assert!(matches!(ledger.accept_position(3, &position("t", 1), &audit("accept")).await, Err(Error::Misuse(_))));
    assert!(ledger.audit(9).await.unwrap().is_empty() && ledger.slices().await.unwrap().is_empty());
}
