//! The analytics topics made anew beside the ones that data teams read: the same rows under ids of the same making, and nobody is
//! sent to them before they are all there.

use anyhow::Context as _;
use devstack::Kind;
use e2e::Bench;
use events::{Generation, topics::ANALYTICS_PAYMENT};
use kafka::{Admin, Outgoing, drain::Drain};
use serde_json::Value;
use std::{process::Stdio, time::Duration};
use testkit::business::{Item, Options, stream};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(300);
const FEED: &str = "analytics-feed";
const SECOND: &str = "analytics-feed.g2";

fn business(bench: &Bench) -> Vec<Outgoing> {
    let events = stream(&Options::new(11, 40)).expect("good options");
    let events = events.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.map(|(envelope, event)| bench.record(&envelope, &event)).collect()
}

/// A process of the second generation, as a user starts it; ends with the test.
fn second_generation(bench: &Bench) -> Child {
    let log = std::fs::File::create(bench.data().join("second.log")).expect("a file");
    let mut command = Command::new(e2e::binaries().expect("built").join("throughline"));
    command.args(["run", FEED, "--generation", "2", "--data"]).arg(bench.data());
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a handle")).stderr(log).kill_on_drop(true);
    command.spawn().expect("it starts")
}

/// What a refused command says, as JSON, and its exit code.
async fn refused(bench: &Bench, arguments: &[&str]) -> anyhow::Result<(i32, Value)> {
    let mut command = Command::new(e2e::binaries()?.join("throughline"));
    let done = command.args(["-o", "json"]).args(arguments).arg("--data").arg(bench.data()).output().await?;
    let text = if done.stdout.is_empty() { done.stderr } else { done.stdout };
    let shown = String::from_utf8_lossy(&text);
    let json = shown.find('{').context("no JSON").and_then(|start| Ok(serde_json::from_str(&shown[start..])?));
    Ok((done.status.code().unwrap_or(-1), json.with_context(|| shown.into_owned())?))
}

async fn end_of(bench: &Bench, topic: &str) -> i64 {
    let admin = Admin::connect(bench.kafka()).expect("a broker");
    let mut count = 0;
    for partition in 0..admin.partitions(topic).await.expect("a topic") {
        count += admin.watermarks(topic, partition).await.expect("watermarks").1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_generation_has_the_same_rows_and_is_switched_to_only_when_it_is_ready() {
    let bench = Bench::start_with(Kind::Real, &[(FEED, 1)], "generations", |config| config).await.expect("starts");
    let records = business(&bench);
    let (first_half, rest) = records.split_at(records.len() / 2);
    bench.publish(first_half).await.expect("published");
    bench.verified_of(FEED, PATIENCE).await.expect("verified");
    let before = end_of(&bench, ANALYTICS_PAYMENT).await;

    let (code, error) = refused(&bench, &["projection", "compare", "--generation", "2"]).await.expect("answers");
    assert_eq!((code, &error["error"]["code"]), (1, &Value::from("NO_GENERATION")), "{error}");
    bench.throughline(&["topics", "apply", "--generation", "2", "--replication", "1"]).await.expect("made");
    let switch = ["projection", "switch", "--generation", "2", "--reason", "a new column", "--wait", "1s"];
    // A broker tells of new topics a moment after they are made.
    let seen = async || match refused(&bench, &switch).await {
        Ok((_, error)) if error["error"]["code"] == "NO_GENERATION" => Err(error.to_string()),
        Ok(answer) => Ok(answer),
        Err(error) => Err(format!("{error:#}")),
    };
    let not_ready = testkit::eventually("the new topics are seen", PATIENCE, seen).await.expect("answers");
    assert_eq!(
        (not_ready.0, &not_ready.1["error"]["code"]),
        (7, &Value::from("PROJECTION_NOT_READY")),
        "{not_ready:?}"
    );

    let mut second = second_generation(&bench);
    bench.publish(rest).await.expect("published");
    bench.verified_of(SECOND, PATIENCE).await.expect("verified");
    bench.verified_of(FEED, PATIENCE).await.expect("verified");
    let same = bench.throughline(&["projection", "compare", "--generation", "2"]).await.expect("the same rows");
    assert_eq!(same["same"], true, "{same}");
    let rows = |report: &Value| report["current_rows"].as_u64().unwrap_or(0);
    assert!(same["topics"].as_array().expect("topics").iter().map(rows).sum::<u64>() > 100, "{same}");
    assert!(end_of(&bench, ANALYTICS_PAYMENT).await > before, "readers got their rows all the time");

    let switched = ["projection", "switch", "--generation", "2", "--reason", "a new column", "--yes"];
    bench.throughline(&switched).await.expect("switched");
    let listed = bench.throughline(&["projection", "ls"]).await.expect("listed");
    assert_eq!(listed["current"], 2, "{listed}");
    let again = bench.throughline(&switched).await.expect("nothing to do");
    assert_eq!(again["changed"], false, "{again}");

    changed_rows_are_found(&bench).await;
    second.kill().await.expect("stopped");
    bench.stop().await.expect("stopped");
}

/// Somebody else writes to a topic of the second generation: compared with the first, each such row is named, and nobody is
/// switched back over it without a word.
async fn changed_rows_are_found(bench: &Bench) {
    let topic = Generation::new(2).expect("not zero").name(ANALYTICS_PAYMENT);
    let rows = Drain::new(bench.kafka().clone(), PATIENCE).collect(&topic).await.expect("read");
    let row = rows.first().expect("a payment");
    let mut strange = row.headers.clone();
    strange.0.retain(|(name, _)| &**name != "ce_id");
    strange.push("ce_id", "strange".to_owned());
    let outgoing = |headers, value| Outgoing {
        topic: topic.as_str().into(),
        partition: Some(row.partition),
        key: row.key.clone(),
        value,
        headers,
        timestamp_ms: None,
    };
    let other = rows.iter().find(|other| other.value != row.value).expect("another payment");
    let changed = outgoing(row.headers.clone(), other.value.clone());
    bench.publish(&[changed, outgoing(strange, row.value.clone())]).await.expect("published");

    let compare = ["projection", "compare", "--generation", "2", "--with", "1", "--settle", "1s"];
    let (code, report) = refused(bench, &compare).await.expect("answers");
    assert_eq!((code, &report["same"]), (1, &Value::Bool(false)), "{report}");
    let topics = report["topics"].as_array().expect("topics");
    let payments = topics.iter().find(|topic| topic["topic"] == ANALYTICS_PAYMENT).expect("compared");
    assert_eq!((&payments["extra"], &payments["changed"], &payments["missing"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(payments["examples"]["extra"][0], "strange");
    assert!(payments["fields"].as_object().is_some_and(|fields| !fields.is_empty()), "{payments}");

    let back = ["projection", "switch", "--generation", "1", "--reason", "back", "--wait", "1s", "--yes"];
    let (code, error) = refused(bench, &back).await.expect("answers");
    assert_eq!((code, &error["error"]["code"]), (7, &Value::from("PROJECTION_DIFFERS")), "{error}");
    let accepted: Vec<&str> = back.into_iter().chain(["--accept-differences"]).collect();
    bench.throughline(&accepted).await.expect("switched back");
    let listed = bench.throughline(&["projection", "ls"]).await.expect("listed");
    assert_eq!(listed["current"], 1, "{listed}");
    let ledger = bench.ledger_of("control").await.expect("opened");
    let audit = ledger.audit(10).await.expect("read");
    let newest = audit.last().expect("a row");
    assert!(newest.row.after.as_deref().is_some_and(|after| after.contains("rows differ")), "{newest:?}");
}
