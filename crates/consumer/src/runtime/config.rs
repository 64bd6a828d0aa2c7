//! Settings of every service that reads Kafka: brokers, registry, ledger, bounds. Durations and sizes carry their units in the file.

use super::letters::Letters;
use crate::machine::{Settings, StopTheLine};
use kafka::{
    ClientConfig, ConsumerConfig, GroupProtocol, RegistryConfig,
    config::{Mechanism, Protocol, Sasl, Security},
    registry::Auth,
};
use secrecy::SecretString;
use service::config::{Bytes, Config, Section};
use std::{path::PathBuf, time::Duration};

/// `[kafka]`, `[registry]`, `[ledger]`, `[runtime]` and `[letters]`.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    pub kafka: Kafka,
    pub registry: RegistryConfig,
    pub ledger: ledger::Config,
    pub runtime: Runtime,
    pub letters: Letters,
}

#[derive(Debug, Clone)]
pub struct Kafka {
    pub client: ClientConfig,
    pub protocol: GroupProtocol,
    pub session_timeout: Option<Duration>,
    pub instance_id: Option<String>,
}

/// Bounds and waits; the defaults suit 12 partitions and 100 MB.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Records in one journal entry, at most.
    pub batch_records: usize,
    /// Bytes of records in memory, over all slices.
    pub memory: Bytes,
    /// Largest record that is decoded.
    pub max_record: Bytes,
    /// How long an unknown schema id may become known.
    pub schema_grace: Duration,
    /// How long a record may wait for another before it becomes a dead letter.
    pub not_yet_deadline: Duration,
    /// Dead letters in a row that stop a slice.
    pub letters_in_row: u32,
    /// What the two rules below look back on.
    pub letters_window: Duration,
    /// Dead letters within the window that stop a slice; 0: no such rule.
    pub letters_in_window: u32,
    /// Percent of the events that ended within the window; 0: no such rule.
    pub letters_percent: u32,
    /// From so many ended events on.
    pub letters_percent_from: u32,
    /// How long a revocation may drain.
    pub drain_deadline: Duration,
    /// How long a silent topic is waited for while behind.
    pub merge_wait: Duration,
    /// Longest wait between tries of a parked head.
    pub parked_retry_max: Duration,
    /// How long identities and journal are kept; must be longer than any input topic keeps its records.
    pub identity_horizon: Duration,
    /// Whether the service tells data teams of its own work.
    pub reports: bool,
    /// Transactions at once.
    pub committers: usize,
}

impl Config for RuntimeConfig {
    fn read(section: &mut Section<'_>) -> Self {
        let Registry(registry) = section.section("registry");
        let Ledger(ledger) = section.section("ledger");
        let (kafka, runtime) = (section.section("kafka"), section.section("runtime"));
        Self { kafka, registry, ledger, runtime, letters: section.section("letters") }
    }
}

impl Kafka {
    /// The shortest silence after which the group may give our slices to others. With protocol `consumer` the broker decides; its
    /// own lower bound is longer than this.
    #[must_use]
    pub fn session(&self) -> Duration {
        const CLASSIC_DEFAULT: Duration = Duration::from_secs(10);
        self.session_timeout.unwrap_or(CLASSIC_DEFAULT)
    }
}

impl Config for Kafka {
    fn read(s: &mut Section<'_>) -> Self {
        let brokers = s.required("brokers", "host:port, several separated by commas");
        let embedded = s.or("embedded", false, "the brokers are the in-process ones of a demo");
        let words = [("classic", GroupProtocol::Classic), ("consumer", GroupProtocol::Consumer)];
        let protocol =
            s.choice("protocol", "classic", &words, "how members of the group agree (`consumer` is KIP-848)");
        let session_timeout =
            s.optional("session_timeout", "a member that is silent for so long is replaced (classic only)");
        let instance_id = s.optional("instance_id", "static membership: a name that survives restarts");
        let client = ClientConfig {
            brokers,
            client_id: s.or("client_id", "throughline".to_owned(), "name in the brokers' logs and quotas"),
            security: security(s),
            properties: s.map("properties", "further librdkafka properties that tune"),
            embedded,
        };
        for problem in client.problems() {
            s.rule(&["security"], false, &problem, "see docs/operate/configuration.md");
        }
        Self { client, protocol, session_timeout, instance_id }
    }
}

fn security(s: &mut Section<'_>) -> Security {
    let words = [
        ("plaintext", Protocol::Plaintext),
        ("tls", Protocol::Tls),
        ("sasl_plaintext", Protocol::SaslPlaintext),
        ("sasl_tls", Protocol::SaslTls),
    ];
    let protocol = s.choice("security", "plaintext", &words, "transport and authentication");
    let mechanisms = [
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::ScramSha256),
        ("SCRAM-SHA-512", Mechanism::ScramSha512),
    ];
    let mechanism = s.choice("sasl_mechanism", "SCRAM-SHA-512", &mechanisms, "how the user proves itself");
    let username: Option<String> = s.optional("sasl_username", "user of this service");
    let password = s.secret("sasl_password", "password of this service");
    Security {
        protocol,
        ca_file: s.optional::<PathBuf>("ca_file", "PEM file of the certificate authorities"),
        certificate_file: s.optional::<PathBuf>("certificate_file", "PEM file of the client's certificate"),
        key_file: s.optional::<PathBuf>("key_file", "PEM file of the client's key"),
        key_password: s.secret("key_password", "password of the client's key"),
        sasl: username.map(|username| Sasl { mechanism, username, password, password_file: None }),
    }
}

/// `[registry]`, as every program reads it.
#[derive(Debug)]
pub struct Registry(pub RegistryConfig);

impl Config for Registry {
    fn read(s: &mut Section<'_>) -> Self {
        let mut config = RegistryConfig::new(s.required::<String>("url", "address of the schema registry"));
        let user: Option<String> = s.optional("username", "user for basic authentication");
        let password = s.secret("password", "password for basic authentication");
        let token = s.secret("token", "bearer token");
        config.auth = match (user, password, token) {
            (Some(username), password, _) => {
                Auth::Basic { username, password: password.unwrap_or_else(|| SecretString::from(String::new())) }
            }
            (None, _, Some(token)) => Auth::Bearer { token },
            (None, _, None) => Auth::None,
        };
        config.ca_file = s.optional("ca_file", "PEM file of the certificate authorities");
        let timeout = s.or("timeout", Duration::from_secs(4), "longest wait for an answer");
        config.timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self(config)
    }
}

struct Ledger(ledger::Config);

impl Config for Ledger {
    fn read(s: &mut Section<'_>) -> Self {
        let url = s.required::<String>("url", "postgres://user@host:port/database or sqlite:///path/file.db");
        let schema = s.or("schema", "throughline".to_owned(), "PostgreSQL schema of this service");
        let mut config = ledger::Config::new(url, schema);
        config.password = s.secret("password", "password of the database user");
        config.connections = s.or("connections", 4, "database connections");
        config.tls_ca_file = s.optional("ca_file", "PEM file of the authorities for TLS");
        Self(config)
    }
}

impl Config for Runtime {
    fn read(s: &mut Section<'_>) -> Self {
        let runtime = Self {
            batch_records: s.or("batch_records", 1_000, "records in one journal entry"),
            memory: s.or("memory", Bytes::mib(16), "bytes of records in memory, over all slices"),
            max_record: s.or("max_record", Bytes::mib(1), "largest record that is decoded"),
            schema_grace: s.or(
                "schema_grace",
                Duration::from_secs(10),
                "how long an unknown schema id may become known",
            ),
            not_yet_deadline: s.or(
                "not_yet_deadline",
                Duration::from_secs(24 * 3_600),
                "longest wait for another event",
            ),
            letters_in_row: s.or("letters_in_row", 50, "dead letters in a row, if there are more the slice stops"),
            letters_window: s.or("letters_window", Duration::from_secs(60), "what the next three settings look back on"),
            letters_in_window: s.or(
                "letters_in_window",
                0,
                "dead letters within the window, if there are more the slice stops; 0: no such rule",
            ),
            letters_percent: s.or(
                "letters_percent",
                50,
                "share of the events that ended within the window, if more became dead letters the slice stops; 0: no such rule",
            ),
            letters_percent_from: s.or(
                "letters_percent_from",
                200,
                "events that must have ended within the window before the share is looked at",
            ),
            drain_deadline: s.or("drain_deadline", Duration::from_secs(5), "how long a revocation may drain"),
            merge_wait: s.or("merge_wait", Duration::from_secs(1), "how long a silent topic is waited for"),
            parked_retry_max: s.or(
                "parked_retry_max",
                Duration::from_secs(60),
                "longest wait between tries of a parked head",
            ),
            identity_horizon: s.or(
                "identity_horizon",
                Duration::from_secs(120 * 24 * 3_600),
                "how long identities are kept; longer than any input topic keeps its records",
            ),
            reports: s.or(
                "reports",
                true,
                "whether recovered events and latencies are told in the analytics topics for them, if these topics exist",
            ),
            committers: s.or("committers", 2, "transactions at once"),
        };
        s.rule(&["batch_records"], runtime.batch_records > 0, "must be at least 1", "1000 is a good value");
        let second = Duration::from_secs(1);
        s.rule(&["letters_window"], runtime.letters_window >= second, "must be at least 1s", "1m is a good value");
        s.rule(&["letters_percent"], runtime.letters_percent <= 100, "must be at most 100", "0 switches it off");
        s.rule(
            &["letters_percent_from"],
            runtime.letters_percent_from > 0,
            "must be at least 1",
            "200 is a good value",
        );
        s.rule(&["letters_in_row"], runtime.letters_in_row > 0, "must be at least 1", "50 is a good value");
        s.rule(&["committers"], runtime.committers > 0, "must be at least 1", "2 is a good value");
        s.rule(&["memory"], runtime.memory.0 >= 1 << 20, "must be at least 1 MiB", "16 MiB is a good value");
        runtime
    }
}

/// How the bytes of records in memory are shared out: one part in so many for what the client library has fetched, for what is
/// delivered and not yet looked at, for what waits for others of its sequence, for what waits for its effects, and for what is
/// published and not acknowledged.
const QUEUED: usize = 6;
const BACKLOG: usize = 3;
const WAITING: usize = 4;
const STEPS: usize = 4;
const OUTBOX: usize = 4;
/// Documents and identities may take half as much each, besides.
const DOCUMENTS: usize = 2;
const IDENTITIES: usize = 2;
/// What an identity takes.
const IDENTITY_BYTES: usize = 100;

impl RuntimeConfig {
    /// The group consumer of a service.
    #[must_use]
    pub fn consumer(&self, group: &str, topics: &[&str]) -> ConsumerConfig {
        let mut config = ConsumerConfig::new(self.kafka.client.clone(), group, topics.iter().copied());
        config.protocol = self.kafka.protocol;
        config.session_timeout_ms =
            self.kafka.session_timeout.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        config.instance_id.clone_from(&self.kafka.instance_id);
        config.drain_deadline_ms = u64::try_from(self.runtime.drain_deadline.as_millis()).unwrap_or(u64::MAX);
        let memory = self.runtime.memory.as_usize();
        config.queue_kib = (memory / QUEUED / 1024).max(64);
        config.backlog_bytes = (memory / BACKLOG).max(64 * 1024);
        // One record that waits keeps the buffer of its batch, and one batch more than the bound may be on its way per partition.
        config.batch_bytes = 32 * 1024;
        // What is delivered at once comes on top of a full inbox.
        config.batch_records = config.batch_records.min(self.runtime.batch_records);
        config
    }

    fn line(&self) -> StopTheLine {
        let runtime = &self.runtime;
        StopTheLine {
            in_row: runtime.letters_in_row,
            window: runtime.letters_window,
            letters: runtime.letters_in_window,
            percent: runtime.letters_percent,
            percent_from: runtime.letters_percent_from,
        }
    }

    /// Bounds of one slice's machine when this member may own up to `slices` of them.
    #[must_use]
    pub fn settings(&self, slices: usize) -> Settings {
        let defaults = Settings::default();
        let of_slice = self.runtime.memory.as_usize() / slices.max(1);
        Settings {
            batch_records: self.runtime.batch_records,
            // Only for one topic that runs ahead: what all of them hold is bounded by what may be delivered.
            inbox_bytes: of_slice.max(64 * 1024),
            waiting_bytes: (of_slice / WAITING).max(64 * 1024),
            open_step_bytes: (of_slice / STEPS).max(64 * 1024),
            outbox_bytes: (of_slice / OUTBOX).max(64 * 1024),
            inbox_records: self.runtime.batch_records * 2,
            waiting_records: self.runtime.batch_records * 2,
            document_cache_bytes: (of_slice / DOCUMENTS).max(256 * 1024),
            merge_wait: self.runtime.merge_wait,
            not_yet_deadline: self.runtime.not_yet_deadline,
            line: self.line(),
            letter_aliases: self.letters.aliases.clone(),
            parked_retry: failure::RetryPolicy { max: self.runtime.parked_retry_max, ..defaults.parked_retry.clone() },
            recent_identities: (of_slice / IDENTITIES / IDENTITY_BYTES).clamp(2_000, 50_000),
            ..defaults
        }
    }
}
