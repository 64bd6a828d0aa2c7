//! The fault matrix where no case of this run makes the fault: the tests elsewhere that do, and what nobody shows.

/// A fault that a test of another crate makes. A fault of the matrix may have a case here, too, that makes another side of it.
#[derive(Debug, Clone, Copy)]
pub struct Elsewhere {
    pub fault: &'static str,
    pub what: &'static str,
    /// Path from the repository's root.
    pub file: &'static str,
    pub test: &'static str,
}

const fn test(fault: &'static str, what: &'static str, file: &'static str, test: &'static str) -> Elsewhere {
    Elsewhere { fault, what, file, test }
}

pub const ELSEWHERE: &[Elsewhere] = &[
    test(
        "F26",
        "topics of different numbers of partitions",
        "crates/e2e/tests/bad_input.rs",
        "inputs_with_different_numbers_of_partitions_are_named_and_nothing_is_read",
    ),
    test(
        "F26",
        "partitions added by plan",
        "crates/kafka/src/topics/plan.rs",
        "shrinking_is_refused_and_growing_warns",
    ),
    test(
        "F33",
        "the outside system forgets an idempotency key",
        "crates/connectors/tests/netsuite_jobs.rs",
        "a_job_survives_our_restart_and_a_key_that_is_forgotten",
    ),
    test(
        "F34",
        "a first call that takes effect after the second",
        "crates/connectors/tests/netsuite_faults.rs",
        "a_first_call_that_commits_late_makes_the_second_one_the_same_success",
    ),
    test(
        "F37",
        "a gap in the versions of a key, and a version that is stale",
        "crates/e2e/tests/bad_input.rs",
        "a_version_gap_waits_to_be_filled_and_a_stale_version_becomes_a_dead_letter",
    ),
    test(
        "F38",
        "an effect key that depends on the clock is found",
        "crates/testkit/tests/schedules.rs",
        "the_kit_finds_an_effect_key_that_depends_on_the_clock",
    ),
    test(
        "F40",
        "lengths that lie ask for gigabytes",
        "crates/events/tests/allocation.rs",
        "forged_lengths_and_counts_cost_a_few_mebibytes_and_are_poison",
    ),
    test(
        "F42",
        "a schema of another subject",
        "crates/events/tests/bad_input.rs",
        "a_schema_of_another_subject_breaks_the_contract",
    ),
    test(
        "F42",
        "the schema's id in a header",
        "crates/events/tests/bad_input.rs",
        "the_header_form_names_the_schema_and_leaves_the_value_bare",
    ),
    test("F42", "the schema's guid", "crates/kafka/src/registry/tests.rs", "a_schema_is_found_by_guid"),
    test(
        "F43",
        "a schema that would be misread",
        "crates/events/src/schema/readable.rs",
        "what_would_be_misread_is_refused_with_the_field",
    ),
    test(
        "F44",
        "a letter too large for its topic",
        "crates/consumer/src/machine/letters.rs",
        "a_value_too_large_for_the_topic_stays_in_the_ledger_and_is_referred_to",
    ),
    test(
        "F44",
        "more headers than a letter may have",
        "crates/consumer/src/machine/letters.rs",
        "headers_stay_inside_their_budget_and_say_how_many_are_missing",
    ),
    test(
        "F46",
        "nearly everything becomes a letter",
        "crates/testkit/tests/jobs.rs",
        "a_slice_stops_when_too_large_a_share_becomes_letters_and_goes_on_when_people_let_it",
    ),
    test(
        "F52",
        "a key is replaced",
        "crates/connectors/tests/netsuite_faults.rs",
        "a_key_is_rotated_by_replacing_its_files",
    ),
    test(
        "F52",
        "a certificate expires",
        "crates/connectors/tests/netsuite_jobs.rs",
        "an_expired_certificate_waits_for_its_successor_and_is_no_ones_fault",
    ),
    test(
        "F53",
        "a build before the migration is not started any more",
        "crates/ledger/tests/contract/migrations.rs",
        "an_older_binary_refuses_a_newer_schema",
    ),
    test(
        "F54",
        "jobs of redrive under crashes, pauses and cancellations",
        "crates/testkit/tests/schedules.rs",
        "jobs_retry_and_give_up_the_same_in_every_schedule_of_crashes_pauses_and_cancellations",
    ),
    test(
        "F54",
        "a redrive while its service is killed",
        "crates/e2e/tests/redrive.rs",
        "on_real_parts_letters_are_redriven_once_and_in_order_too",
    ),
    test(
        "F54",
        "two jobs want one letter",
        "crates/control/tests/api/plans.rs",
        "two_jobs_cannot_hold_one_letter_and_a_cancelled_one_lets_go",
    ),
    test(
        "F55",
        "two people edit one letter",
        "crates/control/tests/api/edits.rs",
        "of_two_people_who_edit_one_letter_the_second_is_told_that_it_changed",
    ),
    test(
        "F56",
        "a person is forgotten whose event waits",
        "crates/testkit/tests/jobs.rs",
        "what_is_erased_is_gone_and_its_sequence_goes_on_without_it",
    ),
];

/// What no case and no test shows, by fault, so that nobody takes a row of the matrix for more than it is.
pub const NOT_SHOWN: &[(&str, &str)] = &[
    ("F20", "a `__transaction_state` leader: nothing here uses Kafka's transactions"),
    (
        "F25",
        "a poll thread that itself takes longer than `max.poll.interval.ms`: it never waits for calls, and nothing can make it",
    ),
    ("F30", "an absurd `Retry-After`: only among the unit tests of the connectors"),
    (
        "F38",
        "a step of the monotonic clock, which no setting of the clock makes; daylight saving and leap seconds: times are instants",
    ),
    ("F39", "a full disk under the broker or under the service; a service writes nothing to disk but its log"),
    (
        "F40",
        "too few file descriptors, a memory limit of the system, and starved processors: what a service takes is sampled, not squeezed",
    ),
    (
        "F48",
        "a fail-over to a replica of PostgreSQL: the stack has one server; with an asynchronous replica, what it had not got is lost there",
    ),
    ("F51", "a broker that refuses for lack of rights: the stack has no access control"),
    ("F53", "going back behind a migration: migrations go forward only, and an older build says so at its start"),
];

/// Faults of the matrix.
pub const FAULTS: std::ops::RangeInclusive<u32> = 1..=57;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use std::{collections::BTreeSet, path::Path};

    #[test]
    fn every_fault_of_the_matrix_has_a_case_or_a_test_that_is_there() {
        let by_case = cases().flat_map(|case| case.faults.split(' '));
        let shown: BTreeSet<&str> = by_case.chain(ELSEWHERE.iter().map(|one| one.fault)).collect();
        let missing: Vec<String> =
            FAULTS.map(|number| format!("F{number:02}")).filter(|fault| !shown.contains(fault.as_str())).collect();
        assert!(missing.is_empty(), "neither a case nor a test elsewhere: {missing:?}");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for one in ELSEWHERE {
            let text = std::fs::read_to_string(root.join(one.file)).unwrap_or_default();
            assert!(
                text.contains(&format!("fn {}(", one.test)),
                "{}: there is no test {} in {}",
                one.fault,
                one.test,
                one.file
            );
        }
    }

    #[test]
    fn cases_have_names_of_their_own_and_say_what_they_need() {
        let names: Vec<&str> = cases().map(|case| case.name).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(cases().all(|case| case.seconds > 0 && !case.faults.is_empty()));
    }
}
