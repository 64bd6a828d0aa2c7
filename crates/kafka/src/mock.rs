//! librdkafka's in-process broker, for tests and for one-process demos: real sockets on the loopback interface, memory only.
//!
//! Its limits: 5 MiB or 100 000 message sets kept per partition (older ones vanish), no admin calls, no transactions,
//! no compaction, an empty fetch sleeps the full wait. Use [`crate::consumer::GroupProtocol::Consumer`] on it: a join takes
//! 0.1 s instead of 3 s.

use crate::context::LogContext;
use crate::{ClientConfig, Error, Result, native};
use rdkafka::admin::AdminClient;
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a group (of protocol `consumer`) believes in a member that is silent. The library's own 30 s would make every
/// crash in a test or demo that long.
const GROUP_SESSION: Duration = Duration::from_secs(3);
const GROUP_HEARTBEAT: Duration = Duration::from_millis(300);

/// A running broker; it stops when this is dropped. The cluster lives on a thread of its own, because it may not move.
pub struct MockBroker {
    bootstrap: String,
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// Requests that can be made to fail, see [`MockBroker::fail_next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Produce,
    Fetch,
    Metadata,
    OffsetCommit,
    Heartbeat,
}

/// Ways to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Disconnect,
    NotLeader,
    TopicDenied,
    TooLarge,
    StaleEpoch,
}

type Cluster<'a> = MockCluster<'a, LogContext>;
type Job = Box<dyn FnOnce(&Cluster<'_>) -> Result<()> + Send>;

struct Command {
    job: Job,
    answer: mpsc::Sender<Result<()>>,
}

impl MockBroker {
    /// Starts one broker on a free port of 127.0.0.1.
    pub fn start() -> Result<Self> {
        Self::with_brokers(1)
    }

    /// Starts `count` brokers, numbered from 1.
    pub fn with_brokers(count: i32) -> Result<Self> {
        let (commands, inbox) = mpsc::channel::<Command>();
        let (started, start) = mpsc::channel();
        let serve = move || serve(count, &started, inbox);
        let thread = std::thread::Builder::new().name("mock-broker".to_owned()).spawn(serve);
        let thread = thread.map_err(|error| Error::Fatal { reason: format!("cannot start a thread: {error}") })?;
        let bootstrap = start.recv().unwrap_or_else(|_| Err("the broker's thread died".to_owned()));
        let bootstrap = bootstrap.map_err(|reason| Error::Fatal { reason: format!("in-process broker: {reason}") })?;
        Ok(Self { bootstrap, commands, thread: Some(thread) })
    }

    /// `host:port` of every broker.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A configuration for clients of this broker.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig { embedded: true, ..ClientConfig::new(&self.bootstrap) }
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        let topic = topic.to_owned();
        self.run("create a topic", move |cluster| cluster.create_topic(&topic, partitions, 1))
    }

    /// Closes the broker's port: connections are refused until [`Self::broker_up`]. Brokers are numbered from 1.
    pub fn broker_down(&self, broker: i32) -> Result<()> {
        self.run("take a broker down", move |cluster| cluster.broker_down(broker))
    }

    pub fn broker_up(&self, broker: i32) -> Result<()> {
        self.run("bring a broker up", move |cluster| cluster.broker_up(broker))
    }

    /// Delays every answer of a broker.
    pub fn delay(&self, broker: i32, delay: Duration) -> Result<()> {
        self.run("delay a broker", move |cluster| cluster.broker_round_trip_time(broker, delay))
    }

    /// The next `times` requests of this kind fail.
    pub fn fail_next(&self, request: Request, fault: Fault, times: usize) -> Result<()> {
        self.run("inject a fault", move |cluster| {
            cluster.request_errors(api_key(request), &vec![code(fault); times]);
            Ok(())
        })
    }

    /// Takes faults of this kind back that have not happened yet.
    pub fn heal(&self, request: Request) -> Result<()> {
        self.run("heal", move |cluster| {
            cluster.clear_request_errors(api_key(request));
            Ok(())
        })
    }

    fn run<J>(&self, doing: &'static str, job: J) -> Result<()>
    where
        J: FnOnce(&Cluster<'_>) -> KafkaResult<()> + Send + 'static,
    {
        let (answer, result) = mpsc::channel();
        let job: Job = Box::new(move |cluster| job(cluster).map_err(|error| Error::from_client(doing, &error)));
        self.commands.send(Command { job, answer }).map_err(|_| Error::Closed)?;
        result.recv().unwrap_or(Err(Error::Closed))
    }
}

/// The broker's thread: starts it, does what is asked, and stops it when nobody can ask any more.
fn serve(count: i32, started: &mpsc::Sender<std::result::Result<String, String>>, inbox: mpsc::Receiver<Command>) {
    let mut native = rdkafka::ClientConfig::new();
    native.set("test.mock.num.brokers", count.to_string());
    let owner = native.create_with_context::<_, AdminClient<LogContext>>(LogContext);
    let owner = match owner {
        Ok(owner) => owner,
        Err(error) => return drop(started.send(Err(error.to_string()))),
    };
    let Some(cluster) = owner.inner().mock_cluster() else {
        return drop(started.send(Err("librdkafka was built without it".to_owned())));
    };
    native::set_mock_group_times(owner.inner(), GROUP_SESSION, GROUP_HEARTBEAT);
    drop(started.send(Ok(cluster.bootstrap_servers())));
    for command in inbox {
        drop(command.answer.send((command.job)(&cluster)));
    }
}

impl Drop for MockBroker {
    fn drop(&mut self) {
        self.commands = mpsc::channel().0;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

const fn api_key(request: Request) -> RDKafkaApiKey {
    match request {
        Request::Produce => RDKafkaApiKey::Produce,
        Request::Fetch => RDKafkaApiKey::Fetch,
        Request::Metadata => RDKafkaApiKey::Metadata,
        Request::OffsetCommit => RDKafkaApiKey::OffsetCommit,
        Request::Heartbeat => RDKafkaApiKey::Heartbeat,
    }
}

const fn code(fault: Fault) -> RDKafkaRespErr {
    match fault {
        Fault::Disconnect => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        Fault::NotLeader => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Fault::TopicDenied => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Fault::TooLarge => RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Fault::StaleEpoch => RDKafkaRespErr::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH,
    }
}
