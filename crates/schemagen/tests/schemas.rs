//! The program against copies of the repository's schemas.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(root: &Path, command: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_schemagen"));
    program.arg("--root").arg(root).arg(command).output().expect("the program starts")
}

#[track_caller]
fn accepted(root: &Path, command: &str) {
    let output = run(root, command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refused(root: &Path, command: &str) -> String {
    let output = run(root, command);
    assert!(!output.status.success(), "it was accepted");
    String::from_utf8(output.stderr).expect("messages are text")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// A copy of the schemas, everything generated and recorded.
fn workspace() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&repository().join("schemas"), &folder.path().join("schemas"));
    fs::copy(repository().join("rustfmt.toml"), folder.path().join("rustfmt.toml")).expect("a copy");
    accepted(folder.path(), "generate");
    folder
}

fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

/// Writes v1.1 of payment.failed as v1.0 with a change.
fn next_minor(root: &Path, from: &str, to: &str) {
    let folder = root.join("schemas/payment.failed");
    fs::copy(folder.join("v1.0.avsc"), folder.join("v1.1.avsc")).expect("a copy");
    change(&folder.join("v1.1.avsc"), from, to);
}

const LAST_FIELD: &str = "{\"name\": \"dunning_step\"";

#[test]
fn the_repository_is_what_its_schemas_say() {
    accepted(&repository(), "check");
}

#[test]
fn a_recorded_version_may_not_be_edited() {
    let root = workspace();
    change(&root.path().join("schemas/payment.failed/v1.0.avsc"), "Which attempt it was", "Which try it was");
    let reason = refused(root.path(), "generate");
    assert!(
        reason.contains("schemas/payment.failed/v1.0.avsc is recorded") && reason.contains("v1.1.avsc"),
        "{reason}"
    );
}

#[test]
fn a_shared_type_of_a_recorded_version_may_not_be_edited() {
    let root = workspace();
    change(&root.path().join("schemas/common/totals.avsc"), "Total tax.", "All tax.");
    let reason = refused(root.path(), "generate");
    assert!(reason.contains("a shared type that it uses") && reason.contains("credit_note.issued"), "{reason}");
}

#[test]
fn a_recorded_version_may_not_vanish() {
    let root = workspace();
    fs::remove_dir_all(root.path().join("schemas/payment.failed")).expect("removed");
    assert!(refused(root.path(), "check").contains("schemas/payment.failed/v1.0.avsc is recorded but gone"));
}

#[test]
fn a_compatible_minor_is_recorded_and_the_older_golden_record_stays() {
    let root = workspace();
    let golden = |name: &str| fs::read(root.path().join("schemas/golden/payment.failed").join(name)).ok();
    let before = golden("v1.0.avro").expect("a golden record");
    next_minor(
        root.path(),
        LAST_FIELD,
        &format!(
            "{{\"name\": \"retry\", \"type\": \"boolean\", \"default\": true, \"doc\": \"New.\"}},\n    {LAST_FIELD}"
        ),
    );
    assert!(refused(root.path(), "check").contains("schemas/history.json"));
    accepted(root.path(), "generate");
    accepted(root.path(), "check");
    assert_eq!(golden("v1.0.avro"), Some(before));
    assert!(golden("v1.1.avro").is_some() && golden("v1.1.json").is_some() && golden("v1.1.avsc").is_some());
    let code =
        fs::read_to_string(root.path().join("crates/events/src/generated/payment_failed.rs")).expect("generated");
    assert!(code.contains("pub retry: bool") && code.contains("default = \"default_payment_failed_retry\""), "{code}");
}

#[test]
fn an_incompatible_minor_is_refused_with_the_reason() {
    let root = workspace();
    next_minor(
        root.path(),
        LAST_FIELD,
        &format!("{{\"name\": \"bank\", \"type\": \"string\", \"doc\": \"New.\"}},\n    {LAST_FIELD}"),
    );
    let reason = refused(root.path(), "generate");
    assert!(reason.contains("payment.failed v1.1 breaks BACKWARD_TRANSITIVE") && reason.contains("bank"), "{reason}");
}

#[test]
fn a_change_of_type_is_refused_with_the_reason() {
    let root = workspace();
    next_minor(root.path(), "\"amount_minor\", \"type\": \"long\"", "\"amount_minor\", \"type\": \"int\"");
    let reason = refused(root.path(), "generate");
    assert!(reason.contains("payment.failed v1.1") && reason.contains("v1.0"), "{reason}");
}

#[test]
fn drift_is_named() {
    let root = workspace();
    change(&root.path().join("docs/schemas/payment.failed.v1.md"), "# payment.failed.v1", "# Payments");
    let reason = refused(root.path(), "check");
    assert!(reason.contains("docs/schemas/payment.failed.v1.md") && reason.contains("make schemas"), "{reason}");
}

#[test]
fn types_and_fields_without_documentation_are_refused_by_name() {
    for (field, word) in [
        ("{\"name\": \"bank\", \"type\": [\"null\", \"double\"], \"default\": null, \"doc\": \"New.\"}", "double"),
        ("{\"name\": \"bank\", \"type\": {\"type\": \"map\", \"values\": \"string\"}, \"doc\": \"New.\"}", "map"),
        ("{\"name\": \"bank\", \"type\": \"string\", \"default\": \"\"}", "documented"),
        ("{\"name\": \"bank\", \"type\": [\"null\", \"string\"], \"doc\": \"New.\"}", "default"),
        (
            "{\"name\": \"bank\", \"type\": \"throughline.common.Nothing\", \"doc\": \"New.\"}",
            "throughline.common.Nothing",
        ),
    ] {
        let root = workspace();
        next_minor(root.path(), LAST_FIELD, &format!("{field},\n    {LAST_FIELD}"));
        let reason = refused(root.path(), "generate");
        assert!(reason.contains("payment.failed") && reason.contains(word), "{reason}");
    }
}
