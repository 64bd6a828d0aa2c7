//! What happens on the ways between services and parts.

use super::{Act, Case, Trouble, case};
use crate::stage::Detour;

pub(super) const CASES: &[Case] = &[
    Case {
        needs: &["answer to COMMIT swallowed"],
        smoke: true,
        ..case("commit-cut", "F50", Act::CommitCut, "the connection is cut between PostgreSQL's COMMIT and its answer")
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
        needs: &["answers held"],
        seconds: 60,
        ..case(
            "postgres-oneway",
            "F27",
            Act::Way(Detour::Postgres, Trouble::OneWay),
            "what services ask arrives at PostgreSQL, no answer comes back for ten seconds, then connections are cut",
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
        needs: &["effect of unknown outcome"],
        seconds: 60,
        ..case(
            "erp-oneway",
            "F27 F32",
            Act::Way(Detour::Erp, Trouble::OneWay),
            "calls arrive at the outside system and take effect, no answer comes back",
        )
    },
    Case {
        needs: &["pieces delayed"],
        seconds: 90,
        ..case(
            "kafka-slow",
            "F28",
            Act::Way(Detour::Kafka, Trouble::Slow),
            "every piece between services and broker takes 25 ms more",
        )
    },
    Case {
        needs: &["answers held"],
        seconds: 75,
        ..case(
            "kafka-oneway",
            "F27",
            Act::Way(Detour::Kafka, Trouble::OneWay),
            "what services ask arrives at the broker, no answer comes back for ten seconds",
        )
    },
    Case {
        needs: &["positions stood still"],
        seconds: 75,
        ..case(
            "kafka-cut",
            "F27",
            Act::Way(Detour::Kafka, Trouble::Down),
            "connections to the broker are cut and refused",
        )
    },
    Case {
        needs: &["connections cut amid an answer"],
        seconds: 75,
        ..case(
            "kafka-torn",
            "F29",
            Act::Way(Detour::Kafka, Trouble::CutAmid),
            "connections to the broker end amid an answer",
        )
    },
];
