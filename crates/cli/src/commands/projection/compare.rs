//! Row by row: partition after partition, so that no more than two of them are in memory.

use super::{
    admin, must_exist, parse_generation, plain_topics,
    rows::{Difference, Side, fields, id_of},
    switch,
};
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output, Progress},
    stack::{Stack, StackArgs, broker_trouble},
};
use clap::Args;
use events::{
    Dataset, EventSet as _, Generation, Record,
    topics::{self, Kind},
    wire,
};
use kafka::{Admin, Drain, Lookup, Registry, RegistryConfig, TopicPartition};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// For one partition. The reading sets the pace.
const READ_DEADLINE: Duration = Duration::from_secs(3_600);
/// Between two looks at what traffic is about to bring.
const LOOK: Duration = Duration::from_millis(500);
/// Differing rows that are named, of each kind and topic, and changed ones that are looked into.
const EXAMPLES: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The generation to look at
    #[arg(long, value_name = "N", value_parser = parse_generation)]
    generation: Generation,
    /// Compare it with this one instead of the one that readers use
    #[arg(long, value_name = "N", value_parser = parse_generation)]
    with: Option<Generation>,
    /// How long rows that one side has not written yet are waited for, such as 2m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = service::config::parse_duration)]
    settle: Duration,
    #[command(flatten)]
    stack: StackArgs,
}

/// One topic of both generations.
#[derive(Debug, Default, Serialize)]
pub(super) struct TopicReport {
    topic: String,
    current_rows: usize,
    new_rows: usize,
    missing: usize,
    extra: usize,
    changed: usize,
    /// In which fields, by the number of the changed rows that were looked into.
    fields: BTreeMap<String, usize>,
    /// Ids of a few rows of each kind.
    examples: BTreeMap<&'static str, Vec<String>>,
}

impl TopicReport {
    pub(super) const fn differing(&self) -> usize {
        self.missing + self.extra + self.changed
    }
}

pub(super) async fn run(args: &CompareArgs, output: &Output) -> Result<Exit> {
    let stack = args.stack.resolve()?;
    let current = match args.with {
        Some(with) => with,
        None => switch::current(&stack).await?,
    };
    let reports = compare(&stack, current, args.generation, args.settle, output).await?;
    let differing: usize = reports.iter().map(TopicReport::differing).sum();
    let columns = &["topic", "current_rows", "new_rows", "missing", "extra", "changed", "fields"];
    let answer = Answer::list("topics", &reports, columns);
    let answer = answer.with("current", current.number()).with("generation", args.generation.number());
    let verdict = if differing == 0 {
        format!("generations {current} and {} have the same rows", args.generation)
    } else {
        format!("{differing} rows differ between generations {current} and {}{}", args.generation, named(&reports))
    };
    output.answer(&answer.with("same", differing == 0).above(verdict));
    Ok(if differing == 0 { Exit::Done } else { Exit::Failed })
}

fn named(reports: &[TopicReport]) -> String {
    let each = reports.iter().flat_map(|report| {
        report.examples.iter().map(|(kind, ids)| format!("\n  {}, {kind}: {}", report.topic, ids.join(", ")))
    });
    each.collect()
}

/// All topics of both generations.
///
/// # Errors
/// If a generation has no topics, they are split in another way, or the broker cannot be read.
pub(super) async fn compare(
    stack: &Stack,
    current: Generation,
    new: Generation,
    settle: Duration,
    output: &Output,
) -> Result<Vec<TopicReport>> {
    if current == new {
        let message = format!("generation {new} is the one to compare with");
        return Err(Trouble::usage(message).hint("name another with --generation, or with --with"));
    }
    let admin = admin(stack)?;
    must_exist(&admin, current).await?;
    must_exist(&admin, new).await?;
    let registry = Registry::connect(RegistryConfig::new(stack.registry()?));
    let registry = registry.map_err(|error| Trouble::unavailable("REGISTRY_UNAVAILABLE", error.to_string()))?;
    let drain = Drain::new(stack.kafka()?, READ_DEADLINE);
    let comparing = Comparing { admin, drain, registry, until: Instant::now() + settle };
    let progress = output.progress("rows compared", None);
    let mut reports = Vec::new();
    for plain in plain_topics() {
        reports.push(comparing.topic(plain, [current, new], &progress).await?);
    }
    Ok(reports)
}

struct Comparing {
    admin: Admin,
    drain: Drain,
    registry: Registry,
    /// Until when rows that only one side has are waited for.
    until: Instant,
}

impl Comparing {
    async fn topic(&self, plain: &'static str, sides: [Generation; 2], progress: &Progress) -> Result<TopicReport> {
        let names = sides.map(|generation| generation.name(plain));
        let partitions = self.partitions(&names).await?;
        let kind = topics::find(plain).map_or(Kind::Fact, |subject| subject.kind);
        let mut report = TopicReport { topic: plain.to_owned(), ..TopicReport::default() };
        for partition in 0..partitions {
            let places = names.each_ref().map(|topic| TopicPartition { topic: topic.as_str().into(), partition });
            self.partition(&places, kind, &mut report, progress).await?;
        }
        Ok(report)
    }

    async fn partitions(&self, names: &[String; 2]) -> Result<i32> {
        let broker = |error: kafka::Error| broker_trouble(&error);
        let (ours, theirs) = (
            self.admin.partitions(&names[0]).await.map_err(broker)?,
            self.admin.partitions(&names[1]).await.map_err(broker)?,
        );
        if ours == theirs {
            return Ok(ours);
        }
        let message = format!("{} has {ours} partitions and {} has {theirs}", names[0], names[1]);
        Err(Trouble::failed("PARTITIONS_DIFFER", message)
            .hint("a key must be in the same partition of both: make the topics of the new generation again"))
    }

    async fn partition(
        &self,
        places: &[TopicPartition; 2],
        kind: Kind,
        report: &mut TopicReport,
        progress: &Progress,
    ) -> Result<()> {
        let mut sides = [Side::default(), Side::default()];
        let difference = loop {
            for (place, side) in places.iter().zip(&mut sides) {
                let before = side.next;
                *side = self.read_on(place, kind, std::mem::take(side)).await?;
                progress.add(u64::try_from(side.next - before).unwrap_or(0));
            }
            let difference = Difference::between(&sides[0], &sides[1]);
            if difference.is_none() || Instant::now() >= self.until {
                break difference;
            }
            // Both follow the same traffic, one a little behind the other.
            tokio::time::sleep(LOOK).await;
        };
        report.current_rows += sides[0].len();
        report.new_rows += sides[1].len();
        report.missing += difference.missing.len();
        report.extra += difference.extra.len();
        report.changed += difference.changed.len();
        let changed = &difference.changed[..difference.changed.len().min(EXAMPLES)];
        for names in self.differing_fields(places, kind, changed).await? {
            names.into_iter().for_each(|name| *report.fields.entry(name).or_default() += 1);
        }
        for (name, ids) in
            [("missing", difference.missing), ("extra", difference.extra), ("changed", difference.changed)]
        {
            if !ids.is_empty() {
                let examples = report.examples.entry(name).or_default();
                let room = EXAMPLES - examples.len();
                examples.extend(ids.into_iter().take(room));
            }
        }
        Ok(())
    }

    async fn read_on(&self, place: &TopicPartition, kind: Kind, side: Side) -> Result<Side> {
        let from = side.next;
        let visit = move |side: &mut Side, record: Record| {
            side.add(kind, &record);
            ControlFlow::Continue(())
        };
        self.drain.scan(place, from, side, visit).await.map_err(|error| broker_trouble(&error))
    }

    /// Of these rows, the names of the fields that differ.
    async fn differing_fields(
        &self,
        places: &[TopicPartition; 2],
        kind: Kind,
        ids: &[String],
    ) -> Result<Vec<Vec<String>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (before, after) = (self.values(&places[0], kind, ids).await?, self.values(&places[1], kind, ids).await?);
        let pairs = ids.iter().filter_map(|id| Some(fields(before.get(id)?, after.get(id)?)));
        Ok(pairs.collect())
    }

    async fn values(
        &self,
        place: &TopicPartition,
        kind: Kind,
        ids: &[String],
    ) -> Result<HashMap<String, serde_json::Value>> {
        let wanted = ids.to_vec();
        let visit = move |rows: &mut HashMap<String, Record>, record: Record| {
            if let Some(id) = id_of(kind, &record).filter(|id| wanted.contains(id)) {
                rows.insert(id, record);
            }
            ControlFlow::Continue(())
        };
        let found = self.drain.scan(place, 0, HashMap::new(), visit).await.map_err(|error| broker_trouble(&error))?;
        let mut rows = HashMap::new();
        for (id, record) in found {
            if let Some(row) = self.decode(&record).await? {
                rows.insert(id, row.to_json());
            }
        }
        Ok(rows)
    }

    /// A row that nobody can read differs in something that has no name.
    async fn decode(&self, record: &Record) -> Result<Option<Dataset>> {
        let Ok(parsed) = wire::parse(record, &wire::Limits::default()) else { return Ok(None) };
        let wire::Body::Avro { schema, datum } = parsed.body else { return Ok(None) };
        match self.registry.lookup(schema).await {
            Lookup::Found(schema) => Ok(Dataset::decode_avro(Generation::split(&record.topic).0, &schema, &datum).ok()),
            Lookup::Unavailable(reason) => Err(Trouble::unavailable("REGISTRY_UNAVAILABLE", reason.to_string())),
            _ => Ok(None),
        }
    }
}
