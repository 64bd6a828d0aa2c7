//! A new owner takes the slice over, from what the ledger and the topics hold.

use super::{SLICE, World, now_or_never};
use crate::simulation::{member::Member, record, sometimes::Window, topic};
use consumer::{
    Handler,
    machine::{Input, InputTopic, Machine, Prepared, TopicExtent, impossible_position},
};
use history::Line;
use ledger::{Ledger as _, Outgoing, ParkedFilter, ParkedState, Takeover};
use std::{collections::BTreeMap, sync::Arc};

impl<H: Handler> World<'_, H> {
    pub(super) fn take_over(&mut self) -> Result<(), String> {
        let takeover = now_or_never(self.ledger.take_over(SLICE, "sim")).map_err(|error| error.to_string())?;
        self.note(|| format!("taken over under epoch {}", takeover.epoch));
        if self.storm(0.05) {
            self.faults_left -= 1;
            self.hit(Window::CrashInTakeOver);
            return Ok(());
        }
        self.compare_positions(&takeover)?;
        self.count_redone(&takeover);
        self.letters_are_there()?;
        let topics = self.extents().into_iter().map(|extent| extent.input).collect();
        let decoder = topic::Table { log: &self.log };
        let prepared =
            now_or_never(Prepared::read(&self.ledger, &decoder, SLICE, takeover, topics)).map_err(|e| e.to_string())?;
        let fetch =
            prepared.start_offsets().into_iter().map(|(topic, at)| (topic, usize::try_from(at).unwrap_or(0))).collect();
        let machine = Machine::new(self.case.handler.clone(), self.settings(), SLICE, prepared, self.now);
        let mut member = Member::new(machine, fetch);
        self.find_place(&mut member);
        member.step(self.now, Input::Tick);
        self.member = Some(member);
        self.gate_closed = false;
        Ok(())
    }

    /// The relay finds its place from the tail of each topic.
    fn find_place(&mut self, member: &mut Member<H>) {
        let unpublished = member.machine.unpublished();
        let mut found = BTreeMap::new();
        for Outgoing { event, .. } in &unpublished {
            if let Some(mark) = topic::newest(&self.published, &event.topic, event.partition) {
                found.insert((event.topic.clone(), event.partition), mark);
            }
        }
        for outgoing in unpublished {
            let place = (outgoing.event.topic.clone(), outgoing.event.partition);
            if found.get(&place).is_none_or(|mark| mark.number < outgoing.number) {
                member.publish.push_back(outgoing);
            }
        }
        member.step(self.now, Input::Published(found.into_values().collect()));
    }

    fn extents(&self) -> Vec<TopicExtent> {
        let extent = |(name, records): (&Arc<str>, &Vec<_>)| TopicExtent {
            input: InputTopic { name: name.clone(), id: Some("first".to_owned()), first_offset: 0 },
            end: i64::try_from(records.len()).unwrap_or(i64::MAX),
        };
        self.log.iter().map(extent).collect()
    }

    /// A topic that was cut or recreated is noticed before anything is decided; one that is whole never is.
    fn compare_positions(&mut self, takeover: &Takeover) -> Result<(), String> {
        let mut extents = self.extents();
        if let Some((code, reason)) = impossible_position(takeover, &extents) {
            return Err(format!("I1: a whole topic was refused as {code}: {reason}"));
        }
        let at = |name: &str| takeover.positions.iter().find(|position| position.topic == name);
        let moved = extents.iter_mut().find(|extent| at(&extent.input.name).is_some_and(|at| at.next_offset > 0));
        let Some(extent) = moved else { return Ok(()) };
        let position = at(&extent.input.name).map_or(0, |position| position.next_offset);
        match position % 3 {
            0 => extent.input.id = Some("second".to_owned()),
            1 => extent.input.first_offset = position + 1,
            _ => extent.end = position - 1,
        }
        if impossible_position(takeover, &extents).is_none() {
            return Err(format!("I1: a topic that was cut was taken as it is: {extents:?} at {position}"));
        }
        self.hit(Window::Truncated);
        Ok(())
    }

    /// I9: what counts as dead-lettered has its letter in the topic, at any moment.
    fn letters_are_there(&self) -> Result<(), String> {
        let filter =
            ParkedFilter { states: vec![ParkedState::DeadLettered], limit: usize::MAX, ..ParkedFilter::default() };
        let rows = now_or_never(self.ledger.parked_records(&filter)).map_err(|error| error.to_string())?;
        let letters: Vec<_> =
            self.published.values().flatten().filter_map(|(_, event)| record::letter_of(event)).collect();
        let missing = rows
            .iter()
            .find(|row| !letters.iter().any(|source| source.topic == row.topic && source.offset == row.offset));
        missing.map_or(Ok(()), |row| {
            Err(format!("I9: {}@{} counts as dead-lettered, its topic has no letter", row.topic, row.offset))
        })
    }

    /// I7: what the last owner was delivered and did not make durable.
    fn count_redone(&mut self, takeover: &Takeover) {
        let mut redone = 0;
        for (topic, furthest) in std::mem::take(&mut self.furthest) {
            let position = takeover.positions.iter().find(|position| *position.topic == *topic);
            let position = position.map_or(0, |position| position.next_offset);
            let above = takeover.open_entries.iter().flat_map(|entry| {
                let here = entry.body.topics.iter().position(|name| **name == *topic);
                entry.body.records.iter().filter(move |record| Some(usize::from(record.topic)) == here)
            });
            let durable = above.filter(|record| record.offset >= position).count();
            let delivered = usize::try_from(position).map_or(0, |position| furthest.saturating_sub(position));
            redone += delivered.saturating_sub(durable);
        }
        self.sometimes.hit_if(redone > 0, Window::Redone);
        // The driver hands over a few records at once, which may overfill an inbox by that many.
        let limit = self.settings().in_flight(self.log.len()) + self.log.len() * super::moves::MOST_AT_ONCE;
        self.seen.push(Line::Crash { slice: SLICE, redone: redone as u64, limit: limit as u64 });
    }
}
