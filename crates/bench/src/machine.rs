//! What the figures depend on besides our code.

use serde::Serialize;

/// The versions that a run compared, and where.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub throughline: &'static str,
    pub commit: Option<String>,
    pub rustc: Option<String>,
    pub kafka: String,
    pub client_library: String,
    pub postgres: String,
    pub processor: String,
    pub processors: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// Of the minute before the start: figures of a busy machine say little.
    pub load_before: String,
    pub started: String,
}

const KAFKA_POM: &str = include_str!("../../../deploy/devstack/kafka/pom.xml");

impl Machine {
    pub fn describe(postgres: String) -> Self {
        let processor = value_of("/proc/cpuinfo", "model name");
        let memory = value_of("/proc/meminfo", "MemTotal");
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            throughline: env!("CARGO_PKG_VERSION"),
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
            rustc: output("rustc", &["--version"]),
            kafka: between(KAFKA_POM, "<kafka.version>", "<").to_owned(),
            client_library: kafka::client_version(),
            postgres,
            processor,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%MZ").to_string(),
        }
    }
}

impl Machine {
    /// What a reader must know beside the table.
    pub fn line(&self) -> String {
        format!(
            "{} × {}, {} MiB, Linux {}; Apache Kafka {}, PostgreSQL {}, {}; load before: {}; {} at {}",
            self.processors,
            self.processor,
            self.memory_mib,
            self.kernel,
            self.kafka,
            self.postgres,
            self.client_library,
            self.load_before,
            self.commit.as_deref().unwrap_or("no commit"),
            self.started,
        )
    }
}

fn value_of(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("unknown", |(found, _)| found)
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
