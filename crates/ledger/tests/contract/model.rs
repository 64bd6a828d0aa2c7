//! Any run of commits reads the same from each ledger as from the memory one, whose state is plain maps.

use crate::builders::*;
use crate::stage::Stage;
use ledger::memory::MemoryLedger;
use ledger::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, TestRunner};

#[derive(Debug, Clone)]
enum Step {
    TakeOver(i32),
    Commit(Vec<Part>),
    Accept(i32, i64),
    Stop(i32, bool),
    Prune(i64),
}

/// One slice's part: how its epoch and entry differ from the right ones, and what it changes.
#[derive(Debug, Clone)]
struct Part {
    slice: i32,
    epoch_behind: i64,
    entry_off: i64,
    day: i64,
    closes: bool,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Document(u8, Option<u8>),
    Identity(u8, bool, i64),
    Sequence(u8, bool),
    Park(u8, i64),
    Fate(u8, i64, usize),
    Intent(u8, bool),
    Timer(u8, Option<i64>),
    Position(u8, i64),
    Published(i64),
    Publish(i64),
    Stop,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0u8..4, proptest::option::of(any::<u8>())).prop_map(|(k, b)| Change::Document(k, b)),
        (0u8..8, any::<bool>(), 0i64..3).prop_map(|(n, timed, hash)| Change::Identity(n, timed, hash)),
        (0u8..3, any::<bool>()).prop_map(|(s, put)| Change::Sequence(s, put)),
        (0u8..3, -2i64..3).prop_map(|(s, no)| Change::Park(s, no)),
        (0u8..3, -2i64..3, 0usize..8).prop_map(|(s, no, state)| Change::Fate(s, no, state)),
        (0u8..3, any::<bool>()).prop_map(|(k, put)| Change::Intent(k, put)),
        (0u8..3, proptest::option::of(0i64..9)).prop_map(|(id, due)| Change::Timer(id, due)),
        (0u8..2, 0i64..99).prop_map(|(topic, next)| Change::Position(topic, next)),
        (0i64..5).prop_map(Change::Published),
        (1i64..5).prop_map(Change::Publish),
        Just(Change::Stop),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let mostly_none = || prop_oneof![9 => Just(0i64), 1 => Just(1i64)];
    let part = (
        0i32..3,
        mostly_none(),
        prop_oneof![8 => Just(0i64), 1 => Just(-1), 1 => Just(1)],
        0i64..12,
        any::<bool>(),
        vec(change(), 0..6),
    )
        .prop_map(|(slice, epoch_behind, entry_off, day, closes, changes)| Part {
            slice,
            epoch_behind,
            entry_off,
            day,
            closes,
            changes,
        });
    prop_oneof![
        3 => (0i32..3).prop_map(Step::TakeOver),
        12 => vec(part, 1..3).prop_map(Step::Commit),
        1 => (0i32..3, 0i64..50).prop_map(|(slice, next)| Step::Accept(slice, next)),
        1 => (0i32..3, any::<bool>()).prop_map(|(slice, stop)| Step::Stop(slice, stop)),
        1 => (0i64..14).prop_map(Step::Prune),
    ]
}

fn apply_change(change: &Change, commit: &mut SliceCommit) {
    let slice = commit.slice;
    // Documents belong to their slice, as the business keys that name them do.
    match change {
        Change::Document(key, body) => {
            let body = body.map(|b| format!("{{\"n\":{b}}}"));
            commit.documents.push(document("k", &format!("{slice}-{key}"), body.as_deref()));
        }
        Change::Identity(n, is_timed, hash) => {
            let n = u64::from(*n);
            let uid = if *is_timed { timed(TODAY + n as i64 * DAY, n) } else { untimed(n) };
            commit.identities.push(identity(uid, *hash));
        }
        Change::Sequence(s, true) => commit.sequences.push(SequenceChange::Put(sequence(slice, &format!("s{s}")))),
        Change::Sequence(s, false) => commit.sequences.push(SequenceChange::Remove { sequence: format!("s{s}") }),
        Change::Park(s, no) => commit.parked.push(ParkedChange::Insert(parked(slice, &format!("s{s}"), *no))),
        Change::Fate(s, no, state) => commit.parked.push(ParkedChange::Update {
            sequence: format!("s{s}"),
            no: *no,
            fate: fate(ParkedState::ALL[*state]),
        }),
        Change::Intent(k, true) => commit.intents.push(IntentChange::Put(intent(&format!("e{k}"), "open"))),
        Change::Intent(k, false) => commit.intents.push(IntentChange::Remove { effect_key: format!("e{k}") }),
        Change::Timer(id, Some(due)) => commit.timers.push(TimerChange::Set(timer(&format!("t{id}"), *due))),
        Change::Timer(id, None) => commit.timers.push(TimerChange::Clear { id: format!("t{id}") }),
        Change::Position(topic, next) => commit.positions.push(position(&format!("topic{topic}"), *next)),
        Change::Published(number) => commit.published.push(mark("out", *number)),
        Change::Publish(number) => commit.body.outgoing.push(outgoing("out", *number)),
        Change::Stop => commit.stopped = Some("stopped".into()),
    }
}

/// The commit of a part, given what the model says about its slice.
fn commit_of(part: &Part, slices: &[SliceStatus]) -> SliceCommit {
    let (epoch, next) = slices.iter().find(|s| s.slice == part.slice).map_or((1, 1), |s| (s.epoch, s.next_entry));
    let mut commit = batch(part.slice, epoch - part.epoch_behind, next + part.entry_off);
    commit.at_ms = TODAY + part.day * DAY;
    commit.body = body(next);
    commit.closed_entry = part.closes.then_some(commit.entry.max(0));
    part.changes.iter().for_each(|change| apply_change(change, &mut commit));
    commit
}

/// Runs one step; the answer as text, a misuse without its words.
async fn run(ledger: &dyn Ledger, step: &Step, slices: &[SliceStatus]) -> String {
    fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
        match result {
            Ok(answer) => format!("{answer:?}"),
            Err(Error::Misuse(_)) => "misuse".into(),
            Err(error) => panic!("{error}"),
        }
    }
    match step {
        Step::TakeOver(slice) => words(ledger.take_over(*slice, "me").await),
        Step::Commit(parts) => {
            let commits: Vec<_> = parts.iter().map(|part| commit_of(part, slices)).collect();
            words(ledger.commit(&commits).await)
        }
        Step::Accept(slice, next) => {
            words(ledger.accept_position(*slice, &position("topic0", *next), &audit("accept")).await)
        }
        Step::Stop(slice, stop) => words(ledger.set_stopped(*slice, stop.then_some("why"), &audit("stop")).await),
        Step::Prune(day) => words(ledger.prune(TODAY + day * DAY).await),
    }
}

pub async fn any_run_of_commits_reads_as_in_the_model(stage: Stage) {
    let mut runner = TestRunner::new(Cases::default());
    let uids: Vec<_> = (0..8).flat_map(|n| [timed(TODAY + n as i64 * DAY, n), untimed(n)]).collect();
    for _ in 0..stage.cases() {
        let steps = vec(step(), 1..30).new_tree(&mut runner).unwrap().current();
        let model = MemoryLedger::new();
        let stage = stage.another();
        let ledger = stage.ledger().await;
        for (n, step) in steps.iter().enumerate() {
            let slices = model.slices().await.unwrap();
            let expected = run(&model, step, &slices).await;
            assert_eq!(run(&*ledger, step, &slices).await, expected, "step {n} of {steps:#?}");
        }
        assert_eq!(everything(&*ledger).await, everything(&model).await, "after {steps:#?}");
        assert_eq!(hashes(&*ledger, &uids).await, hashes(&model, &uids).await, "after {steps:#?}");
        for slice in 0..3 {
            for name in ["s0", "s1", "s2"] {
                let page = ledger.parked_page(slice, name, -1, 2).await.unwrap();
                assert_eq!(page, model.parked_page(slice, name, -1, 2).await.unwrap());
            }
        }
    }
}
