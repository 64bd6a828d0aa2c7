//! Walking over the letters of one service: memory holds one page of the ledger, however many letters there are.

use super::{Body, Compiled, Decoder, LetterId, Money, Seen, State, at_risk, mask};
use crate::error::{Error, Kind, Result};
use ledger::{Ledger, ParkedCursor, ParkedFilter, ParkedRecord};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// Rows that are asked of the ledger in one go.
const PAGE: usize = 1_000;
/// Ids up to this many are read one by one; more are found on a walk over all.
const FEW_IDS: usize = 500;
/// One request may look at letters for so long.
const PATIENCE: Duration = Duration::from_secs(240);

/// Letters that match a selection, oldest first.
pub struct Walk {
    ledger: Arc<dyn Ledger>,
    service: String,
    decoder: Decoder,
    selection: Arc<Compiled>,
    with_bodies: bool,
    /// Sequences that are tried again by themselves.
    retried: HashSet<(i32, String)>,
    filter: ParkedFilter,
    page: VecDeque<ParkedRecord>,
    is_last: bool,
    begun: Instant,
    looked_at: u64,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("service", &self.service)
            .field("looked_at", &self.looked_at)
            .finish_non_exhaustive()
    }
}

impl Walk {
    /// Starts behind `after`. Bodies are decoded where `with_bodies` or the condition wants them, and are always masked.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn begin(
        ledger: Arc<dyn Ledger>,
        service: &str,
        decoder: Decoder,
        selection: Arc<Compiled>,
        with_bodies: bool,
        after: Option<ParkedCursor>,
    ) -> Result<Self> {
        let sequences = ledger.sequences(None).await?;
        let retried = sequences.into_iter().filter(|sequence| sequence.next_attempt_ms.is_some());
        let retried = retried.map(|sequence| (sequence.slice, sequence.sequence)).collect();
        let with_bodies = with_bodies || selection.reads_body();
        let filter = ParkedFilter { after, limit: PAGE, ..selection.filter() };
        let (service, page, begun) = (service.to_owned(), VecDeque::new(), Instant::now());
        let mut walk = Self {
            ledger,
            service,
            decoder,
            selection,
            with_bodies,
            retried,
            filter,
            page,
            is_last: false,
            begun,
            looked_at: 0,
        };
        if (1..=FEW_IDS).contains(&walk.selection.ids.len()) {
            walk.read_ids().await?;
        }
        Ok(walk)
    }

    async fn read_ids(&mut self) -> Result<()> {
        let mut rows = Vec::new();
        for id in self.selection.ids.iter().filter(|id| id.service == self.service) {
            rows.extend(self.ledger.parked_record(&id.row()).await?);
        }
        rows.retain(|row| self.filter.after.as_ref().is_none_or(|after| ParkedCursor::of(row) > *after));
        rows.sort_by_key(ParkedCursor::of);
        (self.page, self.is_last) = (rows.into(), true);
        Ok(())
    }

    /// The next letter that matches.
    ///
    /// # Errors
    /// If the ledger does not answer, or the walk takes longer than one request may.
    pub async fn next(&mut self) -> Result<Option<Seen>> {
        loop {
            let Some(record) = self.page.pop_front() else {
                if self.is_last {
                    return Ok(None);
                }
                self.turn().await?;
                continue;
            };
            let place = (record.slice, record.sequence);
            let retries_itself = self.retried.contains(&place);
            let record = ParkedRecord { sequence: place.1, ..record };
            let state = State::of(&record, retries_itself);
            if !self.selection.matches(&self.service, &record, state) {
                continue;
            }
            let seen = self.seen(record, state).await;
            if self.selection.holds(&seen)? {
                return Ok(Some(seen));
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        if self.begun.elapsed() >= PATIENCE {
            let message = format!("{} letters were looked at, and {} has more", self.looked_at, self.service);
            return Err(Error::new(Kind::Policy, "TOO_MANY", message).hint("narrow the selection, such as by --until"));
        }
        let page = self.ledger.parked_records(&self.filter).await?;
        self.looked_at += page.len() as u64;
        self.filter.after = page.last().map(ParkedCursor::of);
        self.is_last = page.len() < PAGE;
        self.page = page.into();
        Ok(())
    }

    async fn seen(&self, record: ParkedRecord, state: State) -> Seen {
        let id = LetterId::of(&self.service, &record);
        let (mut body, mut money) = (None, Money::default());
        if self.with_bodies
            && let Body::Read(read) = self.decoder.parked(&record).await
        {
            (body, money) = (Some(mask::masked(&record.topic, &read)), at_risk(&read));
        }
        Seen { id, record, state, body, money }
    }
}

/// An even sample of something whose length nobody knows: at most twice as many as wanted are kept.
#[derive(Debug)]
pub struct Sample<T> {
    wanted: usize,
    stride: usize,
    seen: usize,
    kept: Vec<T>,
}

impl<T> Sample<T> {
    #[must_use]
    pub fn new(wanted: usize) -> Self {
        Self { wanted: wanted.max(1), stride: 1, seen: 0, kept: Vec::new() }
    }

    pub fn add(&mut self, item: T) {
        if self.seen.is_multiple_of(self.stride) {
            self.kept.push(item);
        }
        self.seen += 1;
        if self.kept.len() > 2 * self.wanted {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// As many as wanted, or all there were, early and late ones.
    #[must_use]
    pub fn taken(self) -> Vec<T> {
        let (all, wanted) = (self.kept.len(), self.wanted.min(self.kept.len()));
        self.kept.into_iter().enumerate().filter(|(i, _)| (i * wanted) % all < wanted).map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_even_and_keeps_at_most_twice_what_is_wanted() {
        for (all, wanted, expected) in [(0, 5, 0), (3, 5, 3), (5, 5, 5), (1_000, 7, 7), (100_000, 10, 10)] {
            let mut sample = Sample::new(wanted);
            for item in 0..all {
                sample.add(item);
                assert!(sample.kept.len() <= 2 * wanted + 1);
            }
            let taken = sample.taken();
            assert_eq!(taken.len(), expected, "{wanted} of {all}");
            assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
            if all > 100 {
                assert!(taken[0] < all / 5 && taken[expected - 1] > all / 2, "{taken:?}");
            }
        }
    }
}
