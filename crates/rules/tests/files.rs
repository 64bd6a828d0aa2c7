//! The policies of the repository, and what happens to files that are wrong or change.

use rules::{Policies, Refresh, Store, Subject, diff};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policies")
}

fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(shipped()).expect("the policies") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a copy");
    }
    folder
}

fn change(folder: &TempDir, file: &str, from: &str, to: &str) {
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

fn problems(folder: &TempDir) -> String {
    Policies::load(folder.path()).expect_err("bad files").to_string()
}

#[test]
fn the_policies_of_the_repository_decide_their_cases_as_they_say() {
    let policies = Policies::load(&shipped()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(policies.cases.len() >= 3);
    for case in &policies.cases {
        let result = case.run(&policies);
        assert!(result.ok, "{}: {:#?}", case.name, result.differences);
    }
}

#[test]
fn every_mistake_is_told_at_once_with_file_place_and_remedy() {
    let folder = copy();
    change(&folder, "approvals.yaml", "deal.term_months > 36", "deal.terms_month > 36");
    change(&folder, "revenue.yaml", "method: usage", "method: someday");
    change(&folder, "entities.yaml", "currency: JPY", "currency: YEN");
    change(&folder, "tax-nexus.yaml", "entity: JP", "entity: MARS");
    change(&folder, "products.yaml", "charges: [usage]", "charges: [usage], colour: red");
    fs::remove_file(folder.path().join("routing.yaml")).expect("removed");
    let told = problems(&folder);
    for expected in [
        "approvals.yaml: rules[1].when: ",
        "revenue.yaml: rules[1].method: `someday` is no word for this (one of straight_line_daily",
        "entities.yaml: entities.JP.currency: `YEN` is not an active ISO 4217 code",
        "tax-nexus.yaml: registrations: `MARS` is not in entities.yaml",
        "products.yaml: products.USE-*.colour: unknown key",
        "routing.yaml: cannot be read",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in:\n{told}");
    }
}

#[test]
fn a_file_that_is_no_yaml_or_of_another_form_is_one_clear_mistake() {
    let folder = copy();
    fs::write(folder.path().join("checks.yaml"), "checks: [").expect("written");
    change(&folder, "price-plans.yaml", "version: 1", "version: 2");
    let told = problems(&folder);
    assert!(told.contains("checks.yaml: ") && told.contains("price-plans.yaml: version: must be 1"), "{told}");
}

#[test]
fn a_changed_file_takes_effect_and_a_bad_one_leaves_the_old_version_in_force() {
    let folder = copy();
    let store = Store::open(folder.path()).expect("good files");
    let first = store.current().version.clone();
    assert!(matches!(store.refresh(), Refresh::Unchanged));
    change(&folder, "approvals.yaml", "50000000", "5000000000");
    let Refresh::Swapped { from, to } = store.refresh() else { panic!("the change was not taken") };
    assert_eq!((from, &to), (first, &store.current().version));
    change(&folder, "approvals.yaml", "deal.total_minor >", "deal.total_minor > >");
    assert!(matches!(store.refresh(), Refresh::Refused(_)));
    assert_eq!(store.current().version, to);
    assert!(matches!(store.refresh(), Refresh::Unchanged), "a refusal is told once");
    change(&folder, "approvals.yaml", "> >", ">");
    assert!(matches!(store.refresh(), Refresh::Unchanged), "mended: the same version as before");
    change(&folder, "approvals.yaml", "5000000000", "7");
    assert!(matches!(store.refresh(), Refresh::Swapped { .. }));
}

#[test]
fn a_difference_names_the_cases_that_are_decided_differently() {
    let folder = copy();
    change(&folder, "approvals.yaml", "deal.total_minor > 50000000", "deal.total_minor > 1000");
    let (before, after) = (Policies::load(&shipped()).expect("good"), Policies::load(folder.path()).expect("good"));
    let (cases, changes) = diff(&before, &after);
    assert_eq!(cases, before.cases.len());
    let changed: Vec<_> = changes.iter().map(|change| (change.case.as_str(), change.parts.join(" "))).collect();
    assert_eq!(changed, [("a plain deal", "approvals".into()), ("two entities in two currencies", "approvals".into())]);
    assert_ne!(before.version, after.version);
    assert!(diff(&after, &after).1.is_empty());
}

#[test]
fn a_new_entity_is_a_line_of_configuration() {
    let folder = copy();
    let case = Policies::load(folder.path()).expect("good").cases[0].clone();
    let Subject::Deal(mut deal) = case.subject else { panic!("a deal") };
    deal.sellers[0].entity = "AU".into();
    assert!(!Policies::load(folder.path()).expect("good").judge(&deal).findings.is_empty());
    change(
        &folder,
        "entities.yaml",
        "entities:\n",
        "entities:\n  AU: {country: AU, currency: AUD, currencies: [USD]}\n",
    );
    change(
        &folder,
        "tax-nexus.yaml",
        "registrations:\n",
        "registrations:\n  - {entity: AU, country: US, regions: [CA]}\n",
    );
    assert_eq!(Policies::load(folder.path()).expect("good").judge(&deal).findings, []);
}

#[test]
fn the_system_of_record_of_a_field_is_its_own_rule_or_that_of_its_object() {
    let policies = Policies::load(&shipped()).expect("good");
    let queue = |object: &str, field: &str| {
        policies.ownership.system_of_record(object, field).map(|owner| owner.queue.as_str())
    };
    assert_eq!(queue("customer", "payment_terms"), Some("credit-control"));
    assert_eq!(queue("customer", "phone"), Some("master-data"));
    assert_eq!(queue("weather", "rain"), None);
}
