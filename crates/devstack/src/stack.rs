//! A whole stack, started and stopped as one. Tests, the demo and `throughline up` all use this.
//!
//! Processes that die are started again until they are held or the stack is stopped. Dropping a stack kills what it
//! started; [`Stack::stop`] ends it politely, services first and stores last.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use kafka::{ClientConfig, mock::MockBroker};
use sandbox::Sandbox;

use crate::{
    book::Book,
    endpoints::{ControlAt, Endpoints, Kind},
    error::{Error, Result},
    kafka_broker::Detour,
    parts::{self, Addresses},
    registry::Registry,
    services::{self, Service},
    setup,
    unit::{Program, Unit},
    watch::{Listener, Watched},
};

/// A service may have to read its ledger back and join its group first.
const READY: Duration = Duration::from_secs(120);

/// What to start, and what runs elsewhere already.
#[derive(Debug, Clone)]
pub struct StackConfig {
    pub kind: Kind,
    /// Folder of the stack, made if absent. Of real parts everything in it is continued.
    pub data: PathBuf,
    /// Brokers that run already, `host:port` separated by commas.
    pub kafka: Option<String>,
    /// How many brokers to start otherwise, 1 or 3. With three, topics have three copies.
    pub brokers: u16,
    /// A second listener of the broker, for services that are told another address of it.
    pub kafka_detour: Option<Detour>,
    /// URL of a schema registry that runs already.
    pub registry: Option<String>,
    /// URL of a PostgreSQL server that runs already. The schema of each service is made in its database.
    pub postgres: Option<String>,
    /// Services to run as processes of their own.
    pub services: Vec<Service>,
    /// Folder of our own binaries; `None` looks beside the running one.
    pub binaries: Option<PathBuf>,
    /// Services on real parts use `group.protocol=consumer` (KIP-848) instead of the classic one.
    pub new_group_protocol: bool,
    /// Further variables in the environment of services.
    pub environment: Vec<(String, String)>,
}

impl StackConfig {
    /// All parts, no services.
    #[must_use]
    pub fn new(kind: Kind, data: impl Into<PathBuf>) -> Self {
        let (data, services) = (data.into(), Vec::new());
        Self {
            kind,
            data,
            kafka: None,
            brokers: 1,
            kafka_detour: None,
            registry: None,
            postgres: None,
            services,
            binaries: None,
            new_group_protocol: false,
            environment: Vec::new(),
        }
    }

    /// Adds `replicas` processes of a service.
    #[must_use]
    pub fn with_service(mut self, service: &str, replicas: u16) -> Self {
        self.services.extend((1..=replicas).map(|replica| Service { service: service.to_owned(), replica }));
        self
    }
}

/// What runs inside this process.
#[derive(Default)]
pub(crate) struct Inside {
    pub broker: Option<MockBroker>,
    pub registry: Option<Registry>,
    pub sandbox: Option<Sandbox>,
    pub crm: Option<sandbox::salesforce::Sandbox>,
    /// Product platform, identity platform, billing system and tax engine.
    pub platforms: Vec<sandbox::entitlement::Sandbox>,
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broker = self.broker.as_ref().map(MockBroker::bootstrap);
        let rest = (&self.registry, &self.sandbox);
        f.debug_struct("Inside").field("broker", &broker).field("rest", &rest).finish()
    }
}

/// A running stack.
#[derive(Debug)]
pub struct Stack {
    book: Arc<Book>,
    addresses: Endpoints,
    services: Vec<Watched>,
    parts: Vec<Watched>,
    inside: Inside,
}

impl Stack {
    /// Starts everything, applies topics, registers schemas; returns when every service is ready.
    pub async fn start(config: StackConfig) -> Result<Self> {
        std::fs::create_dir_all(&config.data).map_err(Error::file("make the folder", &config.data))?;
        let data = config.data.canonicalize().map_err(Error::file("find", &config.data))?;
        let config = StackConfig { data, ..config };
        let book = Arc::new(Book::open(&config.data, config.kind).await?);
        let listen: Listener = listener(&book, false);
        let Addresses { endpoints, parts, inside } = match config.kind {
            Kind::Embedded => parts::embedded(&config).await?,
            Kind::Real => parts::real(&config, &listen).await?,
        };
        let mut stack = Self { book, addresses: endpoints, services: Vec::new(), parts, inside };
        stack.set_up(&config).await?;
        for service in &config.services {
            stack.start_service(service, &config).await?;
        }
        let endpoints = stack.current();
        stack.book.publish(endpoints);
        Ok(stack)
    }

    async fn set_up(&self, config: &StackConfig) -> Result<()> {
        setup::register_schemas(&self.addresses.registry).await?;
        match &self.inside.broker {
            Some(broker) => setup::create_topics(broker),
            None => setup::apply_topics(&ClientConfig::new(&self.addresses.kafka), config.brokers).await,
        }
    }

    /// Starts one process of a service on the running stack; returns when it is ready.
    pub async fn start_service(&mut self, service: &Service, config: &StackConfig) -> Result<()> {
        let (spec, ready) = services::prepare(service, &self.addresses, config)?;
        // Asked before it listens there: a port that is taken is not given twice.
        let control = (service.service == services::CONTROL).then(|| services::control_at(&config.data)).transpose()?;
        let program = Program::start(spec, ready).await?;
        let http = program.http().to_owned();
        let unit = Unit::Program(Box::new(program));
        self.services.push(Watched::start(&service.name(), unit, listener(&self.book, true)));
        if control.is_some() {
            self.addresses.control = control;
        }
        parts::until_answers(&service.name(), &format!("{http}/readyz"), READY).await
    }

    fn current(&self) -> Endpoints {
        let (services, parts) =
            self.book.running(&self.services.iter().map(|one| one.name.as_str()).collect::<Vec<_>>());
        Endpoints { services, parts, ..self.addresses.clone() }
    }

    /// Where everything is now; pids change when a process was started again.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.book.endpoints().unwrap_or_else(|| self.current())
    }

    /// Says in the folder where control is that somebody else runs on this stack.
    pub fn announce(&mut self, control: ControlAt) {
        self.addresses.control = Some(control);
        self.book.publish(self.current());
    }

    /// The in-process broker of the embedded kind, for faults.
    #[must_use]
    pub fn broker(&self) -> Option<&MockBroker> {
        self.inside.broker.as_ref()
    }

    /// The sandbox, if it runs in this process.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.inside.sandbox.as_ref()
    }

    fn watched(&self, name: &str) -> Result<&Watched> {
        let all = self.services.iter().chain(&self.parts);
        let found = all.into_iter().find(|one| one.name == name);
        found.ok_or_else(|| Error::NoProcess { name: name.to_owned() })
    }

    /// `kill -9` of `kafka` (the others are `kafka-2` and `kafka-3`), `postgres`, `registry`, `sandbox`, `crm-sandbox`, `product-sandbox`,
    /// `identity-sandbox`, `stripe-sandbox`, `tax-sandbox` or a service. It comes back by itself.
    pub async fn kill(&self, name: &str) -> Result<()> {
        self.watched(name)?.kill().await;
        Ok(())
    }

    /// Stops a process until it is released.
    pub async fn hold(&self, name: &str) -> Result<()> {
        self.watched(name)?.hold().await;
        Ok(())
    }

    /// Starts a held process again, on the same address.
    pub async fn release(&self, name: &str) -> Result<()> {
        self.watched(name)?.release().await;
        Ok(())
    }

    /// Ends everything politely and says so in the folder.
    pub async fn stop(self) -> Result<()> {
        let Self { book, addresses: _, services, parts, inside } = self;
        futures::future::join_all(services.into_iter().map(Watched::stop)).await;
        let (stores, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| parts::is_store(&part.name));
        futures::future::join_all(others.into_iter().map(Watched::stop)).await;
        if let Some(sandbox) = inside.sandbox {
            sandbox.stop().await?;
        }
        if let Some(crm) = inside.crm {
            crm.stop().await?;
        }
        for platform in inside.platforms {
            platform.stop().await?;
        }
        if let Some(registry) = inside.registry {
            registry.stop().await?;
        }
        futures::future::join_all(stores.into_iter().map(Watched::stop)).await;
        drop(inside.broker);
        // The tasks that held the other references are over.
        Arc::into_inner(book).map_or(Ok(()), Book::close)
    }
}

fn listener(book: &Arc<Book>, is_service: bool) -> Listener {
    let book = Arc::clone(book);
    Arc::new(move |name, news| book.note(name, is_service, news))
}
