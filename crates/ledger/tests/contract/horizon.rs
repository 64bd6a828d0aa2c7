use crate::builders::*;
use crate::stage::Stage;
use ledger::*;

/// A ledger with one closed entry on each of twenty days, day 0 first, each with an identity of its day.
async fn twenty_days(stage: &Stage) -> std::sync::Arc<dyn Ledger> {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    for day in 0..20 {
        let at_ms = TODAY + day * DAY + 7;
        let commit = SliceCommit {
            at_ms,
            body: body(day * 10),
            identities: vec![identity(timed(at_ms, day as u64), day)],
            closed_entry: Some(day + 1),
            ..batch(0, 1, day + 1)
        };
        ledger.commit(&[commit]).await.unwrap();
    }
    ledger
}

async fn oldest_entry(ledger: &dyn Ledger) -> Option<i64> {
    ledger.entries(0, 0, 1).await.unwrap().first().map(|entry| entry.entry)
}

pub async fn prune_drops_what_lies_before_and_raises_the_floor(stage: Stage) {
    let ledger = twenty_days(&stage).await;
    assert_eq!(ledger.floor_ms().await.unwrap(), 0);
    let ended = ParkedRecord { fate: fate(ParkedState::Applied), ..parked(0, "s", 1) };
    let commit = SliceCommit {
        at_ms: TODAY + 19 * DAY,
        parked: vec![ParkedChange::Insert(ended)],
        closed_entry: Some(21),
        ..batch(0, 1, 21)
    };
    ledger.commit(&[commit]).await.unwrap();
    let floor = ledger.prune(TODAY + 17 * DAY + 3).await.unwrap();
    assert_eq!(floor, TODAY + 17 * DAY);
    assert_eq!(ledger.floor_ms().await.unwrap(), floor);
    assert_eq!(oldest_entry(&*ledger).await, Some(18));
    assert!(ledger.parked_records(&ParkedFilter { limit: 9, ..ParkedFilter::default() }).await.unwrap().is_empty());
    // Identities go in longer ranges: what is gone is below the floor, what is above it is there.
    let uids: Vec<_> = (0..20).map(|day| timed(TODAY + day * DAY + 7, day as u64)).collect();
    let found = hashes(&*ledger, &uids).await;
    assert_eq!(found[0], None);
    assert!(found[17..].iter().zip(17..).all(|(hash, day)| *hash == Some(day)));
    assert_eq!(ledger.load(&LoadRequest::default()).await.unwrap().floor_ms, floor);
    let takeover = ledger.take_over(0, "you").await.unwrap();
    assert_eq!((takeover.floor_ms, takeover.next_entry), (floor, 22));
    ledger.commit(&[full(0, 2, 22)]).await.unwrap();
}

pub async fn prune_stops_before_what_is_open_parked_or_unpublished(stage: Stage) {
    let ledger = twenty_days(&stage).await;
    ledger.take_over(1, "me").await.unwrap();
    let on = |day: i64, entry: i64| SliceCommit { at_ms: TODAY + day * DAY, ..batch(1, 1, entry) };
    let waiting =
        ParkedRecord { parked_ms: TODAY + 9 * DAY, uid: Some(timed(TODAY + 6 * DAY + 1, 99)), ..parked(1, "s", 1) };
    // Day 3: an event to publish. Day 9: a record parked whose identity is of day 6. Day 12: not closed.
    let mut publish = on(3, 1);
    publish.body.outgoing = vec![outgoing("out.v1", 1), outgoing("out.v1", 2)];
    publish.closed_entry = Some(1);
    let mut park = on(9, 2);
    park.parked = vec![ParkedChange::Insert(waiting)];
    park.closed_entry = Some(2);
    for commit in [publish, park, on(12, 3)] {
        ledger.commit(&[commit]).await.unwrap();
    }
    let far = TODAY + 19 * DAY;
    assert_eq!(ledger.prune(far).await.unwrap(), TODAY + 3 * DAY);
    ledger.commit(&[SliceCommit { published: vec![mark("out.v1", 1)], ..on(12, 4) }]).await.unwrap();
    assert_eq!(ledger.prune(far).await.unwrap(), TODAY + 3 * DAY);
    ledger.commit(&[SliceCommit { published: vec![mark("out.v1", 2)], ..on(12, 5) }]).await.unwrap();
    assert_eq!(ledger.prune(far).await.unwrap(), TODAY + 6 * DAY);
    let end = vec![ParkedChange::Update { sequence: "s".into(), no: 1, fate: fate(ParkedState::Discarded) }];
    ledger.commit(&[SliceCommit { parked: end, ..on(12, 6) }]).await.unwrap();
    assert_eq!(ledger.prune(far).await.unwrap(), TODAY + 12 * DAY);
    ledger.commit(&[SliceCommit { closed_entry: Some(7), ..on(18, 7) }]).await.unwrap();
    assert_eq!(ledger.prune(far).await.unwrap(), far);
    assert_eq!(oldest_entry(&*ledger).await, Some(20));
}

pub async fn identities_without_a_time_are_kept(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    // One that falls among the dropped times by chance: its first bytes are an old time, its flag says there is none.
    let mut chance = timed(TODAY + 1, 1);
    chance.0[6] = 0;
    let identities =
        vec![identity(untimed(1), 1), identity(chance, 2), identity(timed(TODAY, 3), 3), identity(timed(5, 4), 4)];
    ledger.commit(&[SliceCommit { identities, closed_entry: Some(1), ..batch(0, 1, 1) }]).await.unwrap();
    let floor = ledger.prune(TODAY + 30 * DAY).await.unwrap();
    assert_eq!(floor, TODAY + 30 * DAY);
    let found = hashes(&*ledger, &[untimed(1), chance, timed(TODAY, 3), timed(5, 4)]).await;
    assert_eq!(found, [Some(1), Some(2), None, None]);
}

pub async fn the_floor_never_falls(stage: Stage) {
    let ledger = twenty_days(&stage).await;
    assert_eq!(ledger.prune(TODAY + 5 * DAY).await.unwrap(), TODAY + 5 * DAY);
    assert_eq!(ledger.prune(TODAY).await.unwrap(), TODAY + 5 * DAY);
    assert_eq!(ledger.prune(i64::MIN).await.unwrap(), TODAY + 5 * DAY);
    assert_eq!(oldest_entry(&*ledger).await, Some(6));
    assert_eq!(ledger.prune(i64::MAX).await.unwrap() % DAY, 0);
}
