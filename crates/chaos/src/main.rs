//! `chaos`: runs the fault matrix on real parts, or some of it. Exit code 0 all kept, 1 a promise was broken, 2 a case was void, 130 interrupted.

use anyhow::{Context as _, Result, ensure};
use chaos::{
    acts::{self, Given},
    cases::{self, Case},
    outcome::{Outcome, State, Verdict},
    page,
};
use clap::Parser;
use std::{path::PathBuf, process::ExitCode, process::Stdio};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "Breaks a stack of real parts in every way there is a case for, and shows what it kept")]
struct Args {
    /// Only these cases.
    #[arg(long)]
    only: Vec<String>,
    /// The short run.
    #[arg(long)]
    smoke: bool,
    /// Say what there is and how long it takes.
    #[arg(long)]
    list: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Services that the case `kills` kills.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Where outcomes are kept; a run that was interrupted goes on behind the last one.
    #[arg(long, default_value = "target/chaos.ndjson")]
    state: PathBuf,
    /// Run again what was kept before.
    #[arg(long)]
    again: bool,
    /// Where the page goes.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Folder of services that were built with failpoints.
    #[arg(long)]
    failpoints: Option<PathBuf>,
    /// Folder of an older build, for the upgrade.
    #[arg(long)]
    older: Option<PathBuf>,
    /// Folder of services whose ledger has a further migration.
    #[arg(long)]
    migrated: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(64)
        }
    }
}

fn chosen(args: &Args) -> Result<Vec<&'static Case>> {
    if let Some(unknown) = args.only.iter().find(|name| cases::cases().all(|case| case.name != name.as_str())) {
        anyhow::bail!("there is no case `{unknown}`; --list names them");
    }
    let is_chosen = |case: &&Case| {
        if args.only.is_empty() { !args.smoke || case.smoke } else { args.only.iter().any(|name| name == case.name) }
    };
    Ok(cases::cases().filter(is_chosen).collect())
}

async fn run(args: &Args) -> Result<ExitCode> {
    let cases = chosen(args)?;
    if args.list {
        for case in &cases {
            println!("{:<20} {:<22} {:>4} s  {}", case.name, case.faults, case.seconds, case.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &args.failpoints {
        ensure!(folder.join("erp-sync").is_file(), "{}: no services there", folder.display());
    }
    let mut state = State::open(&args.state).with_context(|| args.state.display().to_string())?;
    let (seed, kills, revision) = (args.seed, args.kills, revision());
    let absolute = |folder: &Option<PathBuf>| folder.as_ref().map(std::path::absolute).transpose();
    let (failpoints, older) = (absolute(&args.failpoints)?, absolute(&args.older)?);
    let migrated = absolute(&args.migrated)?;
    let given = Given { seed, kills, revision, failpoints, older, migrated };
    let is_left = |case: &&&Case| args.again || state.done(case.name, seed, &given.revision).is_none();
    let left: Vec<&Case> = cases.iter().filter(is_left).copied().collect();
    let seconds: u64 = left.iter().map(|case| case.seconds).sum();
    println!(
        "{} cases, {} of them done before; about {} minutes",
        cases.len(),
        cases.len() - left.len(),
        seconds.div_ceil(60)
    );
    let ended = all(&left, &given, &mut state).await?;
    if let Some(path) = &args.page {
        std::fs::write(path, page::page(&state)).with_context(|| path.display().to_string())?;
    }
    if !ended {
        println!("interrupted: the same command goes on behind the last case that ended");
        return Ok(ExitCode::from(130));
    }
    Ok(tell(&cases, &state))
}

/// False if it was interrupted. What a case started ends with it: dropping a stack kills its processes, and nothing else.
async fn all(left: &[&Case], given: &Given, state: &mut State) -> Result<bool> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    for (number, case) in (1..).zip(left) {
        println!("[{number}/{}] {}: {}; about {} s", left.len(), case.name, case.what, case.seconds);
        let outcome = tokio::select! {
            outcome = acts::run(case, given) => outcome,
            _ = interrupt.recv() => return Ok(false),
            _ = terminate.recv() => return Ok(false),
        };
        print_outcome(&outcome);
        state.add(outcome)?;
    }
    Ok(true)
}

fn print_outcome(outcome: &Outcome) {
    let verdict = match &outcome.verdict {
        Verdict::Kept => "kept".to_owned(),
        Verdict::Broken(why) => format!("BROKEN: {why}"),
        Verdict::Void(why) => format!("VOID: {why}"),
        Verdict::NotRun(why) => format!("not run: {why}"),
    };
    let recovered = outcome.recovered_ms.map_or(String::new(), |ms| format!(", recovered in {ms} ms"));
    let Outcome { records, effects, faults, seconds, .. } = outcome;
    println!("       {verdict}; {records} records, {effects} effects, {faults} faults{recovered}; {seconds} s");
}

/// Which code this is: what Git says, as far as it is there.
fn revision() -> String {
    let git = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .stderr(Stdio::null())
        .output();
    let text =
        git.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or("unknown".to_owned(), |text| text.trim().to_owned())
}

fn tell(cases: &[&Case], state: &State) -> ExitCode {
    let verdicts: Vec<&Verdict> = cases.iter().filter_map(|case| Some(&state.newest(case.name)?.verdict)).collect();
    let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is(verdict)).count();
    let kept = count(|verdict| *verdict == Verdict::Kept);
    let (broken, void) = (count(|v| matches!(v, Verdict::Broken(_))), count(|v| matches!(v, Verdict::Void(_))));
    println!("{kept} kept, {broken} broken, {void} void, {} not run", verdicts.len() - kept - broken - void);
    match (broken, void) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(2),
        (_, _) => ExitCode::from(1),
    }
}
