//! One process of a stack, whatever it is: it can be waited for, stopped, killed, started again.

use std::{path::PathBuf, time::Duration};

use crate::{
    error::{Error, Result},
    kafka_broker::Kafka,
    postgres::Postgres,
    process::{Identity, Process, Spec, read_ready_file},
};

/// A loaded machine may take this long to bring up a small program of ours.
const START: Duration = Duration::from_secs(60);
/// Longer than a service's own drain deadline (20 s) and its time to leave after that (10 s).
const STOP: Duration = Duration::from_secs(35);

/// A program of ours: it writes a ready file and serves HTTP.
#[derive(Debug)]
pub struct Program {
    spec: Spec,
    ready_file: PathBuf,
    http: String,
    process: Process,
}

impl Program {
    /// Starts it; returns when it answers HTTP. `spec` must make it write `ready_file`.
    pub async fn start(spec: Spec, ready_file: PathBuf) -> Result<Self> {
        let (process, http) = launch(&spec, &ready_file).await?;
        Ok(Self { spec, ready_file, http, process })
    }

    /// URL of its HTTP interface.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }
}

async fn launch(spec: &Spec, ready_file: &PathBuf) -> Result<(Process, String)> {
    match std::fs::remove_file(ready_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file("remove", ready_file)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut process = Process::start(spec)?;
    let http = process.until_ready(START, || std::future::ready(read_ready_file(ready_file))).await?;
    Ok((process, http))
}

/// A process with what is needed to start it again.
#[derive(Debug)]
pub enum Unit {
    Kafka(Box<Kafka>),
    Postgres(Box<Postgres>),
    Program(Box<Program>),
}

impl Unit {
    #[must_use]
    pub fn identity(&self) -> &Identity {
        match self {
            Self::Kafka(kafka) => kafka.identity(),
            Self::Postgres(postgres) => postgres.identity(),
            Self::Program(program) => program.process.identity(),
        }
    }

    /// URL of its HTTP interface, if it has one.
    #[must_use]
    pub fn http(&self) -> Option<String> {
        match self {
            Self::Kafka(_) | Self::Postgres(_) => None,
            Self::Program(program) => Some(program.http.clone()),
        }
    }

    /// Waits until it ends. Cancelling this loses nothing.
    pub async fn wait(&mut self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => kafka.wait().await?,
            Self::Postgres(postgres) => postgres.wait().await?,
            Self::Program(program) => program.process.wait().await?,
        };
        Ok(())
    }

    pub async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => kafka.stop().await?,
            Self::Postgres(postgres) => postgres.stop().await?,
            Self::Program(program) => program.process.stop(STOP).await?,
        };
        Ok(())
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => kafka.kill().await?,
            Self::Postgres(postgres) => postgres.kill().await?,
            Self::Program(program) => program.process.kill().await?,
        };
        Ok(())
    }

    /// Starts it again with the same data and addresses.
    pub async fn restart(&mut self) -> Result<()> {
        match self {
            Self::Kafka(kafka) => kafka.restart().await,
            Self::Postgres(postgres) => postgres.restart().await,
            Self::Program(program) => {
                (program.process, program.http) = launch(&program.spec, &program.ready_file).await?;
                Ok(())
            }
        }
    }
}
