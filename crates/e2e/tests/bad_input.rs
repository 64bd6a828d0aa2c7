//! Bad input of every kind, as a careless publisher sends it: each ends in one known place, and nobody else notices.

use devstack::Kind;
use e2e::{Bench, erp::Erp, member::Member};
use events::{Envelope, Event, EventSet, partition::partition_for_key, topics};
use failure::Class;
use kafka::{Outgoing, drain::Drain, mock::MockBroker};
use ledger::{ParkedFilter, ParkedState};
use std::{collections::BTreeMap, process::Stdio, time::Duration};
use testkit::{
    Scratch,
    bad_input::{self, BadRecord},
    business::{Item, Options, stream},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 12;
const HUGE: &str = "5-megabytes";
/// Whoever reads the events of the business refuses what is wrong with them alike.
const READERS: [&str; 4] = ["erp-sync", "crm-sync", "provisioning", "analytics-feed"];

fn partition(key: &[u8]) -> i32 {
    partition_for_key(key, PARTITIONS)
}

/// The bad records, with the huge one alone in its partition: the in-process broker keeps 5 MiB of each, and would forget the
/// records beside it before they could be compared.
fn bad_records(bench: &Bench) -> (Vec<BadRecord>, i32) {
    let place = |bad: &BadRecord| bad.key.as_deref().map(partition);
    let tries = (0..).map(|tag: u32| bad_input::all(&tag.to_string(), |topic| bench.schema_id(topic)));
    let alone = tries.filter_map(|records| {
        let huge = place(records.iter().find(|bad| bad.name == HUGE)?)?;
        let beside = records.iter().filter(|bad| place(bad) == Some(huge)).count();
        (beside == 1).then_some((records, huge))
    });
    alone.into_iter().next().expect("some tag gives it a partition of its own")
}

fn outgoing(bad: &BadRecord, huge: i32) -> Outgoing {
    Outgoing {
        topic: bad.topic.into(),
        // A record without a key goes anywhere but there.
        partition: bad.key.is_none().then_some((huge + 1) % PARTITIONS),
        key: bad.key.clone().map(Into::into),
        value: bad.value.clone().map(Into::into),
        headers: bad.headers.clone(),
        timestamp_ms: None,
    }
}

/// Sound events whose accounts share no partition with the huge record.
fn good_events(huge: i32) -> Vec<(Envelope, Event)> {
    let events = stream(&Options::new(7, 30)).expect("good options").filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.filter(|(_, event)| partition(event.account_id().as_bytes()) != huge).collect()
}

/// Events of a contract of its own, made of a generated one: activation, second and third version.
struct Versions {
    activated: (Envelope, Event),
    contract_id: String,
}

impl Versions {
    fn of(account_id: &str) -> Self {
        let events = stream(&Options::new(8, 1)).expect("good options").filter_map(|generated| match generated.item {
            Item::Event { envelope, event: Event::ContractActivated(contract) } => Some((envelope, contract)),
            _ => None,
        });
        let (mut envelope, mut contract) = events.into_iter().next().expect("every account has one");
        let contract_id = format!("C-{account_id}");
        (contract.account_id, contract.contract_id) = (account_id.to_owned(), contract_id.clone());
        // One customer under two accounts would be a matter for people.
        contract.customer.legal_name = format!("Customer {account_id}").into();
        contract.customer.tax_ids.clear();
        (envelope.id, envelope.subject) = (format!("{account_id}-1"), Some(contract_id.clone()));
        Self { activated: (envelope, Event::ContractActivated(contract)), contract_id }
    }

    /// A cancellation of the contract that claims to be its version `version`, as the event `name`.
    fn cancelled(&self, name: &str, version: i64) -> (Envelope, Event) {
        let Event::ContractActivated(contract) = &self.activated.1 else { unreachable!("made so") };
        let event = events::ContractCancelled {
            account_id: contract.account_id.clone(),
            contract_id: self.contract_id.clone(),
            entity_version: version,
            effective_at: contract.effective_at,
            recorded_at: contract.recorded_at,
            legal_entity_id: contract.legal_entity_id.clone(),
            cancel_on: contract.term.start_on,
            timezone: contract.term.timezone.clone(),
            currency: contract.currency.clone(),
            ..events::ContractCancelled::default()
        };
        let envelope = Envelope {
            id: format!("{}-{name}", contract.account_id),
            event_type: topics::event_type(topics::CONTRACT_CANCELLED),
            sequence: Some(format!("{version:010}").into()),
            ..self.activated.0.clone()
        };
        (envelope, event.into())
    }
}

/// What a dead letter or a parked row says: class and code, by key.
type Verdicts = BTreeMap<Option<Vec<u8>>, (String, String)>;

async fn letters(bench: &Bench, service: &str) -> Verdicts {
    let topic = format!("dlq.{service}");
    let letters = Drain::new(bench.kafka().clone(), PATIENCE).collect(&topic).await.expect("read");
    let count = letters.len();
    let text = |letter: &events::Record, name: &str| letter.headers.text(name).unwrap_or_default().to_owned();
    let verdicts: Verdicts = letters
        .iter()
        .map(|letter| {
            (letter.key.as_ref().map(|key| key.to_vec()), (text(letter, "dlq.class"), text(letter, "dlq.code")))
        })
        .collect();
    assert_eq!(verdicts.len(), count, "one letter for each bad record");
    verdicts
}

async fn rows(bench: &Bench, service: &str) -> Verdicts {
    let filter = ParkedFilter { states: vec![ParkedState::DeadLettered], limit: 1_000, ..ParkedFilter::default() };
    let ledger = bench.ledger_of(service).await.expect("a ledger");
    let rows = ledger.parked_records(&filter).await.expect("read");
    let count = rows.len();
    let verdicts: Verdicts = rows
        .into_iter()
        .map(|row| {
            let failure = row.fate.failure.expect("a dead letter has a reason");
            (row.key.map(|key| key.to_vec()), (failure.class.as_str().to_owned(), failure.code.into_owned()))
        })
        .collect();
    assert_eq!(verdicts.len(), count, "one row for each bad record");
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_bad_input_ends_in_one_known_place_with_its_code() {
    let services = READERS.map(|service| (service, 1));
    let bench = Bench::start_with(Kind::Embedded, &services, "bad-input", |config| config).await.expect("it starts");
    let (bad, huge) = bad_records(&bench);
    let good = good_events(huge);
    let half = good.len() / 2;
    let mut records: Vec<Outgoing> =
        good[..half].iter().map(|(envelope, event)| bench.record(envelope, event)).collect();
    records.extend(bad.iter().map(|bad| outgoing(bad, huge)));
    records.extend(good[half..].iter().map(|(envelope, event)| bench.record(envelope, event)));
    bench.publish(&records).await.expect("the broker takes everything");
    let expected: Verdicts =
        bad.iter().map(|bad| (bad.key.clone(), (bad.class.as_str().to_owned(), bad.code.to_owned()))).collect();
    for service in READERS {
        let report = bench.verified_of(service, PATIENCE).await.expect("verified");
        assert_eq!(letters(&bench, service).await, expected, "dead letters of {service}");
        assert_eq!(rows(&bench, service).await, expected, "rows of the ledger of {service}");
        let compared = report.checks.iter().find(|check| check.id == "I9").expect("checked");
        assert_eq!(compared.counted, bad.len() as u64, "byte for byte in {service}: {compared:?}");
    }
    let invoices = good.iter().filter(|(_, event)| matches!(event, Event::InvoicePosted(_))).count();
    let created = Erp::of(&bench.stack).created().await.expect("the effect log");
    assert_eq!(created.keys().filter(|(object, _)| object == "invoice").count(), invoices, "all good ones, no bad one");
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_gap_waits_to_be_filled_and_a_stale_version_becomes_a_dead_letter() {
    let bench = Bench::start(Kind::Embedded, 1, "versions").await.expect("the stack starts");
    let publish = async |events: &[(Envelope, Event)]| {
        let records: Vec<_> = events.iter().map(|(envelope, event)| bench.record(envelope, event)).collect();
        bench.publish(&records).await.expect("published");
    };
    let gap = Versions::of("gap");
    publish(&[gap.activated.clone(), gap.cancelled("3", 3)]).await;
    let waiting = eventually("the third version waits", PATIENCE, async || {
        let sequences = bench.ledger.sequences(None).await.map_err(|error| error.to_string())?;
        let waiting = sequences.into_iter().find(|sequence| sequence.code == "VERSION_GAP");
        waiting.ok_or("nothing waits for a version yet".to_owned())
    })
    .await
    .expect("parked");
    assert_eq!((waiting.class, waiting.awaits.as_deref()), (Class::NotYet, Some(&*gap.contract_id)));
    publish(&[gap.cancelled("2", 2)]).await;
    bench.verified(PATIENCE).await.expect("verified");
    assert!(bench.ledger.sequences(None).await.expect("read").is_empty(), "the gap is filled");
    assert!(letters(&bench, "erp-sync").await.is_empty());

    let stale = Versions::of("stale");
    publish(&[stale.activated.clone(), stale.cancelled("again", 1)]).await;
    bench.verified(PATIENCE).await.expect("verified");
    let expected = BTreeMap::from([(Some(b"stale".to_vec()), ("contract".to_owned(), "STALE_VERSION".to_owned()))]);
    assert_eq!(letters(&bench, "erp-sync").await, expected);
    assert_eq!(rows(&bench, "erp-sync").await, expected);
    bench.stop().await.expect("stopped");
}

fn erp_sync(config: &std::path::Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(e2e::binaries().expect("built").join("erp-sync"));
    command.arg("--config").arg(config).env("THROUGHLINE_HTTP_BIND", "127.0.0.1:0").kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_configuration_is_refused_with_all_its_mistakes_at_once() {
    let scratch = Scratch::try_new("bad-config").expect("a folder");
    let config = scratch.join("erp-sync.toml");
    let text = "[kafka]\nbroker = \"localhost:9092\"\nprotocol = \"newest\"\n[runtime]\nmemory = \"24 parsecs\"\n\
                drain_deadline = 5\n[erp]\nconcurrency = 0\n[surprise]\nkey = 1\n";
    std::fs::write(&config, text).expect("written");
    let output = erp_sync(&config).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for mistake in [
        "kafka.broker",
        "kafka.protocol",
        "runtime.memory",
        "runtime.drain_deadline",
        "erp.base_url",
        "erp.concurrency",
        "surprise",
    ] {
        assert!(said.contains(mistake), "`{mistake}` is not in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_with_different_numbers_of_partitions_are_named_and_nothing_is_read() {
    let bench = Bench::start(Kind::Embedded, 1, "partitions").await.expect("the stack starts");
    let broker = MockBroker::start().expect("a broker of its own");
    for subject in topics::SUBJECTS {
        let count = if subject.topic == topics::INVOICE_POSTED { 6 } else { PARTITIONS };
        broker.create_topic(subject.topic, count).expect("made");
    }
    let ready = bench.data().join("other.ready");
    let mut service = erp_sync(&bench.data().join("services/erp-sync.toml"))
        .arg("--ready-file")
        .arg(&ready)
        .env("THROUGHLINE_KAFKA_BROKERS", broker.bootstrap())
        .env("THROUGHLINE_LEDGER_URL", "memory:")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let url = eventually("the ready file", PATIENCE, async || std::fs::read_to_string(&ready)).await.expect("up");
    let member = Member::at(&url);
    let reason = eventually("the reason", PATIENCE, async || {
        let readiness = member.readiness().await.map_err(|error| error.to_string())?;
        let reason = readiness.reason("NOT_COPARTITIONED").map(str::to_owned);
        reason.filter(|_| !readiness.ready).ok_or_else(|| format!("{readiness:?}"))
    })
    .await
    .expect("it says why it waits");
    assert!(reason.contains(topics::INVOICE_POSTED) && reason.contains("6:") && reason.contains("12:"), "{reason}");
    assert_eq!(member.metric("throughline_slices_owned", "").await.expect("metrics"), 0.0);
    service.kill().await.expect("it was ours");
    bench.stop().await.expect("stopped");
}
