//! What became of records in one service, by its ledger: journal, parked rows, positions and identities. Memory holds a few dozen
//! bytes for each record that is asked about, and one page of the ledger.

use crate::error::Result;
use events::{PayloadHash, Uid, partition::partition_for_key};
use ledger::{Disposition, Ledger, LoadRequest, ParkedCursor, ParkedFilter, ParkedRecord, ParkedState};
use std::collections::{BTreeMap, HashMap};

/// Journal entries and parked rows that are read in one go.
const PAGE: usize = 500;

/// A record that is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    pub partition: i32,
    pub offset: i64,
    /// `None` where nobody can read its identity.
    pub uid: Option<Uid>,
    pub hash: PayloadHash,
    pub key: Option<bytes::Bytes>,
}

/// What a service did with a record, or would do. The order is that of strength: what is said later counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Known {
    /// Nothing is known of it: it would be processed.
    WouldApply,
    /// The service has not come to it yet and will by itself.
    NotYet,
    /// Older than what the service remembers: it would end without effect.
    OutsideHorizon,
    /// It waits in its sequence.
    Parked,
    DeadLetter,
    /// People gave it up.
    Discarded,
    Conflict,
    Skipped,
    Superseded,
    AlreadyApplied,
}

impl Known {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldApply => "would_apply",
            Self::NotYet => "not_yet_read",
            Self::OutsideHorizon => "outside_horizon",
            Self::Parked => "parked",
            Self::DeadLetter => "dead_letter",
            Self::Discarded => "discarded",
            Self::Conflict => "conflict",
            Self::Skipped => "skipped",
            Self::Superseded => "superseded",
            Self::AlreadyApplied => "already_applied",
        }
    }

    const fn of(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Applied | Disposition::Duplicate => Self::AlreadyApplied,
            Disposition::Superseded => Self::Superseded,
            Disposition::Conflict => Self::Conflict,
            Disposition::Parked => Self::Parked,
            Disposition::DeadLettered => Self::DeadLetter,
            Disposition::Skipped => Self::Skipped,
            Disposition::OutsideHorizon => Self::OutsideHorizon,
        }
    }

    const fn of_row(row: &ParkedRecord) -> Self {
        match row.fate.state {
            ParkedState::Waiting if row.fate.failure.is_none() => Self::Parked,
            ParkedState::Waiting | ParkedState::LetterPending | ParkedState::DeadLettered => Self::DeadLetter,
            ParkedState::Applied | ParkedState::Duplicate => Self::AlreadyApplied,
            ParkedState::Superseded => Self::Superseded,
            ParkedState::Skipped => Self::Skipped,
            ParkedState::Discarded | ParkedState::Moved | ParkedState::Erased => Self::Discarded,
        }
    }
}

/// What became of records of `topic`, in the order asked. An identity may have come from anywhere.
///
/// # Errors
/// If the ledger does not answer.
pub async fn ask(ledger: &dyn Ledger, topic: &str, partitions: i32, asked: &[Asked]) -> Result<Vec<Known>> {
    let mut books = Books::new(topic, asked);
    books.read_journal(ledger).await?;
    books.read_rows(ledger).await?;
    books.read_rest(ledger, partitions).await?;
    Ok(books.known.into_iter().map(|known| known.unwrap_or(Known::WouldApply)).collect())
}

struct Books<'a> {
    topic: &'a str,
    asked: &'a [Asked],
    known: Vec<Option<Known>>,
    by_place: HashMap<(i32, i64), usize>,
    by_uid: HashMap<Uid, Vec<usize>>,
}

impl<'a> Books<'a> {
    fn new(topic: &'a str, asked: &'a [Asked]) -> Self {
        let by_place = asked.iter().enumerate().map(|(at, one)| ((one.partition, one.offset), at)).collect();
        let mut by_uid: HashMap<Uid, Vec<usize>> = HashMap::new();
        for (at, one) in asked.iter().enumerate() {
            if let Some(uid) = one.uid {
                by_uid.entry(uid).or_default().push(at);
            }
        }
        Self { topic, asked, known: vec![None; asked.len()], by_place, by_uid }
    }

    fn say(&mut self, place: Option<(i32, i64)>, uid: Option<Uid>, known: Known, replaces: bool) {
        let at_place = place.and_then(|place| self.by_place.get(&place)).copied();
        let of_uid = uid.and_then(|uid| self.by_uid.get(&uid)).into_iter().flatten().copied();
        for at in at_place.into_iter().chain(of_uid) {
            let before = self.known[at];
            self.known[at] = if replaces { Some(known) } else { before.max(Some(known)) };
        }
    }

    async fn read_journal(&mut self, ledger: &dyn Ledger) -> Result<()> {
        for slice in ledger.slices().await? {
            let mut from = 0;
            loop {
                let page = ledger.entries(slice.slice, from, PAGE).await?;
                let is_last = page.len() < PAGE;
                for stored in &page {
                    from = stored.entry + 1;
                    for record in &stored.body.records {
                        let topic = stored.body.topics.get(usize::from(record.topic));
                        let is_ours = topic.is_some_and(|topic| topic == self.topic);
                        let place = is_ours.then_some((stored.slice, record.offset));
                        self.say(place, record.uid, Known::of(record.disposition), false);
                    }
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A parked record's row overrides the journal.
    async fn read_rows(&mut self, ledger: &dyn Ledger) -> Result<()> {
        let mut filter = ParkedFilter { limit: PAGE, ..ParkedFilter::default() };
        // What nobody could read ends in one row and goes on in another.
        let mut ended: BTreeMap<Uid, Known> = BTreeMap::new();
        loop {
            let page = ledger.parked_records(&filter).await?;
            filter.after = page.last().map(ParkedCursor::of);
            for row in &page {
                let place = (row.topic == self.topic).then_some((row.partition, row.offset));
                let known = Known::of_row(row);
                let strongest = row.uid.map(|uid| {
                    let kept = ended.entry(uid).or_insert(known);
                    *kept = if row.fate.state == ParkedState::Moved { (*kept).max(known) } else { known };
                    *kept
                });
                if row.uid.is_none_or(|uid| self.by_uid.contains_key(&uid)) {
                    self.say(place, row.uid, strongest.unwrap_or(known), true);
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
            ended.retain(|uid, _| self.by_uid.contains_key(uid));
        }
    }

    /// What neither journal nor rows tell: not read yet, remembered by its identity alone, too old, or new.
    async fn read_rest(&mut self, ledger: &dyn Ledger, partitions: i32) -> Result<()> {
        let mut positions = HashMap::new();
        for slice in ledger.slices().await? {
            let position = slice.positions.into_iter().find(|position| position.topic == self.topic);
            positions.extend(position.map(|position| (slice.slice, position.next_offset)));
        }
        let floor_ms = ledger.floor_ms().await?;
        let mut open: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (at, one) in self.asked.iter().enumerate() {
            if self.known[at].is_some() {
                continue;
            }
            if positions.get(&one.partition).is_some_and(|next| one.offset >= *next) {
                self.known[at] = Some(Known::NotYet);
                continue;
            }
            let key = one.key.as_deref().filter(|_| !positions.contains_key(&one.partition));
            let slice = key.map_or(one.partition, |key| partition_for_key(key, partitions));
            open.entry(slice).or_default().push(at);
        }
        for (slice, places) in open {
            for part in places.chunks(PAGE) {
                let uids = part.iter().filter_map(|at| self.asked[*at].uid).collect();
                let loaded = ledger.load(&LoadRequest { slice, uids, ..LoadRequest::default() }).await?;
                for at in part {
                    let Some(uid) = self.asked[*at].uid else { continue };
                    self.known[*at] = match loaded.identities.get(&uid) {
                        Some(hash) if *hash == self.asked[*at].hash => Some(Known::AlreadyApplied),
                        Some(_) => Some(Known::Conflict),
                        None if uid.time_ms().is_some_and(|time| time < floor_ms) => Some(Known::OutsideHorizon),
                        None => None,
                    };
                }
            }
        }
        Ok(())
    }
}

/// What the journal says of records of `topic` by their places alone; `None` for one that it has not (yet).
///
/// # Errors
/// If the ledger does not answer.
pub async fn dispositions(ledger: &dyn Ledger, topic: &str, asked: &[Asked]) -> Result<Vec<Option<Disposition>>> {
    let places: HashMap<(i32, i64), usize> =
        asked.iter().enumerate().map(|(at, one)| ((one.partition, one.offset), at)).collect();
    let mut found = vec![None; asked.len()];
    for slice in ledger.slices().await? {
        let mut from = 0;
        loop {
            let page = ledger.entries(slice.slice, from, PAGE).await?;
            for stored in &page {
                from = stored.entry + 1;
                for record in &stored.body.records {
                    let is_ours = stored.body.topics.get(usize::from(record.topic)).is_some_and(|one| one == topic);
                    if let Some(at) = places.get(&(stored.slice, record.offset)).filter(|_| is_ours) {
                        found[*at] = Some(record.disposition);
                    }
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
    }
    Ok(found)
}
