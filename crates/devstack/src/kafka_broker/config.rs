//! The configuration of a broker that is a controller too, small, and quick to notice a dead member: alone, or one of three.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    error::{Error, Result},
    process::write_atomically,
};

/// 22 characters of URL-safe base64, as Kafka wants it; never starting with a dash, which would read as an option.
pub(super) fn cluster_id() -> String {
    loop {
        let id = URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes());
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// A further listener, for clients whose way leads through something else.
///
/// Who connects to it is told `advertised` as the broker's address, and so goes through whatever listens there and passes on to `listens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detour {
    pub listens: u16,
    pub advertised: u16,
}

/// One node of a cluster.
pub(super) struct Node {
    pub id: u16,
    pub port: u16,
    pub controller: u16,
    pub detour: Option<Detour>,
}

/// Writes `server.properties` and `log4j2.properties` of one of `nodes`.
pub(super) fn write(folder: &Path, node: &Node, nodes: &[Node]) -> Result<()> {
    let data = folder.join("data").display().to_string();
    if data.contains([',', '\\', '\n', '\r']) {
        return Err(Error::AwkwardFolder(data));
    }
    let Node { id, port, controller, detour } = node;
    let voters: Vec<String> = nodes.iter().map(|one| format!("{}@127.0.0.1:{}", one.id, one.controller)).collect();
    let voters = voters.join(",");
    let at = |port: &u16| format!(",DETOUR://127.0.0.1:{port}");
    let listens = detour.as_ref().map(|detour| at(&detour.listens)).unwrap_or_default();
    let advertised = detour.as_ref().map(|detour| at(&detour.advertised)).unwrap_or_default();
    // Of three, one may be away and records are still taken; of one, all that there is.
    let (copies, in_sync) = if nodes.len() < 3 { (1, 1) } else { (3, 2) };
    let server = format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listens}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
{FIXED}"
    );
    write_atomically(&folder.join("server.properties"), server.as_bytes())?;
    write_atomically(&folder.join("log4j2.properties"), LOGGING.as_bytes())?;
    Ok(())
}

/// A member of a group that was killed is missed after six seconds instead of 45, which
/// is what lets a test kill services many times. The cleaner's buffer is 128 MiB by default, a quarter of the heap.
const FIXED: &str = "auto.create.topics.enable=false
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=8
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
";

const LOGGING: &str = "appenders=console
appender.console.type=Console
appender.console.name=STDOUT
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRefs=stdout
rootLogger.appenderRef.stdout.ref=STDOUT
logger.config.name=org.apache.kafka.common.config
logger.config.level=WARN
";
