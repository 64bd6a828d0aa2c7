//! The fault matrix: every case with what it breaks, what must have been seen for it to count, and how long it takes.

mod input;
mod parts;
mod processes;
mod ways;

use crate::stage::{Detour, ERP_SYNC};

/// What a case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A process of this service dies at a cut point.
    Cut(&'static str, &'static str),
    /// Services are killed at random.
    Kills,
    /// The services that carry a deal from the CRM to access are killed at random.
    DealKills,
    /// A service is killed whose memory is full of a backlog.
    Backlog,
    /// Services are asked to end, also twice, also with a kill behind it.
    Terminate,
    /// A process is stopped and woken, before or after somebody took its slices over.
    Asleep {
        taken_over: bool,
    },
    /// A part is killed, stays away until services say so, and comes back.
    Part(&'static str, Option<&'static str>),
    /// A part is away when the service starts.
    Absent(&'static str, &'static str),
    /// Answers to COMMIT are swallowed.
    CommitCut,
    /// What passes between services and a part is slow, silent, cut or refused.
    Way(Detour, Trouble),
    /// The broker's process is stopped and woken.
    BrokerAsleep,
    Recreated,
    Forgotten,
    /// The topic of dead letters takes none.
    LettersRefused,
    /// The outside system does everything that one can do wrong.
    Outside,
    /// Every call of the outside system takes longer than a session of the group.
    OutsideSlow,
    /// What is published is odd in this way.
    Input(Odd),
    /// One of two replicas is told another time of day.
    Clock,
    /// Brokers of a cluster of three are restarted, killed, or too few.
    Brokers(Lack),
    /// Ten members come and go.
    Storm {
        new_protocol: bool,
    },
    DiskFull,
    /// PostgreSQL ends connections and gives no locks.
    Contended,
    /// A replica after the other is replaced by another build, and back.
    Upgrade,
    /// The same by a build that changes the tables of the ledger.
    Migration,
    /// Two things are killed at once.
    Pairs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Slow,
    Silent,
    /// Requests arrive, answers do not.
    OneWay,
    Down,
    CutAmid,
}

/// What is odd about the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// Every other event comes twice, and in the end all come again.
    Copies,
    /// Keys lie behind their time, and what is referred to comes after what refers to it.
    Disorder,
    /// Bytes that nobody can read, and bodies that break the contract.
    Poison,
}

/// What three brokers lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Each in turn, politely.
    Rolling,
    /// Each in turn, by `kill -9`.
    Killed,
    /// Two at once: fewer copies than a record needs.
    Majority,
}

/// One line of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    /// Faults of the matrix that it covers.
    pub faults: &'static str,
    pub what: &'static str,
    /// What probes must have seen, or the run is void.
    pub needs: &'static [&'static str],
    /// About how long it takes on two cores.
    pub seconds: u64,
    /// Whether the short run has it.
    pub smoke: bool,
    pub act: Act,
}

const fn case(name: &'static str, faults: &'static str, act: Act, what: &'static str) -> Case {
    Case { name, faults, what, needs: &[], seconds: 45, smoke: false, act }
}

const fn cut(name: &'static str, fault: &'static str, point: &'static str, what: &'static str) -> Case {
    cut_of(ERP_SYNC, name, fault, point, what)
}

const fn cut_of(
    service: &'static str,
    name: &'static str,
    fault: &'static str,
    point: &'static str,
    what: &'static str,
) -> Case {
    Case { needs: &["died at the point"], ..case(name, fault, Act::Cut(service, point), what) }
}

/// All of them, in the order in which they run.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [processes::CASES, parts::CASES, ways::CASES, input::CASES, processes::LONG].into_iter().flatten()
}
