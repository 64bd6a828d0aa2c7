//! Access on its way through the built program: what contracts and payments say is what the product platform lets customers use, once,
//! although the service is killed on the way.

use devstack::Kind;
use e2e::{Bench, platform::Platform};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, Envelope, Event, EventSet as _, PaymentFailed,
    PaymentReceived,
    common::{
        AmendmentType, CancellationMode, ChargeType, ContractLine, Customer, LineChange, PaymentAllocation, Reason,
        Term,
    },
    topics,
};
use jiff::{SignedDuration, Timestamp, civil::date};
use kafka::{Drain, Outgoing};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use testkit::eventually;

const PATIENCE: Duration = Duration::from_secs(240);
const SERVICE: &str = "provisioning";
/// Enough that a kill hits work.
const ACCOUNTS: usize = 30;

/// On a day in the past.
fn at(day: i8) -> Timestamp {
    date(2025, 3, day).at(12, 0, 0, 0).in_tz("UTC").expect("a time").timestamp()
}

fn account(number: usize) -> String {
    format!("A-{number:03}")
}

fn record(bench: &Bench, event: impl Into<Event>) -> Outgoing {
    let event = event.into();
    event.check().expect("within the rules of the wire");
    let topic = event.topic();
    let envelope = Envelope {
        id: format!("{}-{}-{topic}", event.subject(), event.entity_version().unwrap_or_default()),
        source: "urn:test:billing".into(),
        event_type: topics::event_type(topic),
        time_ms: event.recorded_at().as_millisecond(),
        subject: Some(event.subject().to_owned()),
        ..Envelope::default()
    };
    bench.record(&envelope, &event)
}

fn line(product: &str, seats: i64) -> ContractLine {
    ContractLine {
        contract_line_id: "L1".into(),
        product_id: product.into(),
        charge_type: ChargeType::Recurring,
        quantity: seats.into(),
        unit_price: 1.into(),
        amount_minor: seats * 100,
        ..ContractLine::default()
    }
}

fn activated(account: &str, line: ContractLine) -> ContractActivated {
    ContractActivated {
        account_id: account.into(),
        contract_id: format!("C-{account}"),
        entity_version: 1,
        effective_at: at(1),
        recorded_at: at(1),
        legal_entity_id: "GB".into(),
        customer: Customer {
            legal_name: format!("Example {account}").into(),
            email: Some(format!("owner@{account}.example.invalid").into()),
            currency: "GBP".into(),
            ..Customer::default()
        },
        currency: "GBP".into(),
        term: Term {
            start_on: date(2025, 3, 1),
            end_on: Some(date(2099, 3, 1)),
            timezone: "Europe/London".into(),
            ..Term::default()
        },
        lines: vec![line],
        ..ContractActivated::default()
    }
}

fn amended(account: &str, from: Timestamp) -> ContractAmended {
    let change = LineChange {
        contract_line_id: "L1".into(),
        before: Some(line("SUB-PLATFORM", 10)),
        after: Some(line("SUB-PLATFORM", 20)),
    };
    ContractAmended {
        account_id: account.into(),
        contract_id: format!("C-{account}"),
        entity_version: 2,
        effective_at: from,
        recorded_at: at(2),
        legal_entity_id: "GB".into(),
        currency: "GBP".into(),
        amendment_id: format!("M-{account}"),
        sequence_no: 1,
        amendment_type: AmendmentType::Quantity,
        changes: vec![change],
        ..ContractAmended::default()
    }
}

fn cancelled(account: &str) -> ContractCancelled {
    ContractCancelled {
        account_id: account.into(),
        contract_id: format!("C-{account}"),
        entity_version: 2,
        effective_at: at(3),
        recorded_at: at(3),
        legal_entity_id: "GB".into(),
        currency: "GBP".into(),
        mode: CancellationMode::Immediate,
        cancel_on: date(2025, 3, 3),
        timezone: "Europe/London".into(),
        reason: Reason { code: "customer_request".into(), text: None },
        ..ContractCancelled::default()
    }
}

fn failed(account: &str, step: i32) -> PaymentFailed {
    let when = at(3 + i8::try_from(step).expect("small"));
    PaymentFailed {
        account_id: account.into(),
        payment_id: format!("P-{account}"),
        entity_version: step.into(),
        invoice_id: format!("I-{account}"),
        attempt_no: step,
        dunning_step: Some(step),
        effective_at: when,
        recorded_at: when,
        legal_entity_id: "GB".into(),
        amount_minor: 1_000,
        currency: "GBP".into(),
        ..PaymentFailed::default()
    }
}

fn paid(account: &str) -> PaymentReceived {
    PaymentReceived {
        account_id: account.into(),
        payment_id: format!("P-{account}"),
        entity_version: 4,
        effective_at: at(20),
        recorded_at: at(20),
        received_on: date(2025, 3, 20),
        timezone: "Europe/London".into(),
        legal_entity_id: "GB".into(),
        amount_minor: 1_000,
        currency: "GBP".into(),
        allocations: vec![PaymentAllocation {
            invoice_id: format!("I-{account}"),
            amount_minor: 1_000,
            ..PaymentAllocation::default()
        }],
        ..PaymentReceived::default()
    }
}

struct Access {
    bench: Bench,
    product: Platform,
    identity: Platform,
    published: Vec<Outgoing>,
}

impl Access {
    async fn start(kind: Kind, name: &str) -> Self {
        let bench = Bench::start_with(kind, &[(SERVICE, 1)], name, |config| config).await.expect("the stack starts");
        let product = Platform::of(&bench.stack, "product").expect("a product platform");
        let identity = Platform::of(&bench.stack, "identity").expect("an identity platform");
        Self { bench, product, identity, published: Vec::new() }
    }

    async fn publish(&mut self, records: Vec<Outgoing>) {
        self.bench.publish(&records).await.expect("published");
        self.published.extend(records);
    }

    /// `kill -9`, once the platform has carried out so much.
    async fn kill_after(&self, effects: usize) {
        let enough = async || match self.product.effects().await.expect("the log").len() {
            found if found >= effects => Ok(()),
            found => Err(format!("{found} effects")),
        };
        eventually(&format!("{effects} effects"), PATIENCE, enough).await.expect("the work goes on");
        self.bench.stack.kill(SERVICE).await.expect("it can be killed");
    }

    /// The seats of an account: quantity and status.
    async fn seats(&self, account: &str) -> Option<(String, String)> {
        let all = self.product.records("entitlement").await.expect("the platform's state");
        let seats = all.iter().find(|row| row["tenant_id"] == account)?;
        let text = |name: &str| seats[name].as_str().unwrap_or("none").to_owned();
        Some((text("quantity"), text("status")))
    }

    async fn until(&self, account: &str, quantity: &str, status: &str) {
        let wanted = Some((quantity.to_owned(), status.to_owned()));
        let reached = async || match self.seats(account).await {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?}")),
        };
        eventually(&format!("{account} {quantity} {status}"), PATIENCE, reached).await.expect("access follows");
    }

    async fn verified(&self) {
        self.bench.verified_of(SERVICE, PATIENCE).await.expect("verified");
    }

    /// Events of a topic, each counted once.
    async fn told(&self, topic: &str) -> usize {
        let records = Drain::new(self.bench.kafka().clone(), PATIENCE).collect(topic).await.expect("read");
        records.iter().filter_map(|record| record.headers.text("ce_id")).collect::<BTreeSet<_>>().len()
    }

    async fn effects(&self) -> (usize, usize) {
        let (product, identity) = (self.product.effects().await, self.identity.effects().await);
        (product.expect("the log").len(), identity.expect("the log").len())
    }
}

/// The change of an account's seats that the platform logged for its amendment.
fn amendment<'a>(effects: &'a [Value], account: &str) -> &'a Value {
    let of_account = effects.iter().filter(|effect| effect["account_id"] == account);
    of_account.filter(|effect| effect["object"] == "entitlement").nth(1).expect("seats were changed")
}

/// D1.13, D3.24, D4.19: granted, changed at its date, suspended by the policy and resumed, revoked; each once.
async fn access_follows_contracts_and_payments(kind: Kind, name: &str) {
    let mut access = Access::start(kind, name).await;
    for rule in [
        json!({ "method": "PUT", "every": 9, "times": 4, "drop_after_commit": true }),
        json!({ "method": "PUT", "nth": 13, "status": 429, "headers": { "Retry-After": "1" } }),
    ] {
        access.product.add_fault(&rule).await.expect("a rule");
    }
    access.identity.add_fault(&json!({ "method": "POST", "nth": 7, "drop_after_commit": true })).await.expect("a rule");
    let grants = (0..ACCOUNTS).map(|number| activated(&account(number), line("SUB-PLATFORM", 10)));
    let mut grants: Vec<_> = grants.map(|event| record(&access.bench, event)).collect();
    grants.push(record(&access.bench, activated("A-unknown", line("NO-SUCH-PRODUCT", 10))));
    access.publish(grants).await;
    access.kill_after(ACCOUNTS / 2).await;
    access.verified().await;
    let (amending, cancelling, failing) = (account(0), account(1), account(2));
    assert_eq!(access.effects().await, (2 * ACCOUNTS, 2 * ACCOUNTS), "tenant, seats, user and group of each");

    let due = Timestamp::now() + SignedDuration::from_secs(10);
    let mut changes =
        vec![record(&access.bench, amended(&amending, due)), record(&access.bench, cancelled(&cancelling))];
    changes.extend((1..=3).map(|step| record(&access.bench, failed(&failing, step))));
    access.publish(changes).await;
    access.until(&failing, "10", "suspended").await;
    access.until(&cancelling, "10", "revoked").await;
    let payment = record(&access.bench, paid(&failing));
    access.publish(vec![payment]).await;
    access.until(&failing, "10", "active").await;
    // The timer of the amendment is not lost with the process.
    access.bench.stack.kill(SERVICE).await.expect("it can be killed");
    access.until(&amending, "20", "active").await;
    let log = access.product.effects().await.expect("the log");
    let changed: Timestamp = amendment(&log, &amending)["at"].as_str().expect("a time").parse().expect("a time");
    assert!(changed >= due, "the amendment holds from {due}, and was carried out at {changed}");
    access.verified().await;
    everything_again(&mut access).await;
    access.bench.stop().await.expect("stopped");
}

/// I10: reading all of it again changes nothing and calls nobody.
async fn everything_again(access: &mut Access) {
    let before = access.effects().await;
    // Seats and tenant of the cancelled one, suspended and resumed, amended.
    assert_eq!(before, (2 * ACCOUNTS + 5, 2 * ACCOUNTS));
    for platform in [&access.product, &access.identity] {
        assert!(platform.created().await.expect("the log").values().all(|times| *times == 1));
    }
    let published = std::mem::take(&mut access.published);
    access.bench.publish(&published).await.expect("published again");
    access.verified().await;
    assert_eq!(access.effects().await, before, "nothing was carried out a second time");
    let told = [topics::ENTITLEMENT_GRANTED, topics::ENTITLEMENT_UPDATED, topics::ENTITLEMENT_REVOKED];
    let mut counts = Vec::new();
    for topic in told.into_iter().chain([topics::PROVISIONING_FAILED]) {
        counts.push(access.told(topic).await);
    }
    assert_eq!(counts, [ACCOUNTS, 3, 1, 1], "granted, updated, revoked, failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_follows_contracts_and_payments_once() {
    Box::pin(access_follows_contracts_and_payments(Kind::Embedded, "access-embedded")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_follows_contracts_and_payments_once_on_real_parts() {
    Box::pin(access_follows_contracts_and_payments(Kind::Real, "access-real")).await;
}
