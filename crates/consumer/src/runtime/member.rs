//! One member of a service's group: gives each slice it is assigned a task of its own, and shares the clients between them.

use super::{
    awake::Awake,
    caller::{Caller, Request, now_ms},
    committer::{CommitRequest, Committer},
    config::RuntimeConfig,
    decode::RegistryDecoder,
    observe::Observer,
    relay::{NUMBER_HEADER, Tail},
    schemas::schema_ids_at_start,
    slice::{self, Delivery, Ended, Inbox, SliceHandle, SliceInput},
};
use crate::{
    handler::{Handler, Target},
    machine::{REPORTS, Reports, Settings, millis_of},
    replay,
    upkeep::Policy,
};
use async_trait::async_trait;
use events::{
    EventSet,
    topics::{self, ANALYTICS_EVENT_RECOVERY, ANALYTICS_SYNC_LATENCY},
};
use kafka::{
    Admin, Consumer, Producer, ProducerConfig, Registry, TopicPartition,
    consumer::{Done, Event},
    drain::Drain,
};
use ledger::{DecisionHorizon, Ledger};
use service::{Stop, shutdown::Shutdown};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};
use telemetry::failpoint;
use tokio::sync::{Mutex, mpsc, watch};

/// What all slices of a member share.
pub struct Shared<H: Handler> {
    pub handler: Arc<H>,
    pub settings: Settings,
    pub topics: Vec<Arc<str>>,
    /// Name of this member in ledgers and audit rows.
    pub member: String,
    pub ledger: Arc<dyn Ledger>,
    pub decoder: Arc<RegistryDecoder<H::Event>>,
    pub consumer: Consumer,
    pub producer: Producer,
    pub tail: Box<dyn Tail>,
    pub calls: mpsc::UnboundedSender<Request<H::Effect>>,
    pub commits: mpsc::UnboundedSender<CommitRequest>,
    /// What slices do about their letters by themselves.
    pub policy: Policy,
    pub observer: Observer,
}

/// What makes a service: its decision, its outside system, and what to report to.
pub struct Service<H: Handler, T: Target<H::Effect>> {
    pub handler: H,
    pub target: T,
    pub config: RuntimeConfig,
    pub observer: Observer,
    pub shutdown: Shutdown,
}

/// Why a member ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("configuration: {0}")]
    Config(String),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("slice {slice}: {reason}")]
    Slice { slice: i32, reason: String },
}

impl Error {
    /// How the process of a service ends for it. Not a `From`: `?` would take the general one, for which everything is a crash.
    #[must_use]
    pub fn into_stop(self) -> Stop {
        match self {
            Self::Config(text) => Stop::Config(text),
            Self::Ledger(_) | Self::Kafka(_) | Self::Slice { .. } => Stop::Crash(self.into()),
        }
    }
}

/// A fenced slice is taken over again only after this long: by then Kafka has told us whether it is still ours.
const AFTER_FENCED: Duration = Duration::from_secs(3);

/// Runs a service until it is asked to end.
pub async fn run<H: Handler, T: Target<H::Effect>>(service: Service<H, T>) -> Result<(), Error> {
    let ledger = tokio::select! {
        ledger = open_ledger(&service.config, &service.observer) => ledger?,
        () = service.shutdown.draining() => return Ok(()),
    };
    run_on(service, ledger).await
}

/// The same on a ledger that is open already: for measurements and tests, which look into it or wrap it.
pub async fn run_on<H: Handler, T: Target<H::Effect>>(
    service: Service<H, T>,
    ledger: Arc<dyn Ledger>,
) -> Result<(), Error> {
    let Service { handler, target, config, observer, shutdown } = service;
    let admin = Admin::connect(&config.kafka.client)?;
    let checked = tokio::select! {
        checked = check_topics::<H>(&admin, &handler, &observer) => checked,
        () = shutdown.draining() => return Ok(()),
    };
    let Checked { partitions, outputs, replays, reports } = checked;
    let lane = replay::topic(handler.name());
    let names: Vec<&str> = H::Event::topics().into_iter().chain(replays.then_some(lane.as_str())).collect();
    let topics: Vec<Arc<str>> = names.iter().copied().map(Arc::from).collect();
    let (consumer, events) = Consumer::start(config.consumer(handler.name(), &names))?;
    let mut settings = config.settings(usize::try_from(partitions).unwrap_or(1));
    settings.reports = tokio::select! {
        made = reports_of(&config, &reports, &observer) => made?,
        () = shutdown.draining() => return Ok(()),
    };
    settings.partitions = Arc::new(outputs.into_iter().chain(reports).collect());
    let limits = target.limits();
    settings.visibility = Duration::from_millis(u64::try_from(limits.visibility_ms).unwrap_or(0));
    settings.absences = if limits.visibility_ms > 0 { 2 } else { 1 };
    let (calls, call_requests) = mpsc::unbounded_channel();
    let (commits, commit_requests) = mpsc::unbounded_channel();
    let (_all, all_slices) = watch::channel(usize::try_from(partitions).unwrap_or(1));
    let awake = Awake::new(config.kafka.session());
    let caller = Caller::new(Arc::new(target), call_requests, all_slices, (ledger.clone(), awake), observer.clone());
    let committer = Committer {
        ledger: ledger.clone(),
        requests: Arc::new(Mutex::new(commit_requests)),
        observer: observer.clone(),
    };
    let mut tasks = vec![tokio::spawn(caller.run())];
    tasks.extend((0..config.runtime.committers).map(|_| tokio::spawn(committer.clone().run())));
    let producer_config = ProducerConfig {
        client: config.kafka.client.clone(),
        delivery_timeout_ms: FOR_EVER_MS,
        ..ProducerConfig::default()
    };
    let limits = events::wire::Limits { max_record_bytes: config.runtime.max_record.as_usize(), ..Default::default() };
    let registry = Registry::connect(config.registry.clone()).map_err(|error| Error::Config(error.to_string()))?;
    let shared = Arc::new(Shared {
        member: format!("{}@{}:{}", handler.name(), host_name(), std::process::id()),
        handler: Arc::new(handler),
        settings,
        topics,
        ledger,
        decoder: Arc::new(RegistryDecoder::new(
            registry,
            limits,
            config.runtime.schema_grace,
            observer.clone(),
            partitions,
        )),
        producer: Producer::start(&producer_config)?,
        tail: Box::new(KafkaTail(config.clone())),
        consumer: consumer.clone(),
        calls,
        commits,
        policy: config.letters.policy.clone(),
        observer: observer.clone(),
    });
    let (horizon, prune_at) = (config.runtime.identity_horizon, now_ms() + millis_of(PRUNE_EVERY));
    let keep_decisions = config.letters.keep_decisions;
    let member = Member {
        shared,
        slices: HashMap::new(),
        assigned: BTreeMap::new(),
        again: BTreeMap::new(),
        horizon,
        keep_decisions,
        prune_at,
    };
    observer.health().started();
    let ended = member.drive(events, shutdown).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    ended
}

/// An acknowledgement is waited for, however long the broker is away: giving up would reorder.
const FOR_EVER_MS: u64 = i32::MAX as u64;

async fn open_ledger(config: &RuntimeConfig, observer: &Observer) -> Result<Arc<dyn Ledger>, Error> {
    Ok(super::committer::retrying("open the ledger", observer, || ledger::open(&config.ledger)).await?)
}

/// All inputs must have the same number of partitions, or slices would not exist; outputs must exist. Waits until that holds.
async fn check_topics<H: Handler>(admin: &Admin, handler: &H, observer: &Observer) -> Checked {
    loop {
        match try_check_topics::<H>(admin, handler).await {
            Ok(checked) => {
                observer.health().clear("NOT_COPARTITIONED");
                observer.broker(None);
                return checked;
            }
            Err(TopicTrouble::Broker(reason)) => observer.broker(Some(&reason)),
            Err(TopicTrouble::Wrong(reason)) => {
                tracing::error!(reason, "waiting for the topics to be right");
                observer.health().block("NOT_COPARTITIONED", reason);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The topics as they are.
struct Checked {
    /// Of each input topic.
    partitions: i32,
    /// Partitions of each output.
    outputs: HashMap<String, i32>,
    /// Whether the service has a replay topic: it need not have one.
    replays: bool,
    /// Partitions of the topics in which it tells of its own work: it need not have these either.
    reports: HashMap<String, i32>,
}

/// What the service tells of its own work, by the topics that are there and if it is to tell at all.
async fn reports_of(
    config: &RuntimeConfig,
    present: &HashMap<String, i32>,
    observer: &Observer,
) -> Result<Reports, Error> {
    if !config.runtime.reports {
        return Ok(Reports::default());
    }
    let outside = observer.outside_system();
    let mut subjects: Vec<&'static topics::Subject> = Vec::new();
    for topic in REPORTS {
        if present.contains_key(topic) && (topic != ANALYTICS_SYNC_LATENCY || outside.is_some()) {
            subjects.extend(topics::find(topic));
        }
    }
    let ids = schema_ids_at_start(&config.registry, subjects, observer.health()).await?;
    Ok(Reports {
        recovery: ids.get(ANALYTICS_EVENT_RECOVERY).copied(),
        latency: ids.get(ANALYTICS_SYNC_LATENCY).copied().zip(outside),
    })
}

enum TopicTrouble {
    Broker(String),
    Wrong(String),
}

async fn try_check_topics<H: Handler>(admin: &Admin, handler: &H) -> Result<Checked, TopicTrouble> {
    let present = admin.list().await.map_err(|error| TopicTrouble::Broker(error.to_string()))?;
    let missing =
        |topic: &str| TopicTrouble::Wrong(format!("topic `{topic}` does not exist: run `throughline topics apply`"));
    let mut partitions = BTreeMap::new();
    for topic in H::Event::topics() {
        let count = present.get(topic).ok_or_else(|| missing(topic))?;
        partitions.entry(*count).or_insert_with(Vec::new).push(topic);
    }
    let lane = replay::topic(handler.name());
    let replays = present.get(&lane);
    if let Some(count) = replays {
        partitions.entry(*count).or_insert_with(Vec::new).push(&lane);
    }
    if partitions.len() > 1 {
        let text = format!("input topics have different numbers of partitions: {partitions:?}");
        return Err(TopicTrouble::Wrong(text));
    }
    let letters = format!("dlq.{}", handler.name());
    let mut outputs = HashMap::new();
    for topic in handler.outputs().into_iter().chain([letters.as_str()]) {
        outputs.insert(topic.to_owned(), *present.get(topic).ok_or_else(|| missing(topic))?);
    }
    let known = |topic: &str| Some((topic.to_owned(), *present.get(topic)?));
    let reports = REPORTS.into_iter().filter_map(known).collect();
    let partitions = partitions.into_keys().next().unwrap_or(0);
    Ok(Checked { partitions, outputs, replays: replays.is_some(), reports })
}

struct Member<H: Handler> {
    shared: Arc<Shared<H>>,
    slices: HashMap<i32, SliceHandle>,
    /// Topics assigned so far, per slice: it starts when it has all of them.
    assigned: BTreeMap<i32, BTreeSet<Arc<str>>>,
    /// Slices to be taken over again, and when.
    again: BTreeMap<i32, i64>,
    /// How long identities are kept, and when the ledger is pruned next.
    horizon: Duration,
    keep_decisions: Duration,
    prune_at: i64,
}

/// Whole days are dropped, so a few looks a day are enough. The first one waits, so that a restart costs nothing.
const PRUNE_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Predictions changed nothing: they are kept for whoever looks at a plan of today.
const PREDICTIONS_KEPT: Duration = Duration::from_secs(24 * 3_600);

impl<H: Handler> Member<H> {
    async fn drive(mut self, mut events: kafka::consumer::EventReceiver, shutdown: Shutdown) -> Result<(), Error> {
        let mut leaving = None;
        let mut ticker = tokio::time::interval(Duration::from_millis(500));
        loop {
            self.shared.observer.health().tick();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.event(event)?,
                    None if leaving.is_some() => return self.all_gone().await,
                    None => return Err(kafka::Error::Closed.into()),
                },
                () = shutdown.draining(), if leaving.is_none() => {
                    failpoint::hit("c14");
                    let consumer = self.shared.consumer.clone();
                    leaving = Some(tokio::spawn(async move { consumer.close().await }));
                }
                () = shutdown.hurrying() => {
                    self.shared.consumer.abandon().await;
                    return Ok(());
                }
                _ = ticker.tick() => self.tend().await?,
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Assigned(partitions) => self.assign(partitions),
            Event::Revoked { partitions, done } => self.revoke(&partitions, &done),
            Event::Lost(partitions) => self.lose(&partitions),
            Event::Records(batch) => {
                if let Some(handle) = self.slices.get(&batch.partition.partition) {
                    handle.deliveries.send(Delivery::Batch(batch)).ok();
                }
            }
            Event::End { partition, offset, generation } => {
                if let Some(handle) = self.slices.get(&partition.partition) {
                    handle.deliveries.send(Delivery::End { topic: partition.topic, offset, generation }).ok();
                }
            }
            // Every slice looks at its positions again when it is taken over.
            Event::OutOfRange => {
                self.slices.keys().copied().collect::<Vec<_>>().into_iter().for_each(|slice| self.restart(slice))
            }
            Event::Error(error @ (kafka::Error::Fatal { .. } | kafka::Error::Config(_))) => return Err(error.into()),
            Event::Error(error) => tracing::warn!(%error, "kafka"),
        }
        Ok(())
    }

    fn assign(&mut self, partitions: Vec<TopicPartition>) {
        for partition in partitions {
            let topics = self.assigned.entry(partition.partition).or_default();
            topics.insert(partition.topic);
            if topics.len() == self.shared.topics.len() && !self.slices.contains_key(&partition.partition) {
                self.start(partition.partition);
            }
        }
    }

    fn start(&mut self, slice: i32) {
        let (sender, answers) = mpsc::unbounded_channel();
        let (deliveries, to_decode) = mpsc::unbounded_channel();
        let inbox = Inbox(sender);
        let task = tokio::spawn(slice::run(self.shared.clone(), slice, inbox.clone(), answers, to_decode));
        self.slices.insert(slice, SliceHandle { inbox, deliveries, task });
        self.again.remove(&slice);
    }

    fn revoke(&mut self, partitions: &[TopicPartition], done: &Done) {
        failpoint::hit("c13");
        for slice in self.forget(partitions) {
            if let Some(handle) = self.slices.remove(&slice) {
                handle.inbox.send(SliceInput::Drain(Some(done.clone())));
                self.abandon_at_deadline(handle, done);
            }
        }
    }

    /// After the deadline the partition is somebody else's: what is still written is refused, so the task may as well end.
    fn abandon_at_deadline(&self, mut handle: SliceHandle, done: &Done) {
        let deadline = tokio::time::Instant::from_std(done.deadline());
        tokio::spawn(async move {
            if tokio::time::timeout_at(deadline, &mut handle.task).await.is_err() {
                handle.task.abort();
            }
        });
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        for slice in self.forget(partitions) {
            self.end_now(slice);
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) -> BTreeSet<i32> {
        for partition in partitions {
            if let Some(topics) = self.assigned.get_mut(&partition.partition) {
                topics.remove(&partition.topic);
            }
            self.again.remove(&partition.partition);
        }
        partitions.iter().map(|partition| partition.partition).collect()
    }

    fn end_now(&mut self, slice: i32) {
        if let Some(handle) = self.slices.remove(&slice) {
            handle.task.abort();
            self.shared.calls.send(Request::Leave(slice)).ok();
            self.shared.observer.slice_gone(slice);
        }
    }

    fn restart(&mut self, slice: i32) {
        self.end_now(slice);
        self.again.insert(slice, now_ms());
    }

    /// Looks after slices that ended by themselves.
    async fn tend(&mut self) -> Result<(), Error> {
        let finished: Vec<i32> =
            self.slices.iter().filter(|(_, handle)| handle.task.is_finished()).map(|(slice, _)| *slice).collect();
        for slice in finished {
            let Some(mut handle) = self.slices.remove(&slice) else { continue };
            match slice::ended(&mut handle).await {
                Ended::Broken(reason) => return Err(Error::Slice { slice, reason }),
                Ended::Fenced | Ended::Drained => {
                    self.again.insert(slice, now_ms() + millis_of(AFTER_FENCED));
                }
            }
        }
        let due: Vec<i32> = self.again.iter().filter(|(_, at)| **at <= now_ms()).map(|(slice, _)| *slice).collect();
        for slice in due {
            self.again.remove(&slice);
            if self.assigned.get(&slice).is_some_and(|topics| topics.len() == self.shared.topics.len()) {
                self.start(slice);
            }
        }
        self.lag();
        self.prune();
        Ok(())
    }

    /// Drops what no redelivery can need any more; every member may, the ledger makes sure of the rest.
    fn prune(&mut self) {
        if now_ms() < self.prune_at {
            return;
        }
        self.prune_at = now_ms() + millis_of(PRUNE_EVERY);
        let before = now_ms() - millis_of(self.horizon);
        let ledger = self.shared.ledger.clone();
        let decisions = DecisionHorizon {
            predictions_ms: now_ms() - millis_of(PREDICTIONS_KEPT),
            decisions_ms: now_ms() - millis_of(self.keep_decisions),
        };
        tokio::spawn(async move {
            match ledger.prune_decisions(decisions).await {
                Ok(jobs) => tracing::info!(jobs, "old jobs dropped"),
                Err(error) => tracing::warn!(%error, "old jobs were not dropped; it is tried again later"),
            }
            match ledger.prune(before).await {
                Ok(floor_ms) => tracing::info!(floor_ms, "ledger pruned"),
                Err(error) => tracing::warn!(%error, "the ledger was not pruned; it is tried again later"),
            }
        });
    }

    fn lag(&self) {
        let progress = self.shared.consumer.progress();
        self.shared.observer.held_bytes(progress.iter().map(|one| one.held_bytes).sum());
        for progress in progress {
            if let Some(lag) = progress.lag() {
                let labels = telemetry::labels::Partition {
                    topic: progress.partition.topic,
                    partition: progress.partition.partition,
                };
                self.shared.observer.metrics().lag_records.get_or_create(&labels).set(lag);
            }
        }
    }

    async fn all_gone(mut self) -> Result<(), Error> {
        for (_, mut handle) in self.slices.drain() {
            slice::ended(&mut handle).await;
        }
        Ok(())
    }
}

/// Reads the numbers of our own events in the tail of a topic, with a client of its own.
struct KafkaTail(RuntimeConfig);

#[async_trait]
impl Tail for KafkaTail {
    async fn numbers(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<Vec<(i64, Option<String>)>, kafka::Error> {
        let drain = Drain::new(self.0.kafka.client.clone(), Duration::from_secs(60));
        drain
            .scan(&TopicPartition::new(topic, partition), from, Vec::new(), |numbers, record| {
                numbers.push((record.offset, record.headers.text(NUMBER_HEADER).map(str::to_owned)));
                ControlFlow::Continue(())
            })
            .await
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
