//! Topics as one file declares them, compared with what the cluster has.
//!
//! [`Declared::parse`] reads the file and reports every problem at once; [`plan`] is pure; [`apply`] does what the plan says and
//! nothing else: it never deletes a topic and never shrinks one, and grows one only when told to, because keys move.

mod declared;
mod generation;
mod plan;
mod units;

pub use declared::{Cleanup, Declared, Problem, Retention, TopicDeclaration};
pub use plan::{Change, PlanOptions, SettingChange, plan};

use crate::{ActualTopic, Admin, Error, Result};
use std::collections::BTreeMap;

/// What the cluster has of the declared topics.
pub async fn actual(admin: &Admin, declared: &Declared) -> Result<Vec<ActualTopic>> {
    let names: Vec<&str> = declared.topics.iter().map(|topic| topic.name.as_str()).collect();
    admin.describe(&names).await
}

/// Carries out the changes that are not refused, in order; stops at the first error. Growth only if `grow`.
pub async fn apply(admin: &Admin, actual: &[ActualTopic], changes: &[Change], grow: bool) -> Result<()> {
    for change in changes {
        match change {
            Change::Create(spec) => admin.create(spec).await?,
            Change::Alter { topic, settings } => {
                // The call replaces all settings: what others have set, and we do not declare, stays.
                let mut all: BTreeMap<String, String> =
                    actual.iter().find(|a| a.name == *topic).map(|a| a.settings.clone()).unwrap_or_default();
                all.extend(settings.iter().map(|setting| (setting.name.clone(), setting.to.clone())));
                admin.set_settings(topic, &all).await?;
            }
            Change::Grow { topic, to, .. } if grow => admin.grow(topic, *to).await?,
            Change::Grow { .. } | Change::Shrink { .. } | Change::Replication { .. } => {}
        }
    }
    Ok(())
}

/// Creates the declared topics on the in-process broker, which has no admin calls, with this number of partitions each
/// where the file says more than one.
pub fn create_on_mock(broker: &crate::mock::MockBroker, declared: &Declared, partitions: i32) -> Result<()> {
    declared.topics.iter().try_for_each(|topic| {
        let count = if topic.partitions > 1 { partitions } else { 1 };
        broker.create_topic(&topic.name, count)
    })
}

/// Finds input topics whose number of partitions differs from the others': partition *i* of all of them is one slice.
pub async fn check_copartitioned(admin: &Admin, topics: &[&str]) -> Result<i32> {
    let mut counts = BTreeMap::new();
    for topic in topics {
        counts.insert(*topic, admin.partitions(topic).await?);
    }
    let mut values = counts.values();
    match values.next() {
        Some(first) if values.all(|count| count == first) => Ok(*first),
        None => Err(Error::Config(vec!["no input topics".to_owned()])),
        Some(_) => {
            let shown: Vec<String> = counts.iter().map(|(topic, count)| format!("{topic} has {count}")).collect();
            Err(Error::Config(vec![format!(
                "the input topics must have the same number of partitions: {}",
                shown.join(", ")
            )]))
        }
    }
}
