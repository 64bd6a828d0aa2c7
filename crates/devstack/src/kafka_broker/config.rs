//! The broker's configuration: one node that is broker and controller, small, and quick to notice a dead member.

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

/// Writes `server.properties` and `log4j2.properties`.
pub(super) fn write(folder: &Path, port: u16, controller: u16) -> Result<()> {
    let data = folder.join("data").display().to_string();
    if data.contains([',', '\\', '\n', '\r']) {
        return Err(Error::AwkwardFolder(data));
    }
    let server = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
{FIXED}"
    );
    write_atomically(&folder.join("server.properties"), server.as_bytes())?;
    write_atomically(&folder.join("log4j2.properties"), LOGGING.as_bytes())?;
    Ok(())
}

/// One replica of everything. A member of a group that was killed is missed after six seconds instead of 45, which
/// is what lets a test kill services many times. The cleaner's buffer is 128 MiB by default, a quarter of the heap.
const FIXED: &str = "auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
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
