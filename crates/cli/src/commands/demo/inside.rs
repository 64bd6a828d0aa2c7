//! The services inside this process, each with threads of its own, so that it can be killed: its tasks stop wherever they are, nothing
//! is drained, and its consumer does not leave its group.

use crate::exit::{Result, Trouble};
use devstack::Stack;
use service::{
    Context, Stop, Trigger, Whole,
    config::{Config, Source, load},
    health::Health,
    shutdown,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use telemetry::Metrics;
use tokio::runtime::Runtime;

/// Which of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    ErpSync,
    CrmSync,
    AnalyticsFeed,
    OrderFlow,
    Provisioning,
}

impl Which {
    const fn name(self) -> &'static str {
        match self {
            Self::ErpSync => "erp-sync",
            Self::CrmSync => "crm-sync",
            Self::AnalyticsFeed => "analytics-feed",
            Self::OrderFlow => "order-flow",
            Self::Provisioning => "provisioning",
        }
    }
}

pub(super) struct Running {
    which: Which,
    config: PathBuf,
    runtime: Option<Runtime>,
    trigger: Trigger,
    ended: tokio::task::JoinHandle<()>,
    metrics: Arc<Metrics>,
}

/// A service that has not become busy by then has nothing to do.
const BUSY_WITHIN: Duration = Duration::from_secs(20);
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

impl Running {
    pub(super) fn start(which: Which, stack: &Stack, data: &Path) -> Result<Self> {
        let text = devstack::services::toml(which.name(), Some(0), &stack.endpoints(), data, false);
        let text = text.map_err(|error| Trouble::failed("STACK", error.to_string()))?;
        let config = data.join(format!("{}.toml", which.name()));
        std::fs::write(&config, text)
            .map_err(|error| Trouble::failed("DATA", format!("{}: {error}", config.display())))?;
        Self::from_config(which, config)
    }

    fn from_config(which: Which, config: PathBuf) -> Result<Self> {
        match which {
            Which::ErpSync => Self::spawn(which, config, erp_sync::run),
            Which::CrmSync => Self::spawn(which, config, crm_sync::run),
            Which::AnalyticsFeed => Self::spawn(which, config, analytics_feed::run),
            Which::OrderFlow => Self::spawn(which, config, order_flow::run),
            Which::Provisioning => Self::spawn(which, config, provisioning::run),
        }
    }

    fn spawn<C, F>(which: Which, config: PathBuf, run: fn(Context<C>) -> F) -> Result<Self>
    where
        C: Config,
        F: Future<Output = std::result::Result<(), Stop>> + Send + 'static,
    {
        let source = Source { file: Some(config.clone()), ..Source::default() };
        let loaded = load::<Whole<C>>(&source).map_err(|problems| Trouble::failed("CONFIG", problems.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::failed("RUNTIME", error.to_string()))?;
        let (trigger, shutdown) = shutdown::channel();
        let metrics = Arc::new(Metrics::new(which.name()));
        let context = Context {
            config: loaded.config.own,
            health: Health::new(Duration::from_secs(30)),
            metrics: metrics.clone(),
            shutdown,
            fail_fast: false,
            url: String::new(),
        };
        let running = run(context);
        let ended = runtime.spawn(async move {
            if let Err(stop) = running.await {
                eprintln!("{} ended: {stop}", which.name());
            }
        });
        Ok(Self { which, config, runtime: Some(runtime), trigger, ended, metrics })
    }

    /// Waits until effects are under way, so that a kill hits work.
    pub(super) async fn busy(&self) {
        let deadline = tokio::time::Instant::now() + BUSY_WITHIN;
        while self.metrics.open_intents.get() == 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends it as a crash would.
    pub(super) async fn kill(&mut self) {
        self.trigger.hurry();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // Aborted or finished: either way it is over.
        let _ = (&mut self.ended).await;
    }

    pub(super) fn restart(&mut self) -> Result<()> {
        *self = Self::from_config(self.which, self.config.clone())?;
        Ok(())
    }

    /// Ends it politely.
    pub(super) async fn drain(mut self) {
        self.trigger.drain(DRAIN_WITHIN);
        let _ = tokio::time::timeout(DRAIN_WITHIN, &mut self.ended).await;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Control on this stack, which then tells where it is. Dropping it stops it.
pub(super) async fn control(stack: &mut Stack, data: &Path) -> Result<control::Server> {
    let services = super::super::SERVICES;
    let (text, at) = devstack::services::control_toml(None, services, &stack.endpoints(), data)
        .map_err(|error| Trouble::failed("STACK", error.to_string()))?;
    let file = data.join("control.toml");
    std::fs::write(&file, text).map_err(|error| Trouble::failed("DATA", format!("{}: {error}", file.display())))?;
    let source = Source { file: Some(file), ..Source::default() };
    let loaded = load::<Whole<control::ControlConfig>>(&source);
    let config = loaded.map_err(|problems| Trouble::failed("CONFIG", problems.to_string()))?.config.own;
    let app = control::app_of(&config, control::system_clock()).map_err(|error| Trouble::failed("CONTROL", error))?;
    let server = control::serve(config.api.bind, Arc::new(app)).await;
    let server = server.map_err(|error| Trouble::failed("CONTROL", format!("{}: {error}", config.api.bind)))?;
    stack.announce(at);
    Ok(server)
}

/// Whatever ends the demo: a runtime may not be waited for where others run.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
