//! `docs/new-service.md`: a further reader of the events takes a crate, a configuration and two topics, and no change of anything else. The page
//! shows the example that is built and run here.

// Its `main` is run as a program of its own.
#[allow(dead_code)]
#[path = "../examples/contract-count.rs"]
mod example;

use anyhow::{Context as _, Result};
use devstack::Kind;
use e2e::{Bench, binaries};
use events::Event;
use example::{ContractCount, Contracts, KIND, SERVICE};
use ledger::DocumentFilter;
use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};
use testkit::{
    business::{Faults, Item, Options, covering},
    eventually,
    simulation::{Case, SimEvent, assert_replay_safe},
};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_example_of_the_page_is_replay_safe() {
    let options = Options::new(5, 200).over_months(2).with_faults(Faults::NONE);
    let events = covering(&options).expect("good options").into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => {
            Some(SimEvent { topic: generated.topic, key: generated.key, envelope, event: Ok(event) })
        }
        Item::Raw { .. } => None,
    });
    assert_replay_safe(&Case::new(ContractCount, events.collect()), 60);
}

#[test]
fn the_page_shows_the_example_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).expect("it is there");
    let (page, code) = (read("../../docs/new-service.md"), read("examples/contract-count.rs"));
    assert!(page.contains(&format!("```rust\n{code}```")), "copy examples/contract-count.rs into docs/new-service.md");
}

/// The built example beside a stack that knows nothing of it.
async fn counts_contracts() -> Result<()> {
    let bench = Bench::start_with(Kind::Embedded, &[], "new-service", |config| config).await?;
    let broker = bench.stack.broker().context("the embedded kind has a broker")?;
    for topic in ["dlq", "replay"] {
        broker.create_topic(&format!("{topic}.{SERVICE}"), partitions(&bench).await?)?;
    }
    let endpoints = bench.stack.endpoints();
    let ledger = bench.data().join("ledger-contract-count.db");
    let config = bench.data().join("contract-count.toml");
    let text = format!(
        "[http]\nbind = \"127.0.0.1:0\"\n[kafka]\nbrokers = \"{}\"\nembedded = true\nprotocol = \"consumer\"\n[registry]\nurl = \"{}\"\n\
         [ledger]\nurl = \"sqlite://{}\"\nschema = \"contract_count\"\n",
        endpoints.kafka,
        endpoints.registry,
        ledger.display()
    );
    std::fs::write(&config, text)?;
    let program = binaries()?.join("examples").join(SERVICE);
    let mut child = tokio::process::Command::new(program)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("build the example first: cargo build -p e2e --examples")?;
    let generated = covering(&Options::new(5, 200).over_months(2))?;
    let mut expected: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    let mut records = Vec::new();
    for generated in &generated {
        let Item::Event { envelope, event } = &generated.item else { continue };
        records.push(bench.record(envelope, event));
        let contracts = expected.entry(generated.key.clone()).or_default();
        match event {
            Event::ContractActivated(event) => drop(contracts.entry(event.contract_id.clone()).or_default()),
            Event::ContractCancelled(event) => drop(contracts.insert(event.contract_id.clone(), true)),
            _ => {}
        }
    }
    bench.publish(&records).await?;
    let ledger = ledger::open(&ledger::Config::new(format!("sqlite://{}", ledger.display()), "contract_count")).await?;
    let counted = async || {
        let filter =
            DocumentFilter { kind: Some(KIND.to_owned()), limit: usize::MAX >> 1, ..DocumentFilter::default() };
        let rows = ledger.documents(&filter).await.map_err(|error| error.to_string())?;
        let found: Vec<Contracts> = rows.iter().filter_map(|row| serde_json::from_str(&row.body).ok()).collect();
        let found: BTreeMap<_, _> = found.into_iter().map(|one| (one.account_id, one.cancelled)).collect();
        if found == expected { Ok(()) } else { Err(format!("{} of {} accounts", found.len(), expected.len())) }
    };
    eventually("the contracts of every account", PATIENCE, counted).await?;
    child.kill().await?;
    bench.stop().await
}

async fn partitions(bench: &Bench) -> Result<i32> {
    Ok(kafka::Admin::connect(bench.kafka())?.partitions(events::topics::CONTRACT_ACTIVATED).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_example_runs_beside_everything_else() {
    Box::pin(counts_contracts()).await.expect("it counts");
}
