//! A sequence that is being worked on, waits for its effects, or is parked. A sequence with nothing to remember has no lane.

use super::io::{Arrived, Returned};
use crate::handler::{Effect, Handler, Origin, Receipt};
use ledger::{DocumentKey, EffectRow, Millis, ParkedFate, ParkedSequence, Staged, StepId, TimerRow};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Something to decide about.
pub enum Work<E> {
    Live(Box<Arrived<E>>),
    Parked { no: i64, fate: ParkedFate, arrived: Box<Arrived<E>> },
    Timer { row: TimerRow, payload: serde_json::Value },
}

impl<E> Work<E> {
    pub fn arrived(&self) -> Option<&Arrived<E>> {
        match self {
            Self::Live(arrived) | Self::Parked { arrived, .. } => Some(arrived),
            Self::Timer { .. } => None,
        }
    }

    /// Timestamp of the record; 0 for a timer.
    pub fn record_ms(&self) -> Millis {
        match self {
            Self::Live(arrived) | Self::Parked { arrived, .. } => arrived.record.timestamp_ms,
            Self::Timer { .. } => 0,
        }
    }

    /// Place of a parked row in its sequence.
    pub const fn row_no(&self) -> Option<i64> {
        match self {
            Self::Parked { no, .. } => Some(*no),
            Self::Live(_) | Self::Timer { .. } => None,
        }
    }

    /// How often the event was refused for good before.
    pub fn refusals(&self) -> u32 {
        match self {
            Self::Parked { fate, .. } => u32::try_from(fate.refusals).unwrap_or(0),
            Self::Live(_) | Self::Timer { .. } => 0,
        }
    }

    pub fn topic(&self) -> Option<&str> {
        self.arrived().map(|arrived| &*arrived.record.topic)
    }

    /// See [`Arrived::detach`]. A timer has nothing to detach.
    pub fn detach(&mut self) -> bool {
        match self {
            Self::Live(arrived) | Self::Parked { arrived, .. } => arrived.detach(),
            Self::Timer { .. } => true,
        }
    }

    pub fn event(&self) -> Option<&E> {
        self.arrived().and_then(|arrived| arrived.event.as_ref().ok())
    }

    /// What the handler is told that its effects were for.
    pub fn origin(&self) -> Option<Origin<'_, E>> {
        match self {
            Self::Live(_) | Self::Parked { .. } => self.event().map(Origin::Event),
            Self::Timer { row, payload } => Some(Origin::Timer { id: &row.id, payload }),
        }
    }
}

/// Work with the documents its decision will look at.
pub struct Item<E> {
    pub work: Work<E>,
    pub reads: Vec<DocumentKey>,
}

pub struct Lane<H: Handler + ?Sized> {
    /// Set while the sequence is parked; its records are rows of the ledger. Boxed like the step, because most lanes have neither
    /// and lanes move often.
    pub parked: Option<Box<ParkedSequence>>,
    /// The page of parked records being tried, while a try goes on.
    pub page: Option<VecDeque<Item<H::Event>>>,
    /// Rows that went first because another waits for them: each does so once until a row is done, so that two rows that wait for
    /// the same subject do not give way to each other for ever.
    pub overtaken: BTreeSet<i64>,
    /// A page is being read; everything up to this entry is in it, newer rows may be missing.
    pub page_asked: Option<i64>,
    /// Live records and timers behind the open step.
    pub waiting: VecDeque<Item<H::Event>>,
    pub step: Option<Box<OpenStep<H>>>,
    /// Rows that ended in entries a page may not show yet.
    pub ended: BTreeSet<i64>,
    /// How often the copy that brought the try under way has been round; 0 where no copy did.
    pub rounds: usize,
    /// Entry with the newest inserted row: a page read before it is durable would miss the row.
    pub last_insert: i64,
}

impl<H: Handler + ?Sized> Default for Lane<H> {
    fn default() -> Self {
        Self {
            parked: None,
            page: None,
            overtaken: BTreeSet::new(),
            page_asked: None,
            waiting: VecDeque::new(),
            step: None,
            ended: BTreeSet::new(),
            rounds: 0,
            last_insert: 0,
        }
    }
}

impl<H: Handler + ?Sized> Lane<H> {
    pub fn parked(sequence: ParkedSequence) -> Self {
        Self { parked: Some(Box::new(sequence)), ..Self::default() }
    }

    pub fn is_idle(&self) -> bool {
        self.parked.is_none() && self.step.is_none() && self.waiting.is_empty()
    }

    /// The subject that may pass, if the head waits for one.
    pub fn awaits(&self) -> Option<&str> {
        self.parked.as_ref().and_then(|sequence| sequence.awaits.as_deref())
    }

    /// What to decide next: the page of a try while the sequence is parked, else what is live.
    pub fn next(&mut self) -> Option<Item<H::Event>> {
        if self.parked.is_some() {
            return self.page.as_mut().and_then(VecDeque::pop_front);
        }
        self.waiting.pop_front()
    }

    /// Live work behind what is under way, which may take long.
    pub fn wait(&mut self, mut item: Item<H::Event>) {
        if self.step.is_some() {
            item.work.detach();
        }
        self.waiting.push_back(item);
    }

    /// The step whose effects the others wait for. What came before it is detached already.
    pub fn set_step(&mut self, step: OpenStep<H>) {
        self.step = Some(Box::new(step));
        for item in self.waiting.iter_mut().rev() {
            if !item.work.detach() {
                break;
            }
        }
    }

    /// Undoes [`Lane::next`].
    pub fn put_back(&mut self, item: Item<H::Event>) {
        match &item.work {
            Work::Parked { .. } => self.page.get_or_insert_default().push_front(item),
            Work::Live(_) | Work::Timer { .. } => self.waiting.push_front(item),
        }
    }
}

/// One effect of a step.
pub struct Planned<F> {
    pub row: EffectRow,
    pub effect: F,
    pub receipt: Option<Receipt>,
    /// An earlier call may have taken effect.
    pub look_up: bool,
}

impl<F: Effect> Planned<F> {
    pub fn new(effect: F, receipts: &BTreeMap<String, String>, unknown: &[String]) -> Result<Self, serde_json::Error> {
        let key = effect.key();
        let look_up = unknown.contains(&key);
        let stored = receipts.get(&key).cloned();
        let receipt = stored.as_deref().map(serde_json::from_str).transpose()?;
        let payload = serde_json::to_string(&effect)?;
        let row = EffectRow { entity: effect.entity(), key, payload, receipt: stored, look_up };
        Ok(Self { row, effect, receipt, look_up })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Its entry is not durable yet: nothing may be sent.
    Committing,
    /// A call is out.
    Calling,
    /// Goes on at a time of its own.
    Resting(Millis),
}

/// Effects under way, and what takes hold when they are done.
pub struct OpenStep<H: Handler + ?Sized> {
    pub id: StepId,
    /// In order; the last one is what the effects are for, the ones before were coalesced into it.
    pub items: Vec<Item<H::Event>>,
    pub effects: Vec<Planned<H::Effect>>,
    /// Effects before this one are done.
    pub next: usize,
    /// Takes hold when the last effect is done.
    pub staged: Staged,
    pub state: StepState,
    /// The answer to the call that is out, until the documents are in memory that the handler looks at to decide about it.
    pub answer: Option<Returned>,
    /// Failed calls of the current effect that count.
    pub attempts: u32,
    /// Look-ups in a row that found nothing.
    pub absences: u32,
    /// Whether people can see a row of the current intent.
    pub shown: bool,
    pub since: Millis,
}

impl<H: Handler + ?Sized> OpenStep<H> {
    /// What the step occupies in memory, roughly. The same from its start to its end: receipts and staged changes, which grow,
    /// are part of the factor.
    pub fn weight(&self) -> usize {
        /// An effect is here as itself and as JSON, and once more in the entry that makes it durable.
        const COPIES: usize = 4;
        let items: usize = self.items.iter().filter_map(|item| item.work.arrived()).map(Arrived::weight).sum();
        let effects: usize = self.effects.iter().map(|planned| planned.row.payload.len()).sum();
        items + COPIES * effects
    }

    pub fn receipts(&self) -> BTreeMap<String, Receipt> {
        self.effects.iter().filter_map(|planned| Some((planned.row.key.clone(), planned.receipt.clone()?))).collect()
    }

    /// Receipts as they are stored with a parked record.
    pub fn stored_receipts(&self) -> BTreeMap<String, String> {
        self.effects
            .iter()
            .filter_map(|planned| Some((planned.row.key.clone(), planned.row.receipt.clone()?)))
            .collect()
    }
}
