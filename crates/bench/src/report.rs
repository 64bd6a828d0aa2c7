//! The table for people, and the same as JSON with every single run.

use crate::{
    held::Held,
    job::Sample,
    live::Latency,
    machine::Machine,
    redrive::Redriven,
    rounds::{Measured, Series},
    whole::Whole,
};
use serde::Serialize;
use serde_json::json;

/// Median with the range it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, min, max })
    }

    fn show(self, one: impl Fn(f64) -> String) -> String {
        format!("{} ({}–{})", one(self.median), one(self.min), one(self.max))
    }
}

impl Measured {
    /// Ours over the ceiling, round by round.
    pub fn ratio(&self) -> Option<Spread> {
        let pairs = self.ours.samples.iter().zip(&self.ceiling.samples);
        Spread::of(pairs.map(|(ours, ceiling)| ours.per_second() / ceiling.per_second()))
    }

    /// Ours over what arithmetic allows.
    pub fn share_of_ideal(&self) -> Option<Spread> {
        let ideal = self.ideal?;
        Spread::of(self.ours.samples.iter().map(|ours| ours.per_second() / ideal))
    }
}

/// Markdown, readable as it is.
pub fn table(all: &[Measured]) -> String {
    let mut lines = vec![
        "| case | what | records/s | of the ceiling | of the ideal | CPU-s per million | peak MB |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for measured in all {
        let ratio =
            |spread: Option<Spread>| spread.map_or_else(String::new, |s| s.show(|v| format!("{:.0} %", v * 100.0)));
        let ideal = measured.share_of_ideal();
        lines.push(line(measured.case, &measured.ours, &ratio(measured.ratio()), &ratio(ideal)));
        lines.push(line("", &measured.ceiling, "ceiling", ""));
    }
    lines.join("\n")
}

fn line(case: &str, series: &Series, ratio: &str, ideal: &str) -> String {
    let spread = |value: fn(&Sample) -> f64| Spread::of(series.samples.iter().map(value));
    let thousands = |value: f64| format!("{:.1} k", value / 1_000.0);
    let rate = spread(Sample::per_second).map_or_else(String::new, |s| s.show(thousands));
    let cpu = spread(Sample::cpu_per_million).map_or_else(String::new, |s| s.show(|v| format!("{v:.2}")));
    let peak = series.samples.iter().filter_map(|sample| sample.peak_bytes).max();
    let peak = peak.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
    format!("| {case} | {} | {rate} | {ratio} | {ideal} | {cpu} | {peak} |", series.what)
}

/// The runs of the whole thing.
pub fn whole_table(all: &[Whole]) -> String {
    let mut lines = vec![
        "| what | events/s | CPU-s per million | resident MB idle | at most | files | connections | longest transaction | compared by verify |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for one in all {
        let (rate, cpu) = (one.events as f64 / one.seconds, one.cpu_seconds * 1e6 / one.events as f64);
        let (idle, peak) = (one.idle_bytes as f64 / 1e6, one.held.resident_bytes as f64 / 1e6);
        let Held { files, connections, transaction_ms, .. } = one.held;
        let letters = if one.unreadable > 0 {
            format!(", {} unreadable records among them", one.unreadable)
        } else {
            String::new()
        };
        lines.push(format!(
            "| {}{letters} | {rate:.0} | {cpu:.0} | {idle:.0} | {peak:.0} | {files} | {connections} | {transaction_ms} ms | {} |",
            one.what, one.compared
        ));
    }
    lines.join("\n")
}

/// What live events pay for letters that are redriven.
pub fn redriven_table(all: &[Redriven]) -> String {
    let mut lines = vec![
        "| letters | sequences | causes | planned in | letters/s | live events/s | live p50 / p99 / most alone | the same beside the job |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for one in all {
        let latency = |of: &Latency| format!("{} / {} / {} ms", of.p50, of.p99, of.max);
        lines.push(format!(
            "| {} | {} | {} | {:.1} s | {:.0} | {} | {} | {} |",
            one.letters,
            one.sequences,
            one.causes,
            one.plan_seconds,
            one.per_second,
            one.live_per_second,
            latency(&one.alone),
            latency(&one.beside)
        ));
    }
    lines.join("\n")
}

/// Everything, for machines.
pub fn json(
    machine: &Machine,
    settings: &serde_json::Value,
    all: &[Measured],
    whole: &[Whole],
    redriven: &[Redriven],
) -> serde_json::Value {
    let one = |measured: &Measured| {
        let rate = |series: &Series| Spread::of(series.samples.iter().map(Sample::per_second));
        json!({
            "case": measured.case,
            "ratio": measured.ratio(),
            "ideal_per_second": measured.ideal,
            "share_of_ideal": measured.share_of_ideal(),
            "ours": { "what": measured.ours.what, "per_second": rate(&measured.ours), "samples": measured.ours.samples },
            "ceiling": {
                "what": measured.ceiling.what,
                "per_second": rate(&measured.ceiling),
                "samples": measured.ceiling.samples,
            },
        })
    };
    let comparisons: Vec<_> = all.iter().map(one).collect();
    json!({ "machine": machine, "settings": settings, "comparisons": comparisons, "whole": whole, "redrive": redriven })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).expect("values");
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of([]), None);
    }
}
