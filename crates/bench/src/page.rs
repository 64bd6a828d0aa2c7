//! The page for readers, from one run.

use crate::{machine::Machine, redrive::Redriven, report, rounds::Measured, whole::Whole};

const TEXT: &str = include_str!("page.md");

/// What the run was asked for, as the text names it.
pub struct Asked {
    pub rounds: u32,
    pub records: u64,
    pub partitions: i32,
    pub feed_events: u64,
    pub erp_events: u64,
}

/// Markdown. The command is the one of this process, as `make` takes it.
pub fn page(machine: &Machine, asked: &Asked, all: &[Measured], whole: &[Whole], redriven: &[Redriven]) -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    TEXT.replace("{command}", &format!("make bench ARGS=\"{}\"", arguments.join(" ")))
        .replace("{machine}", &machine.line())
        .replace("{comparisons}", &report::table(all))
        .replace("{whole}", &report::whole_table(whole))
        .replace("{redriven}", &report::redriven_table(redriven))
        .replace("{rounds}", &asked.rounds.to_string())
        .replace("{records}", &asked.records.to_string())
        .replace("{partitions}", &asked.partitions.to_string())
        .replace("{feed_events}", &asked.feed_events.to_string())
        .replace("{erp_events}", &asked.erp_events.to_string())
}
