//! Programs that are not ours: where they are, and how they are run.

use crate::stand_in::StandIn;
use connectors::{Access, Bounds};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A judge's file; its absence is a failure that says what to do.
fn installed(name: &str) -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("THROUGHLINE_JUDGES")
        .or_else(|| Some(variable("THROUGHLINE_CACHE")?.join("judges")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("throughline/judges")))
        .or_else(|| Some(variable("HOME")?.join(".cache/throughline/judges")));
    let path = folder.expect("HOME is set").join(name);
    assert!(path.is_file(), "{} is not there; install it: make setup", path.display());
    path
}

/// Runs Python with the judges' packages; what it printed, if it was content.
pub fn python(arguments: &[&str], more: impl FnOnce(&mut Command) -> &mut Command, input: Option<String>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(installed("python/bin/python"));
    command.args(arguments).current_dir(folder.path()).stdin(Stdio::piped());
    more(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}:\n{said}", output.status);
    said
}

/// A token of a stand-in behind OAuth 2.0.
pub async fn bearer(at: &StandIn) -> String {
    let credentials = at.sandbox.credentials();
    let secret = credentials.client_secret.expose_secret();
    let request = reqwest::Client::new().post(format!("{}/oauth/token", at.sandbox.url()));
    let request = request.basic_auth(&credentials.client_id, Some(secret)).body("grant_type=client_credentials");
    let answer = request.send().await.expect("an answer").text().await.expect("text");
    let granted: Value = serde_json::from_str(&answer).expect("JSON");
    granted["access_token"].as_str().expect("a token").to_owned()
}

/// Stripe's mock on a port of its own; it ends with this.
pub struct StripeMock {
    pub url: String,
    process: Child,
    folder: tempfile::TempDir,
}

impl StripeMock {
    pub async fn start() -> Self {
        let mut process = Command::new(installed("stripe-mock/stripe-mock"))
            // Both on ports that the system chooses; a version that is not its own is refused.
            .args(["-http-addr", "127.0.0.1:", "-https-addr", "127.0.0.1:", "-strict-version-check"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let listening = tokio::task::spawn_blocking(move || {
            let mut lines = lines.map_while(Result::ok);
            let found = lines.find_map(|line| Some(line.strip_prefix("Listening for HTTP at address: ")?.to_owned()));
            // The rest is read so that the pipe never fills.
            std::thread::spawn(move || lines.for_each(drop));
            found
        });
        let address = tokio::time::timeout(Duration::from_secs(60), listening).await.expect("it listens in time");
        let address = address.expect("it was read").expect("it says where it listens");
        Self { url: format!("http://{address}"), process, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn access(&self) -> Access {
        let key_file = self.folder.path().join("key");
        std::fs::write(&key_file, "sk_test_123").expect("written");
        Access {
            base_url: self.url.clone(),
            key_file,
            concurrency: 4,
            bounds: Bounds::default(),
            allow_plain_http: false,
        }
    }
}

impl Drop for StripeMock {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
