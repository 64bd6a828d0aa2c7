//! `throughline up`, `down`, `run`: a stack on this machine, and its services.

use super::{SERVICES, binary_of, projection};
use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::DEFAULT_DATA,
};
use clap::Args;
use devstack::{Endpoints, Kind, StackConfig, services::CONTROL, supervisor};
use events::Generation;
use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Folder of the stack, made if absent
    #[arg(long, value_name = "DIR", env = "THROUGHLINE_DATA", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Return when everything is ready, and leave it running
    #[arg(long)]
    detach: bool,
    /// In-process broker and SQLite instead of Apache Kafka and PostgreSQL
    #[arg(long)]
    embedded: bool,
    /// Processes of each service
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    replicas: u16,
    /// Brokers that run already, instead of starting one
    #[arg(long, value_name = "LIST", conflicts_with = "embedded")]
    brokers: Option<String>,
    /// Schema registry that runs already
    #[arg(long, value_name = "URL", conflicts_with = "embedded")]
    registry: Option<String>,
    /// PostgreSQL server that runs already
    #[arg(long, value_name = "URL", conflicts_with = "embedded")]
    postgres: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// Folder of the stack
    #[arg(long, value_name = "DIR", env = "THROUGHLINE_DATA", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The service, such as erp-sync
    service: String,
    /// Run one more replica in the stack of this folder
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// Fill this generation of its topics (analytics-feed alone has them)
    #[arg(long, value_name = "N", value_parser = projection::parse_generation)]
    generation: Option<Generation>,
    /// Its configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "THROUGHLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Passed on to the service as they are
    #[arg(last = true)]
    rest: Vec<OsString>,
}

pub(crate) async fn up(args: &UpArgs, output: &Output) -> Result<Exit> {
    if args.detach {
        let progress = |what: &str| output.note(what);
        let endpoints = supervisor::detach(&args.data, &args.arguments(), progress).await;
        let endpoints = endpoints.map_err(|error| with_log(&args.data, trouble(&error)))?;
        output.answer(&started(&endpoints, &args.data));
        return Ok(Exit::Done);
    }
    let kind = if args.embedded { Kind::Embedded } else { Kind::Real };
    let mut config = StackConfig::new(kind, &args.data);
    config.kafka.clone_from(&args.brokers);
    config.registry.clone_from(&args.registry);
    config.postgres.clone_from(&args.postgres);
    let config = SERVICES.iter().fold(config, |config, service| config.with_service(service, args.replicas));
    let config = config.with_service(CONTROL, 1);
    let told = |endpoints: &Endpoints| {
        output.answer(&started(endpoints, &args.data));
        output.note("Ctrl-C stops it");
    };
    supervisor::run(config, told).await.map_err(|error| trouble(&error))?;
    Ok(Exit::Done)
}

impl UpArgs {
    /// What makes another process of this program run the same stack in its foreground.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["up".into(), "--data".into(), self.data.clone().into()];
        arguments.extend(["--replicas".into(), self.replicas.to_string().into()]);
        if self.embedded {
            arguments.push("--embedded".into());
        }
        let given = [("--brokers", &self.brokers), ("--registry", &self.registry), ("--postgres", &self.postgres)];
        for (option, value) in given {
            arguments.extend(value.iter().flat_map(|value| [OsString::from(option), value.into()]));
        }
        arguments
    }
}

fn started(endpoints: &Endpoints, data: &Path) -> Answer {
    let mut lines = vec![format!("kafka     {}", endpoints.kafka), format!("registry  {}", endpoints.registry)];
    lines.extend(endpoints.postgres.iter().map(|url| format!("postgres  {url}")));
    lines.extend(endpoints.sqlite.iter().map(|path| format!("sqlite    {path}")));
    lines.push(format!("erp       {}", endpoints.erp));
    let others = endpoints.sandboxes.iter().filter(|(name, _)| *name != "erp");
    lines.extend(others.map(|(name, url)| format!("{name:10}{url}")));
    let services = endpoints.services.iter();
    lines.extend(services.map(|(name, one)| format!("{name}  pid {} {}", one.pid, one.http.as_deref().unwrap_or("-"))));
    lines.extend(endpoints.control.iter().map(|control| format!("api       {}", control.url)));
    let data = data.display();
    lines.push(format!("\nnext: throughline generate --data {data} --publish; throughline status --data {data}"));
    Answer::fields(endpoints).said(lines.join("\n"))
}

pub(crate) async fn down(args: &DownArgs, output: &Output) -> Result<Exit> {
    let ended = supervisor::down(&args.data).await.map_err(|error| trouble(&error))?;
    let text = match (ended.processes.len(), ended.was_orphaned) {
        (0, _) => "nothing was running".to_owned(),
        (count, false) => format!("stopped {count} processes: {}", ended.processes.join(", ")),
        (count, true) => format!("the supervisor was gone; stopped {count} processes: {}", ended.processes.join(", ")),
    };
    output.answer(&Answer::fields(ended).said(text));
    Ok(Exit::Done)
}

/// Becomes the service: signals and exit code are its own.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let mut command = Command::new(binary_of(&args.service)?);
    if let Some(data) = &args.data {
        let config = data.join("services").join(format!("{}.toml", args.service));
        if !config.is_file() {
            let hint = format!("start the stack first: throughline up --data {} --detach", data.display());
            return Err(Trouble::failed("NO_STACK", format!("{} is not there", config.display())).hint(hint));
        }
        // The port in the file belongs to the replica that the stack runs.
        command.arg("--config").arg(config).env("THROUGHLINE_HTTP_BIND", "127.0.0.1:0");
    } else if let Some(config) = &args.config {
        command.arg("--config").arg(config);
    }
    if let Some(generation) = args.generation {
        if args.service != projection::SERVICE {
            return Err(Trouble::usage(format!("{} has no generations; {} has", args.service, projection::SERVICE)));
        }
        command.env("THROUGHLINE_PROJECTION_GENERATION", generation.to_string());
    }
    let error = command.args(&args.rest).exec();
    Err(Trouble::failed("SERVICE_UNUSABLE", format!("{} cannot be started: {error}", args.service)))
}

fn with_log(data: &Path, trouble: Trouble) -> Trouble {
    let log = supervisor::log_tail(data);
    if log.is_empty() { trouble } else { Trouble { message: format!("{}\n{log}", trouble.message), ..trouble } }
}

/// The chain of reasons in one line; devstack's messages say what to do themselves.
fn trouble(error: &devstack::Error) -> Trouble {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    let code = match error {
        devstack::Error::Missing { .. } => "MISSING",
        devstack::Error::NoStack(_) => "NO_STACK",
        devstack::Error::Running(_) => "RUNNING",
        _ => "STACK",
    };
    Trouble::failed(code, message)
}
