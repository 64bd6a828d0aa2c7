//! `throughline doctor`: is everything there, does it answer, and does it fit together? A line each, with what to do.

pub(crate) mod checks;

use crate::{
    exit::{Exit, Result},
    output::{Answer, Output},
    stack::StackArgs,
};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    stack: StackArgs,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    detail: String,
    /// What to do; empty where nothing is.
    fix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Works, but not as it should.
    Warn,
    Fail,
    /// Not known where it is, or rests on something that failed.
    Skipped,
}

impl Check {
    fn new(check: &'static str, state: State, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state, detail: detail.into(), fix: fix.into() }
    }

    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, State::Ok, detail, "")
    }
}

pub(crate) async fn run(args: &DoctorArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let (broker, registry, ledger, services) = tokio::join!(
        checks::broker(&stack),
        checks::registry(&stack),
        checks::ledger(&stack),
        checks::services(&stack)
    );
    let mut found = vec![checks::version(), checks::binaries(), checks::files()];
    found.extend(broker);
    found.extend(registry);
    found.extend(ledger);
    found.extend(services);
    let ok = found.iter().all(|check| check.state != State::Fail);
    output.answer(&Answer::list("checks", found, &["check", "state", "detail", "fix"]).with("ok", ok));
    Ok(if ok { Exit::Done } else { Exit::Failed })
}
