//! `throughline dlq edit`: a change to a decoded copy of one letter.

use super::change::{self, StartArgs};
use crate::{
    control::{ControlArgs, part},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The letter: service/slice/sequence/no
    id: String,
    /// A field and its new value (JSON, or text), such as lines[0].sku=SEAT; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// JSON file with the fields to change
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    patch: Option<PathBuf>,
    /// JSON file with the whole event, for a letter that nobody can read
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    body: Option<PathBuf>,
    /// Write the plan of the edit to this file, for another person's `dlq apply`; changes nothing
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    control: ControlArgs,
}

pub(super) async fn run(args: &EditArgs, output: &Output) -> Result<Exit> {
    let control = args.control.connect()?;
    let mut body = Map::new();
    body.insert("patch".to_owned(), Value::Object(args.change()?));
    body.insert("whole".to_owned(), json!(args.body.is_some()));
    body.insert("reason".to_owned(), json!(args.start.reason));
    let mut file = control.post(&format!("/v1/plan/edit/{}", part(&args.id)), body).await?;
    if let Value::Object(fields) = &mut file {
        fields.remove("v");
    }
    if let Some(path) = &args.save {
        change::save(path, &file)?;
        output.note(format!("written: {}; another person applies it: throughline dlq apply", path.display()));
    }
    if args.dry_run || args.save.is_some() {
        let text = format!("{}nothing was changed", change::told(&file["plan"]));
        output.answer(&Answer::fields(file).said(text));
        return Ok(Exit::Done);
    }
    change::confirm(&file["plan"], args.yes, output)?;
    change::start(&control, &file, &args.start, output).await
}

impl EditArgs {
    fn change(&self) -> Result<Map<String, Value>> {
        let mut fields = match self.patch.as_ref().or(self.body.as_ref()) {
            Some(file) => object(file)?,
            None => Map::new(),
        };
        for pair in &self.set {
            let Some((field, value)) = pair.split_once('=').filter(|(field, _)| !field.is_empty()) else {
                return Err(Trouble::usage(format!("--set {pair}: write FIELD=VALUE")));
            };
            fields.insert(field.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
        }
        if fields.is_empty() {
            return Err(
                Trouble::usage("nothing is to be changed").hint("use --set FIELD=VALUE, --patch FILE or --body FILE")
            );
        }
        Ok(fields)
    }
}

fn object(file: &Path) -> Result<Map<String, Value>> {
    let wrong = |what: String| Trouble::usage(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let parsed = serde_json::from_str(&text);
    parsed.map_err(|error| wrong(format!("no JSON object (line {}, column {})", error.line(), error.column())))
}
