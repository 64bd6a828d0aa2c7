//! The fault matrix: every case with what it breaks, what must have been seen for it to count, and how long it takes.

use crate::trial::Detour;

/// What a case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A process dies at a cut point.
    Cut(&'static str),
    /// Services are killed at random.
    Kills,
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
    /// Ten members come and go.
    Storm {
        new_protocol: bool,
    },
    DiskFull,
    /// A replica after the other is replaced by another build, and back.
    Upgrade,
    /// Two things are killed at once.
    Pairs,
    /// Nobody runs it here; the reason is the text.
    Not(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Slow,
    Silent,
    Down,
    CutAmid,
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
    Case { needs: &["died at the point"], ..case(name, fault, Act::Cut(point), what) }
}

/// All of them, in the order in which they run.
pub const CASES: &[Case] = &[
    Case {
        needs: &["answer to COMMIT swallowed"],
        smoke: true,
        ..case("commit-cut", "F50", Act::CommitCut, "the connection is cut between PostgreSQL's COMMIT and its answer")
    },
    cut("cut-c0", "F01", "c0", "kill -9 when records were polled"),
    cut("cut-c1", "F02", "c1", "kill -9 when records are decoded"),
    cut("cut-c2", "F03", "c2", "kill -9 when a batch is decided, nothing written"),
    cut("cut-c3", "F04", "c3", "kill -9 with the transaction open, its statements done"),
    cut("cut-c4", "F05", "c4", "kill -9 when an intent is committed, no call made"),
    cut("cut-c5", "F06", "c5", "kill -9 with a call out and no answer"),
    cut("cut-c6", "F07", "c6", "kill -9 when an answer is read and not saved"),
    cut("cut-c7", "F08", "c7", "kill -9 with an outcome in an open transaction"),
    cut("cut-c8", "F09", "c8", "kill -9 when a transaction is committed, nobody told"),
    cut("cut-c9", "F10", "c9", "kill -9 when events are sent, not acknowledged"),
    cut("cut-c10", "F11", "c10", "kill -9 when events are acknowledged, not marked"),
    cut("cut-c11", "F12", "c11", "kill -9 when events are marked as published"),
    cut("cut-c12", "F13", "c12", "kill -9 when the offset was told to Kafka"),
    cut("cut-c13", "F14", "c13", "kill -9 when slices are revoked"),
    cut("cut-c14", "F15", "c14", "kill -9 while it drains after SIGTERM"),
    Case {
        needs: &["asked to end"],
        seconds: 75,
        ..case("terminate", "F17", Act::Terminate, "SIGTERM under load, twice in a row, and SIGKILL behind it")
    },
    Case {
        needs: &["asleep below the session"],
        ..case("asleep", "F18", Act::Asleep { taken_over: false }, "SIGSTOP for less than the session timeout")
    },
    Case {
        needs: &["woken as a zombie"],
        seconds: 90,
        ..case(
            "zombie",
            "F18 F47",
            Act::Asleep { taken_over: true },
            "SIGSTOP until another owner has its slices, then SIGCONT",
        )
    },
    Case {
        needs: &["positions stood still"],
        seconds: 75,
        ..case(
            "kafka-killed",
            "F20 F21",
            Act::Part("kafka", None),
            "kill -9 of the broker, which is controller and coordinator too",
        )
    },
    Case {
        needs: &["LEDGER_UNAVAILABLE"],
        seconds: 60,
        ..case("postgres-killed", "F48", Act::Part("postgres", Some("LEDGER_UNAVAILABLE")), "kill -9 of PostgreSQL")
    },
    Case {
        needs: &["work went on without it"],
        ..case(
            "registry-killed",
            "F27",
            Act::Part("registry", None),
            "kill -9 of the schema registry: known schemas are remembered",
        )
    },
    Case {
        needs: &["ERP_UNAVAILABLE"],
        smoke: true,
        ..case(
            "erp-killed",
            "F27 F29",
            Act::Part("sandbox", Some("ERP_UNAVAILABLE")),
            "kill -9 of the outside system amid calls",
        )
    },
    Case {
        needs: &["BROKER_UNAVAILABLE"],
        seconds: 60,
        ..case(
            "kafka-absent",
            "F51",
            Act::Absent("kafka", "BROKER_UNAVAILABLE"),
            "the broker is down when the service starts",
        )
    },
    Case {
        needs: &["LEDGER_UNAVAILABLE"],
        ..case(
            "postgres-absent",
            "F51",
            Act::Absent("postgres", "LEDGER_UNAVAILABLE"),
            "PostgreSQL is down when the service starts",
        )
    },
    Case {
        needs: &["REGISTRY_UNAVAILABLE"],
        ..case(
            "registry-absent",
            "F42 F51",
            Act::Absent("registry", "REGISTRY_UNAVAILABLE"),
            "the registry is down when the service starts",
        )
    },
    Case {
        needs: &["ERP_UNAVAILABLE"],
        ..case(
            "erp-absent",
            "F51",
            Act::Absent("sandbox", "ERP_UNAVAILABLE"),
            "the outside system is down when the service starts",
        )
    },
    Case {
        needs: &["pieces delayed"],
        seconds: 75,
        ..case(
            "postgres-slow",
            "F28",
            Act::Way(Detour::Postgres, Trouble::Slow),
            "every piece between service and PostgreSQL takes 25 ms more",
        )
    },
    Case {
        needs: &["pieces held"],
        seconds: 60,
        ..case(
            "postgres-silent",
            "F27",
            Act::Way(Detour::Postgres, Trouble::Silent),
            "nothing passes for ten seconds, then connections are cut",
        )
    },
    Case {
        needs: &["LEDGER_UNAVAILABLE"],
        ..case(
            "postgres-cut",
            "F27",
            Act::Way(Detour::Postgres, Trouble::Down),
            "connections to PostgreSQL are cut and refused",
        )
    },
    Case {
        needs: &["connections cut amid an answer"],
        ..case(
            "postgres-torn",
            "F29",
            Act::Way(Detour::Postgres, Trouble::CutAmid),
            "connections to PostgreSQL end amid an answer",
        )
    },
    Case {
        needs: &["REGISTRY_UNAVAILABLE"],
        ..case(
            "registry-torn",
            "F27 F29",
            Act::Way(Detour::Registry, Trouble::CutAmid),
            "connections to the registry end amid an answer",
        )
    },
    Case {
        needs: &["positions stood still"],
        seconds: 75,
        ..case(
            "kafka-asleep",
            "F27",
            Act::BrokerAsleep,
            "the broker is stopped for twelve seconds: connections stay open, nothing answers",
        )
    },
    Case {
        needs: &["slices stopped"],
        seconds: 90,
        ..case(
            "topic-recreated",
            "F23",
            Act::Recreated,
            "a topic is deleted and made again: its slices stop until an operator accepts",
        )
    },
    Case {
        needs: &["slices stopped"],
        seconds: 75,
        ..case(
            "position-forgotten",
            "F23",
            Act::Forgotten,
            "retention passes the position: the slice stops until an operator accepts",
        )
    },
    Case {
        needs: &["DEAD_LETTER_UNAVAILABLE"],
        seconds: 60,
        ..case(
            "letters-refused",
            "F45",
            Act::LettersRefused,
            "the topic of dead letters takes none, not even one without its value",
        )
    },
    Case {
        seconds: 75,
        ..case(
            "erp-misbehaves",
            "F30 F31 F32 F34 F35",
            Act::Outside,
            "429, 500 after the effect, cut before and after it, late effects, late look-ups, broken JSON",
        )
    },
    Case {
        needs: &["members came or went"],
        seconds: 150,
        ..case(
            "storm-classic",
            "F24",
            Act::Storm { new_protocol: false },
            "ten members start and stop every two seconds, classic protocol",
        )
    },
    Case {
        needs: &["members came or went"],
        seconds: 150,
        ..case("storm-consumer", "F24", Act::Storm { new_protocol: true }, "the same with group.protocol=consumer")
    },
    Case {
        needs: &["disk was full", "LEDGER_UNAVAILABLE"],
        seconds: 75,
        ..case("disk-full", "F39", Act::DiskFull, "the disk of PostgreSQL is full")
    },
    Case {
        needs: &["replicas replaced"],
        seconds: 75,
        ..case("upgrade", "F53", Act::Upgrade, "replicas are replaced by another build one after the other, and back")
    },
    Case {
        needs: &["two killed at once"],
        seconds: 120,
        ..case("pairs", "F57", Act::Pairs, "random pairs of service and part are killed at the same moment")
    },
    Case {
        needs: &["killed"],
        seconds: 900,
        ..case("kills", "F16", Act::Kills, "kill -9 of random services at random moments")
    },
    Case {
        seconds: 0,
        ..case(
            "brokers",
            "F19 F22",
            Act::Not("the dev stack has one broker: nothing is shown about three"),
            "rolling restart, too few replicas in sync",
        )
    },
    Case {
        seconds: 0,
        ..case(
            "clock",
            "F38",
            Act::Not(
                "services take the time from the system: one of them alone cannot be given another without a library to load before it",
            ),
            "the wall clock jumps",
        )
    },
    Case {
        seconds: 0,
        ..case(
            "others",
            "F25 F26 F33 F36 F37 F40 F41 F43 F44 F46 F49 F52 F54 F55 F56",
            Act::Not(
                "no case of its own here; what there is, is among the tests of consumer, ledger, connectors, control and e2e",
            ),
            "the rest of the matrix",
        )
    },
];
