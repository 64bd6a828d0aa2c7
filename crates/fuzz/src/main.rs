//! `fuzz`: mutates inputs of every target for as long as it is told. Exit code 0 nothing found, 1 a finding (its input is written to a file).

use anyhow::{Context as _, Result};
use clap::Parser;
use fuzz::{Finding, Run, Target, corpus_folder, inputs_of, keep_panics, targets};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

#[derive(Parser)]
#[command(version, about = "Gives every reader of foreign bytes mutated inputs, and every handler odd events")]
struct Args {
    /// Over all targets; each has its part.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only these targets.
    #[arg(long)]
    only: Vec<String>,
    /// The same seed gives the same inputs, as far as the time goes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write what each target begins with into folders of this one, for another fuzzer, and end.
    #[arg(long, value_name = "DIR")]
    write_inputs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(64)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    keep_panics();
    let mut all = targets::all();
    match targets::abroad() {
        Ok(target) => all.push(target),
        Err(why) => println!("datum-fastavro is left out: {why:#}"),
    }
    let is_chosen = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let targets: Vec<_> = all.iter().filter(|target| is_chosen(target.name())).collect();
    let names: Vec<_> = all.iter().map(|target| target.name()).collect();
    anyhow::ensure!(!targets.is_empty(), "there is no such target; there are {}", names.join(", "));
    if let Some(folder) = &args.write_inputs {
        for target in targets {
            write_inputs(&**target, &folder.join(target.name()))?;
        }
        return Ok(true);
    }
    let each = Duration::from_secs(args.seconds).div_f64(targets.len() as f64);
    println!("{} targets, {:.0} s each", targets.len(), each.as_secs_f64());
    let mut is_clean = true;
    for target in targets {
        is_clean &= one(&**target, each, args.seed)?;
    }
    Ok(is_clean)
}

fn write_inputs(target: &dyn Target, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (number, input) in inputs_of(target)?.iter().enumerate() {
        let path = folder.join(format!("input-{number}"));
        std::fs::write(&path, input).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn one(target: &dyn Target, time: Duration, seed: u64) -> Result<bool> {
    let started = Instant::now();
    let mut run = match Run::start(target, inputs_of(target)?, seed) {
        Ok(run) => run,
        Err(finding) => return told(target, &finding),
    };
    while started.elapsed() < time {
        if let Err(finding) = run.step() {
            return told(target, &run.shrink(finding));
        }
    }
    println!(
        "{:<24} {:>9} inputs, {:>4} different answers, nothing found",
        target.name(),
        run.executions,
        run.answers()
    );
    Ok(true)
}

fn told(target: &dyn Target, finding: &Finding) -> Result<bool> {
    let folder = corpus_folder(target.name());
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let sum = finding.input.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let path = folder.join(format!("found-{sum:016x}"));
    std::fs::write(&path, &finding.input).with_context(|| path.display().to_string())?;
    println!("{:<24} FOUND {}\n{:<24} kept as {}", target.name(), finding.what, "", path.display());
    Ok(false)
}
