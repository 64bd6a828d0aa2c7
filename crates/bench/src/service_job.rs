//! One measured run of a service, or of its ceiling, on a stack whose topics are filled.
//!
//! No figure without proof: a run counts when everything is done and `verify` holds.

use crate::{
    job::{Job, Sample},
    kept::Kept,
    publish::send,
    replay::replay,
    usage::{self, Moment},
    watched::{Mode, Watched},
};
use analytics_feed::{AnalyticsFeed, Writer};
use anyhow::{Context as _, Result, bail, ensure};
use connectors::netsuite::NetSuite;
use consumer::{
    Handler, Nobody, Target,
    runtime::{Observer, RuntimeConfig, Service, run_on, schema_ids},
};
use devstack::Endpoints;
use erp_sync::{ErpSync, ErpTarget, Mapping, reply::Replies};
use kafka::{ClientConfig, Outgoing, Producer, ProducerConfig, RegistryConfig};
use ledger::{Ledger, SliceCommit, memory::MemoryLedger};
use service::{
    Health,
    config::{self, Config},
    shutdown,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use telemetry::Metrics;
use verify::{ServiceSource, Sources};

const FEED: &str = "analytics-feed";
const ERP: &str = "erp-sync";
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Rows handed to the bare producer at once.
const CHUNK: usize = 5_000;

/// The stack of a job.
struct On<'a> {
    job: &'a Job,
    data: PathBuf,
    endpoints: Endpoints,
}

impl<'a> On<'a> {
    fn the_stack_of(job: &'a Job) -> Result<Self> {
        let data = job.place.stack.clone().context("the run of a service needs a stack")?;
        let endpoints = Endpoints::read(&data)?;
        Ok(Self { job, data, endpoints })
    }

    /// What the stack would start the service with, or what the environment says.
    fn settings<C: Config>(&self, service: &str) -> Result<C> {
        let text = devstack::services::toml(service, None, &self.endpoints, &self.data, false)?;
        let file = self.data.join(format!("services/bench-{service}.toml"));
        std::fs::write(&file, text)?;
        let loaded = config::load(&config::Source::with_env(Some(file)));
        Ok(loaded.map_err(|problems| anyhow::anyhow!("{problems}"))?.config)
    }

    async fn postgres(&self, service: &str) -> Result<Arc<dyn Ledger>> {
        let schema = service.replace('-', "_");
        Ok(ledger::open(&ledger::Config::new(&self.job.place.postgres, &schema)).await?)
    }

    fn sources(&self, service: &str, ledger: Arc<dyn Ledger>) -> Sources {
        Sources {
            kafka: ClientConfig::new(&self.endpoints.kafka),
            registry: RegistryConfig::new(&self.endpoints.registry),
            service: ServiceSource { name: service.to_owned(), ledger },
            outside: if service == ERP { self.endpoints.outside(service) } else { Vec::new() },
        }
    }

    /// Works the backlog off, from the first record decided to the last commit.
    async fn work_off<H: Handler, T: Target<H::Effect>>(
        &self,
        (handler, target, config): (H, T, RuntimeConfig),
        watched: &Arc<Watched>,
    ) -> Result<Sample> {
        let name = handler.name();
        let (trigger, shutdown) = shutdown::channel();
        let observer = Observer::new(Arc::new(Metrics::new(name)), Health::new(PATIENCE), "nobody");
        let service = Service { handler, target, config, observer, shutdown };
        usage::reset_peak();
        let mut running = tokio::spawn(run_on(service, watched.clone()));
        let sources = self.sources(name, watched.clone());
        tokio::select! {
            quiet = self.until_done(watched, &sources) => quiet?,
            ended = &mut running => {
                ended?.context("the service ended by itself")?;
                bail!("the service ended before its work was done");
            }
        }
        let peak_bytes = Some(usage::peak_bytes());
        let (begun, ended) = watched.span().context("nothing was decided")?;
        trigger.drain(Duration::from_secs(10));
        running.await?.context("the service did not end well")?;
        let done = watched.done();
        eprintln!(
            "    {:?} in {} commits and {} transactions",
            watched.dispositions(),
            done.commits,
            done.transactions
        );
        let report = verify::verify(&sources).await?;
        ensure!(report.ok, "no figure: verification failed: {report:#?}");
        Ok(Sample { peak_bytes, ..self.sample(watched, begun, ended) })
    }

    /// Looks at the whole only when all records are read, so that looking costs the run nothing.
    async fn until_done(&self, watched: &Watched, sources: &Sources) -> Result<()> {
        let records = i64::try_from(self.job.records)?;
        let read = watched.until(|done| done.passed >= records);
        tokio::time::timeout(PATIENCE, read).await.context("not everything was read")?;
        Ok(verify::wait_until_quiet(sources, PATIENCE, |_| {}).await?)
    }

    fn sample(&self, watched: &Watched, begun: Moment, ended: Moment) -> Sample {
        let records_per_transaction = Some(self.job.records as f64 / watched.done().transactions.max(1) as f64);
        Sample { records_per_transaction, ..Sample::between(self.job.records, begun, ended) }
    }

    async fn feed(&self) -> Result<(AnalyticsFeed, Nobody, RuntimeConfig)> {
        let config: analytics_feed::ServiceConfig = self.settings(FEED)?;
        let pseudonyms = config.masking.pseudonyms().map_err(anyhow::Error::msg)?;
        let ids = schema_ids(&config.runtime.registry, Writer::subjects()).await?;
        Ok((AnalyticsFeed::new(pseudonyms, Writer::new(ids, events::Generation::FIRST)), Nobody, config.runtime))
    }

    async fn erp(&self) -> Result<(ErpSync, ErpTarget, RuntimeConfig)> {
        let config: erp_sync::ServiceConfig = self.settings(ERP)?;
        let mapping = Mapping::load(&config.erp.mapping).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let ids = schema_ids(&config.runtime.registry, Replies::subjects()).await?;
        let visibility = config.erp.visibility;
        let erp = NetSuite::try_new(config.erp.netsuite).map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
        let handler = ErpSync::replying(mapping, Replies::new(ids));
        Ok((handler, ErpTarget::new(Arc::new(erp), visibility), config.runtime))
    }
}

pub async fn feed(job: &Job) -> Result<Sample> {
    let on = On::the_stack_of(job)?;
    let watched = Watched::new(on.postgres(FEED).await?, Mode::Through);
    on.work_off(on.feed().await?, &watched).await
}

/// What the service committed and published, once more: the commits to PostgreSQL, the rows to the same topics, side by side.
pub async fn feed_replay(job: &Job) -> Result<Sample> {
    let on = On::the_stack_of(job)?;
    let kept = Watched::new(Arc::new(MemoryLedger::new()), Mode::Keep);
    on.work_off(on.feed().await?, &kept).await.context("the run whose commits are replayed")?;
    let commits = kept.take_kept();
    let rows: Vec<Outgoing> = commits.iter().flat_map(rows).collect();
    ensure!(!rows.is_empty(), "the service published nothing");
    let watched = Watched::new(on.postgres(FEED).await?, Mode::Through);
    let client = ClientConfig::new(&on.endpoints.kafka);
    let producer = Producer::start(&ProducerConfig { client, ..ProducerConfig::default() })?;
    let publishing = async {
        for chunk in rows.chunks(CHUNK) {
            send(&producer, chunk).await?;
        }
        Ok(())
    };
    let (span, ()) = tokio::try_join!(replay(&watched, commits), publishing)?;
    Ok(on.sample(&watched, span.0, Moment::now()))
}

fn rows(commit: &SliceCommit) -> impl Iterator<Item = Outgoing> + '_ {
    commit.body.outgoing.iter().map(|outgoing| Outgoing {
        topic: outgoing.event.topic.as_str().into(),
        partition: Some(outgoing.event.partition),
        key: outgoing.event.key.clone(),
        value: outgoing.event.value.clone(),
        headers: outgoing.event.headers.clone(),
        timestamp_ms: None,
    })
}

pub async fn erp(job: &Job) -> Result<Sample> {
    let on = On::the_stack_of(job)?;
    let watched = Watched::new(on.postgres(ERP).await?, Mode::Through);
    on.work_off(on.erp().await?, &watched).await
}

/// The calls that the service made, once more, to an ERP that has forgotten them.
pub async fn erp_calls(job: &Job) -> Result<Sample> {
    let on = On::the_stack_of(job)?;
    let (handler, target, config) = on.erp().await?;
    let kept = Kept::new(target);
    let ledger = Watched::new(Arc::new(MemoryLedger::new()), Mode::Through);
    on.work_off((handler, kept.clone(), config), &ledger).await.context("the run whose calls are repeated")?;
    let url = format!("{}/__admin/reset", on.endpoints.erp);
    reqwest::Client::new().post(url).send().await?.error_for_status().context("the ERP forgets")?;
    let begun = Moment::now();
    kept.repeat().await?;
    Ok(Sample::between(job.records, begun, Moment::now()))
}
