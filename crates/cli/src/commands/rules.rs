//! `throughline rules`: the policies of a folder, checked, tested by their own cases, compared with another version.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
};
use clap::{Args, Subcommand};
use rules::{Policies, diff, policy::ownership::Owner};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Say everything that is wrong with the policy files; exit 1 if anything is
    Check(FolderArgs),
    /// Judge the deals of cases.yaml and compare with what they expect; exit 1 if one differs
    Test(FolderArgs),
    /// Show which cases two versions decide differently
    Diff(DiffArgs),
    /// Say which system owns a field, why, and who may allow an exception
    Owner(OwnerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    /// Such as customer.payment_terms; all rules if none is named
    field: Option<String>,
    #[arg(long, default_value = "deploy/policies")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// Folder of the policy files
    #[arg(default_value = "deploy/policies", value_name = "FOLDER")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Folder of the version before
    before: PathBuf,
    /// Folder of the version after
    #[arg(default_value = "deploy/policies")]
    after: PathBuf,
    /// Exit 1 if any case is decided differently
    #[arg(long)]
    exit_code: bool,
}

#[derive(Serialize)]
struct Changed {
    case: String,
    parts: Vec<String>,
    before: String,
    after: String,
}

/// What is shown of a mistake.
const COLUMNS: &[&str] = &["file", "path", "message", "hint"];

pub(crate) fn run(command: &RulesCommand, output: &Output) -> Result<Exit> {
    match command {
        RulesCommand::Check(args) => check(&args.folder, output),
        RulesCommand::Test(args) => test(&args.folder, output),
        RulesCommand::Diff(args) => compare(args, output),
        RulesCommand::Owner(args) => owner(args, output),
    }
}

fn check(folder: &Path, output: &Output) -> Result<Exit> {
    is_folder(folder)?;
    match Policies::load(folder) {
        Ok(policies) => {
            let none: Vec<rules::Problem> = Vec::new();
            let answer = Answer::list("problems", none, COLUMNS);
            output
                .answer(&answer.with("ok", true).with("version", policies.version).with("cases", policies.cases.len()));
            Ok(Exit::Done)
        }
        Err(problems) => {
            output.answer(&Answer::list("problems", problems.0, COLUMNS).with("ok", false));
            Ok(Exit::Failed)
        }
    }
}

fn test(folder: &Path, output: &Output) -> Result<Exit> {
    let policies = load(folder)?;
    if policies.cases.is_empty() {
        let message = format!("{} has no cases", folder.join("cases.yaml").display());
        return Err(
            Trouble::failed("NO_CASES", message).hint("write deals and what must come out; see docs/operate/rules.md")
        );
    }
    let results: Vec<_> = policies.cases.iter().map(|case| case.run(&policies)).collect();
    let ok = results.iter().all(|result| result.ok);
    let answer = Answer::list("cases", results, &["name", "ok", "differences"]);
    output.answer(&answer.with("ok", ok).with("version", policies.version));
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

fn compare(args: &DiffArgs, output: &Output) -> Result<Exit> {
    let (before, after) = (load(&args.before)?, load(&args.after)?);
    let (cases, changes) = diff(&before, &after);
    let is_same = changes.is_empty();
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| Changed {
            case: change.case,
            parts: change.parts,
            before: change.before.to_string(),
            after: change.after.to_string(),
        })
        .collect();
    let answer = Answer::list("changes", rows, &["case", "parts", "before", "after"]);
    output.answer(&answer.with("before", before.version).with("after", after.version).with("cases", cases));
    Ok(if is_same || !args.exit_code { Exit::Done } else { Exit::Failed })
}

fn owner(args: &OwnerArgs, output: &Output) -> Result<Exit> {
    let policies = load(&args.folder)?;
    let columns = &["field", "system", "queue", "spread", "why"];
    let Some(field) = &args.field else {
        let rows: Vec<_> = policies.ownership.rules().map(|(field, owner)| owned(field, field, owner)).collect();
        output.answer(&Answer::list("fields", rows, columns));
        return Ok(Exit::Done);
    };
    let Some((object, name)) = field.split_once('.') else {
        let hint = "object.field, such as customer.payment_terms";
        return Err(Trouble::usage(format!("{field} is no field")).hint(hint));
    };
    // Fields of fields belong to the field.
    let name = name.split('.').next().unwrap_or(name);
    let Some((rule, owner)) = policies.ownership.rule_of(object, name) else {
        let message = format!("no rule of ownership.yaml is about {field}");
        return Err(Trouble::failed("OWNER_UNKNOWN", message).hint("`throughline rules owner` lists the rules"));
    };
    output.answer(&Answer::fields(owned(field, rule, owner)));
    Ok(Exit::Done)
}

fn owned(field: &str, rule: &str, owner: &Owner) -> serde_json::Value {
    serde_json::json!({ "field": field, "rule": rule, "system": owner.system, "queue": owner.queue,
        "spread": owner.spread, "why": owner.why })
}

fn load(folder: &Path) -> Result<Policies> {
    is_folder(folder)?;
    Policies::load(folder).map_err(|problems| {
        Trouble::failed("POLICIES_INVALID", format!("{}: {problems}", folder.display()))
            .hint("`throughline rules check` lists them as data")
    })
}

fn is_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let message = format!("{} is not a folder", folder.display());
    Err(Trouble::usage(message).hint("name the folder of the policy files, such as deploy/policies"))
}
