//! `history DIR [--twin DIR]`: which invariants a recorded run kept. Exit code 0 kept, 1 broken, 2 unreadable.

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Decides from the files of a run which invariants it kept.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder with the run's `*.ndjson` files.
    folder: PathBuf,
    /// Folder of a run of the same input without faults, for I11.
    #[arg(long)]
    twin: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let lines = history::read_folder(&args.folder);
    let twin = args.twin.as_deref().map(history::read_folder).transpose();
    let (lines, twin) = match (lines, twin) {
        (Ok(lines), Ok(twin)) => (lines, twin),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let report = history::check(&lines, twin.as_deref());
    print!("{report}");
    ExitCode::from(u8::from(!report.broken.is_empty()))
}
