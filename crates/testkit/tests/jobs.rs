//! What jobs do to parked records, one behind the other: the real machine over a memory ledger, without faults.

#[path = "jobs/rig.rs"]
mod rig;

use failure::Class;
use ledger::{ItemState, JobState, ParkedState, Prediction, StopRule, Verb};
use rig::{Rig, fact, poison};

#[test]
fn a_retry_takes_the_head_and_what_lies_behind_it_moves_by_itself() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("b", "b1", 1), fact("a", "a3", 1)]);
    assert_eq!(rig.fates(), ["a1 letter", "a2 waiting", "a3 waiting"]);
    rig.mend();
    let job = rig.job(Verb::Retry, &["a1", "a3"], |_| {});
    assert_eq!((job.state, job.counts.done), (JobState::Finished, 2));
    assert_eq!(rig.fates(), ["a1 applied", "a2 applied", "a3 applied"]);
    assert_eq!(rig.taken("a"), ["a1", "a2", "a3"]);
}

#[test]
fn what_fails_again_is_told_and_those_behind_it_do_not_have_their_turn() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1)]);
    let job = rig.job(Verb::Retry, &["a1", "a2"], |_| {});
    assert_eq!((job.counts.refailed, job.counts.blocked), (1, 1));
    let item = &rig.items(&job.id)[0];
    assert_eq!(item.result.code.as_deref(), Some("FIELD_INVALID"));
    assert!(item.result.fingerprint.as_deref().is_some_and(|of| of.starts_with("v1:")));
    let lonely = rig.job(Verb::Retry, &["a2"], |_| {});
    assert_eq!(lonely.counts.blocked, 1, "its head is not part of the job");
}

#[test]
fn a_head_that_is_given_up_lets_its_sequence_go_on() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), poison("p")]);
    let job = rig.job(Verb::Discard, &["a1", "!0"], |_| {});
    assert_eq!(job.counts.done, 2);
    assert_eq!(rig.fates(), ["a1 discarded", "a2 applied", "!0 discarded"]);
    assert_eq!(rig.cases(), 0);
}

#[test]
fn what_was_given_up_comes_back_to_its_place_unless_its_sequence_has_gone_past_it() {
    let mut rig = Rig::new(vec![
        fact("a", "a1", 666),
        fact("a", "a2", 666),
        fact("a", "a3", 1),
        poison("p"),
        fact("b", "b1", 666),
    ]);
    rig.job(Verb::Discard, &["a1", "!0", "b1"], |_| {});
    assert_eq!(rig.fates(), ["a1 discarded", "a2 letter", "a3 waiting", "!0 discarded", "b1 discarded"]);
    let job = rig.job(Verb::Restore, &["a1", "!0", "b1"], |_| {});
    assert_eq!((job.counts.done, job.counts.refused), (2, 1));
    let refused = rig.items(&job.id).into_iter().find(|item| item.result.state == ItemState::Refused).expect("one");
    assert_eq!((&*refused.row.sequence, refused.result.code.as_deref()), ("b", Some("RESTORE_TOO_LATE")));
    rig.mend();
    assert_eq!(rig.job(Verb::Retry, &["a1"], |_| {}).counts.done, 1);
    assert_eq!(rig.taken("a"), ["a1", "a2", "a3"]);
}

#[test]
fn an_edit_stands_beside_the_original_and_a_second_edit_is_another_event() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1)]);
    let original = rig.row("a1");
    let first = rig.edit("a1", 666);
    assert_eq!(first.counts.refailed, 1);
    let row = rig.row("a1");
    assert_eq!((&row.value, &row.headers), (&original.value, &original.headers));
    assert_eq!(rig.edit("a1", 5).counts.done, 1);
    assert_eq!(rig.fates(), ["a1 applied", "a2 applied"]);
    assert_eq!(rig.taken("a"), ["a1#edit-2", "a2"]);
    let edit = rig.row("a1").fate.edit.expect("the edit is kept");
    assert_eq!((edit.number, edit.headers.text("ce_id")), (2, Some("a1#edit-2")));
}

#[test]
fn an_edit_that_cannot_be_read_changes_nothing() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    let before = rig.row("a1");
    let job = rig.edit_to("a1", "no number".into());
    assert_eq!(job.counts.refused, 1);
    assert_eq!(rig.row("a1"), before);
}

#[test]
fn what_nobody_could_read_goes_on_in_its_sequence_once_it_can_be_read() {
    let mut rig = Rig::new(vec![poison("p"), fact("p", "p2", 1)]);
    rig.readable();
    let job = rig.job(Verb::Retry, &["!0"], |_| {});
    assert_eq!(rig.items(&job.id)[0].result.ended, Some(ParkedState::Moved));
    assert_eq!(rig.taken("p"), ["p2", "poison-p"]);
    assert_eq!(rig.cases(), 0);
}

#[test]
fn a_prediction_changes_nothing_and_says_what_a_retry_then_does() {
    let mut rig = Rig::new(vec![
        fact("a", "a1", 666),
        fact("a", "a2", 1),
        fact("b", "b1", 666),
        fact("b", "b2", 1),
        fact("c", "c1", 667),
    ]);
    rig.mend_only(667);
    let before = rig.everything();
    let job = rig.job(Verb::Predict, &["a1", "a2", "c1", "b2"], |_| {});
    assert_eq!(rig.everything(), before);
    let said: Vec<_> = rig.items(&job.id).into_iter().map(|item| item.result.prediction.expect("predicted")).collect();
    use Prediction::{Apply, Blocked, Refused};
    assert_eq!(said, [Refused, Blocked, Blocked, Apply]);
    let job = rig.job(Verb::Retry, &["a1", "a2", "c1", "b2"], |_| {});
    let done: Vec<_> = rig.items(&job.id).into_iter().map(|item| item.result.state).collect();
    assert_eq!(done, [ItemState::Refailed, ItemState::Blocked, ItemState::Blocked, ItemState::Done]);
}

#[test]
fn a_row_that_people_have_not_seen_as_it_is_now_is_left_alone() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    let late = rig.prepared(Verb::Discard, &["a1"]);
    let created = rig.create(late);
    rig.retry_by_hand("a");
    rig.settle();
    let job = rig.state_of(&created);
    assert_eq!(job.counts.changed, 1);
    assert_eq!(rig.fates(), ["a1 letter"]);
}

#[test]
fn a_job_stops_by_its_rule_and_letters_of_jobs_never_stop_the_slice() {
    let events = (0..80).map(|n| fact(&format!("k{n:02}"), &format!("k{n:02}"), 666)).collect();
    let mut rig = Rig::new(events);
    let ids: Vec<String> = (0..80).map(|n| format!("k{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let job = rig.job(Verb::Retry, &ids, |_| {});
    assert_eq!(job.counts.refailed, 80);
    let stop = StopRule { same_fingerprint: Some(5), ..StopRule::default() };
    let job = rig.job(Verb::Retry, &ids, |spec| (spec.stop, spec.ramp) = (stop.clone(), vec![1; 80]));
    assert_eq!((job.state, job.counts.refailed, job.counts.released), (JobState::Stopped, 5, 75));
    assert!(job.stopped.is_some_and(|reason| reason.contains("fingerprint")));
}

#[test]
fn what_was_given_up_does_not_come_back_once_a_later_row_has_taken_effect() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("a", "a3", 666), fact("a", "a4", 1)]);
    rig.job(Verb::Discard, &["a1"], |_| {});
    let job = rig.job(Verb::Restore, &["a1"], |_| {});
    assert_eq!(rig.items(&job.id)[0].result.code.as_deref(), Some("RESTORE_TOO_LATE"));
    assert_eq!(rig.fates(), ["a1 discarded", "a2 applied", "a3 letter", "a4 waiting"]);
    assert_eq!(rig.sequences()[0].class, Class::Contract);
}
