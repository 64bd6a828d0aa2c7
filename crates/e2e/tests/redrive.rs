//! Letters of several causes are redriven by jobs while the service is killed, paused and resumed: in order, once, on the record.

use devstack::Kind;
use e2e::{Bench, erp::Erp};
use events::{Envelope, Event};
use ledger::{
    Creation, ItemFilter, ItemState, Job, JobAction, JobSpec, JobState, NewAudit, NewItem, NewJob, ParkedFilter,
    ParkedRecord, ParkedState, RowKey, StopRule, Verb, verify_audit,
};
use serde_json::json;
use std::time::Duration;
use testkit::{
    business::{Item, Options, stream},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(120);
const RECORDS: &str = "/services/rest/record/v1";

fn business(seed: u64, accounts: u32) -> Vec<(Envelope, Event)> {
    let events = stream(&Options::new(seed, accounts)).expect("good options");
    let events = events.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.collect()
}

async fn publish(bench: &Bench, events: &[(Envelope, Event)]) {
    let records: Vec<_> = events.iter().map(|(envelope, event)| bench.record(envelope, event)).collect();
    bench.publish(&records).await.expect("published");
}

fn audit(action: &str) -> NewAudit {
    NewAudit {
        at_ms: 1,
        actor: "sre@example".into(),
        action: action.into(),
        subject: "letters".into(),
        reason: "the causes are mended".into(),
        before: None,
        after: None,
    }
}

/// Heads that failed for good.
async fn letters(bench: &Bench) -> Vec<ParkedRecord> {
    let states = ParkedState::ALL.into_iter().filter(|state| state.is_alive()).collect();
    let filter = ParkedFilter { states, failed: true, limit: 10_000, ..ParkedFilter::default() };
    let rows = bench.ledger.parked_records(&filter).await.expect("read");
    let is_for_good = |row: &ParkedRecord| {
        let class = row.fate.failure.as_ref().map(|failure| failure.class);
        matches!(class, Some(failure::Class::Business | failure::Class::Contract))
    };
    rows.into_iter().filter(is_for_good).collect()
}

async fn retry(bench: &Bench, id: &str, rows: &[ParkedRecord], rate: Option<u32>) -> Job {
    let item = |row: &ParkedRecord| NewItem {
        row: RowKey { slice: row.slice, sequence: row.sequence.clone(), no: row.no },
        version: row.fate.version,
        edit: None,
    };
    let spec = JobSpec {
        verb: Verb::Retry,
        rate,
        ramp: vec![1],
        max: None,
        stop: StopRule::default(),
        plan_hash: None,
        who: "sre@example".into(),
        reason: "the causes are mended".into(),
        ticket: None,
        approver: None,
        to: None,
    };
    let job = NewJob { id: id.into(), at_ms: 1, spec, items: rows.iter().map(item).collect() };
    match bench.ledger.create_job(&job, &audit("job.create")).await {
        Ok(Creation::Created(job)) => job,
        other => panic!("{other:?}"),
    }
}

async fn job_with(bench: &Bench, id: &str, what: &str, is_so: impl Fn(&Job) -> bool) -> Job {
    eventually(what, PATIENCE, async || {
        let job = bench.ledger.job(id).await.map_err(|error| error.to_string())?.ok_or("there is no job")?;
        if is_so(&job) { Ok(job) } else { Err(format!("{job:?}")) }
    })
    .await
    .expect(what)
}

async fn set(bench: &Bench, id: &str, action: JobAction) -> JobState {
    bench.ledger.set_job(id, action, &audit("job.set")).await.expect("set").state
}

/// Each stage refuses a part of what reaches it, until it is mended.
async fn break_erp(erp: &Erp) {
    let rules =
        [("customer", 0.4, "Customer is on Credit Hold"), ("salesOrder", 0.5, "no such item"), ("invoice", 0.8, "odd")];
    for (object, probability, detail) in rules {
        let rule = json!({
            "id": object, "method": "POST", "path": format!("{RECORDS}/{object}"), "probability": probability,
            "error": "USER_ERROR", "detail": detail,
        });
        erp.add_fault(&rule).await.expect("a rule");
    }
}

/// What is left, as an operator redrives it: by a plan, through control, where the stack says it is. Answers the id of the job.
async fn by_command(bench: &Bench) -> String {
    let plan = bench.data().join("left.plan.json");
    let plan = plan.to_str().expect("text");
    let choice = ["--service", "erp-sync", "--class", "business", "--state", "open"];
    bench.throughline(&[&["dlq", "plan", "retry", "--save", plan], &choice[..]].concat()).await.expect("planned");
    let apply = ["dlq", "apply", plan, "--reason", "the causes are mended", "--detach"];
    let answer = bench.throughline(&apply).await.expect("applied");
    answer["job"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_redriven_once_and_in_order_whatever_happens_to_the_service() {
    Box::pin(redriven(Kind::Embedded)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_parts_letters_are_redriven_once_and_in_order_too() {
    Box::pin(redriven(Kind::Real)).await;
}

async fn redriven(kind: Kind) {
    let services = [("erp-sync", 1), ("control", 1)];
    let bench = Bench::start_with(kind, &services, "redrive", |config| config).await.expect("the stack starts");
    let erp = Erp::of(&bench.stack);
    break_erp(&erp).await;
    let events = business(11, 100);
    let (before, meanwhile) = events.split_at(events.len() / 10 * 9);
    publish(&bench, before).await;
    bench.verified(PATIENCE).await.expect("verified with its letters");
    let rows = letters(&bench).await;
    assert!(rows.len() >= 60, "{} letters", rows.len());
    let causes =
        bench.ledger.letter_counts(&ParkedFilter { limit: 99, ..ParkedFilter::default() }).await.expect("read");
    assert!(causes.len() >= 3, "{causes:?}");

    erp.heal().await.expect("healed");
    let job = retry(&bench, "job-1", &rows, Some(10)).await;
    publish(&bench, meanwhile).await;
    job_with(&bench, "job-1", "some are done", |job| job.counts.done >= 5).await;
    bench.stack.kill("erp-sync").await.expect("killed");
    job_with(&bench, "job-1", "the next owner goes on", |job| job.counts.done >= 20).await;
    assert_eq!(set(&bench, "job-1", JobAction::Pause).await, JobState::Paused);
    bench.stack.kill("erp-sync").await.expect("killed");
    assert_eq!(set(&bench, "job-1", JobAction::Resume).await, JobState::Running);
    let half = job.counts.total / 2;
    job_with(&bench, "job-1", "half is done", |job| job.counts.done >= half).await;
    assert_eq!(set(&bench, "job-1", JobAction::Cancel).await, JobState::Cancelled);
    let cancelled = bench.ledger.job("job-1").await.expect("read").expect("there");
    assert_eq!(cancelled.counts.total, rows.len() as u64, "what fails meanwhile stays out of the set");

    bench.verified(PATIENCE).await.expect("verified half way");
    let left = letters(&bench).await;
    assert!(!left.is_empty() && left.len() < rows.len(), "{} of {} are left", left.len(), rows.len());
    let job = by_command(&bench).await;
    let done = job_with(&bench, &job, "the rest is done", |job| job.state == JobState::Finished).await;
    let filter = ItemFilter { limit: 10_000, ..ItemFilter::default() };
    let items = bench.ledger.job_items(&job, &filter).await.expect("read");
    // One that waits behind a head which is retried by itself is told as blocked; it moves when the head has ended. What the
    // cancelled job had begun may end after the plan was made.
    let is_fine =
        |item: &ledger::JobItem| matches!(item.result.state, ItemState::Done | ItemState::Blocked | ItemState::Changed);
    let odd: Vec<_> = items.iter().filter(|item| !is_fine(item)).collect();
    assert!(odd.is_empty(), "{done:?} {odd:?}");
    assert!(done.counts.done * 10 >= done.counts.total * 9, "{done:?}");

    let report = bench.verified(PATIENCE).await.expect("verified");
    assert!(report.checks.iter().all(|check| check.ok), "{report:?}");
    let left: Vec<_> = letters(&bench).await;
    let told: Vec<_> = left.iter().map(|row| (&row.sequence, row.no, &row.topic, &row.fate)).collect();
    let sequences = bench.ledger.sequences(None).await.expect("read");
    assert!(left.is_empty(), "nothing is left to people: {told:#?} {sequences:#?}");
    let created = erp.created().await.expect("the effect log");
    assert!(created.values().all(|times| *times == 1), "each record is made once");
    assert_eq!(verify_audit(&bench.ledger.audit_page(1, 10_000).await.expect("read")), Ok(()));
    bench.stop().await.expect("stopped");
}
