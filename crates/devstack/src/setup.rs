//! What a fresh stack needs before anybody may publish: its topics, and the schemas of its events.

use std::time::Duration;

use events::topics::SUBJECTS;
use kafka::{
    Admin, ClientConfig,
    mock::MockBroker,
    registry::{Registry, RegistryConfig},
    topics::{self, Change, Declared, PlanOptions},
};
use tokio::time::Instant;

use crate::error::{Error, Result};

const VISIBLE: Duration = Duration::from_secs(30);
const TOPICS: &str = include_str!("../../../deploy/topics.yaml");
/// Of the in-process broker, which keeps 5 MB a partition: as many as the file says by default.
const PARTITIONS: i32 = 12;

/// Registers the newest schema of every topic, with the compatibility level of its kind.
pub(crate) async fn register_schemas(url: &str) -> Result<()> {
    let refused = |subject: &str| {
        let subject = subject.to_owned();
        move |source| Error::Schema { subject, source }
    };
    let registry = Registry::connect(RegistryConfig::new(url)).map_err(refused("to be asked"))?;
    for one in SUBJECTS {
        registry.set_compatibility(one.subject, one.kind.compatibility()).await.map_err(refused(one.subject))?;
        registry.register(one.subject, one.schema).await.map_err(refused(one.subject))?;
    }
    Ok(())
}

/// The topics of the installation. Broken only if the repository's own file is, which its tests notice.
fn declared() -> Result<Declared> {
    Declared::parse(TOPICS).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::Damaged { path: "deploy/topics.yaml".to_owned(), reason: all.join("; ") }
    })
}

/// Creates what is missing, with a copy of each at each broker, three at most. What else differs is left for `throughline topics apply`.
pub(crate) async fn apply_topics(config: &ClientConfig, brokers: u16) -> Result<()> {
    let (admin, declared) = (Admin::connect(config)?, declared()?);
    let actual = topics::actual(&admin, &declared).await?;
    let options = PlanOptions { replication: Some(i32::from(brokers.clamp(1, 3))) };
    let changes: Vec<Change> = topics::plan(&declared, &actual, options)
        .into_iter()
        .filter(|change| matches!(change, Change::Create(_)))
        .collect();
    topics::apply(&admin, &actual, &changes, false).await?;
    until_visible(&admin, &declared).await
}

/// A broker answers a creation before it tells everybody of the topic.
async fn until_visible(admin: &Admin, declared: &Declared) -> Result<()> {
    let deadline = Instant::now() + VISIBLE;
    loop {
        let there = admin.list().await?;
        let Some(missing) = declared.topics.iter().find(|topic| !there.contains_key(&topic.name)) else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            let reason = format!("the broker does not show {} {VISIBLE:?} after it was created", missing.name);
            return Err(Error::NotReady { name: "kafka".to_owned(), reason });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Creates the topics of the in-process broker, which has no administration interface.
pub(crate) fn create_topics(broker: &MockBroker) -> Result<()> {
    Ok(topics::create_on_mock(broker, &declared()?, PARTITIONS)?)
}
