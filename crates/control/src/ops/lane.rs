//! Records of a topic to one service once more: the topic's own history, or dead letters that any tool wrote there.

use super::{page::Page, plans, typed};
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    foreign,
    lane::{self, Asked, Copy, Known, LanePlan, Refused},
    letters::{Body, time},
    params::time_ms,
};
use events::{PayloadHash, Record, Uid, wire};
use kafka::{Outgoing, TopicPartition};
use ledger::Ledger;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
};

/// Records that one plan may look at.
const MOST_READ: usize = 1_000_000;
/// Records that one plan may hold.
const MOST_ITEMS: usize = 200_000;
/// Refusals that a plan names; all are counted.
const NAMED: usize = 100;

#[derive(Deserialize)]
struct Wanted {
    service: String,
    topic: String,
    partition: Option<i32>,
    offset: Option<i64>,
    since: Option<String>,
    until: Option<String>,
    key: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    max_replays: Option<usize>,
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Apply {
    plan: Value,
    reason: String,
    most: Option<usize>,
}

#[derive(Deserialize)]
struct Outcome {
    service: String,
    plan: String,
    #[serde(flatten)]
    _page: Page,
}

/// What is kept of a record that was looked at.
struct Looked {
    asked: Asked,
    /// Why it cannot be put.
    refused: Option<String>,
}

/// A record of the topic that a letter claims to come from, or of its own.
struct Claimed {
    record: Record,
    refused: Option<String>,
}

pub(super) async fn plan(session: &Session<'_>, input: Value) -> Result<Value> {
    let selection: BTreeMap<String, Value> = typed(input.clone())?;
    let wanted: Wanted = typed(input)?;
    wanted.must_choose()?;
    let ledger = session.ledger(&wanted.service).await?;
    let inputs = inputs(&*ledger).await?;
    let lane_ends = lane_of(session, &wanted.service).await?;
    let partitions = i32::try_from(lane_ends.len()).unwrap_or(i32::MAX);
    let letters = !inputs.contains(&wanted.topic);
    let looked = look(session, &wanted, &inputs, letters).await?;
    let (asked, refusals): (Vec<Asked>, Vec<Option<String>>) =
        looked.into_iter().map(|one| (one.asked, one.refused)).unzip();
    let source = if letters { "" } else { &wanted.topic };
    let known = lane::ask(&*ledger, source, partitions, &asked).await?;
    let (mut items, mut refused) = (Vec::new(), Vec::new());
    let mut predicted: BTreeMap<String, u64> = BTreeMap::new();
    for ((one, known), why) in asked.iter().zip(known).zip(refusals) {
        let word = if why.is_some() && !is_settled(known) { "refused" } else { known.as_str() };
        *predicted.entry(word.to_owned()).or_default() += 1;
        match why {
            Some(why) if word == "refused" => {
                let at = place(&wanted.topic, one.partition, one.offset);
                refused.extend((refused.len() < NAMED).then_some(Refused { at, why }));
            }
            _ if is_wanted(known, letters) => items.push((one.partition, one.offset)),
            _ => {}
        }
    }
    if items.len() > MOST_ITEMS {
        let message = format!("{} records would be put, at most {MOST_ITEMS} by one plan", items.len());
        return Err(Error::new(Kind::Policy, "TOO_MANY", message).hint("narrow it, such as by --until"));
    }
    let plan = LanePlan {
        v: 1,
        action: "replay".to_owned(),
        service: wanted.service,
        topic: wanted.topic,
        letters,
        selection,
        cut_off: time(session.app.now_ms()).unwrap_or_default(),
        made_by: session.caller.name.clone(),
        read: asked.len() as u64,
        predicted,
        items,
        refused,
        lane_ends,
    };
    plans::remembered(
        session,
        "plan.replay",
        &plan.hash(),
        "planned",
        json!({ "service": plan.service, "topic": plan.topic, "records": plan.items.len() }),
    )
    .await?;
    Ok(plan.sealed())
}

impl Wanted {
    fn must_choose(&self) -> Result<()> {
        if self.offset.is_some() && self.partition.is_none() {
            return Err(Error::invalid("`offset` needs `partition`"));
        }
        let is_chosen = self.partition.is_some() || self.since.is_some() || self.until.is_some();
        if is_chosen || self.key.is_some() || self.event_type.is_some() || self.all {
            return Ok(());
        }
        Err(Error::new(Kind::Invalid, "EMPTY_SELECTION", "nothing is selected")
            .hint("choose with --since, --until, --key or --type, or say --all"))
    }
}

/// What was done with it needs no second time, whatever else may be wrong with it.
const fn is_settled(known: Known) -> bool {
    matches!(known, Known::AlreadyApplied | Known::Superseded | Known::Skipped | Known::Discarded)
}

/// A letter that is parked is tried where it waits; of a topic's history, only what has had no effect yet is put.
const fn is_wanted(known: Known, letters: bool) -> bool {
    match known {
        Known::WouldApply => true,
        Known::Parked | Known::DeadLetter => letters,
        _ => false,
    }
}

fn place(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}/{partition}@{offset}")
}

/// The topics that a service reads, as its ledger has them.
async fn inputs(ledger: &dyn Ledger) -> Result<BTreeSet<String>> {
    let positions = ledger.slices().await?.into_iter().flat_map(|slice| slice.positions);
    Ok(positions.map(|position| position.topic).filter(|topic| !topic.starts_with("replay.")).collect())
}

async fn lane_of(session: &Session<'_>, service: &str) -> Result<Vec<i64>> {
    lane::ends(&session.app.kafka, &format!("replay.{service}")).await.map_err(|error| match error.kind {
        Kind::NotFound => {
            Error::new(Kind::NotFound, "NO_REPLAY_TOPIC", format!("{service} has no topic replay.{service}"))
                .hint("declare it in deploy/topics.yaml, throughline topics apply, and restart the service")
        }
        _ => error,
    })
}

/// Reads the range, and keeps of each record what is asked of the ledger.
async fn look(session: &Session<'_>, wanted: &Wanted, inputs: &BTreeSet<String>, letters: bool) -> Result<Vec<Looked>> {
    let now = session.app.now_ms();
    let bound = |text: &Option<String>| text.as_deref().and_then(|text| time_ms(text, now));
    let (since, until) = (bound(&wanted.since), bound(&wanted.until));
    let mut looked = Vec::new();
    let mut take = async |record: Record| {
        let is_inside = since.is_none_or(|since| record.timestamp_ms >= since)
            && until.is_none_or(|until| record.timestamp_ms < until)
            && wanted.partition.is_none_or(|partition| record.partition == partition)
            && wanted.offset.is_none_or(|offset| record.offset == offset)
            && wanted.key.as_ref().is_none_or(|key| record.key.as_deref() == Some(key.as_bytes()))
            && wanted.event_type.as_ref().is_none_or(|wanted| is_of_type(&record, wanted));
        if !is_inside {
            return Ok(());
        }
        if looked.len() >= MOST_READ {
            let message = format!("more than {MOST_READ} records match");
            return Err(Error::new(Kind::Policy, "TOO_MANY", message).hint("narrow it, such as by --until"));
        }
        looked.push(looked_at(session, record, wanted, inputs, letters).await);
        Ok(())
    };
    if let (Some(partition), Some(offset)) = (wanted.partition, wanted.offset) {
        for record in read(session, &wanted.topic, partition, offset, &HashSet::from([offset])).await? {
            take(record).await?;
        }
        return Ok(looked);
    }
    let mut stream = session.app.drain().stream(&wanted.topic).await?;
    while let Some(batch) = stream.recv().await {
        for record in batch? {
            take(record).await?;
        }
    }
    Ok(looked)
}

fn is_of_type(record: &Record, wanted: &str) -> bool {
    record.headers.text("ce_type").is_some_and(|found| found == wanted || found.ends_with(&format!(".{wanted}")))
}

async fn looked_at(
    session: &Session<'_>,
    record: Record,
    wanted: &Wanted,
    inputs: &BTreeSet<String>,
    letters: bool,
) -> Looked {
    let (partition, offset, key) = (record.partition, record.offset, record.key.clone());
    let hash = PayloadHash::of(record.key.as_deref(), record.value.as_deref());
    let claimed = if letters { claimed(record, wanted, inputs) } else { Claimed { record, refused: None } };
    let uid = wire::parse(&claimed.record, &wire::Limits::default()).ok();
    let uid = uid.map(|parsed| Uid::derive(&parsed.envelope.source, &parsed.envelope.id));
    let refused = match claimed.refused {
        Some(why) => Some(why),
        // Decoding proves what a letter claims, or refuses it.
        None => match session.app.decoder().body(&claimed.record).await {
            Body::Read(_) => None,
            Body::Unreadable(failure) => Some(format!("nobody can read it as {}: {failure}", claimed.record.topic)),
        },
    };
    // Its bytes go here: what is asked of the ledger is small.
    let key = key.map(|key| bytes::Bytes::copy_from_slice(&key));
    Looked { asked: Asked { partition, offset, uid, hash, key }, refused }
}

/// What its headers claim, as far as it can be true.
fn claimed(record: Record, wanted: &Wanted, inputs: &BTreeSet<String>) -> Claimed {
    let origin = foreign::origin(&record.topic, &record.headers, record.value.is_some());
    let rounds = consumer::replay::rounds(&record.headers);
    let refused = match &origin.topic {
        _ if wanted.max_replays.is_some_and(|most| rounds >= most) => {
            Some(format!("it came back {rounds} times already: --max-replays"))
        }
        None => Some("no header says which topic it came from".to_owned()),
        Some(topic) if !inputs.contains(topic) => {
            Some(format!("its headers name `{topic}`, which {} does not read", wanted.service))
        }
        Some(_) if record.value.is_none() => Some("it has no value; the record is where it came from".to_owned()),
        Some(_) => None,
    };
    let topic = origin.topic.filter(|_| refused.is_none()).map_or(record.topic.clone(), Into::into);
    Claimed { record: Record { topic, ..record }, refused }
}

/// Records of a partition at these offsets.
async fn read(
    session: &Session<'_>,
    topic: &str,
    partition: i32,
    from: i64,
    offsets: &HashSet<i64>,
) -> Result<Vec<Record>> {
    let last = offsets.iter().copied().max().unwrap_or(from);
    let wanted = offsets.clone();
    let at = TopicPartition { topic: topic.into(), partition };
    let visit = move |found: &mut Vec<Record>, mut record: Record| {
        let is_last = record.offset >= last;
        if wanted.contains(&record.offset) {
            record.detach();
            found.push(record);
        }
        if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Ok(session.app.drain().scan(&at, from, Vec::new(), visit).await?)
}

pub(super) async fn apply(session: &Session<'_>, input: Value) -> Result<Value> {
    let Apply { plan, reason, most } = typed(input)?;
    let (plan, hash) = LanePlan::open(&plan)?;
    let ledger = session.ledger(&plan.service).await?;
    plans::second_for_many(session, plan.items.len(), &plans::maker(session, &hash).await?)?;
    // One at a time: each looks for what is there before it puts more.
    let _turn = session.app.copying.lock().await;
    let lane = format!("replay.{}", plan.service);
    let there = lane::there(&session.app.kafka, &lane, &plan.lane_ends, &hash).await?;
    let done: HashSet<String> = there.into_iter().map(|(of, ..)| of).collect();
    let open = plan.items.iter().filter(|(partition, offset)| !done.contains(&place(&plan.topic, *partition, *offset)));
    let mut next: BTreeMap<i32, HashSet<i64>> = BTreeMap::new();
    for (partition, offset) in open.take(most.unwrap_or(1_000)) {
        next.entry(*partition).or_default().insert(*offset);
    }
    let mut copies = Vec::new();
    for (partition, offsets) in &next {
        let from = offsets.iter().copied().min().unwrap_or(0);
        for record in read(session, &plan.topic, *partition, from, offsets).await? {
            copies.push((record, *partition));
        }
    }
    must_be_fresh(&*ledger, &plan, &next, &copies).await?;
    let copies = copies.into_iter().map(|(record, _)| copy(&plan, &lane, record)).collect();
    let put = lane::put(&session.app.kafka, copies, &hash, &done).await?;
    let total = plan.items.len();
    let answer = json!({ "put": put, "done": done.len() + put, "total": total, "plan": hash });
    if put > 0 {
        let mut audit = session.audit("replay.put", &format!("{} → {lane}", plan.topic), &reason);
        audit.after = Some(answer.to_string());
        ledger.append_audit(&audit).await?;
    }
    Ok(json!({ "replay": answer }))
}

/// What is about to be put must be what the plan says of it.
async fn must_be_fresh(
    ledger: &dyn Ledger,
    plan: &LanePlan,
    next: &BTreeMap<i32, HashSet<i64>>,
    records: &[(Record, i32)],
) -> Result<()> {
    let wanted: usize = next.values().map(HashSet::len).sum();
    let stale = |what: String| {
        Err(Error::new(Kind::Stale, "PLAN_STALE", what).hint("plan again: what was put already is known there"))
    };
    if records.len() < wanted {
        return stale(format!("{} records are not on {} any more", wanted - records.len(), plan.topic));
    }
    let asked: Vec<Asked> = records.iter().map(|(record, _)| of_record(record, plan.letters)).collect();
    let partitions = i32::try_from(plan.lane_ends.len()).unwrap_or(i32::MAX);
    let known = lane::ask(ledger, if plan.letters { "" } else { &plan.topic }, partitions, &asked).await?;
    let changed = known.iter().zip(records).find(|(known, _)| !is_wanted(**known, plan.letters));
    match changed {
        None => Ok(()),
        Some((known, (record, _))) => {
            let at = place(&plan.topic, record.partition, record.offset);
            stale(format!("{at} is not what the plan says any more: {}", known.as_str()))
        }
    }
}

fn of_record(record: &Record, letters: bool) -> Asked {
    let origin = letters.then(|| foreign::origin(&record.topic, &record.headers, true).topic).flatten();
    let as_source = Record { topic: origin.map_or(record.topic.clone(), Into::into), ..record.clone() };
    let parsed = wire::parse(&as_source, &wire::Limits::default()).ok();
    Asked {
        partition: record.partition,
        offset: record.offset,
        uid: parsed.map(|parsed| Uid::derive(&parsed.envelope.source, &parsed.envelope.id)),
        hash: PayloadHash::of(record.key.as_deref(), record.value.as_deref()),
        key: record.key.clone(),
    }
}

/// Byte for byte, with headers that say where it came from.
fn copy(plan: &LanePlan, lane: &str, record: Record) -> Copy {
    let of = place(&plan.topic, record.partition, record.offset);
    let origin = foreign::origin(&record.topic, &record.headers, true);
    let from = |known: Option<String>, own: String| if plan.letters { known } else { Some(own) };
    let mut headers = record.headers;
    if headers.text("dlq.original.topic").is_none() {
        for (name, value) in [
            ("dlq.original.topic", from(origin.topic, record.topic.to_string())),
            ("dlq.original.partition", from(origin.partition.map(|one| one.to_string()), record.partition.to_string())),
            ("dlq.original.offset", from(origin.offset.map(|one| one.to_string()), record.offset.to_string())),
        ] {
            if let Some(value) = value {
                headers.push(name, value);
            }
        }
    }
    let (key, value) = (record.key, record.value);
    Copy { of, record: Outgoing { topic: lane.into(), partition: None, key, value, headers, timestamp_ms: None } }
}

/// What became of the copies that a plan has put so far.
pub(super) async fn outcome(session: &Session<'_>, input: Value) -> Result<Value> {
    let Outcome { service, plan, .. } = typed(input)?;
    let ledger = session.ledger(&service).await?;
    let lane = format!("replay.{service}");
    let ends = lane_of(session, &service).await?;
    let there = lane::there(&session.app.kafka, &lane, &vec![0; ends.len()], &plan).await?;
    let asked: Vec<Asked> = there
        .iter()
        .map(|(_, partition, offset)| {
            let (partition, offset, hash) = (*partition, *offset, PayloadHash(0));
            Asked { partition, offset, uid: None, hash, key: None }
        })
        .collect();
    let partitions = i32::try_from(ends.len()).unwrap_or(i32::MAX);
    let dispositions = lane::dispositions(&*ledger, &lane, &asked).await?;
    let known = lane::ask(&*ledger, &lane, partitions, &asked).await?;
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for (first, known) in dispositions.iter().zip(known) {
        let word = match (first, known) {
            (None, _) => "waiting",
            // What was parked first may have ended since.
            (Some(ledger::Disposition::Parked | ledger::Disposition::DeadLettered), known) => known.as_str(),
            (Some(first), _) => first.as_str(),
        };
        *counts.entry(word).or_default() += 1;
    }
    let counts: BTreeMap<&str, u64> = counts.into_iter().collect();
    Ok(json!({ "outcome": { "service": service, "plan": plan, "copies": there.len(), "by_disposition": counts } }))
}
