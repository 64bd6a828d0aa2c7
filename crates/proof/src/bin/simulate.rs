//! Runs seeds of every case and compares each with its twin; shrinks what fails and prints the one command that replays it.
//! Exit code 0 all kept, 1 a promise was broken, 2 the runs prove nothing (a window was never hit).

use clap::Parser;
use proof::progress::Progress;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use testkit::simulation::{Plan, Scenario, Sometimes, cases};

#[derive(Parser)]
#[command(
    version,
    about = "Runs the runtime under seeded schedules of faults and compares each with a run without faults"
)]
struct Args {
    /// Schedules over all cases.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed of each case.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only these cases.
    #[arg(long = "case")]
    cases: Vec<String>,
    /// Replay this one seed of one case, with every step.
    #[arg(long, requires = "cases")]
    seed: Option<u64>,
    /// For a replay: faults before the world heals.
    #[arg(long, requires = "seed")]
    faults: Option<u32>,
    /// For a replay: the events of the case to keep, by number.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    keep: Option<Vec<usize>>,
    /// For a replay: where the history goes, for the history checker.
    #[arg(long, requires = "seed")]
    history: Option<PathBuf>,
    /// Do not make what fails smaller.
    #[arg(long)]
    whole: bool,
    /// Threads; default: as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

struct Found {
    scenario: usize,
    seed: u64,
    reason: String,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let known = cases::all();
    let names: Vec<_> = known.iter().map(|scenario| scenario.name).collect();
    if let Some(unknown) = args.cases.iter().find(|case| !names.contains(&case.as_str())) {
        eprintln!("there is no case `{unknown}`; the cases are {}", names.join(", "));
        return ExitCode::from(64);
    }
    let wanted = |scenario: &Scenario| args.cases.is_empty() || args.cases.iter().any(|case| case == scenario.name);
    let scenarios: Vec<Scenario> = known.into_iter().filter(wanted).collect();
    // What panics is a finding and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    match (args.seed, scenarios.first()) {
        (Some(seed), Some(scenario)) => replay(&args, scenario, seed),
        _ => run(&args, &scenarios),
    }
}

fn run(args: &Args, scenarios: &[Scenario]) -> ExitCode {
    let each = args.seeds.div_ceil(scenarios.len() as u64).max(1);
    let total = each * scenarios.len() as u64;
    println!("{total} schedules: {each} of each of {} cases", scenarios.len());
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sometimes: Vec<Mutex<Sometimes>> = scenarios.iter().map(|_| Mutex::default()).collect();
    let found: Mutex<Option<Found>> = Mutex::new(None);
    let progress = Mutex::new(Progress::new(total));
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        break;
                    }
                    // All cases from the start, so that a bug in one is found early.
                    let scenario = usize::try_from(number % scenarios.len() as u64).unwrap_or(0);
                    let seed = args.from + number / scenarios.len() as u64;
                    match scenarios[scenario].run(&Plan::whole(seed)) {
                        Ok(seen) => whole(&sometimes[scenario]).add(&seen),
                        Err(reason) => {
                            stop.store(true, Ordering::Relaxed);
                            let mut found = whole(&found);
                            if found.as_ref().is_none_or(|known| (seed, scenario) < (known.seed, known.scenario)) {
                                *found = Some(Found { scenario, seed, reason });
                            }
                        }
                    }
                    whole(&progress).tell(number, "schedules");
                }
            });
        }
    });
    if let Some(found) = found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return tell(&scenarios[found.scenario], found, args.whole);
    }
    let elapsed = whole(&progress).elapsed();
    windows(scenarios, &sometimes, total, elapsed.as_secs_f64())
}

fn whole<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shrinks a failing run and says how to see it again.
fn tell(scenario: &Scenario, found: Found, whole: bool) -> ExitCode {
    println!("BROKEN in `{}`, seed {}: {}", scenario.name, found.seed, found.reason);
    if whole {
        return ExitCode::from(1);
    }
    eprintln!("making it smaller…");
    let shrunk = scenario.shrink(Plan::whole(found.seed), found.reason);
    let events = scenario.events();
    let kept = shrunk.plan.kept.clone().unwrap_or_else(|| (0..events.len()).collect());
    println!("smallest found: {} events, {} faults: {}", kept.len(), shrunk.plan.faults, shrunk.reason);
    let mut command = format!(
        "cargo run -q -p proof --bin simulate -- --case {} --seed {} --faults {}",
        scenario.name, shrunk.plan.seed, shrunk.plan.faults
    );
    if shrunk.plan.kept.is_some() {
        let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
        command.push_str(&format!(" --keep {}", kept.join(",")));
    }
    println!("replay with: {command}");
    ExitCode::from(1)
}

/// A run that never hit a window is void.
fn windows(scenarios: &[Scenario], sometimes: &[Mutex<Sometimes>], total: u64, seconds: f64) -> ExitCode {
    let mut missed = Vec::new();
    let mut hits: Vec<(&'static str, u64)> = Vec::new();
    for (scenario, seen) in scenarios.iter().zip(sometimes) {
        let Ok(traits) = scenario.traits() else { continue };
        let seen = whole(seen);
        for (name, count) in seen.of(traits) {
            match hits.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += u64::from(count),
                None => hits.push((name, u64::from(count))),
            }
        }
        missed.extend(seen.never(traits).map(|window| format!("`{}` never reached {window}", scenario.name)));
    }
    println!("windows that faults hit:");
    for (name, count) in hits {
        println!("{count:>9}  {name}");
    }
    if !missed.is_empty() {
        println!("VOID: {}; run more seeds", missed.join("; "));
        return ExitCode::from(2);
    }
    println!("{total} schedules kept every promise, {seconds:.0} s, {:.0} a second", total as f64 / seconds);
    ExitCode::SUCCESS
}

fn replay(args: &Args, scenario: &Scenario, seed: u64) -> ExitCode {
    let whole = Plan::whole(seed);
    let plan = Plan { faults: args.faults.unwrap_or(whole.faults), kept: args.keep.clone(), ..whole };
    let events = scenario.events();
    println!("input of `{}`:", scenario.name);
    for (index, event) in events.iter().enumerate() {
        if plan.kept.as_ref().is_none_or(|kept| kept.contains(&index)) {
            println!("{index:>8}     {event}");
        }
    }
    println!("what happened:");
    let replayed = scenario.replay(&plan);
    replayed.trace.iter().for_each(|step| println!("{step}"));
    if let Some(path) = &args.history {
        let written = std::fs::File::create(path).and_then(|mut file| history::write(&replayed.lines, &mut file));
        if let Err(error) = written {
            eprintln!("{}: {error}", path.display());
        }
    }
    match replayed.end {
        Ok(()) => {
            println!("kept every promise");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("BROKEN: {reason}");
            ExitCode::from(1)
        }
    }
}
