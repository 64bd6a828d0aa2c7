//! What happens to the parts that services stand on.

use super::{Act, Case, Lack, case};

pub(super) const CASES: &[Case] = &[
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
        needs: &["connections terminated", "LEDGER_UNAVAILABLE"],
        seconds: 60,
        ..case(
            "postgres-contended",
            "F49",
            Act::Contended,
            "an administrator ends all connections again and again, then locks the table of slices",
        )
    },
    Case {
        needs: &["disk was full", "LEDGER_UNAVAILABLE"],
        seconds: 75,
        ..case("disk-full", "F39", Act::DiskFull, "the disk of PostgreSQL is full")
    },
    Case {
        needs: &["work went on without it"],
        seconds: 180,
        ..case(
            "brokers-rolled",
            "F19",
            Act::Brokers(Lack::Rolling),
            "three brokers are stopped and started one after the other: work goes on with two",
        )
    },
    Case {
        needs: &["work went on without it"],
        seconds: 180,
        ..case(
            "brokers-killed",
            "F20 F21",
            Act::Brokers(Lack::Killed),
            "kill -9 of each of three brokers in turn: leaders, coordinators and the controller are among them",
        )
    },
    Case {
        needs: &["positions stood still"],
        seconds: 150,
        ..case(
            "brokers-lost",
            "F22",
            Act::Brokers(Lack::Majority),
            "two of three brokers are away: fewer copies than a record needs, so nothing counts as published",
        )
    },
];
