//! `throughline publish`: NDJSON of CloudEvents (structured mode) to Avro records on their topics. A bad line is reported
//! with its number and reason, and does not stop the rest unless `--strict` asks for it.

pub(crate) mod encode;
mod lines;
mod report;

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Output, Progress},
    registry::Registry,
    stack::{Stack, StackArgs, broker_trouble},
};
use clap::Args;
use encode::{MAX_LINE_BYTES, Rules, SchemaIds, encode};
use events::topics::SUBJECTS;
use failure::Failure;
use kafka::{Producer, ProducerConfig};
use lines::{Line, Lines};
use report::Report;
use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// File with one CloudEvent (JSON, structured mode) a line; `-` or nothing reads standard input
    file: Option<PathBuf>,
    /// Stop at the first line that is refused
    #[arg(long)]
    strict: bool,
    /// Check every line, publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Let lines through that break the rules, and `raw` lines, to test what receives them
    #[arg(long)]
    as_is: bool,
    /// Write each refused line with its reason to this file (NDJSON)
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    stack: StackArgs,
}

/// A line and what became of it before it was sent.
type Encoded = (Line, std::result::Result<kafka::Outgoing, Failure>);

/// Everything a run needs while it goes on.
struct Run<'a> {
    producer: Option<&'a Producer>,
    strict: bool,
    progress: Progress,
    report: Report,
}

pub(crate) async fn run(args: &PublishArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let input = open(args.file.as_deref())?;
    let rules = if args.as_is { Rules::AsIs } else { Rules::Checked };
    let schemas = schema_ids(&stack).await?;
    let producer = if args.dry_run { None } else { Some(start_producer(&stack)?) };
    let report = Report::new(args.rejects.as_deref())?;
    let progress = output.progress("publish", None);
    let mut run = Run { producer: producer.as_ref(), strict: args.strict, progress, report };
    let ended = tokio::select! {
        ended = run.all(input, schemas, rules) => ended,
        // What was sent is sent: the counts say how far it came.
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    };
    let Run { progress, report, .. } = run;
    drop(progress);
    if let Some(producer) = producer {
        producer.close(Duration::from_secs(5)).await;
    }
    let exit = report.finish(ended, args.dry_run, output)?;
    Ok(exit)
}

impl Run<'_> {
    async fn all(&mut self, input: Input, schemas: SchemaIds, rules: Rules) -> Result<Exit> {
        let mut chunks = encode_in_background(input, schemas, rules);
        while let Some(chunk) = chunks.recv().await {
            let chunk =
                chunk.map_err(|error| Trouble::failed("INPUT", format!("the input cannot be read: {error}")))?;
            if !self.chunk(chunk).await? {
                break;
            }
        }
        Ok(Exit::Done)
    }

    /// Sends one chunk in its order. `false`: a line was refused and `--strict` asked to stop there.
    async fn chunk(&mut self, chunk: Vec<Encoded>) -> Result<bool> {
        let (mut lines, mut records, mut stopped) = (Vec::new(), Vec::new(), false);
        for (line, encoded) in chunk {
            match encoded {
                Ok(record) => {
                    lines.push(line);
                    records.push(record);
                }
                Err(failure) => {
                    self.progress.refuse();
                    self.report.refuse(&line, &failure)?;
                    stopped = self.strict;
                }
            }
            if stopped {
                break;
            }
        }
        let all_taken = self.send(&lines, &records).await?;
        Ok(!stopped && (all_taken || !self.strict))
    }

    async fn send(&mut self, lines: &[Line], records: &[kafka::Outgoing]) -> Result<bool> {
        let Some(producer) = self.producer else {
            records.iter().for_each(|record| self.report.published(&record.topic));
            self.progress.add(records.len() as u64);
            return Ok(true);
        };
        let mut all_taken = true;
        // Counts first, then the error that stops the run: what is acknowledged is told in any case.
        let mut broken = None;
        for ((line, record), sent) in lines.iter().zip(records).zip(producer.send_all(records).await) {
            match sent {
                Ok(_) => {
                    self.report.published(&record.topic);
                    self.progress.add(1);
                }
                Err(kafka::Error::TooLarge { bytes, .. }) => {
                    let reason = format!("the record has {bytes} bytes, more than its topic takes");
                    self.progress.refuse();
                    self.report.refuse(line, &Failure::poison("TOO_LARGE", reason))?;
                    all_taken = false;
                }
                Err(error) => {
                    self.report.unanswered();
                    broken.get_or_insert(error);
                }
            }
        }
        broken.map_or(Ok(all_taken), |error| Err(broker_trouble(&error)))
    }
}

type Input = Box<dyn io::Read + Send>;

fn open(file: Option<&Path>) -> Result<Input> {
    let Some(file) = file.filter(|file| *file != Path::new("-")) else { return Ok(Box::new(io::stdin())) };
    let opened = File::open(file).map_err(|error| {
        Trouble::usage(format!("{}: {error}", file.display())).hint("name a file of NDJSON, or - for standard input")
    })?;
    Ok(Box::new(opened))
}

/// Reads and encodes in a thread of its own, two chunks ahead of the broker: memory stays bounded.
fn encode_in_background(input: Input, schemas: SchemaIds, rules: Rules) -> mpsc::Receiver<io::Result<Vec<Encoded>>> {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut lines = Lines::new(BufReader::with_capacity(1 << 20, input), MAX_LINE_BYTES);
        loop {
            let chunk = match lines.chunk() {
                Ok(chunk) if chunk.is_empty() => return,
                Ok(chunk) => Ok(chunk.into_iter().map(|line| with_record(line, &schemas, rules)).collect()),
                Err(error) => Err(error),
            };
            let failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn with_record(line: Line, schemas: &SchemaIds, rules: Rules) -> Encoded {
    let encoded = encode(&line.bytes, schemas, rules);
    (line, encoded)
}

/// Ids of our schemas; a topic whose schema is not registered is left out, and its lines are refused one by one.
pub(crate) async fn schema_ids(stack: &Stack) -> Result<SchemaIds> {
    let registry = Registry::new(stack.registry()?)?;
    let mut ids = SchemaIds::new();
    for subject in SUBJECTS {
        if let Some(found) = registry.look_up(subject).await? {
            ids.insert(subject.topic, found.id);
        }
    }
    if ids.is_empty() {
        let trouble = Trouble::failed("NO_SCHEMAS", "the registry has none of our schemas");
        return Err(trouble.hint("register them: throughline schemas register"));
    }
    Ok(ids)
}

pub(crate) fn start_producer(stack: &Stack) -> Result<Producer> {
    let config = ProducerConfig { client: stack.kafka()?, ..ProducerConfig::default() };
    Producer::start(&config).map_err(|error| broker_trouble(&error))
}
