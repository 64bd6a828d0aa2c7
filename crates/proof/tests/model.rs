//! A model of take-over, intents and relay, small enough to look at every state that any order of events can lead to: two records of
//! different sequences, two owners one after another of whom any may be slow for ever (a crash is an owner that is), calls that are
//! delivered late or never, answers that are lost. It leaves out what the simulation has: parking, batches, identities, time as numbers.
//!
//! The rules as they are keep every property; each rule taken away alone breaks the property that is written beside it.

use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;

const RECORDS: usize = 2;
const OWNERS: u8 = 2;

/// What the journal says of a record, in the order in which it can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    New,
    Intent,
    /// The outcome is there, and with it an event to publish, under this number.
    Done(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owner {
    epoch: u8,
    sees: [Phase; RECORDS],
    /// A call of this owner is out and not answered.
    calling: [bool; RECORDS],
    must_look_up: [bool; RECORDS],
    /// It knows that the effect took place.
    knows: [bool; RECORDS],
    /// How far it has published.
    published: u8,
    is_fenced: bool,
}

/// A call on its way to the outside system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Call {
    record: usize,
    epoch: u8,
    /// Sent by whoever had the slice then.
    by_owner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    epoch: u8,
    journal: [Phase; RECORDS],
    numbers: u8,
    mark: u8,
    topic: Vec<u8>,
    owners: Vec<Owner>,
    under_way: BTreeSet<Call>,
    took_place: [Option<Call>; RECORDS],
    sent_blindly: bool,
    written_by_old: bool,
    called_undurable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    TakeOver,
    CommitIntent(usize, usize),
    Send(usize, usize),
    Deliver(Call),
    Drop(Call),
    Answer(usize, usize),
    LoseAnswer(usize, usize),
    LookUp(usize, usize),
    CommitDone(usize, usize),
    Publish(usize),
    Mark(usize),
}

/// A rule of the runtime that a variant does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    EpochCheck,
    LookUpAfterLostAnswer,
    LookUpAfterTakeOver,
    WaitBeforeLookUp,
    IntentBeforeCall,
    CommitBeforePublishing,
    TailAtTakeOver,
}

struct Slice(Without);

impl Slice {
    fn is(&self, without: Without) -> bool {
        self.0 == without
    }

    /// A write under an owner's epoch; false if it is refused.
    fn write(&self, state: &mut State, owner: usize) -> bool {
        let is_old = state.owners[owner].epoch < state.epoch;
        if is_old && !self.is(Without::EpochCheck) {
            state.owners[owner].is_fenced = true;
            return false;
        }
        state.written_by_old |= is_old;
        true
    }

    fn take_over(&self, state: &mut State) {
        state.epoch += 1;
        let newest = state.topic.iter().copied().max().unwrap_or(0);
        // Without a look at the tail somebody might believe that what was committed has been published.
        let published = if self.is(Without::TailAtTakeOver) { state.numbers } else { newest.max(state.mark) };
        state.owners.push(Owner {
            epoch: state.epoch,
            sees: state.journal,
            calling: [false; RECORDS],
            must_look_up: state.journal.map(|phase| phase == Phase::Intent && !self.is(Without::LookUpAfterTakeOver)),
            knows: [false; RECORDS],
            published,
            is_fenced: false,
        });
    }

    fn send(&self, state: &mut State, at: usize, record: usize) {
        let by_owner = state.owners[at].epoch == state.epoch;
        state.called_undurable |= state.journal[record] == Phase::New;
        let owned = |call: &Call| call.record == record && call.by_owner;
        let before = state.under_way.iter().any(owned) || state.took_place[record].as_ref().is_some_and(owned);
        state.sent_blindly |= by_owner && before;
        state.owners[at].calling[record] = true;
        state.under_way.insert(Call { record, epoch: state.owners[at].epoch, by_owner });
    }

    /// A look-up comes when calls that were sent before the owner knew nothing of them must have arrived; what a sleeper sends later is
    /// for the outside system to refuse.
    fn may_look_up(&self, state: &State, at: usize, record: usize) -> bool {
        let owner = &state.owners[at];
        let waits = state.under_way.iter().any(|call| call.record == record && call.by_owner);
        owner.must_look_up[record] && (!waits || self.is(Without::WaitBeforeLookUp))
    }

    /// What an owner that is not fenced can do.
    fn actions_of(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let owner = &state.owners[at];
        for record in 0..RECORDS {
            let sends_early = self.is(Without::IntentBeforeCall) && owner.sees[record] == Phase::New;
            match owner.sees[record] {
                Phase::New => actions.push(Action::CommitIntent(at, record)),
                Phase::Intent if self.may_look_up(state, at, record) => actions.push(Action::LookUp(at, record)),
                Phase::Intent if owner.knows[record] => actions.push(Action::CommitDone(at, record)),
                Phase::Intent | Phase::Done(_) => {}
            }
            let is_free = !owner.calling[record] && !owner.must_look_up[record] && !owner.knows[record];
            if is_free && (owner.sees[record] == Phase::Intent || sends_early) {
                actions.push(Action::Send(at, record));
            }
            if owner.calling[record] {
                let is_there = state.took_place[record].is_some();
                actions.extend(is_there.then_some(Action::Answer(at, record)));
                actions.push(Action::LoseAnswer(at, record));
            }
        }
        let early = u8::from(self.is(Without::CommitBeforePublishing));
        let newest =
            owner.sees.iter().filter_map(|phase| if let Phase::Done(number) = phase { Some(*number) } else { None });
        if owner.published < newest.max().unwrap_or(0) + early {
            actions.push(Action::Publish(at));
        }
        if owner.published > state.mark {
            actions.push(Action::Mark(at));
        }
    }
}

impl Model for Slice {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            epoch: 0,
            journal: [Phase::New; RECORDS],
            numbers: 0,
            mark: 0,
            topic: Vec::new(),
            owners: Vec::new(),
            under_way: BTreeSet::new(),
            took_place: [None; RECORDS],
            sent_blindly: false,
            written_by_old: false,
            called_undurable: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.epoch < OWNERS {
            actions.push(Action::TakeOver);
        }
        for call in &state.under_way {
            actions.extend([Action::Deliver(*call), Action::Drop(*call)]);
        }
        for (at, owner) in state.owners.iter().enumerate() {
            if !owner.is_fenced {
                self.actions_of(state, at, actions);
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::TakeOver => self.take_over(&mut state),
            Action::CommitIntent(at, record) => {
                if self.write(&mut state, at) {
                    state.journal[record] = state.journal[record].max(Phase::Intent);
                    state.owners[at].sees[record] = Phase::Intent;
                }
            }
            Action::Send(at, record) => self.send(&mut state, at, record),
            Action::Deliver(call) => {
                state.under_way.remove(&call);
                state.took_place[call.record].get_or_insert(call);
            }
            Action::Drop(call) => {
                state.under_way.remove(&call);
            }
            Action::Answer(at, record) => {
                state.owners[at].calling[record] = false;
                state.owners[at].knows[record] = true;
            }
            Action::LoseAnswer(at, record) => {
                state.owners[at].calling[record] = false;
                state.owners[at].must_look_up[record] = !self.is(Without::LookUpAfterLostAnswer);
            }
            Action::LookUp(at, record) => {
                state.owners[at].must_look_up[record] = false;
                state.owners[at].knows[record] = state.took_place[record].is_some();
            }
            Action::CommitDone(at, record) => {
                if self.write(&mut state, at) {
                    state.numbers += 1;
                    let number = state.numbers;
                    state.journal[record] = Phase::Done(number);
                    state.owners[at].sees[record] = Phase::Done(number);
                }
            }
            Action::Publish(at) => {
                let owner = &mut state.owners[at];
                owner.published += 1;
                state.topic.push(owner.published);
            }
            Action::Mark(at) => {
                if self.write(&mut state, at) {
                    state.mark = state.owners[at].published;
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I2 no second call while the first may have taken effect", |_, state: &State| {
                !state.sent_blindly
            }),
            Property::always("I2 an intent is durable before its call", |_, state: &State| !state.called_undurable),
            Property::always("I5 no write under an older epoch", |_, state: &State| !state.written_by_old),
            Property::always("I8 published numbers are committed ones, in order", |_, state: &State| {
                let mut newest = 0;
                state.topic.iter().all(|number| {
                    let is_next = *number <= newest + 1 && *number <= state.numbers;
                    newest = newest.max(*number);
                    is_next
                })
            }),
            Property::always("I8 nothing counts as published that is not", |_, state: &State| {
                state.mark <= state.topic.iter().copied().max().unwrap_or(0)
            }),
            Property::sometimes("all is done and published", |_, state: &State| {
                state.journal.iter().all(|phase| matches!(phase, Phase::Done(_))) && usize::from(state.mark) == RECORDS
            }),
            Property::sometimes("a zombie is refused", |_, state: &State| {
                state.owners.iter().any(|owner| owner.is_fenced)
            }),
            Property::sometimes("a zombie's call takes effect", |_, state: &State| {
                state.took_place.iter().flatten().any(|call| !call.by_owner)
            }),
        ]
    }
}

/// Whether a variant breaks a property: states are looked at, nearest first, until one does.
fn breaks(without: Without, property: &'static str) -> bool {
    let enough = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = Slice(without).checker().finish_when(enough).spawn_bfs().join();
    checker.discoveries().contains_key(property)
}

#[test]
fn in_every_order_of_events_the_rules_keep_every_property() {
    let checker = Slice(Without::Nothing).checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.is_done() && checker.unique_state_count() > 10_000, "{} states", checker.unique_state_count());
}

#[test]
fn each_rule_taken_away_breaks_what_it_is_for() {
    let second_call = "I2 no second call while the first may have taken effect";
    let expected = [
        (Without::EpochCheck, "I5 no write under an older epoch"),
        (Without::LookUpAfterLostAnswer, second_call),
        (Without::LookUpAfterTakeOver, second_call),
        (Without::WaitBeforeLookUp, second_call),
        (Without::IntentBeforeCall, "I2 an intent is durable before its call"),
        (Without::CommitBeforePublishing, "I8 published numbers are committed ones, in order"),
        (Without::TailAtTakeOver, "I8 nothing counts as published that is not"),
    ];
    for (without, property) in expected {
        assert!(breaks(without, property), "without {without:?} it still holds: {property}");
    }
}
