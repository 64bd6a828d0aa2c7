//! What happens to the processes of services.

use super::{Act, Case, case, cut, cut_of};

pub(super) const CASES: &[Case] = &[
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
    cut_of("crm-sync", "cut-crm", "F08", "c6", "kill -9 of crm-sync when an answer of the CRM is read and not saved"),
    cut_of("provisioning", "cut-access", "F06", "c5", "kill -9 of provisioning with a call out and no answer"),
    cut_of(
        "order-flow",
        "cut-flow",
        "F11",
        "c10",
        "kill -9 of order-flow when what it asks for is acknowledged, not marked",
    ),
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
        needs: &["memory was full at a kill"],
        seconds: 90,
        ..case(
            "backlog",
            "F16",
            Act::Backlog,
            "kill -9 with as much of a backlog in memory as may be there: no more is read again (I7)",
        )
    },
    Case {
        needs: &["replicas replaced"],
        seconds: 75,
        ..case("upgrade", "F53", Act::Upgrade, "replicas are replaced by another build one after the other, and back")
    },
    Case {
        needs: &["replicas replaced", "both builds on the new tables"],
        seconds: 75,
        ..case(
            "migration",
            "F53",
            Act::Migration,
            "replicas are replaced by a build that changes the ledger's tables, while one of the build before works on",
        )
    },
];

/// Last, because they take longest.
pub(super) const LONG: &[Case] = &[
    Case {
        needs: &["two killed at once"],
        seconds: 120,
        ..case("pairs", "F57", Act::Pairs, "random pairs of service and part are killed at the same moment")
    },
    Case {
        needs: &["killed"],
        seconds: 240,
        ..case(
            "deal-kills",
            "F16",
            Act::DealKills,
            "kill -9 of order-flow, erp-sync, provisioning and crm-sync at random while deals become contracts",
        )
    },
    Case {
        needs: &["killed"],
        seconds: 900,
        ..case("kills", "F16", Act::Kills, "kill -9 of random services at random moments")
    },
];
