use crate::builders::*;
use crate::stage::Stage;
use CommitOutcome::{Committed, Fenced};
use events::PayloadHash;
use ledger::*;

pub async fn a_repeated_commit_is_committed_and_writes_nothing_twice(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let commit = full(0, 1, 1);
    assert_eq!(ledger.commit(std::slice::from_ref(&commit)).await.unwrap(), [Committed]);
    let before = everything(&*ledger).await;
    let again = stage.ledger().await;
    assert_eq!(again.commit(std::slice::from_ref(&commit)).await.unwrap(), [Committed]);
    assert_eq!(everything(&*ledger).await, before);
    // Beside a new commit of another slice, and after later entries, too.
    ledger.take_over(1, "me").await.unwrap();
    assert_eq!(ledger.commit(&[commit.clone(), full(1, 1, 1)]).await.unwrap(), [Committed, Committed]);
    ledger.commit(&[batch(0, 1, 2)]).await.unwrap();
    assert_eq!(ledger.commit(&[commit]).await.unwrap(), [Committed]);
    let versions: Vec<_> = ledger.documents(&DocumentFilter { limit: 9, ..DocumentFilter::default() }).await.unwrap();
    assert_eq!(versions.iter().map(|d| d.version).collect::<Vec<_>>(), [1, 1]);
    assert!(ledger.commit(&[]).await.unwrap().is_empty());
}

pub async fn an_older_epoch_changes_nothing_in_any_table(stage: Stage) {
    let (old, new) = (stage.ledger().await, stage.ledger().await);
    old.take_over(0, "old").await.unwrap();
    old.commit(&[full(0, 1, 1)]).await.unwrap();
    new.take_over(0, "new").await.unwrap();
    let before = everything(&*new).await;
    let mut zombie = full(0, 1, 2);
    zombie.parked.push(ParkedChange::Update { sequence: "seq-1".into(), no: 1, fate: fate(ParkedState::Applied) });
    zombie.sequences.push(SequenceChange::Remove { sequence: "seq-1".into() });
    zombie.intents.push(IntentChange::Remove { effect_key: "effect-1".into() });
    zombie.timers.push(TimerChange::Clear { id: "timer-1".into() });
    zombie.documents.push(document("contract", "C-0", None));
    zombie.stopped = Some("never".into());
    zombie.closed_entry = Some(1);
    assert_eq!(old.commit(std::slice::from_ref(&zombie)).await.unwrap(), [Fenced]);
    assert_eq!(everything(&*new).await, before);
    assert_eq!(hashes(&*new, &[timed(TODAY, 2), untimed(2)]).await, [None, None]);
    // The repeat of an entry that was committed under the older epoch is fenced too.
    assert_eq!(old.commit(&[full(0, 1, 1)]).await.unwrap(), [Fenced]);
    assert_eq!(new.commit(&[full(0, 2, 2)]).await.unwrap(), [Committed]);
}

pub async fn a_fenced_slice_drops_out_and_the_others_go_on(stage: Stage) {
    let (me, other) = (stage.ledger().await, stage.ledger().await);
    for slice in [2, 0, 1] {
        me.take_over(slice, "me").await.unwrap();
    }
    other.take_over(1, "other").await.unwrap();
    let outcomes = me.commit(&[full(2, 1, 1), full(1, 1, 1), full(0, 1, 1)]).await.unwrap();
    assert_eq!(outcomes, [Committed, Fenced, Committed]);
    let slices = me.slices().await.unwrap();
    assert_eq!(slices.iter().map(|s| s.next_entry).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(me.entries(1, 0, 9).await.unwrap(), []);
    let keys: Vec<_> = me.documents(&DocumentFilter { limit: 9, ..DocumentFilter::default() }).await.unwrap();
    assert_eq!(keys.iter().map(|d| d.key.key.as_str()).collect::<Vec<_>>(), ["C-0", "C-2"]);
    // All fenced is an answer too.
    assert_eq!(me.commit(&[full(1, 1, 1)]).await.unwrap(), [Fenced]);
}

pub async fn a_gap_a_strange_epoch_and_an_unknown_slice_are_misuse(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.take_over(1, "me").await.unwrap();
    let before = everything(&*ledger).await;
    for wrong in [batch(0, 1, 2), batch(0, 2, 1), batch(9, 1, 1)] {
        assert!(matches!(ledger.commit(&[full(1, 1, 1), wrong]).await, Err(Error::Misuse(_))));
    }
    assert_eq!(everything(&*ledger).await, before);
}

pub async fn commits_that_no_caller_should_make_change_nothing(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let before = everything(&*ledger).await;
    let mut no_topic = batch(0, 1, 1);
    no_topic.body = Entry { topics: Vec::new(), ..body(0) };
    let closed = SliceCommit { closed_entry: Some(2), ..batch(0, 1, 1) };
    let stranger = SliceCommit { parked: vec![ParkedChange::Insert(parked(5, "s", 1))], ..batch(0, 1, 1) };
    let foreign = SliceCommit { sequences: vec![SequenceChange::Put(sequence(5, "s"))], ..batch(0, 1, 1) };
    let wrong = [
        vec![batch(0, 1, 1), batch(0, 1, 2)],
        vec![batch(0, 0, 1)],
        vec![batch(0, 1, 0)],
        vec![batch(-1, 1, 1)],
        vec![no_topic],
        vec![closed],
        vec![stranger],
        vec![foreign],
    ];
    for commit in wrong {
        assert!(matches!(ledger.commit(&commit).await, Err(Error::Misuse(_))), "{commit:?}");
    }
    assert_eq!(everything(&*ledger).await, before);
}

pub async fn slices_commit_at_once(stage: Stage) {
    let ledger = stage.ledger().await;
    for slice in 0..8 {
        ledger.take_over(slice, "me").await.unwrap();
    }
    let runs = (0..4).map(|pair| {
        let ledger = ledger.clone();
        async move {
            for entry in 1..=10 {
                // In another order each time: no two transactions may wait for each other.
                let mut both = vec![full(pair, 1, entry), full(7 - pair, 1, entry)];
                if entry % 2 == 0 {
                    both.reverse();
                }
                assert_eq!(ledger.commit(&both).await.unwrap(), [Committed, Committed]);
            }
        }
    });
    futures::future::join_all(runs).await;
    let slices = ledger.slices().await.unwrap();
    assert!(slices.iter().all(|slice| slice.next_entry == 11 && slice.timers == 10));
    let documents = ledger.documents(&DocumentFilter { limit: 99, ..DocumentFilter::default() }).await.unwrap();
    assert!(documents.iter().all(|document| document.version == 10) && documents.len() == 8);
}

pub async fn documents_count_their_versions_and_are_removed(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(3, "me").await.unwrap();
    let keys =
        [DocumentKey::new("invoice", "I-1"), DocumentKey::new("contract", "I-1"), DocumentKey::new("invoice", "I-2")];
    let request = LoadRequest { slice: 3, uids: vec![], documents: keys.to_vec() };
    let mut entry = 0;
    let mut commit = async |documents: Vec<DocumentChange>| {
        entry += 1;
        ledger.commit(&[SliceCommit { documents, at_ms: TODAY + entry, ..batch(3, 1, entry) }]).await.unwrap();
        ledger.load(&request).await.unwrap().documents
    };
    let first =
        commit(vec![document("invoice", "I-1", Some("{\"a\":1}")), document("contract", "I-1", Some("{}"))]).await;
    assert_eq!(first.len(), 2);
    let row = &first[&keys[0]];
    assert_eq!((row.version, row.slice, row.updated_ms, row.body.as_str()), (1, 3, TODAY + 1, "{\"a\":1}"));
    assert_eq!((row.status.as_str(), row.account_id.as_str()), ("open", "A-I-1"));
    let second = commit(vec![document("invoice", "I-1", Some("{ \"b\" : 2 }"))]).await;
    assert_eq!((second[&keys[0]].version, second[&keys[0]].body.as_str()), (2, "{ \"b\" : 2 }"));
    assert_eq!(second[&keys[1]].version, 1);
    let third = commit(vec![document("invoice", "I-1", None), document("invoice", "I-9", None)]).await;
    assert!(!third.contains_key(&keys[0]) && third.contains_key(&keys[1]));
    let fourth = commit(vec![document("invoice", "I-1", Some("{}")), document("invoice", "I-2", Some("{}"))]).await;
    assert_eq!(fourth[&keys[0]].version, 1);

    let find = async |filter: DocumentFilter| {
        let rows = ledger.documents(&filter).await.unwrap();
        rows.into_iter().map(|row| format!("{}/{}", row.key.kind, row.key.key)).collect::<Vec<_>>()
    };
    let all = DocumentFilter { limit: 10, ..DocumentFilter::default() };
    assert_eq!(find(all.clone()).await, ["contract/I-1", "invoice/I-1", "invoice/I-2"]);
    assert_eq!(find(DocumentFilter { limit: 1, ..all.clone() }).await, ["contract/I-1"]);
    assert_eq!(
        find(DocumentFilter { kind: Some("invoice".into()), ..all.clone() }).await,
        ["invoice/I-1", "invoice/I-2"]
    );
    assert_eq!(find(DocumentFilter { account_id: Some("A-I-2".into()), ..all.clone() }).await, ["invoice/I-2"]);
    let one = DocumentFilter { kind: Some("contract".into()), key: Some("I-1".into()), ..all };
    assert_eq!(find(one).await, ["contract/I-1"]);
}

pub async fn the_last_change_of_a_thing_in_one_commit_counts(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let commit = SliceCommit {
        documents: vec![
            document("k", "1", Some("first")),
            document("k", "1", None),
            document("k", "1", Some("last")),
            document("k", "2", Some("gone")),
            document("k", "2", None),
        ],
        positions: vec![position("t", 5), position("t", 9)],
        identities: vec![
            identity(untimed(1), 10),
            identity(untimed(1), 11),
            identity(timed(TODAY, 1), 12),
            identity(timed(TODAY, 1), 13),
        ],
        sequences: vec![SequenceChange::Put(sequence(0, "s")), SequenceChange::Remove { sequence: "s".into() }],
        parked: vec![
            ParkedChange::Insert(parked(0, "s", 1)),
            ParkedChange::Update { sequence: "s".into(), no: 1, fate: fate(ParkedState::LetterPending) },
            ParkedChange::Update { sequence: "s".into(), no: 1, fate: fate(ParkedState::Skipped) },
        ],
        intents: vec![IntentChange::Put(intent("e", "open")), IntentChange::Put(intent("e", "refused"))],
        timers: vec![
            TimerChange::Clear { id: "t".into() },
            TimerChange::Set(timer("t", 1)),
            TimerChange::Set(timer("t", 2)),
        ],
        published: vec![mark("o", 1), mark("o", 2)],
        ..batch(0, 1, 1)
    };
    ledger.commit(&[commit]).await.unwrap();
    let documents = ledger.documents(&DocumentFilter { limit: 9, ..DocumentFilter::default() }).await.unwrap();
    assert_eq!(documents.iter().map(|d| (d.version, d.body.as_str())).collect::<Vec<_>>(), [(1, "last")]);
    assert_eq!(hashes(&*ledger, &[untimed(1), timed(TODAY, 1)]).await, [Some(10), Some(12)]);
    let records = ledger.parked_records(&ParkedFilter { limit: 9, ..ParkedFilter::default() }).await.unwrap();
    assert_eq!(records.iter().map(|r| r.fate.state).collect::<Vec<_>>(), [ParkedState::Skipped]);
    let takeover = ledger.take_over(0, "me").await.unwrap();
    assert_eq!(takeover.positions, [position("t", 9)]);
    assert_eq!(takeover.timers, [timer("t", 2)]);
    assert_eq!(takeover.published, [mark("o", 2)]);
    assert!(takeover.sequences.is_empty());
    assert_eq!(ledger.slices().await.unwrap()[0].intents, [intent("e", "refused")]);
}

pub async fn identities_are_found_among_thousands_and_the_first_hash_stays(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    // Times of today, far away, and none.
    let uid = |n: u64| match n % 4 {
        0 => untimed(n),
        1 => timed(5, n),
        2 => timed((1 << 48) - 1, n),
        _ => timed(TODAY + n as i64, n),
    };
    let identities = (0..4_000).map(|n| identity(uid(n), n as i64)).collect();
    ledger.commit(&[SliceCommit { identities, ..batch(0, 1, 1) }]).await.unwrap();
    let again = (0..4_000).map(|n| identity(uid(n), -1)).collect();
    ledger.commit(&[SliceCommit { identities: again, ..batch(0, 1, 2) }]).await.unwrap();
    let asked: Vec<_> = (0..8_000).map(uid).collect();
    let found = hashes(&*ledger, &asked).await;
    for (n, hash) in found.iter().enumerate() {
        assert_eq!(*hash, (n < 4_000).then_some(n as i64), "uid {n}");
    }
    assert!(ledger.load(&LoadRequest::default()).await.unwrap().identities.is_empty());
}

pub async fn a_commit_of_5000_records_reads_back(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let records = (0..5_000).map(|n| EntryRecord {
        topic: (n % 2) as u16,
        offset: 1_000_000 - n * 3,
        uid: Some(timed(TODAY, n as u64)),
        hash: PayloadHash(n),
        disposition: Disposition::Applied,
    });
    let commit = SliceCommit {
        body: Entry { topics: vec!["a".into(), "b".into()], records: records.collect(), ..Entry::default() },
        documents: (0..5_000).map(|n| document("k", &n.to_string(), Some(&"x".repeat(200)))).collect(),
        parked: (0..5_000).map(|n| ParkedChange::Insert(parked(0, "s", n))).collect(),
        timers: (0..5_000).map(|n| TimerChange::Set(timer(&n.to_string(), n))).collect(),
        ..batch(0, 1, 1)
    };
    ledger.commit(std::slice::from_ref(&commit)).await.unwrap();
    assert_eq!(ledger.entries(0, 1, 1).await.unwrap()[0].body, commit.body);
    let documents: Vec<_> = (0..5_000).map(|n| DocumentKey::new("k", n.to_string())).collect();
    let loaded = ledger.load(&LoadRequest { slice: 0, uids: Vec::new(), documents }).await.unwrap();
    assert_eq!(loaded.documents.len(), 5_000);
    assert_eq!(ledger.parked_page(0, "s", 4_990, 100).await.unwrap().len(), 10);
    assert_eq!(ledger.take_over(0, "me").await.unwrap().timers.len(), 5_000);
}

pub async fn timers_and_intents_are_set_moved_and_cleared(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let first = SliceCommit {
        timers: vec![
            TimerChange::Set(timer("a", 30)),
            TimerChange::Set(timer("b", 10)),
            TimerChange::Set(timer("c", 20)),
        ],
        intents: vec![IntentChange::Put(intent("x", "open")), IntentChange::Put(intent("y", "unknown"))],
        ..batch(0, 1, 1)
    };
    let second = SliceCommit {
        timers: vec![
            TimerChange::Set(timer("a", 5)),
            TimerChange::Clear { id: "c".into() },
            TimerChange::Clear { id: "?".into() },
        ],
        intents: vec![IntentChange::Remove { effect_key: "x".into() }, IntentChange::Put(intent("y", "refused"))],
        ..batch(0, 1, 2)
    };
    ledger.commit(&[first]).await.unwrap();
    ledger.commit(&[second]).await.unwrap();
    assert_eq!(ledger.take_over(0, "me").await.unwrap().timers, [timer("a", 5), timer("b", 10)]);
    let slice = &ledger.slices().await.unwrap()[0];
    assert_eq!((slice.timers, slice.intents.as_slice()), (2, [intent("y", "refused")].as_slice()));
}

pub async fn published_marks_and_positions_move(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let mut recreated = position("b", 0);
    recreated.topic_id = None;
    for (entry, positions, published) in [
        (1, vec![position("b", 7), position("a", 3)], vec![mark("z", 1), mark("y", 1)]),
        (2, vec![recreated.clone()], vec![mark("z", 4)]),
    ] {
        ledger.commit(&[SliceCommit { positions, published, ..batch(0, 1, entry) }]).await.unwrap();
    }
    let slice = &ledger.slices().await.unwrap()[0];
    assert_eq!(slice.positions, [position("a", 3), recreated]);
    assert_eq!(slice.published, [mark("y", 1), mark("z", 4)]);
}

pub async fn texts_with_zeros_and_quotes_read_back(stage: Stage) {
    let ledger = stage.ledger().await;
    for (n, odd) in ["a\0b", "'; DROP TABLE slice; --", "\u{10FFFF}0", "", "Zürich €\n"].into_iter().enumerate() {
        let slice = n as i32;
        ledger.take_over(slice, odd).await.unwrap();
        let mut record = parked(slice, odd, 1);
        record.fate.receipts.insert(odd.into(), odd.into());
        record.topic = odd.into();
        let row = sequence(slice, odd);
        let commit = SliceCommit {
            documents: vec![document(odd, odd, Some(odd))],
            sequences: vec![SequenceChange::Put(ParkedSequence { reason: odd.into(), ..row.clone() })],
            parked: vec![ParkedChange::Insert(record.clone())],
            intents: vec![IntentChange::Put(intent(odd, "open"))],
            timers: vec![TimerChange::Set(timer(odd, 1))],
            positions: vec![position(odd, 1)],
            published: vec![mark(odd, 0)],
            body: Entry { outgoing: vec![outgoing(odd, 1)], ..Entry::default() },
            ..batch(slice, 1, 1)
        };
        ledger.commit(&[commit]).await.unwrap();
        let takeover = ledger.take_over(slice, odd).await.unwrap();
        assert_eq!(takeover.positions, [position(odd, 1)]);
        assert_eq!(takeover.timers, [timer(odd, 1)]);
        assert_eq!(takeover.sequences, [ParkedSequence { reason: odd.into(), ..row }]);
        assert_eq!(ledger.parked_page(slice, odd, 0, 9).await.unwrap(), [record]);
        let key = DocumentKey::new(odd, odd);
        let loaded = ledger.load(&LoadRequest { slice, uids: vec![], documents: vec![key.clone()] }).await.unwrap();
        assert_eq!(loaded.documents[&key].body, odd);
        assert_eq!(ledger.slices().await.unwrap()[n].owner, odd);
        // The event is not published, so its entry is needed.
        assert_eq!(ledger.prune(TODAY + 9 * DAY).await.unwrap(), TODAY);
    }
}

pub async fn a_stop_survives_and_is_lifted(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    ledger.commit(&[SliceCommit { stopped: Some("topic recreated".into()), ..batch(0, 1, 1) }]).await.unwrap();
    ledger.commit(&[batch(0, 1, 2)]).await.unwrap();
    assert_eq!(ledger.take_over(0, "me").await.unwrap().stopped.as_deref(), Some("topic recreated"));
    ledger.set_stopped(0, None, &audit("resume")).await.unwrap();
    assert_eq!(ledger.take_over(0, "me").await.unwrap().stopped, None);
}
