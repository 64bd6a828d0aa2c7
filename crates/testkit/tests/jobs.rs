//! What jobs do to parked records, one behind the other: the real machine over a memory ledger, without faults.

#[path = "jobs/rig.rs"]
mod rig;

use consumer::machine::StopTheLine;
use failure::Class;
use ledger::{ItemState, JobState, ParkedState, Prediction, StopRule, Verb};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rig::{Rig, STALE, WAITS, fact, poison};

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
    assert!(item.result.fingerprint.as_deref().is_some_and(|of| of.starts_with("v2:")));
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
fn what_is_erased_is_gone_and_its_sequence_goes_on_without_it() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("b", "b1", 666), fact("b", "b2", 1)]);
    rig.job(Verb::Discard, &["b1"], |_| {});
    let job = rig.job(Verb::Erase, &["a1", "b1"], |_| {});
    assert_eq!((job.state, job.counts.done), (JobState::Finished, 2));
    assert_eq!(rig.fates(), ["a1 erased", "a2 applied", "b1 erased", "b2 applied"]);
    assert!(rig.row("a1").value.is_none() && rig.row("b1").value.is_none(), "nothing is left of them");
    assert_eq!(rig.cases(), 0);
    let again = rig.prepared(Verb::Restore, &["a1"]);
    assert!(rig.is_refused(again), "nothing can be brought back");
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

/// What a prediction says of a row, as its retry would have to tell it.
fn as_told(prediction: Prediction) -> (ItemState, Option<ParkedState>) {
    match prediction {
        Prediction::Apply => (ItemState::Done, Some(ParkedState::Applied)),
        Prediction::Superseded => (ItemState::Done, Some(ParkedState::Skipped)),
        Prediction::Refused => (ItemState::Refailed, None),
        Prediction::Blocked => (ItemState::Blocked, None),
        Prediction::AlreadyApplied | Prediction::NeedsLookUp => panic!("the rig sends nothing"),
    }
}

#[test]
fn on_any_mixed_set_what_is_predicted_is_what_a_retry_then_does() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let amounts = [1, STALE, 666, 667, 668];
        let one = |n: usize, rng: &mut ChaCha8Rng| {
            let account = ["a", "b", "c", "d", "e", "f"][rng.random_range(0..6)];
            fact(account, &format!("{account}{n:02}"), amounts[rng.random_range(0..amounts.len())])
        };
        let mut rig = Rig::new((0..40).map(|n| one(n, &mut rng)).collect());
        match rng.random_range(0..4) {
            0 => rig.mend(),
            kind => rig.mend_only(665 + kind),
        }
        let waiting = rig.waiting();
        let some: Vec<&str> = waiting.iter().map(String::as_str).filter(|_| rng.random_bool(0.8)).collect();
        let before = rig.everything();
        let foretold = rig.job(Verb::Predict, &some, |_| {});
        assert_eq!(rig.everything(), before, "seed {seed}");
        let foretold = rig.items(&foretold.id).into_iter().map(|item| item.result.prediction.expect("predicted"));
        let foretold: Vec<Prediction> = foretold.collect();
        let job = rig.job(Verb::Retry, &some, |_| {});
        let came = rig.items(&job.id).into_iter().map(|item| (item.result.state, item.result.ended));
        assert_eq!(foretold.iter().map(|of| as_told(*of)).collect::<Vec<_>>(), came.collect::<Vec<_>>(), "seed {seed}");
        foretold.iter().for_each(|of| *seen.entry(of.as_str()).or_insert(0) += 1);
    }
    assert!(seen.len() == 4 && seen.values().all(|times| *times >= 20), "each kind was there: {seen:?}");
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

#[test]
fn a_copy_of_a_letter_is_tried_where_it_waits_and_a_second_copy_changes_nothing() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1)]);
    rig.copy("a1");
    assert_eq!(rig.fates(), ["a1 letter", "a2 waiting"]);
    assert_eq!(rig.row("a1").fate.attempts, 2, "tried once more, in vain");
    rig.mend();
    rig.copy("a1");
    assert_eq!(rig.fates(), ["a1 applied", "a2 applied"]);
    rig.copy("a1");
    assert_eq!(rig.taken("a"), ["a1", "a2"]);
}

/// Good events and bad ones, each of an account of its own, one bad one among so many.
fn mixed(first: usize, count: usize, bad_every: usize) -> Vec<(String, String, String)> {
    let one = |n: usize| {
        let name = format!("m{n:04}");
        fact(&name, &name, if n.is_multiple_of(bad_every) { 666 } else { 1 })
    };
    (first..first + count).map(one).collect()
}

#[test]
fn a_slice_stops_when_too_large_a_share_becomes_letters_and_goes_on_when_people_let_it() {
    let line = StopTheLine { percent: 30, percent_from: 20, ..StopTheLine::default() };
    let mut rig = Rig::with(mixed(0, 100, 4), |settings| settings.line = line);
    assert_eq!(rig.stopped_in_ledger(), None, "a quarter is not too much");
    rig.wait(60_000);
    rig.publish(mixed(100, 100, 2));
    let reason = rig.stopped_in_ledger().expect("half of them is");
    assert!(reason.starts_with("TOO_MANY_DEAD_LETTERS: ") && reason.contains("more than 30 %"), "{reason}");
    assert!(reason.contains("FIELD_INVALID"), "it names the last cause: {reason}");
    let before = rig.fates().len();
    assert!(!rig.take_over(), "another owner does not go on either");
    assert_eq!((rig.fates().len(), rig.stopped_in_ledger()), (before, Some(reason)));
    rig.mend();
    assert!(rig.resume(), "the operator lets it go on");
    assert_eq!(rig.stopped_in_ledger(), None);
    assert_eq!(rig.taken("m0199"), ["m0199"]);
    assert_eq!(rig.taken("m0198"), ["m0198"], "what was not read before the stop is read now");
    assert_eq!(rig.taken("m0001"), ["m0001"], "and nothing twice");
}

#[test]
fn a_slice_that_goes_on_before_its_cause_is_mended_stops_again() {
    let line = StopTheLine { letters: 5, percent: 0, ..StopTheLine::default() };
    let mut rig = Rig::with(mixed(0, 200, 8), |settings| {
        (settings.line, settings.batch_records) = (line, 10);
    });
    let mut stops = Vec::new();
    while let Some(reason) = rig.stopped_in_ledger() {
        assert!(reason.contains("within 60 s, more than 5"), "{reason}");
        stops.push(rig.fates().len());
        assert!(stops.len() < 50, "it comes further each time");
        rig.resume();
    }
    assert!(stops.len() > 1 && stops.windows(2).all(|pair| pair[0] < pair[1]), "{stops:?}");
    assert_eq!(rig.fates().len(), 25, "each bad record has one row in the end");
}

#[test]
fn a_letter_that_holds_its_sequence_up_can_be_retried_though_it_is_not_the_first() {
    let mut rig = Rig::new(vec![fact("a", "a1", WAITS), fact("a", "bringer-a", 666), fact("a", "a2", 1)]);
    assert_eq!(rig.fates(), ["a1 waiting", "bringer-a letter", "a2 waiting"]);
    assert_eq!(rig.sequences()[0].class, Class::Contract, "people see what holds it up, not what waits for that");
    let job = rig.job(Verb::Retry, &["bringer-a"], |_| {});
    assert_eq!((job.counts.refailed, job.counts.blocked), (1, 0), "it has its turn, in vain");
    let job = rig.job(Verb::Predict, &["bringer-a"], |_| {});
    assert_eq!(rig.items(&job.id)[0].result.prediction, Some(Prediction::Refused));
    rig.mend();
    let job = rig.job(Verb::Retry, &["bringer-a"], |_| {});
    assert_eq!((job.state, job.counts.done), (JobState::Finished, 1));
    assert_eq!(rig.taken("a"), ["bringer-a", "a1", "a2"]);
}

#[test]
fn a_job_leaves_live_traffic_that_waits_the_way_and_goes_at_its_own_pace_when_none_does() {
    let letters: Vec<String> = (0..12).map(|n| format!("k{n:02}")).collect();
    let names: Vec<&str> = letters.iter().map(String::as_str).collect();
    let mut rig = Rig::with(names.iter().map(|name| fact(name, name, 666)).collect(), |settings| {
        settings.redrive_backlog = 5;
        settings.merge_wait = std::time::Duration::from_secs(3_600);
    });
    let free = rig.job(Verb::Retry, &names, |_| {});
    let times = |rig: &Rig, id: &str| {
        let mut times: Vec<i64> = rig.items(id).into_iter().map(|item| item.result.changed_ms).collect();
        times.sort_unstable();
        times
    };
    let span = |times: &[i64]| times.last().zip(times.first()).map(|(last, first)| last - first);
    assert!(span(&times(&rig, &free.id)).is_some_and(|span| span < 100), "nobody waits");
    rig.publish_behind_a_silent_topic((0..6).map(|n| fact(&format!("l{n}"), &format!("l{n}"), 1)).collect());
    assert_eq!(rig.taken("l0"), Vec::<String>::new(), "six live records wait");
    let behind = rig.job(Verb::Retry, &names, |_| {});
    let slow = times(&rig, &behind.id);
    assert!(slow.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "a trickle: one a second: {slow:?}");
    assert_eq!(rig.taken("l5"), ["l5"], "and live traffic went on");
}

#[test]
fn a_tool_that_copies_each_letter_back_is_noticed_and_the_letter_stays_where_it_is() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1)]);
    for round in 1..=3 {
        rig.copy_letter();
        assert_eq!(rig.letters().len(), 1 + round, "tried, and failed again");
        let count = rig.letters()[round].event.headers.text("dlq.replay.count").map(str::to_owned);
        assert_eq!(count, Some(round.to_string()));
    }
    for _ in 0..5 {
        rig.copy_letter();
    }
    assert_eq!((rig.letters().len(), rig.row("a1").fate.attempts), (4, 4), "from then on copies change nothing");
    rig.mend();
    assert_eq!(rig.job(Verb::Retry, &["a1"], |_| {}).counts.done, 1, "people can still try it");
    assert_eq!(rig.taken("a"), ["a1", "a2"]);
}

#[test]
fn a_record_that_nobody_knows_again_is_quarantined_when_it_has_been_round_too_often() {
    let mut rig = Rig::new(vec![("p".to_owned(), String::new(), "?7".to_owned())]);
    for _ in 0..3 {
        rig.copy_letter();
    }
    assert_eq!(rig.letters().len(), 4);
    for _ in 0..3 {
        rig.copy_letter();
    }
    assert_eq!(rig.letters().len(), 4, "no further letter that could be copied");
    let codes = rig.sequences().into_iter().filter(|sequence| sequence.code == "REPLAY_LOOP").count();
    assert_eq!(codes, 3, "each copy is kept where people see it");
    assert!(rig.fates().iter().all(|fate| fate.ends_with(" letter")), "{:?}", rig.fates());
}

#[test]
fn a_try_reads_what_the_one_before_it_left_however_soon_it_comes() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1)]);
    rig.retry_twice_before_the_commit("a");
    let fate = rig.row("a1").fate;
    assert_eq!((fate.attempts, fate.refusals, fate.version), (3, 3, 3), "once at first, and each try counts");
}
