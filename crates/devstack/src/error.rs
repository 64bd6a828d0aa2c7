//! What can go wrong while a stack is started or stopped. Each message says what to do.

use crate::{process, registry};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error("the schema registry")]
    Registry(#[from] registry::Error),
    #[error("{what} is missing; install it: {install}")]
    Missing { what: String, install: String },
    #[error("{action} {path}")]
    File { action: &'static str, path: String, source: std::io::Error },
    #[error("{path} cannot be read: {reason}; move it aside or run `throughline down` first")]
    Damaged { path: String, reason: String },
    #[error("{what} failed with {status}:\n{output}")]
    Tool { what: String, status: std::process::ExitStatus, output: String },
    #[error("{program} was not found (looked in {looked}); build it: cargo build -p {package}")]
    NoProgram { program: String, package: String, looked: String },
    #[error("a stack is running in {0} already; stop it with `throughline down --data {0}`, or use another folder")]
    Running(String),
    #[error("{data} holds a stack of the other kind ({found}); use another folder, or remove this one")]
    OtherKind { data: String, found: &'static str },
    #[error("there is no stack in {0}; start one with `throughline up --data {0} --detach`")]
    NoStack(String),
    #[error("the stack runs no process called {name}")]
    NoProcess { name: String },
    #[error("{name} is not ready: {reason}")]
    NotReady { name: String, reason: String },
    #[error("{name} could not be stopped")]
    NotStopped { name: String, source: std::io::Error },
    #[error("Kafka")]
    Kafka(#[from] kafka::Error),
    #[error("the schema registry refuses {subject}")]
    Schema { subject: String, source: kafka::registry::RegistryError },
    #[error("a sandbox")]
    Sandbox(#[from] sandbox::Error),
    #[error("no home folder is known for the cache; set THROUGHLINE_CACHE to a folder")]
    NoCache,
    #[error(
        "the folder {0} cannot be used: its name holds a character that Kafka's configuration cannot carry (, or \\ or a line end)"
    )]
    AwkwardFolder(String),
    #[error("no free port was found on 127.0.0.1 between {0} and {1}")]
    NoPort(u16, u16),
    #[error(
        "{found} holds data of PostgreSQL {wanted}, but no such server is here (looked at {looked}); install it or name its programs with THROUGHLINE_PG_BIN"
    )]
    OtherPostgres { found: String, wanted: String, looked: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { action, path, source }
    }
}
