//! What data teams are told of events that failed: one row for each that has ended, in the transaction in which it ended.

#[path = "jobs/rig.rs"]
mod rig;

use consumer::machine::{REPORTS, Reports, Settings, StopTheLine};
use events::{AnalyticsEventRecovery, common::RecoveryEnd};
use ledger::Verb;
use rig::{Rig, WAITS, fact, poison};
use std::sync::Arc;

fn telling(settings: &mut Settings) {
    settings.line = StopTheLine { in_row: 100, percent: 0, ..settings.line };
    settings.reports = Reports { recovery: Some(7), latency: None };
    let partitions = REPORTS.into_iter().map(|topic| (topic.to_owned(), 1));
    settings.partitions =
        Arc::new(settings.partitions.iter().map(|(t, n)| (t.clone(), *n)).chain(partitions).collect());
}

/// Events by id, how they ended, and the code of their first failure.
fn told(rig: &Rig) -> Vec<(String, RecoveryEnd, String)> {
    let row = |row: AnalyticsEventRecovery| (row.source_event_id.unwrap_or_default(), row.ended_as, row.first_code);
    rig.recoveries().into_iter().map(row).collect()
}

fn one(id: &str, end: RecoveryEnd, code: &str) -> (String, RecoveryEnd, String) {
    (id.to_owned(), end, code.to_owned())
}

/// The event fails when it arrives, at 1.000 s; people mend the cause five seconds later.
#[test]
fn an_event_that_failed_and_took_effect_is_told_with_the_time_that_it_took() {
    let mut rig = Rig::with(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("b", "b1", 1)], telling);
    rig.wait(5_000);
    assert_eq!(rig.recoveries(), [], "it has not ended");
    rig.mend();
    rig.job(Verb::Retry, &["a1"], |_| {});
    assert_eq!(rig.fates(), ["a1 applied", "a2 applied"]);
    let rows = rig.recoveries();
    assert_eq!(
        told(&rig),
        [one("a1", RecoveryEnd::Applied, "FIELD_INVALID")],
        "what only waited behind failed nowhere"
    );
    let row = &rows[0];
    let ended_ms = row.recorded_at.as_millisecond();
    assert_eq!((row.occurred_at.as_millisecond(), row.recovery_ms), (1_000, ended_ms - 1_000));
    assert!((6_000..=rig.now()).contains(&ended_ms), "{ended_ms}");
    assert_eq!((row.account_id.as_str(), row.service.as_str(), row.attempts), ("a", "taker", 1));
    assert_eq!((row.first_class.as_str(), row.topic.as_str(), row.has_recovered), ("contract", "fact.v1", true));
}

#[test]
fn a_next_owner_tells_nothing_again() {
    let mut rig = Rig::with(vec![fact("a", "a1", 666)], telling);
    rig.mend();
    rig.job(Verb::Retry, &["a1"], |_| {});
    assert!(rig.take_over());
    assert_eq!(rig.recoveries().len(), 1);
}

/// It waits for another event until that is too long, and becomes a letter for another reason.
#[test]
fn the_first_failure_counts_whatever_comes_after_it() {
    let mut rig = Rig::with(vec![fact("a", "a1", WAITS)], telling);
    rig.job(Verb::Discard, &["a1"], |_| {});
    assert_eq!(told(&rig), [one("a1", RecoveryEnd::Discarded, "ORDER_MISSING")]);
    let row = &rig.recoveries()[0];
    assert_eq!((row.first_class.as_str(), row.last_code.as_str()), ("not_yet", "AWAITED_TOO_LONG"));
    assert!(row.attempts > 1 && row.occurred_at.as_millisecond() == 1_000, "{row:?}");
}

/// What it waits for comes right behind it: it goes first, and both take effect.
#[test]
fn an_event_that_waited_for_another_has_recovered_by_itself() {
    let rig = Rig::with(vec![fact("a", "a1", WAITS), fact("a", "bringer-a", 1)], telling);
    assert_eq!(told(&rig), [one("a1", RecoveryEnd::Applied, "ORDER_MISSING")]);
}

#[test]
fn what_people_give_up_has_ended_and_not_recovered() {
    let mut rig = Rig::with(vec![fact("a", "a1", 666), fact("b", "b1", 666)], telling);
    rig.job(Verb::Discard, &["a1"], |_| {});
    rig.job(Verb::Erase, &["b1"], |_| {});
    let ends = [one("a1", RecoveryEnd::Discarded, "FIELD_INVALID"), one("b1", RecoveryEnd::Erased, "FIELD_INVALID")];
    assert_eq!(told(&rig), ends);
    assert!(rig.recoveries().iter().all(|row| !row.has_recovered));
}

/// It is moved to where it belongs first, and that is no end.
#[test]
fn what_nobody_could_read_is_told_when_it_took_effect_in_its_sequence() {
    let mut rig = Rig::with(vec![poison("p")], telling);
    rig.readable();
    rig.job(Verb::Retry, &["!0"], |_| {});
    assert_eq!(told(&rig), [one("poison-p", RecoveryEnd::Applied, "BYTES_NOT_AVRO")]);
}

#[test]
fn without_the_topic_nothing_is_told() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    rig.mend();
    rig.job(Verb::Retry, &["a1"], |_| {});
    assert_eq!((rig.fates(), rig.recoveries()), (vec!["a1 applied".to_owned()], Vec::new()));
}
