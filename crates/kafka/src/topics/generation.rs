//! The topics of a further generation of a projection, declared like those of the first.

use super::Declared;
use events::{Generation, topics};

impl Declared {
    /// What a generation of this service needs of its own: the topics that readers take, its dead letters and its replay topic. The
    /// topics it reads belong to all generations. The first generation has everything that is declared.
    #[must_use]
    pub fn of_generation(&self, service: &str, generation: Generation) -> Self {
        if generation == Generation::FIRST {
            return self.clone();
        }
        let own = [format!("dlq.{service}"), format!("replay.{service}")];
        let is_filled = |name: &str| {
            topics::find(name)
                .is_some_and(|subject| subject.owner == service && subject.family == topics::Family::Analytics)
        };
        let theirs = self.topics.iter().filter(|topic| own.contains(&topic.name) || is_filled(&topic.name));
        let named = theirs.map(|topic| {
            let mut topic = topic.clone();
            topic.name = generation.name(&topic.name);
            topic
        });
        Self { topics: named.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_generation_has_what_it_writes_and_nothing_that_it_reads() {
        let declared = Declared::parse(include_str!("../../../../deploy/topics.yaml")).expect("ours");
        let second = declared.of_generation("analytics-feed", Generation::new(2).expect("not zero"));
        let names: Vec<&str> = second.topics.iter().map(|topic| topic.name.as_str()).collect();
        for name in ["analytics.usage.v1.g2", "dlq.analytics-feed.g2", "replay.analytics-feed.g2"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(names.iter().all(|name| name.ends_with(".g2")), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("invoice.") || name.starts_with("analytics.order_step")));
        let first = declared.find("analytics.usage.v1").expect("declared");
        assert_eq!(second.find("analytics.usage.v1.g2").expect("there").partitions, first.partitions);
        assert_eq!(declared.of_generation("analytics-feed", Generation::FIRST), declared);
    }
}
