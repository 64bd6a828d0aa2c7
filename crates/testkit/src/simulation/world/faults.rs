//! What breaks. Whatever was asked for and not done may or may not have happened, and may still happen when another owner is there.

use super::{LATE, SLICE, World, now_or_never};
use crate::simulation::{
    member::Member,
    outside::{Fate, Sent},
    sometimes::Window,
    topic,
};
use consumer::{
    Handler,
    machine::{CallKind, Input},
};
use ledger::{CommitOutcome, Ledger as _};
use rand::{Rng, seq::IndexedRandom};

impl<H: Handler> World<'_, H> {
    pub(super) fn fault(&mut self) -> Result<(), String> {
        self.faults_left -= 1;
        let Some(mut member) = self.member.take() else { return Ok(()) };
        match self.rng.random_range(0..100) {
            0..25 => self.sleep(member),
            25..70 => self.crash(member)?,
            70..85 => {
                self.note(|| "asked to leave".to_owned());
                member.draining = true;
                member.step(self.now, Input::Drain);
                self.member = Some(member);
            }
            85..93 => {
                self.note(|| "somebody raises the epoch".to_owned());
                now_or_never(self.ledger.take_over(SLICE, "somebody else")).map_err(|error| error.to_string())?;
                self.hit(Window::Stolen);
                self.member = Some(member);
            }
            _ => {
                self.note(|| "the gate closes".to_owned());
                self.gate_closed = true;
                member.step(self.now, Input::Gate { closed: true });
                self.hit(Window::GateClosed);
                self.member = Some(member);
            }
        }
        Ok(())
    }

    /// The owner stops without a word; it does not know that it is none any more when it wakes.
    fn sleep(&mut self, member: Member<H>) {
        self.note(|| "falls asleep, another takes over".to_owned());
        self.sometimes.hit_if(member.commit.is_some() || member.committed.is_some(), Window::RebalancedMidCommit);
        self.furthest = member.furthest.clone();
        self.zombies.push(member);
    }

    pub(super) fn crash(&mut self, mut member: Member<H>) -> Result<(), String> {
        self.note(|| "crash".to_owned());
        self.hit(Window::Crash);
        self.sometimes.hit_if(!member.calls.is_empty(), Window::CrashWithCallOut);
        self.sometimes.hit_if(!member.answers.is_empty(), Window::CrashWithAnswerUnsaved);
        self.sometimes.hit_if(member.committed.is_some(), Window::CrashAfterCommit);
        self.sometimes.hit_if(!member.acknowledgements.is_empty(), Window::CrashWithEventUnacknowledged);
        self.sometimes.hit_if(member.machine.gauges().parked_sequences > 0, Window::ParkedAtCrash);
        self.furthest = member.furthest.clone();
        self.crash_commit(&mut member)?;
        for call in std::mem::take(&mut member.calls) {
            let fates = [Fate::Answered, Fate::RequestLost, Fate::Late];
            let fate = fates.choose(&mut self.rng).copied().unwrap_or(Fate::Answered);
            if call.kind == CallKind::Apply {
                let sent = self.sent(fate, false);
                let _ = self.outside.apply(&call.intent.effect, &call.intent.event_id, sent);
            }
        }
        let sent = self.rng.random_range(0..=member.publish.len());
        for outgoing in member.publish.drain(..sent) {
            topic::append(&mut self.published, outgoing.number, outgoing.event);
            self.hit(Window::CrashWithEventUnacknowledged);
        }
        Ok(())
    }

    /// The commit on its way is lost, done without an answer, or done when another owner is there already.
    fn crash_commit(&mut self, member: &mut Member<H>) -> Result<(), String> {
        let Some(commit) = member.commit.take() else { return Ok(()) };
        self.hit(Window::CrashBeforeCommit);
        match self.rng.random_range(0..3) {
            0 => {}
            1 => {
                now_or_never(self.ledger.commit(&[commit])).map_err(|error| error.to_string())?;
                self.hit(Window::CrashAfterCommit);
            }
            _ => self.late_commits.push(commit),
        }
        Ok(())
    }

    /// Old owners that do not know it yet, and commits that were long on their way: whatever they write must be refused.
    pub(super) fn past_comes_back(&mut self) -> Result<(), String> {
        if let Some(commit) = self.late_commits.pop() {
            let outcome = now_or_never(self.ledger.commit(&[commit])).map_err(|error| error.to_string())?;
            if outcome != [CommitOutcome::Fenced] {
                return Err("I5: a commit of an owner that is gone was taken".to_owned());
            }
            self.note(|| "a late commit is refused".to_owned());
            self.hit(Window::LateCommitRefused);
        }
        let Some(mut zombie) = self.zombies.pop() else { return Ok(()) };
        self.move_member(&mut zombie, true)?;
        if zombie.over.is_none() && zombie.is_busy() {
            self.zombies.insert(0, zombie);
        }
        Ok(())
    }

    pub(super) fn sent(&mut self, fate: Fate, by_zombie: bool) -> Sent {
        let late_at = self.now + self.rng.random_range(1..LATE / 2);
        let applied_at = if fate == Fate::Late { late_at } else { self.now };
        let is_seen_late = self.storm(0.3);
        let visible_at = if is_seen_late { applied_at + self.rng.random_range(1..LATE / 2) } else { applied_at };
        self.sometimes.hit_if(is_seen_late, Window::VisibleLate);
        Sent { fate, late_at, visible_at, by_zombie }
    }
}
