use crate::builders::*;
use crate::stage::Stage;
use ledger::*;
use std::sync::Arc;

fn rule(id: &str) -> LetterRule {
    LetterRule {
        id: id.into(),
        owner: "billing\0team".into(),
        who: "ada".into(),
        reason: "the ERP is slow at month's end".into(),
        class: Some(failure::Class::Business),
        code: Some("PERIOD_CLOSED".into()),
        fingerprint: None,
        action: RuleAction::Retry { every_ms: 3_600_000 },
        created_ms: TODAY,
        ends_ms: TODAY + 7 * DAY,
    }
}

fn redirect(topic: &str, partitions: i32) -> RuleAction {
    RuleAction::Redirect(Destination { topic: topic.into(), partitions })
}

fn outlook(slice: i32, fingerprint: &str) -> Outlook {
    Outlook {
        slice,
        fingerprint: fingerprint.into(),
        checked_ms: TODAY,
        build: "1.2.3".into(),
        sampled: 3,
        would_end: 2,
        would_ask: 1,
        job: None,
        note: Some("no such item\0".into()),
    }
}

pub async fn rules_are_added_once_read_back_and_removed_on_the_record(stage: Stage) {
    let ledger = stage.ledger().await;
    let discard = LetterRule { action: RuleAction::Discard, fingerprint: Some("v1:1".into()), ..rule("b") };
    let redirect = LetterRule { action: redirect("elsewhere", 12), ..rule("c") };
    for rule in [&discard, &rule("a"), &rule("a"), &redirect] {
        ledger.add_letter_rule(rule, &audit("rule.add")).await.unwrap();
    }
    assert_eq!(ledger.letter_rules().await.unwrap(), [rule("a"), discard, redirect]);
    assert_eq!(ledger.audit(9).await.unwrap().len(), 3, "a repeat leaves no second row");
    let other = LetterRule { owner: "somebody else".into(), ..rule("a") };
    assert!(matches!(ledger.add_letter_rule(&other, &audit("rule.add")).await, Err(Error::Misuse(_))));
    ledger.remove_letter_rule("a", &audit("rule.remove")).await.unwrap();
    assert!(matches!(ledger.remove_letter_rule("a", &audit("rule.remove")).await, Err(Error::Misuse(_))));
    assert_eq!(ledger.letter_rules().await.unwrap().len(), 2);
    assert_eq!(ledger.audit(9).await.unwrap().len(), 4);
    assert_eq!(verify_audit(&ledger.audit_page(1, 9).await.unwrap()), Ok(()));
}

pub async fn rules_that_no_caller_should_add_are_misuse(stage: Stage) {
    let ledger = stage.ledger().await;
    let wrong = [
        rule(""),
        rule("Ä"),
        LetterRule { owner: " ".into(), ..rule("a") },
        LetterRule { reason: String::new(), ..rule("a") },
        LetterRule { class: None, code: None, ..rule("a") },
        LetterRule { action: RuleAction::Discard, code: None, ..rule("a") },
        LetterRule { ends_ms: TODAY, ..rule("a") },
        LetterRule { action: RuleAction::Retry { every_ms: 59_999 }, ..rule("a") },
        LetterRule { action: redirect("", 1), ..rule("a") },
        LetterRule { action: redirect("elsewhere", 0), ..rule("a") },
        LetterRule { action: redirect("elsewhere", 1), code: None, ..rule("a") },
    ];
    for rule in wrong {
        let answer = ledger.add_letter_rule(&rule, &audit("rule.add")).await;
        assert!(matches!(answer, Err(Error::Misuse(_))), "{rule:?}: {answer:?}");
    }
    assert!(ledger.letter_rules().await.unwrap().is_empty() && ledger.audit(9).await.unwrap().is_empty());
}

pub async fn outlooks_of_a_slice_are_replaced_as_a_whole(stage: Stage) {
    let ledger = stage.ledger().await;
    ledger.put_outlooks(0, &[outlook(0, "v1:2"), outlook(0, "v1:1")]).await.unwrap();
    ledger.put_outlooks(1, &[outlook(1, "v1:1")]).await.unwrap();
    let newer = Outlook { checked_ms: TODAY + 1, job: Some("auto-1".into()), ..outlook(0, "v1:2") };
    ledger.put_outlooks(0, std::slice::from_ref(&newer)).await.unwrap();
    assert_eq!(ledger.outlooks().await.unwrap(), [newer, outlook(1, "v1:1")]);
    ledger.put_outlooks(0, &[]).await.unwrap();
    assert_eq!(ledger.outlooks().await.unwrap(), [outlook(1, "v1:1")]);
}

/// Rows 1 and 2 are alive; jobs are made and ended today.
async fn with_jobs(stage: &Stage, verbs: &[(&str, Verb, i64)]) -> Arc<dyn Ledger> {
    let ledger = stage.ledger().await;
    ledger.take_over(0, "me").await.unwrap();
    let parked = (1..=2).map(|no| ParkedChange::Insert(parked(0, "s", no))).collect();
    ledger.commit(&[SliceCommit { parked, ..batch(0, 1, 1) }]).await.unwrap();
    for (id, verb, no) in verbs {
        let spec = JobSpec {
            verb: *verb,
            rate: None,
            ramp: Vec::new(),
            max: None,
            stop: StopRule::default(),
            plan_hash: None,
            who: "ops".into(),
            reason: r#"{"verb":"predict", is no verb"#.into(),
            ticket: None,
            approver: None,
            to: None,
        };
        let row = RowKey { slice: 0, sequence: "s".into(), no: *no };
        let items = vec![NewItem { row, version: 2, edit: None }];
        let job = NewJob { id: (*id).into(), at_ms: TODAY, spec, items };
        let made = ledger.create_job(&job, &audit("job")).await.unwrap();
        assert!(matches!(made, Creation::Created(_)), "{made:?}");
    }
    ledger
}

async fn jobs(ledger: &dyn Ledger) -> Vec<String> {
    let mut ids: Vec<_> =
        ledger.jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap().into_iter().map(|j| j.id).collect();
    ids.sort();
    ids
}

fn ended(job: &str, no: i64, state: ItemState) -> ItemChange {
    ItemChange { job: job.into(), sequence: "s".into(), no, result: ItemResult::new(state, TODAY) }
}

pub async fn jobs_go_after_their_time_and_never_before_their_letters_are_final(stage: Stage) {
    let ledger =
        with_jobs(&stage, &[("p", Verb::Predict, 1), ("open", Verb::Retry, 1), ("done", Verb::Retry, 2)]).await;
    let later = DecisionHorizon { predictions_ms: TODAY + 1, decisions_ms: TODAY + 1 };
    assert_eq!(ledger.prune_decisions(later).await.unwrap(), 0, "none has its result");
    let items = vec![
        ended("p", 1, ItemState::Predicted),
        ended("open", 1, ItemState::Refailed),
        ended("done", 2, ItemState::Done),
    ];
    let end = vec![ParkedChange::Update { sequence: "s".into(), no: 2, fate: fate(ParkedState::Applied) }];
    ledger.commit(&[SliceCommit { items, parked: end, ..batch(0, 1, 2) }]).await.unwrap();
    let now = DecisionHorizon { predictions_ms: TODAY, decisions_ms: TODAY };
    assert_eq!(ledger.prune_decisions(now).await.unwrap(), 0, "none is old enough");
    let no_predictions = JobFilter { no_predictions: true, limit: 9, ..JobFilter::default() };
    assert_eq!(ledger.jobs(&no_predictions).await.unwrap().len(), 2);
    let predictions = DecisionHorizon { predictions_ms: TODAY + 1, ..now };
    assert_eq!(ledger.prune_decisions(predictions).await.unwrap(), 1);
    assert_eq!(jobs(&*ledger).await, ["done", "open"]);
    assert_eq!(ledger.prune_decisions(later).await.unwrap(), 1);
    assert_eq!(jobs(&*ledger).await, ["open"], "its letter is alive");
    assert!(ledger.job_items("done", &ItemFilter { limit: 9, ..ItemFilter::default() }).await.unwrap().is_empty());
    assert_eq!(verify_audit(&ledger.audit_page(1, 99).await.unwrap()), Ok(()), "the audit stays whole");
}

pub async fn expired_rules_and_what_was_said_of_gone_causes_go_after_their_time(stage: Stage) {
    let ledger = with_jobs(&stage, &[]).await;
    ledger.add_letter_rule(&rule("a"), &audit("rule.add")).await.unwrap();
    let known = parked(0, "s", 1).fate.fingerprint.expect("a cause");
    for fingerprint in ["v1:gone", known.as_str()] {
        let group = LetterGroup {
            fingerprint: fingerprint.into(),
            state: GroupState::Resolved,
            until_ms: None,
            who: "ops".into(),
            note: None,
            updated_ms: TODAY,
        };
        ledger.put_letter_group(&group, &audit("group")).await.unwrap();
    }
    let at = |ms| DecisionHorizon { predictions_ms: ms, decisions_ms: ms };
    ledger.prune_decisions(at(TODAY)).await.unwrap();
    assert_eq!((ledger.letter_rules().await.unwrap().len(), ledger.letter_groups().await.unwrap().len()), (1, 2));
    ledger.prune_decisions(at(TODAY + 8 * DAY)).await.unwrap();
    assert!(ledger.letter_rules().await.unwrap().is_empty());
    let left: Vec<_> = ledger.letter_groups().await.unwrap().into_iter().map(|group| group.fingerprint).collect();
    assert_eq!(left, [known]);
}
