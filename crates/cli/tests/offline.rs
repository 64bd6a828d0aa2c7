//! The command line without a stack: help, answers, and every kind of bad input that needs none.

mod common;

use common::{Ended, throughline};
use serde_json::Value;

/// The command fails with this exit code and says this on standard error.
#[track_caller]
fn refuses(args: &[&str], code: i32, words: &[&str]) {
    let ended = throughline(args).run();
    assert_eq!(ended.code, code, "{args:?}: {}", ended.err);
    assert!(ended.out.is_empty(), "standard output is for data: {}", ended.out);
    for word in words {
        assert!(ended.err.contains(word), "{args:?} says {:?}, wanted {word:?}", ended.err);
    }
}

#[test]
fn explain_tells_meaning_consequence_and_action() {
    let ended = throughline(&["explain", "period_closed"]).run();
    let expected = "PERIOD_CLOSED (business)

  The accounting period of the document is closed.
  The sequence is parked with what follows it, and its owner decides; other sequences go on.

Do: Finance reopens the period or decides on another date; then retry.
";
    assert_eq!(ended, Ended { code: 0, out: expected.to_owned(), err: String::new() });
}

#[test]
fn an_unknown_code_suggests_known_ones() {
    refuses(
        &["explain", "PERIOD_OPEN"],
        1,
        &["error: there is no code `PERIOD_OPEN`", "hint: did you mean PERIOD_CLOSED or"],
    );
}

#[test]
fn every_code_is_listed_as_json_with_a_version() {
    let answer = throughline(&["explain", "-o", "json"]).run().json();
    assert_eq!(answer["v"], 1);
    assert_eq!(answer["codes"].as_array().map(Vec::len), Some(failure::CODES.len()));
    let lines = throughline(&["explain", "-o", "ndjson"]).run();
    assert_eq!(lines.out.lines().count(), failure::CODES.len());
}

#[test]
fn a_usage_error_is_json_where_json_is_asked_for() {
    let ended = throughline(&["-o", "json", "frobnicate"]).run();
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    let error: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!((&error["v"], &error["error"]["code"]), (&1.into(), &"USAGE".into()));
    assert!(error["error"]["message"].as_str().is_some_and(|message| message.contains("frobnicate")), "{error}");
}

#[test]
fn help_goes_to_standard_output_and_nothing_to_do_is_a_usage_error() {
    let help = throughline(&["help"]).run();
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for command in ["up", "publish", "status", "trace", "doctor", "explain"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is missing in\n{}", help.out);
    }
    assert_eq!(throughline(&[]).run().code, 2);
}

#[test]
fn completion_scripts_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let ended = throughline(&["completion", shell]).run();
        assert_eq!(ended.code, 0);
        assert!(ended.out.contains("throughline"), "{shell}");
    }
    refuses(&["completion", "csh"], 2, &["csh"]);
}

#[test]
fn a_command_that_needs_a_stack_says_how_to_name_one() {
    refuses(&["topics", "ls"], 2, &["it is not known where the Kafka cluster is", "--data DIR", "--brokers"]);
    refuses(&["schemas", "ls"], 2, &["it is not known where the schema registry is", "--registry URL"]);
    refuses(&["status", "--brokers", "127.0.0.1:1"], 2, &["it is not known where the ledger is", "--ledger URL"]);
    refuses(&["status", "--data", "nowhere"], 1, &["nowhere/endpoints.json", "throughline up --data nowhere --detach"]);
    refuses(&["down", "--data", "nowhere"], 1, &["there is no stack in nowhere"]);
}

#[test]
fn addresses_that_are_none_are_refused_by_name() {
    refuses(&["topics", "ls", "--brokers", "localhost"], 2, &["`localhost` is not host:port"]);
    refuses(&["schemas", "ls", "--registry", "http://127.0.0.1:9"], 1, &["schema registry at http://127.0.0.1:9"]);
    let ledger = ["slice", "resume", "erp-sync", "0", "--reason", "x", "--ledger", "nowhere.db"];
    refuses(&ledger, 1, &["there is no ledger at nowhere.db"]);
    refuses(&["topics", "ls", "--kafka-config", "nowhere.toml", "--brokers", "b:1"], 2, &["nowhere.toml"]);
}

#[test]
fn an_endpoints_file_that_is_none_is_refused() {
    let command = throughline(&["topics", "ls", "--data", "stack"]);
    command.file("stack/endpoints.json", "{\"kafka\": 7}");
    let ended = command.run();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("endpoints.json cannot be read"), "{}", ended.err);
}

#[test]
fn services_that_do_not_exist_are_refused_with_the_ones_that_do() {
    refuses(&["run", "crm"], 2, &["there is no service `crm`", "services: order-flow, erp-sync"]);
    refuses(&["config", "print", "crm"], 2, &["there is no service `crm`"]);
    refuses(&["status", "crm", "--brokers", "b:1"], 2, &["there is no service `crm`"]);
}

#[test]
fn every_problem_of_a_topics_file_is_told_at_once() {
    let command = throughline(&["topics", "diff", "--brokers", "127.0.0.1:1", "--file", "topics.yaml"]);
    command.file(
        "topics.yaml",
        "version: 1\ntopics:\n  t.v1:\n    partitions: many\n    retention: 90 parsecs\n    colour: red\n",
    );
    let ended = command.run();
    assert_eq!(ended.code, 2, "{}", ended.err);
    for word in ["partitions", "retention", "colour", "owner"] {
        assert!(ended.err.contains(word), "{word} is missing in {}", ended.err);
    }
    refuses(&["topics", "ls", "--brokers", "b:1", "--file", "nowhere.yaml"], 2, &["nowhere.yaml"]);
}

#[test]
fn topics_that_do_not_exist_are_refused_with_the_ones_that_do() {
    let args = ["schemas", "check", "invoice", "--registry", "http://127.0.0.1:9"];
    refuses(&args, 2, &["there is no topic `invoice`", "invoice.posted.v1"]);
}

#[test]
fn a_business_is_the_same_for_the_same_seed() {
    let generate = |seed| throughline(&["generate", "--accounts", "3", "--seed", seed]).run();
    let (one, again, other) = (generate("7"), generate("7"), generate("8"));
    assert_eq!(one.code, 0, "{}", one.err);
    assert!(one.out.lines().count() > 10);
    assert_eq!(one.out, again.out);
    assert_ne!(one.out, other.out);
    for line in one.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["specversion"], "1.0", "{line}");
    }
}

#[test]
fn every_option_of_the_generator_that_makes_no_sense_is_told_at_once() {
    let args = ["generate", "--accounts", "0", "--poison", "2", "--duplicates", "NaN", "--months", "0"];
    refuses(&args, 2, &["accounts", "poison", "duplicates", "months"]);
    refuses(&["generate", "--start", "soon"], 2, &["soon"]);
}

#[test]
fn slices_and_offsets_that_are_none_are_usage_errors() {
    let accept = |at| ["slice", "accept", "erp-sync", "0", "--topic", "t", "--at", at, "--reason", "x"];
    refuses(&accept("-1"), 2, &["--at"]);
    refuses(&accept("soon"), 2, &["use an offset from 0, `start` or `end`"]);
    refuses(&["slice", "resume", "erp-sync", "0"], 2, &["--reason"]);
    refuses(&["status", "--wait", "10", "--brokers", "b:1"], 2, &["a duration without a unit"]);
}

#[test]
fn publishing_what_is_not_there_names_the_file() {
    let args = ["publish", "nowhere.ndjson", "--brokers", "127.0.0.1:1", "--registry", "http://127.0.0.1:9"];
    refuses(&args, 2, &["nowhere.ndjson"]);
}

/// A workload that fits, as a file of its own.
fn workload(peak: u32) -> tempfile::NamedTempFile {
    let text = format!(
        "v = 1
events_per_day = 864_000
peak_events_per_second = {peak}
keep_days = 10
use_at_most = 0.5
[services.erp-sync]
share = 1.0
calls_per_event = 2.0
[services.erp-sync.account]
calls_per_second = 80
"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn costs() -> tempfile::NamedTempFile {
    let text = "v = 1
measured = \"by hand\"
[services.erp-sync]
events_per_second = 1000
cpu_seconds_per_million = 400
resident_mb = 100
database_bytes_per_event = 500
";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_capacity_plan_tells_what_a_workload_needs_and_how_long_a_redrive_takes() {
    let (workload, costs) = (workload(15), costs());
    let files = [workload.path().to_str().unwrap(), "--costs", costs.path().to_str().unwrap()];
    // 80 calls a second are 40 events, of which live ones take 10: 324 000 letters at 30 a second are 3 hours.
    let redrive = ["--service", "erp-sync", "--letters", "324000"];
    let args = |more: &[&'static str]| [&["plan", "capacity"][..], &files[..], &redrive[..], more].concat();
    let ended = throughline(&args(&[])).run();
    assert_eq!(ended.code, 0, "{}", ended.err);
    for words in ["12 partitions", "432.0 MB", "needs 3.0 h at 30.0 a second", "account"] {
        assert!(ended.out.contains(words), "{words:?} in {}", ended.out);
    }
    let answer = throughline(&args(&["-o", "json"])).run().json();
    assert_eq!((&answer["fits"], &answer["partitions"]), (&true.into(), &12.into()));
    assert_eq!(answer["services"][0]["replicas"], 1);
    // 144 000 events of four hours, worked off at 40 - 10 a second.
    assert_eq!(answer["services"][0]["catch_up_seconds"], 4_800.0);
}

#[test]
fn a_workload_beyond_a_quota_is_planned_with_a_warning_and_an_exit_code_of_its_own() {
    let (workload, costs) = (workload(30), costs());
    let ended = throughline(&[
        "plan",
        "capacity",
        workload.path().to_str().unwrap(),
        "--costs",
        costs.path().to_str().unwrap(),
    ])
    .run();
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.out.contains("warning: erp-sync: its account takes 20.0 events/s"), "{}", ended.out);
}

#[test]
fn a_capacity_plan_from_bad_files_names_the_mistake() {
    let costs = costs();
    let costs = costs.path().to_str().unwrap();
    refuses(&["plan", "capacity", "nowhere.toml"], 1, &["nowhere.toml"]);
    refuses(&["plan", "capacity", costs], 1, &["unknown field `measured`", "hint: docs/operate/capacity.md"]);
    let file = workload(15);
    let text = std::fs::read_to_string(file.path()).unwrap();
    let path = file.path().to_str().unwrap();
    refuses(&["plan", "capacity", path, "--outage", "0"], 2, &["--outage is a number of hours above 0"]);
    refuses(&["plan", "capacity", path, "--letters", "5"], 2, &["--service"]);
    refuses(&["plan", "capacity", path, "--redrive", path], 1, &["no plan"]);
    let wrong = text.replace("share = 1.0", "share = 2.0").replace("calls_per_second = 80", "concurrent_calls = 5");
    std::fs::write(path, wrong).unwrap();
    refuses(
        &["plan", "capacity", path, "--costs", costs],
        1,
        &["services.erp-sync: share is a part of 1, not 2", "account.concurrent_calls and account.call_ms"],
    );
    std::fs::write(path, text.replace("erp-sync", "crm-sync")).unwrap();
    refuses(&["plan", "capacity", path, "--costs", costs], 1, &["nobody measured what an event costs `crm-sync`"]);
}

#[test]
fn a_redrive_that_was_planned_is_counted_from_its_file() {
    let (workload, costs, saved) = (workload(15), costs(), tempfile::NamedTempFile::new().unwrap());
    let [path, costs, plan] = [&workload, &costs, &saved].map(|file| file.path().to_str().unwrap());
    let args = ["plan", "capacity", path, "--costs", costs, "--redrive", plan];
    let write = |action: &str| {
        let plan = serde_json::json!({ "plan": { "action": action, "service": "erp-sync", "items": [{}, {}, {}] } });
        std::fs::write(saved.path(), plan.to_string()).unwrap();
    };
    write("retry");
    let answer = throughline(&[&args[..], &["-o", "json"]].concat()).run().json();
    assert_eq!((&answer["redrive"]["letters"], &answer["redrive"]["per_second"]), (&3.into(), &30.0.into()));
    write("discard");
    refuses(&args, 1, &["a plan to discard letters"]);
}
