//! Letters to a file and back.

use super::{look::pages, ocf, selection::SelectionArgs};
use crate::{
    control::{Control, ControlArgs},
    exit::{Exit, Result, Trouble},
    output::{Answer, Format, Output},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{io::Write as _, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// At most so many
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// With personal data and raw bytes; a right of its own, and kept in the audit
    #[arg(long, requires = "reason")]
    unmask: bool,
    /// Why they must be seen
    #[arg(long)]
    reason: Option<String>,
    /// Exit 5 if nothing matches
    #[arg(long)]
    fail_if_empty: bool,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file that `dlq export` wrote (NDJSON), mended or not
    file: PathBuf,
    /// The service they go back to
    #[arg(long)]
    service: String,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    /// Say what would become of each line, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    control: ControlArgs,
}

/// Lines and bytes that one request carries.
const LINES: usize = 500;
const BYTES: usize = 16 << 20;

pub(super) async fn export(args: &ExportArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let (letters, more) = if args.unmask {
        unmasked(&control, args).await?
    } else {
        pages(&control, "/v1/export", args.selection.query()?, "letters", args.limit).await?
    };
    if letters.is_empty() && args.fail_if_empty {
        return Ok(Exit::Empty);
    }
    if more {
        output.note(format!("more match; --limit writes more than {}", args.limit));
    }
    if output.format == Format::Avro {
        let file = ocf::file(&letters);
        let written = std::io::stdout().lock().write_all(&file);
        written.map_err(|error| Trouble::failed("OUTPUT", error.to_string()))?;
    } else {
        letters.iter().for_each(|letter| output.text(&format!("{letter}\n")));
    }
    Ok(Exit::Done)
}

async fn unmasked(control: &Control, args: &ExportArgs) -> Result<(Vec<Value>, bool)> {
    let limit = args.limit as usize;
    let (mut letters, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let mut body = args.selection.fields()?;
        body.insert("reason".to_owned(), json!(args.reason));
        body.insert("limit".to_owned(), json!((limit - letters.len()).min(1_000)));
        body.extend(cursor.take().map(|cursor| ("cursor".to_owned(), json!(cursor))));
        let mut page = control.post("/v1/export/unmasked", body).await?;
        if let Value::Array(part) = page["letters"].take() {
            letters.extend(part);
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || letters.len() >= limit {
            return Ok((letters, cursor.is_some()));
        }
    }
}

/// Every line is looked at before the first one is put.
pub(super) async fn import(args: &ImportArgs, output: &Output) -> Result<Exit> {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Trouble::usage(format!("{}: {error}", args.file.display())))?;
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(at, line)| (at + 1, line)).collect();
    if lines.is_empty() {
        return Err(Trouble::usage(format!("{} holds no line", args.file.display())));
    }
    let control = args.control.connect()?;
    let (told, errors, _) = sent(&control, args, &lines, true).await?;
    if !errors.is_empty() {
        for error in &errors {
            output.note(format!("line {}: {}", error["line"], error["error"].as_str().unwrap_or_default()));
        }
        let message = format!("{} of {} lines are wrong; nothing was changed", errors.len(), lines.len());
        return Err(Trouble { exit: Exit::Usage, ..Trouble::failed("IMPORT_REFUSED", message) }
            .hint(errors[0]["hint"].as_str().unwrap_or_default()));
    }
    if args.dry_run {
        output.answer(&Answer::list("lines", Value::Array(told), &["line", "outcome", "note"]));
        output.note("nothing was changed");
        return Ok(Exit::Done);
    }
    let (told, errors, put) = sent(&control, args, &lines, false).await?;
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Partial };
    let answer = Answer::list("lines", Value::Array(told), &["line", "outcome", "note"]);
    output.note(format!("{put} records are on replay.{}; the rest was there already, or has ended", args.service));
    output.answer(&answer.with("put", put));
    Ok(exit)
}

async fn sent(
    control: &Control,
    args: &ImportArgs,
    lines: &[(usize, &str)],
    dry_run: bool,
) -> Result<(Vec<Value>, Vec<Value>, u64)> {
    let (mut told, mut errors, mut put) = (Vec::new(), Vec::new(), 0);
    for part in parts(lines) {
        let texts: Vec<&str> = part.iter().map(|(_, line)| *line).collect();
        let body = json!({ "service": args.service, "lines": texts, "dry_run": dry_run, "reason": args.reason });
        let mut answer =
            control.post("/v1/import", Map::from_iter(body.as_object().cloned().unwrap_or_default())).await?;
        put += answer["put"].as_u64().unwrap_or(0);
        for (name, all) in [("lines", &mut told), ("errors", &mut errors)] {
            let Value::Array(rows) = answer[name].take() else { continue };
            all.extend(rows.into_iter().map(|mut row| {
                let at = row["line"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
                row["line"] = json!(part.get(at).map(|(number, _)| number));
                row
            }));
        }
    }
    Ok((told, errors, put))
}

fn parts<'a>(lines: &'a [(usize, &'a str)]) -> Vec<&'a [(usize, &'a str)]> {
    let (mut parts, mut begun, mut bytes) = (Vec::new(), 0, 0);
    for (at, (_, line)) in lines.iter().enumerate() {
        if at > begun && (at - begun >= LINES || bytes + line.len() > BYTES) {
            parts.push(&lines[begun..at]);
            (begun, bytes) = (at, 0);
        }
        bytes += line.len();
    }
    parts.push(&lines[begun..]);
    parts
}
