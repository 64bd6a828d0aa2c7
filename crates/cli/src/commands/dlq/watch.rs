//! Staying with a job until it ends. Ctrl-C leaves it; a second one within two seconds asks to cancel it.

use crate::{
    control::{Control, part},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Debug, Clone, Args)]
pub(crate) struct Wait {
    /// Leave the job running
    #[arg(long)]
    detach: bool,
    /// Stay at most so long (such as 10m); exit 8 if the job still runs then
    #[arg(long, value_name = "DURATION", value_parser = service::config::parse_duration)]
    wait: Option<Duration>,
}

impl Wait {
    /// How long to stay; `None`: not at all.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.detach).then(|| self.wait.unwrap_or(Duration::from_secs(60)))
    }
}

const LOOK: Duration = Duration::from_millis(300);
const SAY: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(2);

/// Shows the job until it ends, and says how.
pub(crate) async fn follow(control: &Control, job: Value, wait: &Wait, output: &Output) -> Result<Exit> {
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    if wait.detach {
        output.answer(
            &Answer::fields(json!({ "job": job }))
                .said(format!("{}\nwatch it: throughline job watch {id}", line(&job))),
        );
        return Ok(Exit::Done);
    }
    // One listener from the start: a second Ctrl-C counts though it comes while the first is answered.
    let mut interrupts =
        signal(SignalKind::interrupt()).map_err(|error| Trouble::failed("SIGNAL", error.to_string()))?;
    tokio::select! {
        ended = until_over(control, &id, wait.wait, output) => ended,
        _ = interrupts.recv() => leave(control, &id, &mut interrupts, output).await,
    }
}

async fn until_over(control: &Control, id: &str, wait: Option<Duration>, output: &Output) -> Result<Exit> {
    let (begun, mut said) = (Instant::now(), Instant::now());
    loop {
        let answer = control.get(&format!("/v1/jobs/{}", part(id)), &[]).await?;
        let job = &answer["job"];
        let is_over = !["queued", "running", "paused"].contains(&job["state"].as_str().unwrap_or_default());
        let is_late = wait.is_some_and(|wait| begun.elapsed() >= wait);
        if is_over || is_late {
            output.answer(&Answer::fields(&answer).said(line(job)));
            return Ok(if is_over { ending(job) } else { Exit::TimedOut });
        }
        if said.elapsed() >= SAY {
            said = Instant::now();
            output.note(line(job));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All went well, or some did not.
fn ending(job: &Value) -> Exit {
    let count = |name: &str| job["counts"][name].as_u64().unwrap_or(0);
    let not_done: u64 = ["refailed", "changed", "blocked", "refused", "released"].into_iter().map(count).sum();
    match (job["state"].as_str(), not_done) {
        (Some("finished"), 0) => Exit::Done,
        _ => Exit::Partial,
    }
}

async fn leave(control: &Control, id: &str, interrupts: &mut Signal, output: &Output) -> Result<Exit> {
    output.note(format!("left job {id}, which goes on (throughline job watch {id}); Ctrl-C again to cancel it"));
    tokio::select! {
        () = tokio::time::sleep(SECOND) => {}
        _ = interrupts.recv() => {
            let reason = Map::from_iter([("reason".to_owned(), json!("interrupted at the command line"))]);
            control.post(&format!("/v1/jobs/{}/cancel", part(id)), reason).await?;
            output.note(format!("job {id} is cancelled; what it had begun, it ends"));
        }
    }
    Ok(Exit::Interrupted)
}

/// A job in one line.
pub(crate) fn line(job: &Value) -> String {
    let word = |name: &str| job[name].as_str().unwrap_or("-").to_owned();
    let count = |name: &str| job["counts"][name].as_u64().unwrap_or(0);
    let total = count("total");
    let mut text = format!("{} {} {}: {}/{total}", word("verb"), word("id"), word("state"), total - count("pending"));
    for (name, said) in [
        ("done", "done"),
        ("refailed", "failed again"),
        ("changed", "changed meanwhile"),
        ("blocked", "blocked"),
        ("refused", "refused"),
        ("released", "released"),
    ] {
        if count(name) > 0 {
            text.push_str(&format!(" · {} {said}", count(name)));
        }
    }
    if let Some(stopped) = job["stopped"].as_str() {
        text.push_str(&format!(" · stopped: {stopped}"));
    }
    text
}
