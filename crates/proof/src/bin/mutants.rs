//! Shows that the simulation finds deliberate bugs: all are put into a copy of the tree, which is built once, and each is switched on
//! alone and searched for by seeds. With none switched on the same program must find nothing.
//! Exit code 0 all found, 1 one was not (the simulation is too weak), 2 the list does not fit the code.

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use proof::{
    mutant::{self, Mutant},
    progress::Progress,
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

#[derive(Parser)]
#[command(version, about = "Puts deliberate bugs into a copy of the runtime and has the simulation find them")]
struct Args {
    /// The repository.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Folder for the copy and what is built of it; kept, so that the next run is faster.
    #[arg(long, default_value = "target/mutants")]
    work: PathBuf,
    /// Schedules to search for each.
    #[arg(long, default_value_t = 18_000)]
    seeds: u64,
    /// Only mutants whose names contain this.
    #[arg(long)]
    only: Option<String>,
    /// Where the table goes, as a page.
    #[arg(long)]
    page: Option<PathBuf>,
}

struct Row {
    mutant: Mutant,
    /// Case, seed and what was broken; `None` if nothing was found.
    found: Option<(String, String, String)>,
    seconds: f64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let mutants = mutant::all()?;
    let tree = args.work.join("tree");
    let texts = mutant::all_applied(&mutants, &args.root)?;
    copy(&args.root, &tree, Path::new(""), &texts)?;
    for (file, text) in &texts {
        let path = tree.join(file);
        if std::fs::read_to_string(&path).unwrap_or_default() != *text {
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    eprintln!("{} mutants: one build of a few minutes, then seconds for each", mutants.len());
    build(args, &tree).context("the tree with its mutants does not build")?;
    if let Some((case, seed, what)) = search(args, 0, 900)? {
        bail!("without a mutant {case}, seed {seed} finds: {what}");
    }
    let mut progress = Progress::new(mutants.len() as u64);
    let mut rows: Vec<Row> = Vec::new();
    for (number, mutant) in (1..).zip(mutants) {
        if args.only.as_ref().is_some_and(|only| !mutant.name.contains(only.as_str())) {
            continue;
        }
        progress.tell(rows.len() as u64, "mutants");
        let started = Instant::now();
        let found = search(args, number, args.seeds)?;
        let row = Row { found, mutant, seconds: started.elapsed().as_secs_f64() };
        let told =
            row.found.as_ref().map_or("NOT FOUND".to_owned(), |(case, seed, what)| format!("{case} {seed}: {what}"));
        println!("{:<62} {:>4.0} s  {told}", row.mutant.name, row.seconds);
        rows.push(row);
    }
    if let Some(page) = args.page.as_ref().filter(|_| args.only.is_none()) {
        std::fs::write(page, table(&rows)).with_context(|| page.display().to_string())?;
    }
    let missed = rows.iter().filter(|row| row.found.is_none()).count();
    println!("{} of {} found", rows.len() - missed, rows.len());
    Ok(missed == 0)
}

fn build(args: &Args, tree: &Path) -> Result<()> {
    let target = std::path::absolute(args.work.join("target"))?;
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "-p", "proof", "--bin", "simulate"])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .stdout(Stdio::null())
        .output()
        .context("cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Case, seed and what was broken, if anything is found.
fn search(args: &Args, mutant: usize, seeds: u64) -> Result<Option<(String, String, String)>> {
    let program = args.work.join("target/debug/simulate");
    let output = Command::new(program)
        .args(["--whole", "--seeds", &seeds.to_string()])
        .env("THROUGHLINE_MUTANT", mutant.to_string())
        .stderr(Stdio::null())
        .output()
        .context("simulate")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // BROKEN in `case`, seed 7: what
    let told = text.lines().find_map(|line| {
        let (case, rest) = line.strip_prefix("BROKEN in `")?.split_once("`, seed ")?;
        let (seed, what) = rest.split_once(": ")?;
        Some((case.to_owned(), seed.to_owned(), what.chars().take(110).collect()))
    });
    Ok(told)
}

fn table(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Mutants\n\nDeliberate bugs of the runtime, each switched on alone in a copy of the tree and searched for by the simulation.\n\
         Written by `make mutants`; the list is [mutants.toml](../crates/proof/mutants.toml), the whole story is in [proof.md](proof.md).\n\n\
         | mutant | what it breaks | case and seed that found it | what was broken | search |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let (place, what) = match &row.found {
            Some((case, seed, what)) => (format!("{case}, {seed}"), what.replace('|', "\\|")),
            None => ("**not found**".to_owned(), String::new()),
        };
        let Mutant { name, breaks, .. } = &row.mutant;
        writeln!(page, "| {name} | {breaks} | {place} | {what} | {:.0} s |", row.seconds).ok();
    }
    let found = rows.iter().filter(|row| row.found.is_some()).count();
    writeln!(page, "\n{found} of {} found.", rows.len()).ok();
    page
}

/// Brings the copy up to date but for `changed`; what has not changed keeps its time, so that it is not built again.
fn copy(from: &Path, to: &Path, below: &Path, changed: &BTreeMap<String, String>) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let is_left_out = name.to_str().is_some_and(|name| name.starts_with('.') || name == "target");
        let (source, target, place) = (entry.path(), to.join(&name), below.join(&name));
        if is_left_out || place.to_str().is_some_and(|place| changed.contains_key(place)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&source, &target, &place, changed)?;
        } else if !target.exists() || std::fs::read(&source)? != std::fs::read(&target)? {
            std::fs::copy(&source, &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}
