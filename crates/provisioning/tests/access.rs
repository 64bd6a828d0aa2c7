//! Access as people see it: through plans, connectors and the platforms' stand-ins, with a clock that the test moves.

use connectors::{Bounds, entitlement::Entitlements, oauth::Options, scim::Scim};
use consumer::{Context, Documents, Effect as _, Handler as _, Input, Intent, Publish, Target as _, TimerChange};
use events::{
    ContractActivated, ContractAmended, ContractCancelled, Envelope, Event, EventSet as _, PaymentFailed,
    PaymentReceived, SubscriptionRenewalAccepted,
    common::{
        AmendmentType, CancellationMode, ChargeType, ContractLine, Customer, EntitlementRequest, LineChange,
        PaymentAllocation, Term,
    },
};
use failure::{Class, Failure};
use jiff::{Timestamp, civil::date};
use ledger::DocumentKey;
use provisioning::{
    PlatformTarget, Policy, Provisioning, document::AccessDocument, effect::AccessEffect, reply::Replies,
};
use rust_decimal::Decimal;
use sandbox::{entitlement as product, scim};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

/// The service without its runtime: what is decided is sent at once, and takes hold; timers fire when the clock is moved past them.
struct Service {
    product: product::Sandbox,
    identity: scim::Sandbox,
    handler: Provisioning,
    target: PlatformTarget,
    documents: BTreeMap<DocumentKey, Arc<AccessDocument>>,
    timers: BTreeMap<String, (i64, Value)>,
    told: Vec<Publish>,
    now_ms: i64,
    _folder: tempfile::TempDir,
}

fn options(base_url: String, credentials: &product::Credentials, folder: &Path, name: &str) -> Options {
    Options {
        base_url,
        token_url: None,
        client_id: credentials.client_id.clone(),
        client_secret_file: credentials.save(folder, name).expect("credentials"),
        concurrency: 4,
        bounds: Bounds::default(),
        allow_plain_http: false,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

impl Service {
    async fn start() -> Self {
        let product = product::start(product::Config::default()).await.expect("a stand-in");
        let identity = scim::start(scim::Config::default()).await.expect("a stand-in");
        let folder = tempfile::tempdir().expect("a folder");
        let entitlements =
            Entitlements::try_new(options(product.url(), product.credentials(), folder.path(), "product"));
        let users = options(format!("{}/scim/v2", identity.url()), identity.credentials(), folder.path(), "identity");
        let target = PlatformTarget::new(
            Arc::new(entitlements.expect("good options")),
            Some(Arc::new(Scim::try_new(users).expect("good options"))),
            Duration::ZERO,
        );
        let policy = Policy::parse(include_str!("../../../deploy/policies/provisioning.yaml")).expect("a policy");
        let handler = Provisioning::new(policy, Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()), true);
        Self {
            product,
            identity,
            handler,
            target,
            documents: BTreeMap::new(),
            timers: BTreeMap::new(),
            told: Vec::new(),
            now_ms: at("2026-01-01T00:00:00Z").as_millisecond(),
            _folder: folder,
        }
    }

    async fn decide(&mut self, input: &Input<'_, Provisioning>) -> Result<Vec<AccessEffect>, Failure> {
        let reads = self.handler.reads(input);
        let context = Context { now_ms: self.now_ms, record_ms: self.now_ms, envelope: None, key: "a-1", refusals: 0 };
        let decision = self.handler.decide(&Documents::new(&self.documents), input, &context)?;
        assert!(decision.documents.iter().all(|change| reads.contains(&change.key)), "only what is read may change");
        for effect in &decision.effects {
            let intent = Intent {
                effect: effect.clone(),
                attempts: 0,
                traceparent: None,
                event_id: effect.key(),
                correlation_id: None,
            };
            self.target.apply(std::slice::from_ref(&intent)).await.pop().expect("one answer an intent")?;
            let found = self.target.look_up(&intent).await?;
            assert!(found.is_some(), "what was sent is found: {}", effect.key());
        }
        for change in decision.documents {
            match change.document {
                Some(document) => self.documents.insert(change.key, Arc::new(document)),
                None => self.documents.remove(&change.key),
            };
        }
        for timer in decision.timers {
            match timer {
                TimerChange::Set { id, due_ms, payload } => self.timers.insert(id, (due_ms, payload)),
                TimerChange::Clear { id } => self.timers.remove(&id),
            };
        }
        self.told.extend(decision.publish);
        Ok(decision.effects)
    }

    async fn take(&mut self, event: impl Into<Event>) -> Result<Vec<AccessEffect>, Failure> {
        let event = event.into();
        self.decide(&Input::Event(&event)).await
    }

    /// Moves the clock, however far, and fires what is due, as often as something is.
    async fn wait_until(&mut self, time: &str) {
        self.now_ms = at(time).as_millisecond();
        while let Some(id) = self.timers.iter().find(|(_, (due, _))| *due <= self.now_ms).map(|(id, _)| id.clone()) {
            let (_, payload) = self.timers.remove(&id).expect("it is there");
            self.decide(&Input::Timer { id: &id, payload: &payload }).await.expect("a timer is carried out");
        }
    }

    async fn records(&self, url: String, object: &str) -> Vec<Value> {
        let text = reqwest::get(format!("{url}/__admin/state?records=true")).await.expect("an answer");
        let state: Value = serde_json::from_str(&text.text().await.expect("text")).expect("JSON");
        state["records"][object].as_array().expect("a list").clone()
    }

    /// Quantity and status of the one entitlement to seats.
    async fn seats(&self) -> (String, String) {
        let all = self.records(self.product.url(), "entitlement").await;
        let seats = all.iter().find(|row| row["feature"] == "platform").expect("there are seats");
        let text = |name: &str| seats[name].as_str().unwrap_or("none").to_owned();
        (text("quantity"), text("status"))
    }

    fn topics(&self) -> Vec<&str> {
        self.told.iter().map(|told| told.topic.as_str()).collect()
    }
}

fn line(id: &str, product: &str, seats: i64) -> ContractLine {
    ContractLine {
        contract_line_id: id.into(),
        product_id: product.into(),
        charge_type: ChargeType::Recurring,
        quantity: Decimal::from(seats),
        ..ContractLine::default()
    }
}

fn activated(lines: Vec<ContractLine>) -> ContractActivated {
    ContractActivated {
        account_id: "a-1".into(),
        contract_id: "c-1".into(),
        entity_version: 1,
        effective_at: at("2026-01-01T00:00:00Z"),
        customer: Customer {
            legal_name: "Example".into(),
            email: Some("owner@example.invalid".into()),
            currency: "GBP".into(),
            ..Customer::default()
        },
        currency: "GBP".into(),
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: "Europe/London".into(),
            ..Term::default()
        },
        lines,
        ..ContractActivated::default()
    }
}

fn amended(version: i64, effective: &str, before: ContractLine, after: Option<ContractLine>) -> ContractAmended {
    ContractAmended {
        account_id: "a-1".into(),
        contract_id: "c-1".into(),
        entity_version: version,
        effective_at: at(effective),
        amendment_type: AmendmentType::Quantity,
        changes: vec![LineChange { contract_line_id: before.contract_line_id.clone(), before: Some(before), after }],
        ..ContractAmended::default()
    }
}

fn failed(version: i64, when: &str) -> PaymentFailed {
    PaymentFailed {
        account_id: "a-1".into(),
        payment_id: "p-1".into(),
        entity_version: version,
        invoice_id: "i-1".into(),
        attempt_no: i32::try_from(version).expect("small"),
        effective_at: at(when),
        amount_minor: 100,
        currency: "GBP".into(),
        ..PaymentFailed::default()
    }
}

fn received(payment: &str, version: i64, when: &str, amount_minor: i64) -> PaymentReceived {
    PaymentReceived {
        account_id: "a-1".into(),
        payment_id: payment.into(),
        entity_version: version,
        effective_at: at(when),
        amount_minor,
        currency: "GBP".into(),
        allocations: vec![PaymentAllocation { invoice_id: "i-1".into(), amount_minor, ..PaymentAllocation::default() }],
        ..PaymentReceived::default()
    }
}

#[tokio::test]
async fn activation_makes_tenant_entitlements_and_the_first_user_with_its_group() {
    let mut service = Service::start().await;
    service
        .take(activated(vec![line("l-1", "SUB-PLATFORM", 25), line("l-2", "SUB-SUPPORT", 25)]))
        .await
        .expect("taken");
    assert_eq!(service.seats().await, ("25".into(), "active".into()));
    let tenants = service.records(service.product.url(), "tenant").await;
    assert_eq!((tenants.len(), &tenants[0]["support_tier"]), (1, &"premium".into()));
    let users = service.records(service.identity.url(), "user").await;
    let groups = service.records(service.identity.url(), "group").await;
    assert_eq!((users.len(), groups.len()), (1, 1));
    assert_eq!(groups[0]["members"][0]["value"], users[0]["id"]);
    assert_eq!(service.topics(), ["entitlement.granted.v1"; 2]);
}

#[tokio::test]
async fn a_downgrade_holds_from_its_date_also_when_the_clock_jumps_over_two_of_them() {
    let mut service = Service::start().await;
    service.take(activated(vec![line("l-1", "SUB-PLATFORM", 25)])).await.expect("taken");
    let (all, some, few) =
        (line("l-1", "SUB-PLATFORM", 25), line("l-1", "SUB-PLATFORM", 10), line("l-1", "SUB-PLATFORM", 5));
    let later = service.take(amended(2, "2026-03-01T00:00:00Z", all, Some(some.clone()))).await.expect("taken");
    assert_eq!(later, [], "nothing before its time");
    service.take(amended(3, "2026-04-01T00:00:00Z", some, Some(few))).await.expect("taken");
    service.wait_until("2026-02-28T23:59:59.999Z").await;
    assert_eq!(service.seats().await.0, "25");
    service.wait_until("2026-03-01T00:00:00Z").await;
    assert_eq!(service.seats().await.0, "10");
    service.wait_until("2031-01-01T00:00:00Z").await;
    assert_eq!(service.seats().await.0, "5");
    assert_eq!(service.topics()[1..], ["entitlement.updated.v1"; 2]);
    // Back-dated, and the clock of another machine runs behind: what was done stays done.
    service.now_ms = at("2026-01-02T00:00:00Z").as_millisecond();
    let none = line("l-1", "SUB-PLATFORM", 5);
    let gone = service.take(amended(4, "2026-01-15T00:00:00Z", none, None)).await.expect("taken");
    assert_eq!(gone, [], "a later amendment by date says what the line is: {gone:?}");
}

/// D9.02 with dunning of the policy: three failures, seven days of grace, suspended; paid in two parts, resumed.
#[tokio::test]
async fn three_failures_suspend_after_the_grace_and_the_whole_payment_resumes() {
    let mut service = Service::start().await;
    service.take(activated(vec![line("l-1", "SUB-PLATFORM", 25)])).await.expect("taken");
    for (version, when) in [(1, "2026-02-01T00:00:00Z"), (2, "2026-02-04T00:00:00Z"), (3, "2026-02-08T12:00:00Z")] {
        service.wait_until(when).await;
        service.take(failed(version, when)).await.expect("taken");
    }
    service.wait_until("2026-02-15T11:59:59Z").await;
    assert_eq!(service.seats().await.1, "active");
    service.wait_until("2026-02-15T12:00:00Z").await;
    assert_eq!(service.seats().await.1, "suspended");
    service.wait_until("2026-02-20T00:00:00Z").await;
    service.take(received("p-1", 4, "2026-02-20T00:00:00Z", 60)).await.expect("taken");
    assert_eq!(service.seats().await.1, "suspended", "a part of it is not it");
    service.take(received("p-2", 1, "2026-02-20T00:00:00Z", 40)).await.expect("taken");
    assert_eq!(service.seats().await.1, "active");
    assert_eq!(service.topics(), ["entitlement.granted.v1", "entitlement.updated.v1", "entitlement.updated.v1"]);
}

#[tokio::test]
async fn a_payment_within_the_grace_and_one_that_was_read_before_its_failures_suspend_nothing() {
    let mut service = Service::start().await;
    service.take(activated(vec![line("l-1", "SUB-PLATFORM", 25)])).await.expect("taken");
    service.wait_until("2026-02-20T00:00:00Z").await;
    service.take(received("p-2", 1, "2026-02-10T00:00:00Z", 100)).await.expect("taken");
    for (version, when) in [(1, "2026-02-01T00:00:00Z"), (2, "2026-02-04T00:00:00Z"), (3, "2026-02-08T12:00:00Z")] {
        service.take(failed(version, when)).await.expect("taken");
    }
    service.wait_until("2026-12-31T00:00:00Z").await;
    assert_eq!(service.seats().await.1, "active");
    assert_eq!(service.topics(), ["entitlement.granted.v1"]);
}

#[tokio::test]
async fn a_cancellation_tells_the_end_at_once_and_revokes_after_the_grace() {
    let mut service = Service::start().await;
    service.take(activated(vec![line("l-1", "SUB-PLATFORM", 25)])).await.expect("taken");
    service.wait_until("2026-05-01T00:00:00Z").await;
    let cancelled = ContractCancelled {
        account_id: "a-1".into(),
        contract_id: "c-1".into(),
        entity_version: 2,
        effective_at: at("2026-05-01T00:00:00Z"),
        mode: CancellationMode::Immediate,
        cancel_on: date(2026, 5, 10),
        timezone: "Europe/London".into(),
        ..ContractCancelled::default()
    };
    service.take(cancelled).await.expect("taken");
    let rows = service.records(service.product.url(), "entitlement").await;
    assert_eq!((&rows[0]["status"], &rows[0]["valid_to"]), (&"active".into(), &"2026-05-23T23:00:00Z".into()));
    service.wait_until("2026-05-23T22:59:59Z").await;
    assert_eq!(service.seats().await.1, "active");
    service.wait_until("2026-05-23T23:00:00Z").await;
    assert_eq!(service.seats().await.1, "revoked");
    assert_eq!(service.topics().last(), Some(&"entitlement.revoked.v1"));
}

#[tokio::test]
async fn a_renewal_is_longer_at_once_and_sells_more_from_its_first_day() {
    let mut service = Service::start().await;
    let before = vec![line("l-1", "SUB-PLATFORM", 25)];
    service.take(activated(before.clone())).await.expect("taken");
    service.wait_until("2026-11-01T00:00:00Z").await;
    let term = Term { start_on: date(2027, 1, 1), end_on: Some(date(2028, 1, 1)), ..activated(Vec::new()).term };
    let renewed = SubscriptionRenewalAccepted {
        account_id: "a-1".into(),
        contract_id: "c-1".into(),
        entity_version: 2,
        effective_at: at("2026-11-01T00:00:00Z"),
        renewed_term: term,
        lines_before: before,
        lines_after: vec![line("l-1", "SUB-PLATFORM", 40)],
        ..SubscriptionRenewalAccepted::default()
    };
    service.take(renewed).await.expect("taken");
    let rows = service.records(service.product.url(), "entitlement").await;
    assert_eq!((&rows[0]["quantity"], &rows[0]["valid_to"]), (&"25".into(), &"2028-01-01T00:00:00Z".into()));
    service.wait_until("2027-01-01T00:00:00Z").await;
    assert_eq!(service.seats().await.0, "40");
}

/// Each ends in one place, with a reason, and changes nothing outside.
#[tokio::test]
async fn bad_input_is_refused_with_all_its_reasons_and_changes_nothing() {
    let mut service = Service::start().await;
    let unknown = activated(vec![line("l-1", "GADGET", 1), line("l-2", "WIDGET", 1)]);
    let failure = service.take(unknown.clone()).await.expect_err("no such products");
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "PRODUCT_UNMAPPED"));
    assert!(failure.reason.contains("GADGET") && failure.reason.contains("WIDGET"), "{failure}");
    let mut feature = activated(Vec::new());
    feature.entitlements =
        vec![EntitlementRequest { feature_key: "teleport".into(), quantity: None, contract_line_id: None }];
    let failure = service.take(feature).await.expect_err("no such feature");
    assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "FEATURE_UNKNOWN"));
    let failure = service.take(activated(vec![line("l-1", "SUB-PLATFORM", -1)])).await.expect_err("below nothing");
    assert_eq!((failure.class, failure.field.as_deref()), (Class::Contract, Some("lines[0].quantity")));
    let mut backwards = activated(vec![line("l-1", "SUB-PLATFORM", 1)]);
    backwards.term.end_on = Some(date(2025, 1, 1));
    let failure = service.take(backwards).await.expect_err("it ends before it begins");
    assert_eq!((failure.class, failure.field.as_deref()), (Class::Contract, Some("term.end_on")));
    assert_eq!(service.records(service.product.url(), "tenant").await.len(), 0);

    let envelope = Envelope {
        id: "e-1".into(),
        source: "urn:billing".into(),
        event_type: "contract.activated".into(),
        time_ms: 0,
        subject: None,
        correlation_id: Some("flow".into()),
        causation_id: None,
        sequence: None,
        dataschema: None,
        change_origin: None,
        traceparent: None,
    };
    let event = Event::from(unknown);
    let context = Context { now_ms: 0, record_ms: 0, envelope: Some(&envelope), key: event.account_id(), refusals: 0 };
    let told = service.handler.refused(&event, &failure, &context);
    assert_eq!(told.iter().map(|told| told.topic.as_str()).collect::<Vec<_>>(), ["provisioning.failed.v1"]);
}
