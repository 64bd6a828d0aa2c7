use crate::builders::*;
use crate::stage::Stage;
use ledger::*;

fn row(no: i64) -> RowKey {
    RowKey { slice: 0, sequence: "s".into(), no }
}

fn spec(verb: Verb) -> JobSpec {
    JobSpec {
        verb,
        rate: Some(50),
        ramp: vec![1, 2],
        max: Some(10),
        stop: StopRule { percent: Some(5), ..StopRule::default() },
        plan_hash: Some("sha256:1".into()),
        who: "ops\0@example".into(),
        reason: "the period is open again".into(),
        ticket: None,
        approver: Some("boss@example".into()),
        to: None,
    }
}

fn job(id: &str, verb: Verb, rows: &[i64]) -> NewJob {
    let item = |no: &i64| NewItem { row: row(*no), version: 2, edit: None };
    NewJob { id: id.into(), at_ms: TODAY, spec: spec(verb), items: rows.iter().map(item).collect() }
}

/// A ledger with rows 1 to 6, of which the last is discarded.
async fn with_rows(stage: &Stage) -> std::sync::Arc<dyn Ledger> {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let mut parked: Vec<_> = (1..=6).map(|no| parked(0, "s", no)).collect();
    parked[5].fate = fate(ParkedState::Discarded);
    let parked = parked.into_iter().map(ParkedChange::Insert).collect();
    ledger.commit(&[SliceCommit { parked, ..batch(0, 1, 1) }]).await.unwrap();
    ledger
}

async fn create(ledger: &dyn Ledger, job: &NewJob) -> Creation {
    ledger.create_job(job, &audit("job.create")).await.unwrap()
}

fn change(job: &str, no: i64, state: ItemState) -> ItemChange {
    ItemChange { job: job.into(), sequence: "s".into(), no, result: ItemResult::new(state, TODAY + 7) }
}

async fn states(ledger: &dyn Ledger, id: &str) -> Vec<(i64, ItemState)> {
    let filter = ItemFilter { limit: 99, ..ItemFilter::default() };
    let items = ledger.job_items(id, &filter).await.unwrap();
    items.into_iter().map(|item| (item.row.no, item.result.state)).collect()
}

pub async fn a_job_freezes_its_items_and_is_created_once(stage: Stage) {
    let ledger = with_rows(&stage).await;
    let edit = Edit { number: 0, job: String::new(), value: Some("x".into()), headers: Default::default() };
    let mut new = job("j1", Verb::Edit, &[2, 1]);
    new.items.iter_mut().for_each(|item| item.edit = Some(edit.clone()));
    let Creation::Created(created) = create(&*ledger, &new).await else { panic!("refused") };
    assert_eq!((created.state, created.counts.pending, created.counts.total), (JobState::Queued, 2, 2));
    assert_eq!((&created.spec, created.created_ms), (&new.spec, TODAY));
    assert_eq!(create(&*ledger, &new).await, Creation::Created(created.clone()));
    assert_eq!(ledger.audit(9).await.unwrap().len(), 1, "a repeat leaves no second row");
    assert_eq!(ledger.job("j1").await.unwrap(), Some(created));
    assert_eq!(ledger.job("j2").await.unwrap(), None);
    let items = ledger.job_items("j1", &ItemFilter { limit: 1, ..ItemFilter::default() }).await.unwrap();
    assert_eq!((&items[0].row, items[0].version, &items[0].edit), (&row(1), 2, &Some(edit)));
    let after = ItemFilter { after: Some(items[0].row.clone()), limit: 9, ..ItemFilter::default() };
    let rest = ledger.job_items("j1", &after).await.unwrap();
    assert_eq!(rest.iter().map(|item| item.row.no).collect::<Vec<_>>(), [2]);
    let else_where = ItemFilter { slice: Some(1), limit: 9, ..ItemFilter::default() };
    assert!(ledger.job_items("j1", &else_where).await.unwrap().is_empty());
}

pub async fn a_row_is_held_by_one_job_and_a_prediction_holds_none(stage: Stage) {
    let ledger = with_rows(&stage).await;
    create(&*ledger, &job("j1", Verb::Retry, &[1, 2])).await;
    let refused = create(&*ledger, &job("j2", Verb::Discard, &[2, 3])).await;
    assert_eq!(refused, Creation::Refused { held: vec![(row(2), "j1".into())], changed: Vec::new() });
    assert_eq!(ledger.job("j2").await.unwrap(), None);
    assert!(matches!(create(&*ledger, &job("p", Verb::Predict, &[2, 6])).await, Creation::Created(_)));
    ledger.set_job("j1", JobAction::Cancel, &audit("job.cancel")).await.unwrap();
    assert!(matches!(create(&*ledger, &job("j2", Verb::Discard, &[2, 3])).await, Creation::Created(_)));
    let items = vec![change("j2", 2, ItemState::Done)];
    ledger.commit(&[SliceCommit { items, ..batch(0, 1, 2) }]).await.unwrap();
    assert!(matches!(create(&*ledger, &job("j3", Verb::Retry, &[2])).await, Creation::Created(_)));
}

pub async fn jobs_at_once_never_share_a_row(stage: Stage) {
    let ledger = with_rows(&stage).await;
    let others = [stage.ledger().await, stage.ledger().await];
    let at_once = (0..6).map(|n| {
        let ledger = others[n % 2].clone();
        async move { ledger.create_job(&job(&format!("j{n}"), Verb::Retry, &[1, 2, 3]), &audit("job")).await.unwrap() }
    });
    let made = futures::future::join_all(at_once).await;
    assert_eq!(made.iter().filter(|creation| matches!(creation, Creation::Created(_))).count(), 1);
    assert_eq!(ledger.jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap().len(), 1);
}

pub async fn rows_that_are_not_what_people_saw_are_named(stage: Stage) {
    let ledger = with_rows(&stage).await;
    let mut stale = job("j1", Verb::Retry, &[1, 2, 6, 7]);
    stale.items[1].version = 1;
    let refused = create(&*ledger, &stale).await;
    assert_eq!(refused, Creation::Refused { held: Vec::new(), changed: vec![row(2), row(6), row(7)] });
    let refused = create(&*ledger, &job("j1", Verb::Restore, &[5, 6])).await;
    assert_eq!(refused, Creation::Refused { held: Vec::new(), changed: vec![row(5)] });
    assert!(ledger.audit(9).await.unwrap().is_empty());
    assert!(matches!(create(&*ledger, &job("j1", Verb::Restore, &[6])).await, Creation::Created(_)));
}

pub async fn jobs_that_no_caller_should_create_are_misuse(stage: Stage) {
    let ledger = with_rows(&stage).await;
    create(&*ledger, &job("j1", Verb::Retry, &[1])).await;
    let mut edited = job("j2", Verb::Retry, &[2]);
    edited.items[0].edit = Some(Edit { number: 0, job: String::new(), value: None, headers: Default::default() });
    let mut many = job("j2", Verb::Retry, &[2, 3]);
    many.spec.max = Some(1);
    let wrong = [
        job("", Verb::Retry, &[2]),
        job("j2", Verb::Retry, &[]),
        job("j2", Verb::Retry, &[2, 2]),
        job("j2", Verb::Edit, &[2]),
        job("j1", Verb::Retry, &[2, 3]),
        edited,
        many,
    ];
    for new in wrong {
        let answer = ledger.create_job(&new, &audit("job")).await;
        assert!(matches!(answer, Err(Error::Misuse(_))), "{new:?}: {answer:?}");
    }
}

pub async fn a_job_is_what_its_items_are(stage: Stage) {
    let ledger = with_rows(&stage).await;
    create(&*ledger, &job("j1", Verb::Retry, &[1, 2, 3])).await;
    let live = JobFilter { live: true, limit: 9, ..JobFilter::default() };
    let pending = |slice| JobFilter { pending_in: Some(slice), limit: 9, ..JobFilter::default() };
    let here: Vec<_> = ledger.jobs(&pending(0)).await.unwrap().iter().map(|job| job.pending_here).collect();
    assert_eq!(here, [3]);
    assert!(ledger.jobs(&pending(1)).await.unwrap().is_empty());
    let refailed = ItemResult {
        code: Some("PANIC".into()),
        fingerprint: Some("v1:1".into()),
        note: Some("no\0".into()),
        ..ItemResult::new(ItemState::Refailed, TODAY + 8)
    };
    let applied = ItemResult { ended: Some(ParkedState::Applied), ..ItemResult::new(ItemState::Done, TODAY + 8) };
    let item = |no, result: &ItemResult| ItemChange { result: result.clone(), ..change("j1", no, ItemState::Done) };
    let fates = vec![ParkedChange::Update { sequence: "s".into(), no: 1, fate: fate(ParkedState::Applied) }];
    let items = vec![item(1, &applied), item(2, &refailed)];
    let commit = SliceCommit { items, parked: fates, ..batch(0, 1, 2) };
    for _ in 0..2 {
        ledger.commit(std::slice::from_ref(&commit)).await.unwrap();
    }
    let found = ledger.job("j1").await.unwrap().unwrap();
    assert_eq!((found.state, found.counts.done, found.counts.refailed), (JobState::Running, 1, 1));
    let filter = ItemFilter { state: Some(ItemState::Refailed), limit: 9, ..ItemFilter::default() };
    assert_eq!(ledger.job_items("j1", &filter).await.unwrap()[0].result, refailed);
    let predicted = ItemResult { prediction: Some(Prediction::NeedsLookUp), ..refailed.clone() };
    let items = vec![item(1, &refailed), item(3, &predicted)];
    ledger.commit(&[SliceCommit { items, ..batch(0, 1, 3) }]).await.unwrap();
    let found = ledger.job("j1").await.unwrap().unwrap();
    assert_eq!((found.state, found.counts.done, found.counts.refailed), (JobState::Finished, 1, 2), "results stay");
    assert!(ledger.jobs(&live).await.unwrap().is_empty() && ledger.jobs(&pending(0)).await.unwrap().is_empty());
    assert!(matches!(ledger.set_job("j1", JobAction::Pause, &audit("pause")).await, Err(Error::Misuse(_))));
}

pub async fn jobs_are_paused_resumed_and_cancelled_on_the_record(stage: Stage) {
    let ledger = with_rows(&stage).await;
    create(&*ledger, &job("j1", Verb::Retry, &[1, 2])).await;
    let mut seen = Vec::new();
    for action in [JobAction::Pause, JobAction::Pause, JobAction::Resume, JobAction::Cancel] {
        seen.push(ledger.set_job("j1", action, &audit("job")).await.unwrap().state);
    }
    assert_eq!(seen, [JobState::Paused, JobState::Paused, JobState::Queued, JobState::Cancelled]);
    assert_eq!(ledger.audit(9).await.unwrap().len(), 5);
    assert_eq!(states(&*ledger, "j1").await, [(1, ItemState::Released), (2, ItemState::Released)]);
    let under_way = vec![change("j1", 1, ItemState::Done)];
    ledger.commit(&[SliceCommit { items: under_way, ..batch(0, 1, 2) }]).await.unwrap();
    assert_eq!(states(&*ledger, "j1").await, [(1, ItemState::Done), (2, ItemState::Released)]);
    for (id, action) in [("j1", JobAction::Resume), ("j1", JobAction::Cancel), ("j9", JobAction::Pause)] {
        assert!(matches!(ledger.set_job(id, action, &audit("job")).await, Err(Error::Misuse(_))));
    }
}

pub async fn a_stop_rule_ends_a_job_in_a_commit(stage: Stage) {
    let ledger = with_rows(&stage).await;
    create(&*ledger, &job("j1", Verb::Retry, &[1, 2, 3])).await;
    let stop = |reason: &str| vec![JobStop { job: "j1".into(), reason: reason.into() }];
    let items = vec![change("j1", 1, ItemState::Refailed)];
    ledger.commit(&[SliceCommit { items, job_stops: stop("5 % re-failed"), ..batch(0, 1, 2) }]).await.unwrap();
    ledger.commit(&[SliceCommit { job_stops: stop("again"), ..batch(0, 1, 3) }]).await.unwrap();
    let found = ledger.job("j1").await.unwrap().unwrap();
    assert_eq!((found.state, found.stopped.as_deref()), (JobState::Stopped, Some("5 % re-failed")));
    assert_eq!((found.counts.refailed, found.counts.released), (1, 2));
    let rows = ledger.audit_page(0, 100).await.unwrap();
    let stops: Vec<_> = rows.iter().filter(|row| row.row.action == "job.stop").map(|row| &row.row).collect();
    assert_eq!(stops.len(), 1, "one row for one stop: {rows:?}");
    assert_eq!((stops[0].subject.as_str(), stops[0].reason.as_str()), ("j1", "5 % re-failed"));
    ledger.append_audit(&audit("behind it")).await.unwrap();
    assert_eq!(verify_audit(&ledger.audit_page(0, 100).await.unwrap()), Ok(()), "the chain goes on");
    assert!(matches!(create(&*ledger, &job("j2", Verb::Retry, &[2, 3])).await, Creation::Created(_)));
}

pub async fn groups_of_letters_are_put_on_the_record(stage: Stage) {
    let ledger = stage.ledger().await;
    let group = |fingerprint: &str, state| LetterGroup {
        fingerprint: fingerprint.into(),
        state,
        until_ms: (state == GroupState::Archived).then_some(TODAY),
        who: "ops".into(),
        note: Some("known\0".into()),
        updated_ms: TODAY,
    };
    ledger.put_letter_group(&group("v1:2", GroupState::Acknowledged), &audit("ack")).await.unwrap();
    ledger.put_letter_group(&group("v1:1", GroupState::Archived), &audit("archive")).await.unwrap();
    ledger.put_letter_group(&group("v1:2", GroupState::Resolved), &audit("resolve")).await.unwrap();
    let expected = [group("v1:1", GroupState::Archived), group("v1:2", GroupState::Resolved)];
    assert_eq!(ledger.letter_groups().await.unwrap(), expected);
    ledger.append_audit(&audit("refused")).await.unwrap();
    let page = ledger.audit_page(2, 2).await.unwrap();
    assert_eq!(page.iter().map(|r| (r.seq, &*r.row.action)).collect::<Vec<_>>(), [(2, "archive"), (3, "resolve")]);
    assert_eq!(verify_audit(&ledger.audit_page(1, 99).await.unwrap()), Ok(()));
    assert_eq!(ledger.audit_page(5, 9).await.unwrap(), []);
}
