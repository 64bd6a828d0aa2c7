//! The layers of the workspace, and who in them may use whom.

use arrows::workspace::Member;

/// Lower ones first: a crate may use crates of lower layers only, beside the exceptions below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// No tokio, no rdkafka, no clock.
    Pure,
    /// Names of logs and metrics, which any block may use.
    Signals,
    Block,
    Runtime,
    Service,
    /// Stand-ins, stacks, proofs, test helpers: never built into a service.
    Development,
    Operation,
    /// Used by nobody.
    Top,
}

const LAYERS: &[(&str, Layer)] = &[
    ("failure", Layer::Pure),
    ("events", Layer::Pure),
    ("history", Layer::Pure),
    ("rules", Layer::Block),
    ("telemetry", Layer::Signals),
    ("kafka", Layer::Block),
    ("ledger", Layer::Block),
    ("service", Layer::Block),
    ("connectors", Layer::Block),
    ("consumer", Layer::Runtime),
    ("erp-sync", Layer::Service),
    ("analytics-feed", Layer::Service),
    ("crm-sync", Layer::Service),
    ("order-flow", Layer::Service),
    ("provisioning", Layer::Service),
    ("sandbox", Layer::Development),
    ("schemagen", Layer::Development),
    ("testkit", Layer::Development),
    ("devstack", Layer::Development),
    ("verify", Layer::Development),
    ("control", Layer::Operation),
    ("cli", Layer::Operation),
    ("arrows", Layer::Top),
    ("bench", Layer::Top),
    ("proof", Layer::Top),
    ("e2e", Layer::Top),
    ("chaos", Layer::Top),
    ("fuzz", Layer::Top),
];

/// Uses within one layer, each with its reason.
const BESIDE: &[(&str, &str, &str)] = &[
    ("events", "failure", "an event that cannot be read is a failure with a class"),
    ("devstack", "sandbox", "a stack starts the stand-ins"),
    ("cli", "control", "the demo runs control inside its one process"),
    ("bench", "e2e", "it asks PostgreSQL what services do there, as those tests do"),
    ("chaos", "e2e", "it breaks the stacks that the end-to-end tests drive"),
];

/// Crates that use none of ours, whatever their layer.
const ALONE: &[(&str, &str)] = &[
    ("sandbox", "a judge that shares code with the connector would share its mistakes"),
    ("schemagen", "it writes what `events` is built from"),
    ("history", "a checker that shares code with what it checks would share its mistakes"),
];

pub fn layer(name: &str) -> Option<Layer> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// Every arrow that points up or sideways, in words.
pub fn wrong_arrows(members: &[Member]) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in members {
        let Some(own) = layer(&member.name) else {
            wrong.push(format!("{} has no layer: give it one in crates/arrows/tests/arrows/layers.rs", member.name));
            continue;
        };
        for used in member.uses() {
            // What has no layer is somebody else's crate.
            let Some(other) = layer(used) else { continue };
            let is_listed = BESIDE.iter().any(|(from, to, _)| *from == member.name && *to == used);
            if let Some((_, why)) = ALONE.iter().find(|(name, _)| *name == member.name) {
                wrong.push(format!("{} uses {used}, but it stands alone: {why}", member.name));
            } else if other >= own && !is_listed {
                wrong.push(format!("{} ({own:?}) uses {used} ({other:?})", member.name));
            }
        }
        // Their tests may reach up for helpers, but a service is never tested through another.
        for dev in member.dependencies.iter().filter(|dependency| dependency.is_dev()) {
            if own == Layer::Service && layer(&dev.name) == Some(Layer::Service) {
                wrong.push(format!("{} is tested with {}: services never know each other", member.name, dev.name));
            }
        }
    }
    wrong
}
