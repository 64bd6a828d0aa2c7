//! `throughline rules` through the built program.

mod common;

use common::{Throughline, throughline};

/// The program in a folder that has the policies of the repository as `p`.
fn with_policies(args: &[&str]) -> Throughline {
    let program = throughline(args);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/policies");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        program.file(&format!("p/{name}"), &std::fs::read_to_string(&path).unwrap());
    }
    program
}

#[test]
fn good_policies_are_checked_and_tested_with_their_version() {
    let checked = with_policies(&["rules", "check", "p", "-o", "json"]).run();
    assert_eq!(checked.code, 0, "{}", checked.err);
    let version = checked.json()["version"].clone();
    assert_eq!(version.as_str().map(str::len), Some(12));
    let tested = with_policies(&["rules", "test", "p", "-o", "json"]).run();
    assert_eq!((tested.code, &tested.json()["version"], &tested.json()["ok"]), (0, &version, &true.into()));
}

#[test]
fn bad_policies_end_with_every_mistake_and_exit_one() {
    let program = with_policies(&["rules", "check", "p", "-o", "json"]);
    program.file("p/approvals.yaml", "version: 1\nrules:\n  - {rule: A, when: 'deal.x', owner: o}\n");
    program.file("p/routing.yaml", "version: 1\nroutes: []\n");
    let ended = program.run();
    assert_eq!(ended.code, 1, "{}", ended.err);
    let problems = ended.json()["problems"].as_array().cloned().unwrap();
    let places: Vec<_> =
        problems.iter().map(|one| format!("{} {}", one["file"], one["path"]).replace('"', "")).collect();
    assert_eq!(places, ["approvals.yaml rules[0].when", "approvals.yaml rules[0].reason", "routing.yaml default"]);
}

#[test]
fn a_case_that_is_decided_otherwise_fails_the_test_and_shows_in_the_difference() {
    let stricter = "version: 1\nrules:\n  - {rule: ALL, when: 'true', owner: o, reason: r}\n";
    let program = with_policies(&["rules", "test", "p"]);
    program.file("p/approvals.yaml", stricter);
    let ended = program.run();
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("not expected: approval ALL"), "{}", ended.out);
    let before = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/policies");
    let program = with_policies(&["rules", "diff", before, "p", "--exit-code", "-o", "json"]);
    program.file("p/approvals.yaml", stricter);
    let ended = program.run();
    assert_eq!((ended.code, ended.json()["changes"][0]["case"].as_str()), (1, Some("a plain deal")));
    let same = with_policies(&["rules", "diff", before, "p", "--exit-code"]).run();
    assert_eq!(same.code, 0);
}

#[test]
fn a_folder_that_is_not_there_is_a_usage_error() {
    let ended = throughline(&["rules", "check", "nowhere"]).run();
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("nowhere is not a folder"), "{}", ended.err);
}

/// D2.06: which system owns a field, and why.
#[test]
fn the_owner_of_a_field_is_told_with_the_rule_and_the_reason() {
    let told = with_policies(&["rules", "owner", "customer.payment_terms.code", "--folder", "p", "-o", "json"]).run();
    let row = told.json();
    assert_eq!((told.code, &row["system"], &row["queue"]), (0, &"erp".into(), &"credit-control".into()));
    assert_eq!((&row["rule"], &row["why"]), (&"customer.payment_terms".into(), &"receivables follow it".into()));
    let all = with_policies(&["rules", "owner", "--folder", "p", "-o", "json"]).run();
    assert!(all.json()["fields"].as_array().is_some_and(|rows| rows.len() > 5));
    assert_eq!(with_policies(&["rules", "owner", "weather.rain", "--folder", "p"]).run().code, 1);
    assert_eq!(with_policies(&["rules", "owner", "weather", "--folder", "p"]).run().code, 2);
}
