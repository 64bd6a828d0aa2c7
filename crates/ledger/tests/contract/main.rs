//! One suite that every ledger passes: each case runs against memory, SQLite and PostgreSQL.

mod builders;
mod commit;
mod faults;
mod horizon;
mod jobs;
mod kills;
mod migrations;
mod model;
mod operate;
mod parking;
mod postgres_only;
mod rules;
mod server;
mod stage;
mod takeover;

/// A test of each engine for each case, named `<engine>::<case>`.
macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $case() { crate::$module::$case(crate::stage::Stage::memory()).await })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $case() { crate::$module::$case(crate::stage::Stage::sqlite()).await })*
        }
        mod postgres {
            $(#[tokio::test] async fn $case() { crate::$module::$case(crate::stage::Stage::postgres()).await })*
        }
    };
}

contract! {
    takeover::a_new_slice_starts_at_entry_1_of_epoch_1,
    takeover::everything_that_is_open_is_read_back,
    takeover::racing_owners_get_different_epochs,
    takeover::many_open_entries_are_all_read_back,
    commit::a_repeated_commit_is_committed_and_writes_nothing_twice,
    commit::an_older_epoch_changes_nothing_in_any_table,
    commit::a_fenced_slice_drops_out_and_the_others_go_on,
    commit::a_gap_a_strange_epoch_and_an_unknown_slice_are_misuse,
    commit::commits_that_no_caller_should_make_change_nothing,
    commit::slices_commit_at_once,
    commit::documents_count_their_versions_and_are_removed,
    commit::the_last_change_of_a_thing_in_one_commit_counts,
    commit::identities_are_found_among_thousands_and_the_first_hash_stays,
    commit::a_commit_of_5000_records_reads_back,
    commit::timers_and_intents_are_set_moved_and_cleared,
    commit::published_marks_and_positions_move,
    commit::texts_with_zeros_and_quotes_read_back,
    commit::a_stop_survives_and_is_lifted,
    parking::parked_records_read_back_byte_for_byte,
    parking::pages_hold_what_is_alive_in_order_also_below_zero,
    parking::what_is_in_an_erased_record_is_gone_and_the_rest_stays,
    parking::a_number_is_taken_once_and_only_an_existing_record_changes,
    parking::sequences_are_put_changed_and_removed,
    parking::filters_find_parked_records,
    parking::letters_are_selected_counted_and_paged,
    jobs::a_job_freezes_its_items_and_is_created_once,
    jobs::a_row_is_held_by_one_job_and_a_prediction_holds_none,
    jobs::jobs_at_once_never_share_a_row,
    jobs::rows_that_are_not_what_people_saw_are_named,
    jobs::jobs_that_no_caller_should_create_are_misuse,
    jobs::a_job_is_what_its_items_are,
    jobs::jobs_are_paused_resumed_and_cancelled_on_the_record,
    jobs::a_stop_rule_ends_a_job_in_a_commit,
    jobs::groups_of_letters_are_put_on_the_record,
    rules::rules_are_added_once_read_back_and_removed_on_the_record,
    rules::rules_that_no_caller_should_add_are_misuse,
    rules::outlooks_of_a_slice_are_replaced_as_a_whole,
    rules::jobs_go_after_their_time_and_never_before_their_letters_are_final,
    rules::expired_rules_and_what_was_said_of_gone_causes_go_after_their_time,
    operate::an_accepted_position_fences_the_owner_and_a_stop_does_not,
    operate::every_operation_is_chained_in_the_audit,
    operate::operators_at_once_make_one_chain,
    operate::an_operation_on_an_unknown_slice_changes_nothing,
    horizon::prune_drops_what_lies_before_and_raises_the_floor,
    horizon::prune_stops_before_what_is_open_parked_or_unpublished,
    horizon::identities_without_a_time_are_kept,
    horizon::the_floor_never_falls,
    faults::a_lost_answer_is_harmless_at_every_call,
    model::any_run_of_commits_reads_as_in_the_model,
}
