//! The whole path on real parts: Apache Kafka, PostgreSQL, and services as processes of their own that die at bad moments.

use devstack::{Kind, Running, StackConfig};
use e2e::{Bench, books::Books, erp::Erp, foreign::Publisher, member::Member};
use kafka::Outgoing;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, time::Duration};
use testkit::{
    business::{self, Faults, Generated, Item, Options},
    cloudevent, eventually, retail,
    scratch::online_retail_slice,
};
use tokio::sync::Mutex;

const PATIENCE: Duration = Duration::from_secs(600);
/// For one named thing to come about.
const SOON: Duration = Duration::from_secs(120);
/// A stack is Kafka, PostgreSQL and the services: two of them at once are too much for a small machine.
static ONE_STACK: Mutex<()> = Mutex::const_new(());

/// A business as records, and what must come of it.
fn business(bench: &Bench, options: &Options) -> (Vec<Outgoing>, Books) {
    let mut stream = business::stream(options).expect("good options");
    let records = stream.by_ref().filter_map(|generated: Generated| match generated.item {
        Item::Event { envelope, event } => Some(bench.record(&envelope, &event)),
        Item::Raw { .. } => None,
    });
    let records = records.collect();
    (records, Books::expected(stream.expectations()))
}

async fn until_effects(erp: &Erp, count: u64) {
    let enough = async || match erp.effect_count().await {
        Ok(seen) if seen >= count => Ok(()),
        Ok(seen) => Err(format!("{seen} effects")),
        Err(error) => Err(error.to_string()),
    };
    eventually(&format!("{count} effects"), PATIENCE, enough).await.expect("the work goes on");
}

/// Repeatable choices (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Kills each victim at a moment of its own within its part of the work.
async fn kill_at_seeded_moments(bench: &Bench, erp: &Erp, victims: &[&str], effects: u64) {
    let mut dice = Dice(20_000);
    let part = effects / (victims.len() as u64 + 1);
    for (index, victim) in (0..).zip(victims) {
        let moment = index * part + dice.below(part) + 1;
        until_effects(erp, moment).await;
        println!("killing {victim} after {moment} effects");
        bench.stack.kill(victim).await.expect("it can be killed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_takes_place_once_while_services_kafka_and_postgres_are_killed() {
    let _alone = ONE_STACK.lock().await;
    let bench = Bench::start(Kind::Real, 1, "kills").await.expect("the stack starts");
    let erp = Erp::of(&bench.stack);
    let faults = Faults { duplicates: 0.02, disorder: 0.05, ..Faults::NONE };
    let (records, expected) = business(&bench, &Options::of_events(7, 20_000).with_faults(faults));
    let publish = async {
        for chunk in records.chunks(500) {
            bench.publish(chunk).await.expect("published, also while the broker is away");
        }
    };
    let victims = ["erp-sync", "erp-sync", "kafka", "erp-sync", "postgres", "erp-sync"];
    tokio::join!(publish, kill_at_seeded_moments(&bench, &erp, &victims, expected.count()));
    let report = bench.verified(PATIENCE).await.expect("verified");
    println!("{} records: {report:#?}", records.len());
    assert_eq!(erp.books().await.expect("books"), expected);
    assert_eq!(erp.effect_count().await.expect("effects"), expected.count());
    bench.stop().await.expect("stopped");
}

fn replica(bench: &Bench, name: &str) -> Running {
    bench.stack.endpoints().services.get(name).cloned().expect("it runs")
}

async fn until_metric(http: &str, name: &str, least: f64) {
    let enough = async || match Member::at(http).metric(name, "").await {
        Ok(value) if value >= least => Ok(()),
        Ok(value) => Err(value.to_string()),
        Err(error) => Err(error.to_string()),
    };
    eventually(&format!("{name} of {least}"), SOON, enough).await.expect("the metric gets there");
}

/// Waits until the process owns some slices by the ledger, or none.
async fn until_it_owns(bench: &Bench, pid: u32, some: bool) {
    let so = async || {
        let slices = bench.ledger.slices().await.map_err(|error| error.to_string())?;
        let owned = slices.iter().filter(|slice| slice.owner.ends_with(&format!(":{pid}"))).count();
        if (owned > 0) == some { Ok(()) } else { Err(format!("{owned} of {} slices", slices.len())) }
    };
    let awaited = if some { "the woken replica owns slices" } else { "the other replica owns every slice" };
    eventually(awaited, SOON, so).await.expect("taken over");
}

fn signal(process: &Running, signal: Signal) {
    let pid = i32::try_from(process.pid).expect("a pid is small");
    kill(Pid::from_raw(pid), signal).expect("it takes the signal");
}

/// Stops a replica amid its work, lets the other one do all of it, wakes the replica, and waits until it is a member again.
/// How many of its writes were refused.
async fn stop_and_wake(bench: &Bench, erp: &Erp, zombie: &Running, [before, during]: [&[Outgoing]; 2]) -> f64 {
    let http = zombie.http.as_deref().expect("it serves its metrics");
    // Answers take so long that calls are under way, and more of them wait, when the process is stopped.
    erp.add_fault(&json!({"path": "/services/rest/record/*", "delay_ms": 1_000})).await.expect("slow");
    bench.publish(before).await.expect("published");
    until_metric(http, "throughline_open_intents", 12.0).await;
    signal(zombie, Signal::SIGSTOP);
    bench.publish(during).await.expect("published");
    until_it_owns(bench, zombie.pid, false).await;
    erp.heal().await.expect("quick again");
    bench.verified(PATIENCE).await.expect("the other one did all of it");
    let done = erp.effect_count().await.expect("effects");
    signal(zombie, Signal::SIGCONT);
    until_it_owns(bench, zombie.pid, true).await;
    assert_eq!(erp.effect_count().await.expect("effects"), done, "what it still had in mind has no second effect");
    Member::at(http).metric("throughline_fenced_writes_total", "").await.expect("metrics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_is_refused_and_the_test_shows_that_it_tried() {
    // Whether a woken process writes before Kafka tells it that it lost its slices is a matter of milliseconds.
    const ROUNDS: usize = 5;
    let _alone = ONE_STACK.lock().await;
    let bench = Bench::start(Kind::Real, 2, "zombie").await.expect("the stack starts");
    let erp = Erp::of(&bench.stack);
    let zombie = replica(&bench, "erp-sync-2");
    for replica in [replica(&bench, "erp-sync"), zombie.clone()] {
        until_it_owns(&bench, replica.pid, true).await;
    }
    let (records, expected) = business(&bench, &Options::new(3, 240));
    let mut parts = records.chunks(records.len().div_ceil(2 * ROUNDS));
    let mut refused = 0.0;
    while refused == 0.0
        && let (Some(before), Some(during)) = (parts.next(), parts.next())
    {
        refused = stop_and_wake(&bench, &erp, &zombie, [before, during]).await;
        println!("{refused} writes refused");
    }
    assert!(refused > 0.0, "it never tried to write");
    for part in parts {
        bench.publish(part).await.expect("published");
    }
    bench.verified(PATIENCE).await.expect("verified");
    assert_eq!(replica(&bench, "erp-sync-2").pid, zombie.pid, "it is the one that was stopped");
    assert_eq!(erp.books().await.expect("books"), expected);
    assert_eq!(erp.effect_count().await.expect("effects"), expected.count());
    bench.stop().await.expect("stopped");
}

/// The real invoices as `throughline publish` takes them.
fn write_slice(path: &Path) -> retail::Summary {
    let mut events = retail::Events::open(&online_retail_slice()).expect("the slice is in the repository");
    let mut lines = String::new();
    for event in events.by_ref() {
        let (envelope, event) = event.expect("readable").expect("nothing of the slice is refused");
        lines.push_str(cloudevent::line(&envelope, &event).trim_end());
        lines.push('\n');
    }
    std::fs::write(path, lines).expect("written");
    events.summary().clone()
}

/// `throughline publish`, as a user calls it.
async fn publish_file(bench: &Bench, file: &Path) -> Value {
    bench.throughline(&["publish", file.to_str().expect("text")]).await.expect("published")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_invoices_published_twice_with_kills_add_up_to_the_penny() {
    let _alone = ONE_STACK.lock().await;
    // With the protocol in which the broker assigns (KIP-848); the other tests use the classic one.
    let new = |config| StackConfig { new_group_protocol: true, ..config };
    let bench = Bench::start_with(Kind::Real, &[("erp-sync", 1)], "retail", new).await.expect("the stack starts");
    let erp = Erp::of(&bench.stack);
    let file = bench.data().join("retail.ndjson");
    let summary = write_slice(&file);
    let gbp = |amount: i64| BTreeMap::from([("GBP".to_owned(), amount)]);
    // The pinned totals of tests/data/README.md.
    let expected = Books {
        customers: 244,
        orders: 244,
        revenue_plans: 0,
        invoices: 319,
        credit_memos: 185,
        payments: 0,
        invoiced: gbp(14_908_389),
        credited: gbp(1_195_218),
        paid: BTreeMap::new(),
        ..Books::default()
    };
    for round in 0..2 {
        let told = publish_file(&bench, &file).await;
        println!("round {round}: {told}");
        assert_eq!(told["published"], json!(summary.events()));
        if round == 0 {
            until_effects(&erp, 200).await;
        }
        bench.stack.kill("erp-sync").await.expect("it can be killed");
        let report = bench.verified(PATIENCE).await.expect("verified");
        println!("round {round}: {report:#?}");
        assert_eq!(erp.books().await.expect("books"), expected);
        assert_eq!(erp.effect_count().await.expect("effects"), expected.count());
    }
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_in_python_reaches_the_erp() {
    const EVENTS: u32 = 1_000;
    let _alone = ONE_STACK.lock().await;
    let publisher = Publisher::ready().await.expect("Python 3 with venv, and PyPI or a cached environment");
    let bench = Bench::start(Kind::Real, 1, "foreign").await.expect("the stack starts");
    let endpoints = bench.stack.endpoints();
    let erp = Erp::of(&bench.stack);
    for round in 0..2 {
        let told = publisher.publish(&endpoints.kafka, &endpoints.registry, EVENTS).await.expect("published");
        assert_eq!((&told["published"], &told["failed"]), (&json!(EVENTS), &json!(0)), "round {round}: {told}");
        bench.verified(PATIENCE).await.expect("verified");
        let books = erp.books().await.expect("books");
        let half = u64::from(EVENTS / 2);
        assert_eq!((books.orders, books.invoices), (half, half), "round {round}");
        assert_eq!(books.invoiced.keys().collect::<Vec<_>>(), ["GBP"]);
        // A customer, an order and an invoice each; the second round adds nothing.
        assert_eq!(erp.effect_count().await.expect("effects"), 3 * half, "round {round}");
    }
    bench.stop().await.expect("stopped");
}
