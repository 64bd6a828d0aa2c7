//! Interleaved rounds: ours and the ceiling, then the ceiling and ours, so that neither always runs on the warmer machine.

use crate::{
    job::{Job, Place, Sample, Side},
    plan::Comparison,
};
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::{
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

/// All rounds of one comparison.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub case: &'static str,
    pub ours: Series,
    pub ceiling: Series,
    pub ideal: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct Series {
    pub what: String,
    pub samples: Vec<Sample>,
}

static NEXT_SCHEMA: AtomicU32 = AtomicU32::new(1);

/// Ours and its ceiling, each with what it is.
pub struct Sides<'a> {
    pub ours: (&'a str, &'a Side),
    pub ceiling: (&'a str, &'a Side),
}

pub async fn measure(place: &Place, comparison: &Comparison, rounds: u32) -> Result<Measured> {
    let Comparison { case, ours, ceiling, topic, ideal } = comparison;
    let sides = Sides { ours: (&ours.0, &ours.1), ceiling: (&ceiling.0, &ceiling.1) };
    let one = async |side: &Side| run(place, &topic.name, topic.records, side).await;
    Ok(Measured { ideal: *ideal, ..alternate(case, &sides, rounds, one).await? })
}

/// Runs both sides in turn, `rounds` times each.
pub async fn alternate(
    case: &'static str,
    sides: &Sides<'_>,
    rounds: u32,
    run: impl AsyncFn(&Side) -> Result<Sample>,
) -> Result<Measured> {
    let series = |what: &str| Series { what: what.to_owned(), samples: Vec::new() };
    let mut measured = Measured { case, ours: series(sides.ours.0), ceiling: series(sides.ceiling.0), ideal: None };
    for round in 0..rounds {
        let ours_first = round % 2 == 0;
        for is_ours in [ours_first, !ours_first] {
            let sample = run(if is_ours { sides.ours.1 } else { sides.ceiling.1 }).await?;
            let series = if is_ours { &mut measured.ours } else { &mut measured.ceiling };
            eprintln!("  round {}, {}: {:.0} records/s", round + 1, series.what, sample.per_second());
            series.samples.push(sample);
        }
    }
    Ok(measured)
}

/// One run in a process of its own.
pub async fn run(place: &Place, topic: &str, records: u64, side: &Side) -> Result<Sample> {
    let schema = format!("bench_{}", NEXT_SCHEMA.fetch_add(1, Ordering::Relaxed));
    let job = Job { place: place.clone(), topic: topic.to_owned(), records, schema, side: side.clone() };
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg("side").arg(serde_json::to_string(&job)?).stdout(Stdio::piped()).kill_on_drop(true);
    let output = command.spawn()?.wait_with_output().await?;
    ensure!(output.status.success(), "a run whose check failed gives no figure: {side:?}, {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("the answer of {side:?}"))
}
