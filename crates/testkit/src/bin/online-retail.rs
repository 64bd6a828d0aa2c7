//! Turns a retailer's invoice file into events: one CloudEvents line each on standard output, talk on standard error.

use anyhow::Context;
use clap::Parser;
use std::{
    io::{self, BufWriter, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};
use testkit::{cloudevent, retail};

/// Some documents could not be read; all others were written.
const PARTIAL: u8 = 3;
/// Documents between two lines of progress.
const PROGRESS_EVERY: u64 = 5_000;

/// The invoices of a file as CloudEvents, one a line: `online-retail invoices.csv.xz | throughline publish -`.
#[derive(Parser)]
struct Arguments {
    /// CSV with the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country; plain or .xz.
    file: PathBuf,
    /// Say nothing on standard error but what is wrong.
    #[arg(long, short)]
    quiet: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut events = retail::Events::open(&arguments.file)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut written = 0u64;
    while let Some(item) = events.next() {
        match item? {
            Ok((envelope, event)) => match writeln!(out, "{}", cloudevent::line(&envelope, &event)) {
                // Whoever read us has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                outcome => outcome.context("write to standard output")?,
            },
            Err(refusal) => eprintln!("{refusal}"),
        }
        written += 1;
        if !arguments.quiet && written.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("{written} events of {} documents", events.document_count());
        }
    }
    match out.flush() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        outcome => outcome.context("write to standard output")?,
    }
    if !arguments.quiet {
        report(events.summary());
    }
    Ok(if events.summary().refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

fn report(summary: &retail::Summary) {
    let retail::Summary { invoices, invoice_lines, invoiced_minor, credit_notes, credit_note_lines, .. } = summary;
    eprintln!("{invoices} invoices, {invoice_lines} lines, Σ {invoiced_minor} pence");
    eprintln!("{credit_notes} credit notes, {credit_note_lines} lines, Σ -{} pence", summary.credited_minor);
    eprintln!("{} contracts; net {} pence", summary.contracts, summary.net_minor());
    let (stock, ledger) = (summary.skipped_stock_adjustments, summary.skipped_adjustments);
    eprintln!("skipped: {stock} stock adjustments, {ledger} ledger adjustments; refused: {}", summary.refused);
}
