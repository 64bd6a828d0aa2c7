//! The whole path on embedded parts, and what may happen on the way.

use devstack::Kind;
use e2e::{Bench, erp::Erp, member::Member};
use events::{Envelope, Event, EventSet};
use kafka::drain::Drain;
use ledger::{NewAudit, ParkedFilter, ParkedState, Position};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};
use testkit::{
    business::{Item, Options, stream},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(120);

async fn bench(name: &str) -> Bench {
    Bench::start(Kind::Embedded, 1, name).await.expect("the stack starts")
}

/// A business without faults.
fn business(seed: u64, accounts: u32) -> Vec<(Envelope, Event)> {
    let events = stream(&Options::new(seed, accounts)).expect("good options");
    let events = events.filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.collect()
}

async fn publish(bench: &Bench, events: &[(Envelope, Event)]) {
    let records: Vec<_> = events.iter().map(|(envelope, event)| bench.record(envelope, event)).collect();
    bench.publish(&records).await.expect("published");
}

async fn dead_letters(bench: &Bench) -> usize {
    let filter = |state| ParkedFilter { states: vec![state], limit: 1_000, ..ParkedFilter::default() };
    let mut found = Drain::new(bench.kafka().clone(), PATIENCE).collect("dlq.erp-sync").await.expect("read").len();
    for state in [ParkedState::LetterPending, ParkedState::DeadLettered] {
        found += bench.ledger.parked_records(&filter(state)).await.expect("read").len();
    }
    found
}

/// Next offset of each slice and topic.
async fn positions(bench: &Bench) -> BTreeMap<(i32, String), i64> {
    let slices = bench.ledger.slices().await.expect("read");
    let all = slices.into_iter().flat_map(|slice| slice.positions.into_iter().map(move |at| (slice.slice, at)));
    all.map(|(slice, position)| ((slice, position.topic), position.next_offset)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_business_reaches_the_erp_exactly_once() {
    let bench = bench("embedded").await;
    let events = business(1, 50);
    publish(&bench, &events).await;
    let report = bench.verified(PATIENCE).await.expect("verified");
    println!("{} records: {report:#?}", events.len());
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_dropped_after_commit_leads_to_a_look_up_and_no_second_effect() {
    const ROUTE: &str = "/services/rest/record/v1/invoice";
    let bench = bench("dropped").await;
    let erp = Erp::of(&bench.stack);
    let rule =
        json!({ "id": "dropped", "method": "POST", "path": ROUTE, "every": 3, "times": 6, "drop_after_commit": true });
    erp.add_fault(&rule).await.expect("a rule");
    let events = business(2, 12);
    let invoices = events.iter().filter(|(_, event)| matches!(event, Event::InvoicePosted(_))).count() as u64;
    publish(&bench, &events).await;
    bench.verified(PATIENCE).await.expect("verified");

    let hits = erp.hits("dropped").await.expect("the rule is there");
    assert_eq!(hits, 6, "all drops happened");
    let member = Member::of(&bench.stack, "erp-sync").expect("it runs");
    let found = member.metric("throughline_effects_total", "result=\"found\"").await.expect("metrics") as u64;
    let asked = erp.answers(&format!("GET {ROUTE}/eid:*")).await.expect("the journal").values().sum::<u64>();
    assert!(found >= hits && asked >= hits, "{hits} answers were dropped; {asked} look-ups, {found} found");
    let calls = erp.answers(&format!("POST {ROUTE}")).await.expect("the journal");
    assert_eq!(calls, BTreeMap::from([("204".to_owned(), invoices - hits), ("cut".to_owned(), hits)]), "one call each");
    let created = erp.created().await.expect("the effect log");
    assert!(created.values().all(|times| *times == 1), "each record is made once: {created:?}");
    assert_eq!(created.keys().filter(|(object, _)| object == "invoice").count() as u64, invoices);
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_erp_moves_no_position_and_makes_no_dead_letter() {
    let bench = bench("outage").await;
    let erp = Erp::of(&bench.stack);
    let member = Member::of(&bench.stack, "erp-sync").expect("it runs");
    let events = business(3, 30);
    let (before, during) = events.split_at(events.len() / 4);
    let (first, rest) = during.split_at(during.len() / 4);
    publish(&bench, before).await;
    bench.verified(PATIENCE).await.expect("verified");
    let effects = erp.effects().await.expect("the effect log").len();

    erp.add_fault(&json!({ "id": "outage", "down": true })).await.expect("a rule");
    publish(&bench, first).await;
    let refused = async |least: u64| {
        eventually("refused probes", PATIENCE, async || {
            let hits = erp.hits("outage").await.map_err(|error| error.to_string())?;
            if hits >= least { Ok(hits) } else { Err(format!("{hits} of {least}")) }
        })
        .await
        .expect("the service goes on probing")
    };
    eventually("breaker open", PATIENCE, async || {
        let readiness = member.readiness().await.map_err(|error| error.to_string())?;
        readiness.reason("ERP_UNAVAILABLE").map(str::to_owned).ok_or_else(|| format!("{readiness:?}"))
    })
    .await
    .expect("the outage is noticed");
    // What was on its way when the breaker opened has come to rest by the next probe.
    let hits = refused(0).await;
    let hits = refused(hits + 1).await;
    let stood = positions(&bench).await;
    publish(&bench, rest).await;
    refused(hits + 3).await;
    assert_eq!(positions(&bench).await, stood, "no position moves during an outage");
    assert_eq!(dead_letters(&bench).await, 0);
    assert_eq!(erp.effects().await.expect("the effect log").len(), effects);

    erp.heal().await.expect("healed");
    let report = bench.verified(PATIENCE).await.expect("verified");
    let order = report.checks.iter().find(|check| check.id == "I3").expect("checked");
    assert!(order.ok && order.counted > effects as u64, "{order:?}");
    assert_eq!(dead_letters(&bench).await, 0);
    assert!(bench.ledger.sequences(None).await.expect("read").is_empty(), "nothing is left behind");
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_before_its_contract_waits_and_resolves_by_itself() {
    let bench = bench("early").await;
    let erp = Erp::of(&bench.stack);
    let events = business(4, 1);
    let is_contract = |event: &Event| matches!(event, Event::ContractActivated(_));
    let contract = events.iter().find(|(_, event)| is_contract(event)).expect("every account has one").clone();
    let invoice = events.iter().find(|(_, event)| matches!(event, Event::InvoicePosted(_))).expect("billed").clone();
    publish(&bench, &[invoice]).await;
    let waiting = eventually("the invoice waits", PATIENCE, async || {
        let sequences = bench.ledger.sequences(None).await.map_err(|error| error.to_string())?;
        sequences.into_iter().next().ok_or("nothing is parked yet".to_owned())
    })
    .await
    .expect("parked");
    assert_eq!((waiting.class, waiting.code.as_str()), (failure::Class::NotYet, "CONTRACT_NOT_ACTIVE"));
    assert_eq!(waiting.awaits.as_deref(), Some(contract.1.subject()));
    assert!(erp.effects().await.expect("the effect log").is_empty());

    publish(&bench, &[contract]).await;
    bench.verified(PATIENCE).await.expect("verified");
    assert!(bench.ledger.sequences(None).await.expect("read").is_empty());
    let objects: Vec<String> = erp.effects().await.expect("log").into_iter().map(|effect| effect.object).collect();
    assert_eq!(objects, ["customer", "salesOrder", "invoice"], "the contract's effects go first");
    assert_eq!(dead_letters(&bench).await, 0);
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_leaves_the_group_and_exits_with_zero() {
    let bench = bench("sigterm").await;
    let folder = bench.data();
    let ready = folder.join("second.ready");
    let mut second = tokio::process::Command::new(e2e::binaries().expect("built").join("erp-sync"))
        .arg("--config")
        .arg(folder.join("services/erp-sync.toml"))
        .arg("--ready-file")
        .arg(&ready)
        .env("THROUGHLINE_HTTP_BIND", "127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let url = eventually("the ready file", PATIENCE, async || std::fs::read_to_string(&ready)).await.expect("ready");
    let (first, second_http) = (Member::of(&bench.stack, "erp-sync").expect("it runs"), Member::at(&url));
    let owned = async |member: &Member| member.metric("throughline_slices_owned", "").await.unwrap_or(-1.0);
    let shared = async || {
        let owned = (owned(&first).await, owned(&second_http).await);
        if owned == (6.0, 6.0) { Ok(()) } else { Err(format!("slices owned: {owned:?}")) }
    };
    eventually("both own half of the slices", PATIENCE, shared).await.expect("shared");

    let events = business(5, 20);
    publish(&bench, &events).await;
    let at_work = async || {
        let done = second_http.metric("throughline_events_total", "").await.map_err(|error| error.to_string())?;
        if done > 0.0 { Ok(()) } else { Err("nothing yet".to_owned()) }
    };
    eventually("the second one is at work", PATIENCE, at_work).await.expect("it works");
    for (path, expected) in [("/livez", "ok"), ("/readyz", "\"ready\":true"), ("/metrics", "throughline_events_total{")]
    {
        let (status, text) = second_http.get(path).await.expect("it answers");
        assert!(status == 200 && text.contains(expected), "{path}: {status} {text}");
    }

    let pid = i32::try_from(second.id().expect("it runs")).expect("a pid");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("signalled");
    let status = tokio::time::timeout(PATIENCE, second.wait()).await.expect("it ends").expect("it was ours");
    assert_eq!(status.code(), Some(0), "{status}");
    let alone = async || {
        let owned = owned(&first).await;
        if owned == 12.0 { Ok(()) } else { Err(format!("slices owned: {owned}")) }
    };
    eventually("the first one owns all slices", PATIENCE, alone).await.expect("the group gave them on");
    bench.verified(PATIENCE).await.expect("verified");
    bench.stop().await.expect("stopped");
}

/// What an operator types; what it says comes with a failure.
async fn operate(bench: &Bench, arguments: &[&str]) {
    let why = ["--reason", "the records are still there", "--yes"];
    bench.throughline(&[arguments, &why].concat()).await.expect("done");
}

/// Makes the ledger expect more of a topic than there is, as after a truncation.
async fn spoil(bench: &Bench, slice: i32, position: &Position) {
    let [actor, action, subject, reason] = ["test", "test.spoil", "erp-sync", "a truncated topic"].map(str::to_owned);
    let audit = NewAudit { at_ms: 0, actor, action, subject, reason, before: None, after: None };
    bench.ledger.accept_position(slice, position, &audit).await.expect("set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_or_truncated_topic_stops_the_slice_until_an_operator_accepts() {
    const AHEAD: i64 = 1_000;
    let bench = bench("truncated").await;
    let events = business(6, 20);
    let (before, after) = events.split_at(events.len() / 2);
    publish(&bench, before).await;
    bench.verified(PATIENCE).await.expect("verified");

    let topic = events::topics::INVOICE_POSTED;
    let partition = |event: &Event| events::partition::partition_for_key(event.account_id().as_bytes(), 12);
    let slice =
        after.iter().find(|(_, event)| event.topic() == topic).map(|(_, event)| partition(event)).expect("billed");
    let slices = bench.ledger.slices().await.expect("read");
    let status = slices.iter().find(|status| status.slice == slice).expect("known");
    let sound = status.positions.iter().find(|position| position.topic == topic).expect("read").clone();
    // To the service it looks as if the topic had lost its last thousand records.
    let lost = Position { next_offset: sound.next_offset + AHEAD, ..sound.clone() };
    spoil(&bench, slice, &lost).await;
    bench.stack.kill("erp-sync").await.expect("killed");
    let stopped = eventually("the slice stops", PATIENCE, async || {
        let member = Member::of(&bench.stack, "erp-sync").map_err(|error| error.to_string())?;
        let readiness = member.readiness().await.map_err(|error| error.to_string())?;
        readiness.reason("SLICE_STOPPED").map(str::to_owned).ok_or_else(|| format!("{readiness:?}"))
    })
    .await
    .expect("stopped");
    assert!(stopped.contains(&format!("slice {slice}: POSITION_BEYOND_END")) && stopped.contains(topic), "{stopped}");

    publish(&bench, after).await;
    let others = eventually("the other slices go on", PATIENCE, async || {
        let positions = positions(&bench).await;
        let admin = kafka::Admin::connect(bench.kafka()).map_err(|error| error.to_string())?;
        for other in (0..12).filter(|other| *other != slice) {
            let end = admin.watermarks(topic, other).await.map_err(|error| error.to_string())?.1;
            let at = positions.get(&(other, topic.to_owned())).copied().unwrap_or(0);
            if at < end {
                return Err(format!("slice {other} is at {at} of {end}"));
            }
        }
        Ok(positions)
    })
    .await
    .expect("they do their work");
    assert_eq!(others[&(slice, topic.to_owned())], lost.next_offset, "nothing resets by itself");

    let (slice, at) = (slice.to_string(), sound.next_offset.to_string());
    operate(&bench, &["slice", "accept", "erp-sync", &slice, "--topic", topic, "--at", &at]).await;
    operate(&bench, &["slice", "resume", "erp-sync", &slice]).await;
    let audit = bench.ledger.audit(10).await.expect("read");
    let actions: Vec<_> = audit.iter().map(|row| row.row.action.as_str()).collect();
    assert_eq!(actions, ["test.spoil", "slice.stop", "slice.accept", "slice.resume"], "all of it on the record");
    bench.verified(PATIENCE).await.expect("verified");
    let member = Member::of(&bench.stack, "erp-sync").expect("it runs");
    assert!(member.readiness().await.expect("an answer").ready);
    let served: BTreeSet<_> = events.iter().map(|(_, event)| event.account_id()).collect();
    let effects = Erp::of(&bench.stack).effects().await.expect("the effect log");
    let reached: BTreeSet<_> = effects.iter().map(|effect| effect.account_id.as_str()).collect();
    assert_eq!(reached, served, "no account was left out");
    bench.stop().await.expect("stopped");
}
