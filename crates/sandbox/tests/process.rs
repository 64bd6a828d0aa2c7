//! The sandbox as a process: ready file, credentials file, and a kill without warning in the middle of writes.

mod common;

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use common::{ask_for_token, customer, http, send};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

struct Program {
    child: Child,
    url: String,
    token: String,
}

async fn start(data: &Path) -> Program {
    let ready = data.join("ready");
    let _ = std::fs::remove_file(&ready);
    let child = Command::new(env!("CARGO_BIN_EXE_throughline-sandbox"))
        .args(["--data".as_ref(), data, "--ready-file".as_ref(), ready.as_path()])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    let url = loop {
        match std::fs::read_to_string(&ready) {
            Ok(url) => break url,
            Err(_) => assert!(Instant::now() < deadline, "the sandbox did not become ready"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let token = sign_in(data, &url).await;
    Program { child, url, token }
}

/// Signs in with nothing but the files in the data folder.
async fn sign_in(data: &Path, url: &str) -> String {
    let file = std::fs::read(data.join("erp-credentials.json")).expect("the credentials");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    let pem = std::fs::read(file["private_key_file"].as_str().expect("a path")).expect("the key");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": file["client_id"], "scope": [file["scope"]], "aud": format!("{url}/services/rest/auth/oauth2/v1/token"),
        "iat": now, "exp": now + 60,
    });
    let header = Header { kid: file["certificate_id"].as_str().map(str::to_owned), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_pem(&pem).expect("an EC key");
    let assertion = jsonwebtoken::encode(&header, &claims, &key).expect("it signs");
    let answer = ask_for_token(&http(), url, &assertion).await;
    answer.body["access_token"].as_str().expect("a token").to_owned()
}

/// Creates customers one after another until the connection breaks; returns the ids that were answered with 204.
async fn write_until_killed(url: String, token: String, from: u64) -> Vec<u64> {
    let client = http();
    let mut answered = Vec::new();
    for id in from.. {
        let request = client.put(format!("{url}/services/rest/record/v1/customer/eid:{id}"));
        match send(request.bearer_auth(&token).json(&customer(&id.to_string()))).await {
            Ok(answer) => assert_eq!(answer.status, 204),
            Err(_) => break,
        }
        answered.push(id);
    }
    answered
}

#[tokio::test]
async fn every_answered_write_survives_a_kill_and_has_one_effect() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut answered = Vec::new();
    for round in 0..3 {
        let mut program = start(folder.path()).await;
        let writing = tokio::spawn(write_until_killed(program.url.clone(), program.token.clone(), round * 1_000_000));
        let wanted = answered.len() + 50;
        let deadline = Instant::now() + Duration::from_secs(30);
        while effects(&program.url).await.len() < wanted {
            assert!(Instant::now() < deadline, "the writes do not get on");
        }
        program.child.kill().await.expect("a kill");
        answered.extend(writing.await.expect("the writer"));
    }
    let program = start(folder.path()).await;
    let effects = effects(&program.url).await;
    let created = |id: &str| effects.iter().filter(|effect| effect["external_id"].as_str() == Some(id)).count();
    assert!(answered.len() >= 100 && answered.iter().all(|id| created(&id.to_string()) == 1));
    // A write whose answer the kill cut off may be there or not, but never twice.
    assert!(effects.len() <= answered.len() + 3);
}

async fn effects(url: &str) -> Vec<Value> {
    let text =
        http().get(format!("{url}/__admin/effects")).send().await.expect("an answer").text().await.expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[tokio::test]
async fn it_ends_on_sigterm_and_refuses_to_leave_loopback_with_a_clear_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = start(folder.path()).await;
    let id = program.child.id().expect("a process id").to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
    assert!(sent.success());
    let ended = tokio::time::timeout(Duration::from_secs(30), program.child.wait()).await.expect("it ends");
    assert_eq!(ended.expect("a status").code(), Some(0));
    let refused = Command::new(env!("CARGO_BIN_EXE_throughline-sandbox"))
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .await
        .expect("the program runs");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("admin token"));
}
