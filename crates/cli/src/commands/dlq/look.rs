//! Looking at letters.

use super::selection::SelectionArgs;
use crate::{
    control::{Control, ControlArgs, part},
    exit::{Exit, Result, Trouble},
    output::{Answer, Format, Output},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{collections::HashSet, fmt::Write as _, time::Duration};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// At most so many
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Exit 5 if nothing matches
    #[arg(long)]
    fail_if_empty: bool,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The letter: service/slice/sequence/no, or topic/partition@offset for one on a topic
    id: String,
    /// Show personal data and raw bytes; a right of its own, and kept in the audit
    #[arg(long, requires = "reason")]
    unmask: bool,
    /// Why they must be seen
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// class, code, topic, service, state or hour
    #[arg(long, default_value = "code")]
    by: String,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    /// The group's fingerprint
    fingerprint: String,
    /// acknowledged, resolved or archived
    state: String,
    #[arg(long)]
    service: String,
    /// Archived until then (RFC 3339)
    #[arg(long)]
    until: Option<String>,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    control: ControlArgs,
}

const GROUP_COLUMNS: &[&str] = &[
    "fingerprint",
    "kind",
    "class",
    "code",
    "step",
    "count",
    "keys",
    "at_risk",
    "last",
    "state",
    "owner",
    "now",
    "reason",
];
const LETTER_COLUMNS: &[&str] =
    &["id", "state", "class", "code", "topic", "key", "subject", "attempts", "at_risk", "reason"];
const FOREIGN_COLUMNS: &[&str] =
    &["topic", "partition", "offset", "tool", "from", "key", "error", "message", "problems"];

pub(super) async fn groups(args: &ListArgs, output: &Output) -> Result<Exit> {
    let (groups, _) =
        pages(&args.control.connect()?, "/v1/groups", args.selection.query()?, "groups", args.limit).await?;
    Ok(listed(output, args, "groups", groups, GROUP_COLUMNS))
}

pub(super) async fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let topic = args.selection.topic.as_deref();
    if let Some(topic) = topic.filter(|topic| events::topics::find(topic).is_none()) {
        let query = vec![("topic".to_owned(), topic.to_owned())];
        let (letters, _) = pages(&control, "/v1/foreign", query, "letters", args.limit).await?;
        let letters = letters.into_iter().map(foreign).collect();
        return Ok(listed(output, args, "letters", letters, FOREIGN_COLUMNS));
    }
    let (letters, more) = pages(&control, "/v1/letters", args.selection.query()?, "letters", args.limit).await?;
    if more {
        output.note(format!("more match; --limit shows more than {}", args.limit));
    }
    Ok(listed(output, args, "letters", letters, LETTER_COLUMNS))
}

/// What the tool's headers say, beside the record itself.
fn foreign(mut letter: Value) -> Value {
    let origin = letter["origin"].clone();
    let place = |name: &str| origin[name].as_i64().map_or_else(|| "?".to_owned(), |number| number.to_string());
    let from = origin["topic"].as_str().map(|topic| format!("{topic}/{}@{}", place("partition"), place("offset")));
    letter["from"] = json!(from);
    for name in ["error", "message", "problems"] {
        letter[name] = origin[name].clone();
    }
    letter
}

fn listed(
    output: &Output,
    args: &ListArgs,
    name: &'static str,
    rows: Vec<Value>,
    columns: &'static [&'static str],
) -> Exit {
    let exit = if rows.is_empty() && args.fail_if_empty { Exit::Empty } else { Exit::Done };
    if rows.is_empty() {
        output.note("nothing matches");
    }
    output.answer(&Answer::list(name, rows, columns));
    exit
}

/// All pages up to `limit` items, and whether there are more.
pub(in crate::commands) async fn pages(
    control: &Control,
    path: &str,
    query: Vec<(String, String)>,
    name: &str,
    limit: u32,
) -> Result<(Vec<Value>, bool)> {
    let (mut items, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    let limit = limit as usize;
    loop {
        let mut query = query.clone();
        query.push(("limit".to_owned(), (limit - items.len()).min(1_000).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
        let mut page = control.get(path, &query).await?;
        if let Value::Array(part) = page[name].take() {
            items.extend(part);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || items.len() >= limit {
            return Ok((items, cursor.is_some()));
        }
    }
}

pub(super) async fn show(args: &ShowArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let answer = if let Some((place, offset)) = args.id.rsplit_once('@') {
        let (topic, partition) = place.rsplit_once('/').unwrap_or((place, "0"));
        let query = [("topic", topic), ("partition", partition), ("offset", offset)];
        control.get("/v1/foreign/letter", &query.map(|(name, value)| (name.to_owned(), value.to_owned()))).await?
    } else if args.unmask {
        let reason = Map::from_iter([("reason".to_owned(), json!(args.reason))]);
        control.post(&format!("/v1/letters/{}/unmasked", part(&args.id)), reason).await?
    } else {
        control.get(&format!("/v1/letters/{}", part(&args.id)), &[]).await?
    };
    let text = told(&answer["letter"]);
    output.answer(&Answer::fields(answer).said(text));
    Ok(Exit::Done)
}

/// One letter for people.
fn told(letter: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut text = String::new();
    let mut line = |name: &str, value: &Value| {
        if !value.is_null() {
            // Writing into a string does not fail.
            let _ = writeln!(text, "{name:10} {}", word(value));
        }
    };
    for name in ["id", "tool", "state", "kind", "class", "code", "reason", "owner", "field", "awaits"] {
        line(name, &letter[name]);
    }
    for name in ["topic", "partition", "offset", "key", "subject", "event_id", "parked", "edited"] {
        line(name, &letter[name]);
    }
    line("meaning", &letter["explain"]["meaning"]);
    line("do", &letter["explain"]["action"]);
    line("now", &letter["now"]);
    line("attempts", &letter["attempts"]);
    line("next try", &letter["attempts_detail"]["next_attempt"]);
    line("trace", &letter["trace"]);
    let _ = behind(&mut text, &letter["blocked"]);
    if letter["origin"].is_object() {
        let _ = writeln!(text, "\nits headers say\n{:#}", letter["origin"]);
    }
    for name in ["headers", "body", "raw"] {
        if !letter[name].is_null() {
            let _ = writeln!(text, "\n{name}\n{:#}", letter[name]);
        }
    }
    let commands = letter["next"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !commands.is_empty() {
        text.push_str("\nnext\n");
        commands.iter().for_each(|command| text.push_str(&format!("  {}\n", word(command))));
    }
    text
}

fn behind(text: &mut String, blocked: &Value) -> std::fmt::Result {
    let Some(items) = blocked["behind"].as_array().filter(|items| !items.is_empty()) else { return Ok(()) };
    let more = if blocked["more"] == true { " and more" } else { "" };
    writeln!(text, "\nblocked behind it: {}{more}", items.len())?;
    for item in items {
        writeln!(
            text,
            "  {}  {}",
            item["id"].as_str().unwrap_or_default(),
            item["topic"].as_str().unwrap_or_default()
        )?;
    }
    Ok(())
}

pub(super) async fn tail(args: &ListArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let mut query = args.selection.query()?;
    let is_given = query.iter().any(|(name, _)| name == "since");
    if !is_given {
        query.push(("since".to_owned(), jiff::Timestamp::now().to_string()));
    }
    let mut told: HashSet<String> = HashSet::new();
    loop {
        let (letters, _) = pages(&control, "/v1/letters", query.clone(), "letters", 100_000).await?;
        let new: Vec<Value> = letters
            .into_iter()
            .filter(|letter| told.insert(format!("{}#{}", letter["id"], letter["version"])))
            .collect();
        for letter in new {
            if output.format == Format::Table {
                let word = |name: &str| letter[name].as_str().unwrap_or("-").to_owned();
                output.text(&format!("{}  {}  {}  {}\n", word("parked"), word("id"), word("code"), word("reason")));
            } else {
                output.text(&format!("{letter}\n"));
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(super) async fn stats(args: &StatsArgs, output: &Output) -> Result<Exit> {
    let mut query = args.selection.query()?;
    query.push(("by".to_owned(), args.by.clone()));
    let mut answer = args.control.connect()?.get("/v1/stats", &query).await?;
    let rows = answer["stats"].take();
    output.answer(&Answer::list("stats", rows, &["value", "count", "at_risk"]).with("total", &answer["total"]));
    Ok(Exit::Done)
}

pub(super) async fn mark(args: &MarkArgs, output: &Output) -> Result<Exit> {
    let MarkArgs { fingerprint, state, service, until, reason, control } = args;
    if !["acknowledged", "resolved", "archived"].contains(&state.as_str()) {
        return Err(Trouble::usage(format!("`{state}` is none of acknowledged, resolved, archived")));
    }
    let body =
        json!({ "fingerprint": fingerprint, "state": state, "service": service, "until": until, "reason": reason });
    let Value::Object(body) = body else { return Ok(Exit::Failed) };
    let answer = control.connect()?.post("/v1/groups/state", body).await?;
    output.answer(&Answer::fields(answer).said(format!("{service} {fingerprint} is {state}")));
    Ok(Exit::Done)
}
