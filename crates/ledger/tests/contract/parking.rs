use crate::builders::*;
use crate::stage::Stage;
use bytes::Bytes;
use events::{Headers, PayloadHash};
use ledger::*;

fn inserts(records: &[ParkedRecord]) -> Vec<ParkedChange> {
    records.iter().cloned().map(ParkedChange::Insert).collect()
}

pub async fn parked_records_read_back_byte_for_byte(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let blob = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let mut records = vec![parked(0, "s", 1), parked(0, "s", 2), parked(0, "s", 3), parked(0, "s", 4)];
    (records[0].key, records[0].value) = (None, blob(b""));
    (records[1].key, records[1].value) = (blob(b""), None);
    (records[2].uid, records[2].hash, records[2].timestamp_ms) = (None, PayloadHash(i64::MIN), -1);
    records[2].value = Some((0..=255).collect::<Vec<u8>>().into());
    records[2].headers = Headers(vec![
        ("x".into(), None),
        ("x".into(), blob(b"")),
        (String::new().into(), blob(b"\0\xff\xfe")),
        ("na\0me".into(), blob("ü".as_bytes())),
    ]);
    records[3].headers = Headers::default();
    records[3].fate = ParkedFate {
        state: ParkedState::LetterPending,
        failure: None,
        attempts: 0,
        refusals: 0,
        receipts: Default::default(),
        unknown: Vec::new(),
        changed_ms: -1,
        version: 0,
        fingerprint: None,
        edit: Some(Box::new(Edit {
            number: 2,
            job: "j\0".into(),
            value: None,
            headers: Headers(vec![("ce_id".into(), blob(b"1#edit-2"))]),
        })),
        first: None,
    };
    ledger.commit(&[SliceCommit { parked: inserts(&records), ..batch(0, 1, 1) }]).await.unwrap();
    assert_eq!(ledger.parked_page(0, "s", i64::MIN, 10).await.unwrap(), records);
    assert_eq!(ledger.parked_records(&ParkedFilter { limit: 10, ..ParkedFilter::default() }).await.unwrap(), records);
}

pub async fn pages_hold_what_is_alive_in_order_also_below_zero(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let states = [
        (-3, ParkedState::Waiting),
        (-1, ParkedState::Applied),
        (0, ParkedState::DeadLettered),
        (2, ParkedState::Skipped),
    ];
    let mut records: Vec<_> = states.map(|(no, state)| ParkedRecord { fate: fate(state), ..parked(0, "s", no) }).into();
    records.extend((3..8).map(|no| parked(0, "s", no)));
    records.push(parked(0, "other", 1));
    records.reverse();
    ledger.commit(&[SliceCommit { parked: inserts(&records), ..batch(0, 1, 1) }]).await.unwrap();
    let page = async |from, limit| {
        let page = ledger.parked_page(0, "s", from, limit).await.unwrap();
        page.into_iter().map(|record| record.no).collect::<Vec<_>>()
    };
    assert_eq!(page(i64::MIN, 3).await, [-3, 0, 3]);
    assert_eq!(page(4, 100).await, [4, 5, 6, 7]);
    assert_eq!(page(-3, 1).await, [-3]);
    assert_eq!(page(8, 100).await, [0i64; 0]);
    assert!(ledger.parked_page(1, "s", 0, 9).await.unwrap().is_empty());
}

pub async fn what_is_in_an_erased_record_is_gone_and_the_rest_stays(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let (first, second) = (parked(0, "s", 1), parked(0, "s", 2));
    assert!(first.value.is_some() && second.value.is_some());
    ledger
        .commit(&[SliceCommit { parked: inserts(&[first.clone(), second.clone()]), ..batch(0, 1, 1) }])
        .await
        .unwrap();
    let end = |no, state| ParkedChange::Update { sequence: "s".into(), no, fate: fate(state) };
    let ends = vec![end(1, ParkedState::Erased), end(2, ParkedState::Discarded)];
    ledger.commit(&[SliceCommit { parked: ends, ..batch(0, 1, 2) }]).await.unwrap();
    let rows = ledger.parked_records(&ParkedFilter { limit: 9, ..ParkedFilter::default() }).await.unwrap();
    let expected = [
        ParkedRecord { value: None, fate: fate(ParkedState::Erased), ..first },
        ParkedRecord { fate: fate(ParkedState::Discarded), ..second },
    ];
    assert_eq!(rows, expected);
}

pub async fn a_number_is_taken_once_and_only_an_existing_record_changes(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.take_over(1, "me").await.unwrap();
    ledger.commit(&[full(0, 1, 1)]).await.unwrap();
    let before = everything(&*ledger).await;
    let insert = |record| vec![ParkedChange::Insert(record)];
    let wrong = [
        insert(parked(0, "seq-1", 1)),
        vec![ParkedChange::Insert(parked(0, "n", 1)), ParkedChange::Insert(parked(0, "n", 1))],
        vec![ParkedChange::Update { sequence: "seq-1".into(), no: 2, fate: fate(ParkedState::Applied) }],
        vec![
            ParkedChange::Update { sequence: "seq-1".into(), no: 1, fate: fate(ParkedState::Applied) },
            ParkedChange::Update { sequence: "?".into(), no: 1, fate: fate(ParkedState::Applied) },
        ],
    ];
    for parked in wrong {
        let commit = SliceCommit { parked, documents: vec![document("k", "1", Some("{}"))], ..batch(0, 1, 2) };
        assert!(matches!(ledger.commit(&[commit, full(1, 1, 1)]).await, Err(Error::Misuse(_))));
        assert_eq!(everything(&*ledger).await, before);
    }
    // The same name and number in another slice is another record.
    ledger.commit(&[SliceCommit { parked: insert(parked(1, "seq-1", 1)), ..batch(1, 1, 1) }]).await.unwrap();
    // An ended record keeps its number.
    let end = vec![ParkedChange::Update { sequence: "seq-1".into(), no: 1, fate: fate(ParkedState::Applied) }];
    ledger.commit(&[SliceCommit { parked: end, ..batch(0, 1, 2) }]).await.unwrap();
    let again = SliceCommit { parked: insert(parked(0, "seq-1", 1)), ..batch(0, 1, 3) };
    assert!(matches!(ledger.commit(&[again]).await, Err(Error::Misuse(_))));
    let records = ledger.parked_records(&ParkedFilter { limit: 9, ..ParkedFilter::default() }).await.unwrap();
    assert_eq!(records.iter().map(|r| r.fate.state).collect::<Vec<_>>(), [ParkedState::Applied, ParkedState::Waiting]);
}

pub async fn sequences_are_put_changed_and_removed(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.take_over(1, "me").await.unwrap();
    let changed = ParkedSequence {
        class: failure::Class::NotYet,
        next_attempt_ms: Some(9),
        owner: None,
        field: Some("lines[2].sku".into()),
        awaits: None,
        depth: 1,
        ..sequence(0, "a")
    };
    let put = |row: &ParkedSequence| SequenceChange::Put(row.clone());
    let both = vec![put(&sequence(0, "a")), put(&sequence(0, "b"))];
    ledger.commit(&[SliceCommit { sequences: both, ..batch(0, 1, 1) }]).await.unwrap();
    ledger.commit(&[SliceCommit { sequences: vec![put(&sequence(1, "a"))], ..batch(1, 1, 1) }]).await.unwrap();
    let change = vec![
        put(&changed),
        SequenceChange::Remove { sequence: "b".into() },
        SequenceChange::Remove { sequence: "?".into() },
    ];
    ledger.commit(&[SliceCommit { sequences: change, ..batch(0, 1, 2) }]).await.unwrap();
    assert_eq!(ledger.sequences(None).await.unwrap(), [changed.clone(), sequence(1, "a")]);
    assert_eq!(ledger.sequences(Some(0)).await.unwrap(), [changed]);
    assert!(ledger.sequences(Some(8)).await.unwrap().is_empty());
}

pub async fn filters_find_parked_records(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.take_over(1, "me").await.unwrap();
    let ended = ParkedRecord { fate: fate(ParkedState::Discarded), ..parked(0, "b", 2) };
    let records = inserts(&[parked(0, "a", 3), ended, parked(0, "a", 1)]);
    ledger.commit(&[SliceCommit { parked: records, ..batch(0, 1, 1) }]).await.unwrap();
    ledger.commit(&[SliceCommit { parked: inserts(&[parked(1, "a", 1)]), ..batch(1, 1, 1) }]).await.unwrap();
    let all = ParkedFilter { limit: 10, ..ParkedFilter::default() };
    let find = async |filter: ParkedFilter| {
        let rows = ledger.parked_records(&filter).await.unwrap();
        rows.into_iter().map(|row| (row.slice, row.sequence, row.no)).collect::<Vec<_>>()
    };
    let of = |slice, name: &str, no| (slice, name.to_owned(), no);
    assert_eq!(find(all.clone()).await, [of(0, "a", 1), of(1, "a", 1), of(0, "b", 2), of(0, "a", 3)]);
    assert_eq!(find(ParkedFilter { limit: 1, ..all.clone() }).await, [of(0, "a", 1)]);
    assert_eq!(find(ParkedFilter { slice: Some(1), ..all.clone() }).await, [of(1, "a", 1)]);
    assert_eq!(find(ParkedFilter { states: vec![ParkedState::Discarded], ..all.clone() }).await, [of(0, "b", 2)]);
    assert_eq!(find(ParkedFilter { uid: Some(untimed(3)), ..all.clone() }).await, [of(0, "a", 3)]);
    let narrow = ParkedFilter { slice: Some(0), sequence: Some("a".into()), states: vec![ParkedState::Waiting], ..all };
    assert_eq!(find(narrow).await, [of(0, "a", 1), of(0, "a", 3)]);
}

pub async fn letters_are_selected_counted_and_paged(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let mut rows: Vec<_> = (1..=7).map(|no| parked(0, if no < 4 { "a" } else { "b" }, no)).collect();
    rows[1].fate = ParkedFate { failure: None, first: None, fingerprint: None, ..rows[1].fate.clone() };
    rows[2].fate.fingerprint = Some("v1:other".into());
    rows[3].fate.failure = Some(failure::Failure::bug("PANIC", "broken"));
    (rows[4].topic, rows[4].key) = ("order.v1".into(), Some(bytes::Bytes::from_static(b"\0key")));
    rows[5].fate.attempts = 9;
    ledger.commit(&[SliceCommit { parked: inserts(&rows), ..batch(0, 1, 1) }]).await.unwrap();
    let all = ParkedFilter { limit: 10, ..ParkedFilter::default() };
    let find = async |filter: ParkedFilter| {
        ledger.parked_records(&filter).await.unwrap().into_iter().map(|row| row.no).collect::<Vec<_>>()
    };
    let wanted = |change: fn(&mut ParkedFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        filter
    };
    assert_eq!(find(wanted(|f| f.failed = true)).await, [1, 3, 4, 5, 6, 7]);
    assert_eq!(find(wanted(|f| f.class = Some(failure::Class::Bug))).await, [4]);
    assert_eq!(find(wanted(|f| f.code = Some("PANIC".into()))).await, [4]);
    assert_eq!(find(wanted(|f| f.fingerprint = Some("v1:other".into()))).await, [3]);
    assert_eq!(find(wanted(|f| f.topic = Some("order.v1".into()))).await, [5]);
    assert_eq!(find(wanted(|f| f.key = Some(bytes::Bytes::from_static(b"\0key")))).await, [5]);
    assert_eq!(find(wanted(|f| f.min_attempts = Some(2))).await, [6]);
    assert_eq!(find(wanted(|f| (f.since_ms, f.until_ms) = (Some(TODAY + 2), Some(TODAY + 4)))).await, [2, 3]);
    let both = wanted(|f| f.states = vec![ParkedState::Waiting, ParkedState::Applied]);
    assert_eq!(find(both).await, [1, 2, 3, 4, 5, 6, 7]);
    let mut page = ParkedFilter { limit: 3, ..all.clone() };
    let mut seen = Vec::new();
    loop {
        let rows = ledger.parked_records(&page).await.unwrap();
        let Some(last) = rows.last() else { break };
        page.after = Some(ParkedCursor::of(last));
        seen.extend(rows.iter().map(|row| row.no));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    let counts = ledger.letter_counts(&all).await.unwrap();
    let shown = counts.iter().map(|c| (c.fingerprint.as_deref(), &*c.code, c.rows, c.sequences)).collect::<Vec<_>>();
    let (usual, other) = (Some("v1:00ff"), Some("v1:other"));
    assert_eq!(shown, [(usual, "PERIOD_CLOSED", 4, 2), (usual, "PANIC", 1, 1), (other, "PERIOD_CLOSED", 1, 1)]);
    assert_eq!((counts[0].first_ms, counts[0].last_ms), (TODAY + 1, TODAY));
    let key = RowKey { slice: 0, sequence: "b".into(), no: 5 };
    assert_eq!(ledger.parked_record(&key).await.unwrap().as_ref(), Some(&rows[4]));
    assert_eq!(ledger.parked_record(&RowKey { no: 99, ..key }).await.unwrap(), None);
}
