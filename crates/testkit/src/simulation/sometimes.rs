//! What was really reached: a fault that never hit its window proves nothing about it.

/// The window that a fault has to hit, in words that complete "never reached: …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Crash,
    CrashWithCallOut,
    CrashWithAnswerUnsaved,
    CrashBeforeCommit,
    CrashAfterCommit,
    CrashInTakeOver,
    CrashWithEventUnacknowledged,
    CommitRepeated,
    ReadRepeated,
    LateCommitRefused,
    ZombieRefused,
    ZombieCalled,
    RebalancedMidCommit,
    Stolen,
    Drained,
    DrainCut,
    GateClosed,
    Truncated,
    Redelivered,
    Redone,
    Reread,
    LookedUp,
    AppliedLate,
    VisibleLate,
    AnswerLost,
    PublishedAgain,
    ParkedAtCrash,
    ForetoldEffect,
}

/// What a case must have for a window to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Effects,
    Publishing,
    Parking,
    Jobs,
}

const WINDOWS: &[(Window, Needs, &str)] = &[
    (Window::Crash, Needs::Nothing, "a crash"),
    (Window::CrashWithCallOut, Needs::Effects, "a crash with a call out"),
    (Window::CrashWithAnswerUnsaved, Needs::Effects, "a crash between an answer and its commit"),
    (Window::CrashBeforeCommit, Needs::Nothing, "a crash with a commit asked for and not done"),
    (Window::CrashAfterCommit, Needs::Nothing, "a crash between a commit and its answer"),
    (Window::CrashInTakeOver, Needs::Nothing, "a crash in a take-over"),
    (Window::CrashWithEventUnacknowledged, Needs::Publishing, "a crash between an event and its acknowledgement"),
    (Window::CommitRepeated, Needs::Nothing, "a repeated commit"),
    (Window::ReadRepeated, Needs::Nothing, "a repeated read"),
    (Window::LateCommitRefused, Needs::Nothing, "a commit that came after the next take-over"),
    (Window::ZombieRefused, Needs::Nothing, "a zombie's refused write"),
    (Window::ZombieCalled, Needs::Effects, "a zombie's call"),
    (Window::RebalancedMidCommit, Needs::Nothing, "a new owner while a commit is out"),
    (Window::Stolen, Needs::Nothing, "an epoch raised behind the owner's back"),
    (Window::Drained, Needs::Nothing, "a clean leave"),
    (Window::DrainCut, Needs::Nothing, "a leave that was cut short"),
    (Window::GateClosed, Needs::Nothing, "a closed gate"),
    (Window::Truncated, Needs::Nothing, "a topic that was cut or recreated"),
    (Window::Redelivered, Needs::Nothing, "a redelivery"),
    (Window::Redone, Needs::Nothing, "a record decided again after a crash"),
    (Window::Reread, Needs::Nothing, "an input read again from its start"),
    (Window::LookedUp, Needs::Effects, "a look-up of an unknown outcome"),
    (Window::AppliedLate, Needs::Effects, "an effect that took place after its call was given up"),
    (Window::VisibleLate, Needs::Effects, "an effect that look-ups see late"),
    (Window::AnswerLost, Needs::Effects, "a lost answer"),
    (Window::PublishedAgain, Needs::Publishing, "an event published again"),
    (Window::ParkedAtCrash, Needs::Parking, "a crash while a sequence is parked"),
    (Window::ForetoldEffect, Needs::Jobs, "a prediction of an effect, and its retry"),
];

/// How often each window was hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sometimes([u32; WINDOWS.len()]);

impl Default for Sometimes {
    fn default() -> Self {
        Self([0; WINDOWS.len()])
    }
}

/// What a case does, as its run without faults shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    pub has_effects: bool,
    pub publishes: bool,
    pub parks: bool,
    pub by_jobs: bool,
}

impl Sometimes {
    pub(super) fn hit(&mut self, window: Window) {
        self.0[window as usize] += 1;
    }

    pub(super) fn hit_if(&mut self, holds: bool, window: Window) {
        self.0[window as usize] += u32::from(holds);
    }

    #[must_use]
    pub fn count(&self, window: Window) -> u32 {
        self.0[window as usize]
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Windows that exist for such a case, with how often each was hit.
    pub fn of(&self, traits: Traits) -> impl Iterator<Item = (&'static str, u32)> {
        let exists = move |needs: Needs| match needs {
            Needs::Nothing => true,
            Needs::Effects => traits.has_effects,
            Needs::Publishing => traits.publishes,
            Needs::Parking => traits.parks,
            Needs::Jobs => traits.by_jobs,
        };
        WINDOWS
            .iter()
            .zip(self.0)
            .filter(move |((_, needs, _), _)| exists(*needs))
            .map(|((.., name), hits)| (*name, hits))
    }

    /// The first thing that never happened although it could have.
    #[must_use]
    pub fn never(&self, traits: Traits) -> Option<&'static str> {
        self.of(traits).find(|(_, hits)| *hits == 0).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_has_its_own_line() {
        assert!(WINDOWS.iter().enumerate().all(|(index, (window, ..))| *window as usize == index));
    }
}
