//! I10 for the whole suite: every service reads all of its topics again from the start; nothing is told a second time and nobody is called.

use anyhow::{Context, Result};
use consumer::machine::REPORTS;
use devstack::Kind;
use e2e::{Bench, platform::Platform};
use kafka::{Admin, Outgoing};
use ledger::{NewAudit, Position};
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    business::{Faults, Item, Options, covering},
    deals, eventually,
};

const PATIENCE: Duration = Duration::from_secs(240);
const SERVICES: [&str; 5] = ["order-flow", "erp-sync", "crm-sync", "provisioning", "analytics-feed"];
const SANDBOXES: [&str; 6] = ["erp", "crm", "product", "identity", "stripe", "tax"];

/// Every kind of event, with copies, cases and broken contracts among them; and deals, one of which cannot go on.
fn business(bench: &Bench) -> Vec<Outgoing> {
    let faults = Faults { duplicates: 0.05, contract_errors: 0.02, business_errors: 0.05, ..Faults::NONE };
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed: 7, accounts: 200, months: 3, start, max_events: None, faults };
    let generated = covering(&options).expect("good options");
    let mut records: Vec<Outgoing> = generated
        .iter()
        .filter_map(|generated| match &generated.item {
            Item::Event { envelope, event } => Some(bench.record(envelope, event)),
            Item::Raw { .. } => None,
        })
        .collect();
    records.extend([
        bench.deal(deals::billed(deals::deal("D-1", "O-1"))),
        bench.deal(deals::shared("D-2", "O-2")),
        bench.deal(deals::without_nexus("D-3", "O-3")),
    ]);
    records
}

/// Effects by sandbox.
async fn effects(bench: &Bench) -> Result<BTreeMap<&'static str, usize>> {
    let mut counts = BTreeMap::new();
    for name in SANDBOXES {
        counts.insert(name, Platform::of(&bench.stack, name)?.effects().await?.len());
    }
    Ok(counts)
}

/// Records by topic: what the services read, what they tell, and their dead letters.
async fn records(bench: &Bench) -> Result<BTreeMap<String, i64>> {
    let admin = Admin::connect(bench.kafka())?;
    // A minute is told when it is over, whatever else happens meanwhile.
    let subjects = events::topics::SUBJECTS.iter().filter(|subject| !REPORTS.contains(&subject.topic));
    let mut topics: Vec<String> = subjects.map(|subject| subject.topic.to_owned()).collect();
    topics.extend(SERVICES.iter().map(|service| format!("dlq.{service}")));
    let mut counts = BTreeMap::new();
    for topic in topics {
        let mut count = 0;
        for partition in 0..admin.partitions(&topic).await? {
            let (low, end) = admin.watermarks(&topic, partition).await?;
            count += end - low;
        }
        counts.insert(topic, count);
    }
    Ok(counts)
}

/// Waits until all services have nothing left to do, twice in a row without a record more: they feed each other.
async fn quiet(bench: &Bench) -> Result<()> {
    let mut before = BTreeMap::new();
    loop {
        for service in SERVICES {
            bench.quiet(service, PATIENCE).await?;
        }
        let now = records(bench).await?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
}

/// Sets every position of a service back to the start of its topic. It does not run meanwhile.
async fn rewind(bench: &Bench, service: &str) -> Result<()> {
    let ledger = bench.ledger_of(service).await?;
    for slice in ledger.slices().await? {
        for before in slice.positions {
            let after = Position { next_offset: 0, ..before.clone() };
            let audit = NewAudit {
                at_ms: 0,
                actor: "test".to_owned(),
                action: "slice.accept".to_owned(),
                subject: format!("{service}/{}/{}", slice.slice, before.topic),
                reason: "everything once more".to_owned(),
                before: None,
                after: None,
            };
            ledger.accept_position(slice.slice, &after, &audit).await?;
        }
    }
    Ok(())
}

/// Whether a service has begun to read again.
async fn begun(bench: &Bench, service: &str) -> Result<()> {
    let ledger = bench.ledger_of(service).await?;
    let moved = async || {
        let slices = ledger.slices().await.map_err(|error| error.to_string())?;
        let is_moved = slices.iter().flat_map(|slice| &slice.positions).any(|position| position.next_offset > 0);
        is_moved.then_some(()).ok_or_else(|| "all positions are at the start".to_owned())
    };
    eventually(&format!("{service} reads"), PATIENCE, moved).await.context("it reads again")
}

async fn nothing_is_done_twice() -> Result<()> {
    let services = SERVICES.map(|service| (service, 1));
    let bench = Bench::start_with(Kind::Embedded, &services, "again", |config| config).await?;
    bench.publish(&business(&bench)).await?;
    quiet(&bench).await?;
    let (done, told) = (effects(&bench).await?, records(&bench).await?);
    assert!(done.values().all(|count| *count > 0), "every system was changed: {done:?}");
    assert!(told["entitlement.granted.v1"] > 0 && told["dlq.erp-sync"] > 0, "{told:?}");
    for service in SERVICES {
        bench.stack.hold(service).await?;
        rewind(&bench, service).await?;
    }
    for service in SERVICES {
        bench.stack.release(service).await?;
    }
    for service in SERVICES {
        begun(&bench, service).await?;
    }
    quiet(&bench).await?;
    assert_eq!(effects(&bench).await?, done, "nobody was called");
    assert_eq!(records(&bench).await?, told, "nothing was told a second time");
    bench.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_all_topics_again_changes_nothing_and_calls_nobody() {
    Box::pin(nothing_is_done_twice()).await.expect("nothing is done twice");
}
