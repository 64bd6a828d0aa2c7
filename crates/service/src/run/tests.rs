//! The frame is tried in a process of its own: the test binary starts itself again as a service.

use super::*;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

struct Own {
    work: Duration,
}

impl Config for Own {
    fn read(s: &mut Section<'_>) -> Self {
        Self { work: s.or("work", Duration::ZERO, "how long work in flight takes to finish") }
    }
}

/// Does nothing unless another test starts it as a service.
#[test]
fn the_service_itself() {
    let Some(arguments) = std::env::var_os("SERVICE_ARGUMENTS") else { return };
    let arguments = arguments.into_string().unwrap();
    let args = Args::parse_from(std::iter::once("test").chain(arguments.split_whitespace()));
    let code = run("test", &args, |cx: Context<Own>| async move {
        cx.health.started();
        cx.shutdown.draining().await;
        println!("drains");
        tokio::select! {
            () = tokio::time::sleep(cx.config.work) => println!("finished"),
            () = cx.shutdown.hurrying() => println!("left"),
        }
        Ok(())
    });
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 + i32::from(code == ExitCode::from(64)) });
}

fn service(arguments: &str, env: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run::tests::the_service_itself", "--nocapture", "--test-threads=1"])
        .env("SERVICE_ARGUMENTS", arguments)
        .envs(env.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Reads lines until one contains `text`; ends with the stream otherwise.
fn wait_for_line(from: &mut impl BufRead, text: &str) -> bool {
    let mut line = String::new();
    while from.read_line(&mut line).unwrap() > 0 {
        if line.contains(text) {
            return true;
        }
        line.clear();
    }
    false
}

#[test]
fn a_signal_drains_and_ends_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut child = service(&format!("--ready-file {}", ready.display()), &[]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    assert!(wait_for_line(&mut log, "started"));
    let url = std::fs::read_to_string(&ready).unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with('\n'), "{url}");
    signal(&child, Signal::SIGTERM);
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("drains\nfinished\n"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_hurries() {
    let mut child = service("", &[("THROUGHLINE_WORK", "1h"), ("THROUGHLINE_SHUTDOWN_DRAIN", "1h")]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    assert!(wait_for_line(&mut log, "started"));
    let mut said = BufReader::new(child.stdout.take().unwrap());
    signal(&child, Signal::SIGINT);
    assert!(wait_for_line(&mut said, "drains"));
    signal(&child, Signal::SIGTERM);
    assert!(wait_for_line(&mut said, "left"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_configuration_that_is_wrong_ends_with_64_and_all_reasons() {
    let env = [("THROUGHLINE_WORK", "10"), ("THROUGHLINE_HTTP_BIND", "0.0.0.0:0")];
    let output = service("", &env).wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("test: configuration: 2 problems"), "{said}");
    assert!(said.contains("an address beyond loopback needs a bearer token"), "{said}");
    assert!(said.contains("work = \"10\" (from THROUGHLINE_WORK): a duration without a unit"), "{said}");
    assert_eq!(output.status.code(), Some(2), "the child maps 64 to 2");
}

#[test]
fn settings_in_force_are_printed_on_request() {
    let output = service("--print-config", &[("THROUGHLINE_WORK", "90s")]).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let json = &said[said.find('{').unwrap()..=said.rfind('}').unwrap()];
    let printed: serde_json::Value = serde_json::from_str(json).unwrap();
    let settings = printed["settings"].as_array().unwrap();
    let work = settings.iter().find(|setting| setting["path"] == "work").unwrap();
    assert_eq!((&work["value"], &work["origin"]["env"]), (&"90s".into(), &"THROUGHLINE_WORK".into()));
}
