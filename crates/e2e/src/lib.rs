//! End-to-end tests drive built binaries on a whole stack, as a user would: start, publish, break things, wait, verify.

pub mod activity;
pub mod books;
pub mod crm;
pub mod erp;
pub mod foreign;
pub mod member;
pub mod platform;
pub mod topics;

use anyhow::{Context, Result, ensure};
use devstack::{Kind, Stack, StackConfig};
use events::{Deal, Envelope, Event, EventSet, wire};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, Registry, RegistryConfig};
use ledger::Ledger;
use std::{collections::BTreeMap, path::PathBuf, process::Stdio, sync::Arc, time::Duration};
use testkit::{Scratch, deals};
use verify::{Report, ServiceSource, Sources};

/// A running stack with `erp-sync`, in a folder of its own; gone when it is dropped.
pub struct Bench {
    pub stack: Stack,
    pub ledger: Arc<dyn Ledger>,
    pub registry: Registry,
    producer: Producer,
    ids: BTreeMap<&'static str, u32>,
    sources: Sources,
    scratch: Scratch,
}

/// Folder of the built binaries: the one above the tests' own.
pub fn binaries() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().find(|folder| folder.join("erp-sync").is_file());
    Ok(folder.context("build the binaries first: cargo build --workspace --bins")?.to_owned())
}

/// The ledger of a service of a stack.
async fn ledger_of(stack: &Stack, service: &str) -> Result<Arc<dyn Ledger>> {
    let endpoints = stack.endpoints();
    let url = match (&endpoints.postgres, &endpoints.sqlite) {
        // Under another name: who counts the connections of a service does not count ours.
        (Some(url), _) => format!("{url}?application_name=checker"),
        (None, Some(path)) => format!("sqlite://{}", devstack::services::sqlite_of(service, path)),
        (None, None) => anyhow::bail!("the stack has no ledger"),
    };
    Ok(ledger::open(&ledger::Config::new(url, ledger::schema_of(service))).await?)
}

impl Bench {
    /// With `erp-sync` alone.
    pub async fn start(kind: Kind, replicas: u16, name: &str) -> Result<Self> {
        Self::start_with(kind, &[("erp-sync", replicas)], name, |config| config).await
    }

    /// With replicas of these services, on a stack that may differ from the usual one.
    pub async fn start_with(
        kind: Kind,
        services: &[(&str, u16)],
        name: &str,
        change: impl FnOnce(StackConfig) -> StackConfig,
    ) -> Result<Self> {
        service::install_tls();
        let scratch = Scratch::try_new(name)?;
        let config = StackConfig { binaries: Some(binaries()?), ..StackConfig::new(kind, scratch.join("stack")) };
        let config =
            services.iter().fold(config, |config, (service, replicas)| config.with_service(service, *replicas));
        let stack = Stack::start(change(config)).await?;
        let endpoints = stack.endpoints();
        let client = ClientConfig { embedded: kind == Kind::Embedded, ..ClientConfig::new(&endpoints.kafka) };
        let ledger = ledger_of(&stack, "erp-sync").await?;
        let registry_config = RegistryConfig::new(&endpoints.registry);
        let registry = Registry::connect(registry_config.clone())?;
        let ids = consumer::runtime::schema_ids(&registry_config, events::topics::SUBJECTS).await?;
        let producer = Producer::start(&ProducerConfig {
            client: client.clone(),
            max_record_bytes: 8 << 20,
            ..ProducerConfig::default()
        })?;
        let service = ServiceSource { name: "erp-sync".to_owned(), ledger: ledger.clone() };
        let sources =
            Sources { kafka: client, registry: registry_config, service, outside: endpoints.outside("erp-sync") };
        Ok(Self { stack, ledger, registry, producer, ids, sources, scratch })
    }

    /// The stack's folder, as `throughline --data` takes it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.scratch.join("stack")
    }

    /// How to reach the brokers.
    #[must_use]
    pub const fn kafka(&self) -> &ClientConfig {
        &self.sources.kafka
    }

    /// Id of a topic's registered schema.
    #[must_use]
    pub fn schema_id(&self, topic: &str) -> u32 {
        self.ids.get(topic).copied().unwrap_or_default()
    }

    /// An event as the wire contract has it.
    #[must_use]
    pub fn record(&self, envelope: &Envelope, event: &Event) -> Outgoing {
        self.outgoing(event.topic(), event.account_id(), &event.encode_avro(), envelope)
    }

    /// What a CRM says of a deal, as the wire contract has it.
    #[must_use]
    pub fn deal(&self, event: impl Into<Deal>) -> Outgoing {
        let event = event.into();
        self.outgoing(event.topic(), event.account_id(), &event.encode_avro(), &deals::envelope(&event))
    }

    fn outgoing(&self, topic: &str, account: &str, avro: &[u8], envelope: &Envelope) -> Outgoing {
        Outgoing {
            topic: topic.into(),
            partition: None,
            key: Some(account.to_owned().into()),
            value: Some(wire::frame(self.schema_id(topic), avro).into()),
            headers: envelope.to_headers(),
            // That of the publication: a broker forgets by it, and a generated business lies years back.
            timestamp_ms: None,
        }
    }

    pub async fn publish(&self, records: &[Outgoing]) -> Result<()> {
        for ack in self.producer.send_all(records).await {
            ack?;
        }
        Ok(())
    }

    /// The ledger of a service.
    pub async fn ledger_of(&self, service: &str) -> Result<Arc<dyn Ledger>> {
        ledger_of(&self.stack, service).await
    }

    async fn sources_of(&self, service: &str) -> Result<Sources> {
        let outside = self.stack.endpoints().outside(service);
        let service = ServiceSource { name: service.to_owned(), ledger: self.ledger_of(service).await? };
        Ok(Sources { service, outside, ..self.sources.clone() })
    }

    /// Waits until a service has nothing left to do.
    pub async fn quiet(&self, service: &str, patience: Duration) -> Result<()> {
        let sources = self.sources_of(service).await?;
        Ok(verify::wait_until_quiet(&sources, patience, |_| {}).await?)
    }

    /// The same as [`Bench::verified`] for another service.
    pub async fn verified_of(&self, service: &str, patience: Duration) -> Result<Report> {
        let sources = self.sources_of(service).await?;
        let report = verify::verify_at_rest(&sources, patience, |_| {}).await?;
        ensure!(report.ok, "verification failed: {report:#?}");
        Ok(report)
    }

    /// The same for several that feed each other.
    pub async fn verified_all(&self, services: &[&str], patience: Duration) -> Result<()> {
        // What one of them tells is new to the next, and what that answers to the first.
        for service in services.iter().chain(services) {
            self.quiet(service, patience).await.with_context(|| format!("{service} comes to rest"))?;
        }
        for service in services {
            self.verified_of(service, patience).await.with_context(|| (*service).to_owned())?;
        }
        Ok(())
    }

    /// Waits until nothing is left to do and proves the invariants.
    pub async fn verified(&self, patience: Duration) -> Result<Report> {
        let report = verify::verify_at_rest(&self.sources, patience, |_| {}).await?;
        ensure!(report.ok, "verification failed: {report:#?}");
        Ok(report)
    }

    /// Runs the command line on the stack; answers what it printed as JSON.
    pub async fn throughline(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut command = tokio::process::Command::new(binaries()?.join("throughline"));
        command.args(arguments).args(["--output", "json"]).arg("--data").arg(self.data()).stdin(Stdio::null());
        let output = command.output().await.context("run throughline")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "throughline {}: {}: {complaint}", arguments.join(" "), output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Ends everything that was started.
    pub async fn stop(self) -> Result<()> {
        Ok(self.stack.stop().await?)
    }
}
