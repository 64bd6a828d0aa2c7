//! The command line.

use crate::{
    commands::{
        audit, completion, config, demo, dlq, doctor, explain, fallout, generate, job, order, plan, projection,
        publish, replay, rules, schemas, slice, stack, status, topics, trace, verify,
    },
    output::{Format, ProgressMode},
};
use clap::{Parser, Subcommand};

/// Keeps the systems of a subscription business in step, and shows where every event is.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, arg_required_else_help = true, disable_help_subcommand = false)]
pub(crate) struct Cli {
    /// Format of the answer on standard output
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// How long work shows that it goes on (standard error)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "MODE")]
    pub(crate) progress: ProgressMode,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the main job in one process: a business, kills, and the proof that nothing was lost or doubled
    Demo(demo::DemoArgs),
    /// Start a whole stack on this machine
    Up(stack::UpArgs),
    /// Stop the stack of a folder, and nothing else
    Down(stack::DownArgs),
    /// Run one service in the foreground
    Run(stack::RunArgs),
    /// Compare the declared topics with the cluster's, apply them
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// Compare the schemas of this program with the registry's, register them
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
    /// Publish CloudEvents from NDJSON: checked, encoded as Avro, keyed by account
    Publish(publish::PublishArgs),
    /// Generate a subscription business from a seed, as NDJSON or straight onto the topics
    Generate(generate::GenerateArgs),
    /// Show where every slice stands, and what waits
    Status(status::StatusArgs),
    /// Show every step of one account, subject, event or correlation
    Trace(trace::TraceArgs),
    /// Find out what is stuck, mend it, process it again
    #[command(subcommand)]
    Dlq(Box<dlq::DlqCommand>),
    /// Put records of a topic to one service again: what it would do with each, and only what had no effect yet
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Make the topics of data teams anew beside the ones they read, compare, and take them into use
    #[command(subcommand)]
    Projection(projection::ProjectionCommand),
    /// Watch, pause, resume or cancel what was started with letters
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Who did what, and whether anybody changed the record of it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Decide about a slice that stopped
    #[command(subcommand)]
    Slice(slice::SliceCommand),
    /// Prove the promises on what is running or has run: topics, ledger and effect log compared
    Verify(verify::VerifyArgs),
    /// Look whether everything is there, answers and fits together
    Doctor(doctor::DoctorArgs),
    /// Work out beforehand what a workload needs
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Show the configuration of a service as it is in force
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Show where deals and their orders stand, and what they wait for
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Show business exceptions with owner, age and money at risk, and decide them
    #[command(subcommand)]
    Fallout(fallout::FalloutCommand),
    /// Check, test and compare the policies of the business
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Tell what a code means and what to do about it
    Explain(explain::ExplainArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

impl Command {
    /// Whether the answer may be an Avro file.
    pub(crate) fn writes_avro(&self) -> bool {
        matches!(self, Self::Dlq(command) if matches!(**command, dlq::DlqCommand::Export(_)))
    }
}
