//! `throughline generate`: a subscription business that is always the same for the same seed, with the faults asked for.

use super::{
    happened,
    publish::{
        self,
        encode::{SchemaIds, of_generated},
    },
};
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output, Progress},
    stack::{StackArgs, broker_trouble},
};
use clap::Args;
use kafka::{Outgoing, Producer};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use testkit::{
    business::{Expectations, Faults, Generated, Options, Stream, stream},
    cloudevent::generated_line,
};

/// What `--help` says beside the options.
pub(crate) const ABOUT: &str = "\
The business sells subscriptions from four entities in five currencies with 0, 2 and 3 decimals:

  contracts   monthly and annual, ramps, bundles, month ends and leap days; lines added, removed, swapped, repriced and
              counted up or down, some since before it is known; extended, suspended, resumed, renewed, left, signed again
  usage       included quantity and three tiers; late batches, batches that are corrected, thresholds
  documents   invoices taxed by country and day, prorations, fees, credit notes, drafts that are voided, write-offs
  payments    partial, for several invoices, too much, failed and tried again, refunded, disputed, won and lost";

#[derive(Debug, Args)]
#[command(after_long_help = ABOUT)]
pub(crate) struct GenerateArgs {
    /// Customer accounts
    #[arg(long, default_value_t = 100)]
    accounts: u32,
    /// The same seed gives the same events, on every machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the business
    #[arg(long, default_value_t = 6)]
    months: u32,
    /// First day of the business
    #[arg(long, value_name = "DATE", default_value = "2026-01-01")]
    start: jiff::civil::Date,
    /// Stop after so many different events
    #[arg(long, value_name = "N")]
    max_events: Option<u64>,
    /// Share of events published twice
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    duplicates: f64,
    /// Share of events that come late, with all later ones of their key behind them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    disorder: f64,
    /// Share of contracts and invoices that come after what refers to them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    cross_topic_disorder: f64,
    /// Records that nobody can read, as a share of the events
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    poison: f64,
    /// Share of accounts whose last document breaks the wire contract
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    contract_errors: f64,
    /// Share of accounts whose last document the business must decide about
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    business_errors: f64,
    /// Share of accounts whose last event comes again with other bytes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    conflicts: f64,
    /// File to write (NDJSON); standard output if absent
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "publish")]
    file: Option<PathBuf>,
    /// Publish to the stack at once instead of writing lines
    #[arg(long)]
    publish: bool,
    #[command(flatten)]
    stack: StackArgs,
}

/// Records published in one go.
const CHUNK: usize = 2_048;

pub(crate) async fn run(args: &GenerateArgs, output: &Output) -> Result<Exit> {
    let events = stream(&args.options()).map_err(|bad| Trouble::usage(bad.to_string()))?;
    if args.publish {
        return publish_all(args, events, output).await;
    }
    let file = args.file.clone();
    let progress = output.progress("generate", args.max_events);
    let written = tokio::task::spawn_blocking(move || write_all(file.as_deref(), events, &progress)).await;
    let expected =
        written.map_err(|error| Trouble::failed("GENERATOR", format!("the generator failed: {error}")))??;
    if let Some(file) = &args.file {
        let text = format!("{} records in {}.\n{}", expected.records, file.display(), happened::told(&expected));
        output.answer(&told(json!({ "records": expected.records, "file": file }), &expected).said(text));
    }
    Ok(Exit::Done)
}

impl GenerateArgs {
    fn options(&self) -> Options {
        let faults = Faults {
            duplicates: self.duplicates,
            disorder: self.disorder,
            cross_topic_disorder: self.cross_topic_disorder,
            poison: self.poison,
            contract_errors: self.contract_errors,
            business_errors: self.business_errors,
            conflicts: self.conflicts,
        };
        let options = Options::new(self.seed, self.accounts).over_months(self.months).with_faults(faults);
        Options { start: self.start, max_events: self.max_events, ..options }
    }
}

/// The answer with what happened in the business.
fn told(fields: Value, expected: &Expectations) -> Answer {
    Answer::fields(fields).with("events", happened::kinds(expected)).with("money", happened::money(expected))
}

fn write_all(file: Option<&Path>, mut events: Stream, progress: &Progress) -> Result<Expectations> {
    let named = || file.map_or_else(|| "standard output".to_owned(), |file| file.display().to_string());
    let failed = |error: io::Error| match error.kind() {
        // The reader has enough (`| head`).
        io::ErrorKind::BrokenPipe => std::process::exit(Exit::Done as i32),
        _ => Trouble::failed("OUTPUT", format!("{}: {error}", named())),
    };
    let to: Box<dyn Write> = match file {
        Some(file) => Box::new(File::create(file).map_err(failed)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut to = BufWriter::with_capacity(1 << 20, to);
    for event in events.by_ref() {
        writeln!(to, "{}", generated_line(&event)).map_err(failed)?;
        progress.add(1);
    }
    to.flush().map_err(failed)?;
    Ok(events.expectations().clone())
}

async fn publish_all(args: &GenerateArgs, mut events: Stream, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let schemas = publish::schema_ids(&stack).await?;
    let producer = publish::start_producer(&stack)?;
    let progress = output.progress("publish", args.max_events);
    let mut published = 0;
    loop {
        let chunk: Vec<Generated> = events.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            break;
        }
        published += send(&producer, chunk, &schemas).await?;
        progress.add(CHUNK as u64);
    }
    drop(progress);
    producer.close(Duration::from_secs(5)).await;
    let expected = events.expectations();
    let text = format!("{published} records published.\n{}", happened::told(expected));
    output.answer(&told(json!({ "published": published, "seed": args.seed }), expected).said(text));
    Ok(Exit::Done)
}

async fn send(producer: &Producer, chunk: Vec<Generated>, schemas: &SchemaIds) -> Result<usize> {
    let encoded: std::result::Result<Vec<Outgoing>, _> =
        chunk.into_iter().map(|generated| of_generated(generated, schemas)).collect();
    let records = encoded.map_err(|failure| Trouble::failed(&failure.code, failure.reason))?;
    let sent: std::result::Result<Vec<_>, _> = producer.send_all(&records).await.into_iter().collect();
    sent.map(|acks| acks.len()).map_err(|error| broker_trouble(&error))
}
