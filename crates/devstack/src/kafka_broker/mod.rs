//! Apache Kafka in KRaft mode, from Maven's jars, each broker in a folder of its own: one, or a cluster of three.
//!
//! [`Kafka::start`] returns when the broker serves metadata. [`Kafka::kill`] is `kill -9`; [`Kafka::restart`] comes back
//! on the same port with the same data. Dropping the handle kills the broker.

mod config;
mod probe;

pub use config::Detour;

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use crate::{
    cache::{self, Download, Goal},
    error::{Error, Result},
    ports,
    process::{Identity, Process, Spec},
    tools::Tool,
};

const JARS: Download = Download {
    name: "kafka",
    pom: include_str!("../../../../deploy/devstack/kafka/pom.xml"),
    goal: Goal::Copy,
    property: None,
};
/// A busy machine of two cores needs up to half a minute; a broker that is broken says so at once.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(30);
/// Enough for a broker of a few hundred partitions, and the rest of the machine stays free.
const JVM: [&str; 5] =
    ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError"];

/// A broker, running or killed.
#[derive(Debug)]
pub struct Kafka {
    folder: PathBuf,
    java: PathBuf,
    jars: PathBuf,
    port: u16,
    process: Process,
}

/// Are the jars here already?
#[must_use]
pub fn is_downloaded() -> bool {
    JARS.folder().is_ok_and(|folder| folder.is_dir())
}

/// Gets the jars if they are not here; returns their folder.
pub async fn download() -> Result<PathBuf> {
    JARS.get(async |_: &Path| Ok(())).await
}

impl Kafka {
    /// Starts a broker on `folder` (made if absent; its data is continued if there is any).
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut brokers = Self::cluster(&[folder.to_owned()], None).await?;
        brokers.pop().ok_or_else(|| Error::NoProcess { name: "kafka".to_owned() })
    }

    /// Starts a broker on each folder, each of them a controller too. With three, each record has three copies, and two must have it
    /// before it counts as taken.
    pub async fn cluster(folders: &[PathBuf], detour: Option<Detour>) -> Result<Vec<Self>> {
        let java = Tool::Java.find()?;
        let jars = download().await?;
        let (mut found, mut nodes) = (Vec::new(), Vec::new());
        for (id, folder) in (1..).zip(folders) {
            let data = folder.join("data");
            std::fs::create_dir_all(&data).map_err(Error::file("make the folder", &data))?;
            let folder = folder.canonicalize().map_err(Error::file("find", folder))?;
            let [port, controller] = ports::remembered(&folder, ["broker", "controller"])?;
            found.push(folder);
            nodes.push(config::Node { id, port, controller, detour: detour.filter(|_| id == 1) });
        }
        let cluster = found.iter().find_map(|folder| cluster_of(folder)).unwrap_or_else(config::cluster_id);
        let starts = found.into_iter().zip(&nodes).map(async |(folder, node)| {
            config::write(&folder, node, &nodes)?;
            if !folder.join("data/meta.properties").exists() {
                format(&java, &jars, &folder, &cluster).await?;
            }
            // None of them serves before most of them run.
            let process = launch(&java, &jars, &folder, node.port).await?;
            Ok(Self { folder, java: java.clone(), jars: jars.clone(), port: node.port, process })
        });
        futures::future::try_join_all(starts).await
    }

    /// `host:port`, what clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.process.identity()
    }

    /// Where the broker logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_of(&self.folder)
    }

    /// Polite stop: SIGTERM, then SIGKILL.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        Ok(self.process.stop(STOP).await?)
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        Ok(self.process.kill().await?)
    }

    /// Starts again on the same port and data, after a stop, a kill or a crash.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.try_wait()?.is_none() {
            self.stop().await?;
        }
        self.process = launch(&self.java, &self.jars, &self.folder, self.port).await?;
        Ok(())
    }

    /// The broker outlives this handle.
    pub fn leave_running(&mut self) {
        self.process.leave_running();
    }

    /// Waits until the broker ends.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.process.wait().await?)
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("kafka.log")
}

fn class_path(jars: &Path) -> String {
    format!("{}/*", jars.display())
}

/// The id of the cluster whose data a folder has.
fn cluster_of(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("data/meta.properties")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("cluster.id=")).map(str::to_owned)
}

/// Writes the cluster id into an empty data folder.
async fn format(java: &Path, jars: &Path, folder: &Path, cluster: &str) -> Result<()> {
    let mut command = tokio::process::Command::new(java);
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &class_path(jars)]);
    command.args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c"]);
    command.arg(folder.join("server.properties"));
    cache::run("formatting Kafka's data folder", &mut command).await
}

async fn launch(java: &Path, jars: &Path, folder: &Path, port: u16) -> Result<Process> {
    let mut spec = Spec::new("kafka", java, log_of(folder));
    spec.arguments.extend(JVM.map(Into::into));
    let logging = format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display());
    spec = spec.arg(logging).arg("-cp").arg(class_path(jars)).arg("kafka.Kafka").arg(folder.join("server.properties"));
    let mut process = Process::start(&spec)?;
    process.until_ready(START, || async move { probe::serves_metadata(port).await.then_some(()) }).await?;
    Ok(process)
}
