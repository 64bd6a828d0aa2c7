//! What becomes of a contract that came of a deal, through the built programs of four services: amendments by policy and above it, a renewal that
//! the customer is told of once, one that is not wanted, an invoice of overage, three failed payments, and every finding of a bad deal.

use devstack::Kind;
use e2e::{Bench, crm::Crm, erp::Erp, platform::Platform};
use events::{
    Case, ContractAmendmentRequested, Deal, Envelope, Event, EventSet, InvoicePosted, Notice, OpportunityClosedWon,
    PaymentFailed, PaymentReceived, WriterSchema,
    common::{ChargeType, LineItem, PaymentAllocation, PaymentTerms, Totals},
    topics, wire,
};
use jiff::{SignedDuration, Timestamp, civil::date};
use kafka::{Drain, Outgoing};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    deals::{self, at, deal},
    eventually, lifecycle,
};

const PATIENCE: Duration = Duration::from_secs(240);
const SERVICES: [(&str, u16); 5] =
    [("erp-sync", 1), ("order-flow", 1), ("crm-sync", 1), ("provisioning", 1), ("control", 1)];

struct Life {
    bench: Bench,
    crm: Crm,
    product: Platform,
    published: Vec<Outgoing>,
}

impl Life {
    async fn start(kind: Kind, name: &str) -> Self {
        let bench = Bench::start_with(kind, &SERVICES, name, |config| config).await.expect("the stack starts");
        let crm = Crm::of(&bench.stack).expect("a CRM");
        let product = Platform::of(&bench.stack, "product").expect("a product platform");
        Self { bench, crm, product, published: Vec::new() }
    }

    async fn happens(&mut self, events: impl IntoIterator<Item = Deal>) {
        let records: Vec<_> = events.into_iter().map(|event| self.bench.deal(event)).collect();
        self.publish(records).await;
    }

    async fn publish(&mut self, records: Vec<Outgoing>) {
        self.bench.publish(&records).await.expect("published");
        self.published.extend(records);
    }

    fn business(&self, event: impl Into<Event>) -> Outgoing {
        let event = event.into();
        event.check().expect("within the rules of the wire");
        let version = event.entity_version().unwrap_or_default();
        self.bench.record(&envelope(event.topic(), event.subject(), version, event.recorded_at()), &event)
    }

    /// What lies on a topic, each event once.
    async fn told<E: EventSet>(&self, topic: &str) -> Vec<E> {
        let schema = WriterSchema::own(topic).expect("ours");
        let records = Drain::new(self.bench.kafka().clone(), PATIENCE).collect(topic).await.expect("read");
        let read = |record: &events::Record| {
            let value = record.value.clone().expect("a fact has a value");
            let id = record.headers.text("ce_id").unwrap_or_default().to_owned();
            (id, E::decode_avro(topic, &schema, &value[5..]).expect("readable"))
        };
        records.iter().map(read).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    async fn until<E: EventSet>(&self, topic: &'static str, count: usize) -> Vec<E> {
        let enough = async || match self.told::<E>(topic).await {
            found if found.len() >= count => Ok(found),
            found => Err(format!("{} of {topic}", found.len())),
        };
        eventually(&format!("{count} of {topic}"), PATIENCE, enough).await.expect("the work goes on")
    }

    /// The seats that the product lets an account use.
    async fn seats(&self, account: &str, quantity: &str, status: &str) {
        let reached = async || {
            let all = self.product.records("entitlement").await.map_err(|error| format!("{error:#}"))?;
            let seats = all.iter().find(|row| row["tenant_id"] == account).cloned().unwrap_or_default();
            let is_so = seats["quantity"] == quantity && seats["status"] == status;
            if is_so { Ok(()) } else { Err(seats.to_string()) }
        };
        eventually(&format!("{account}: {quantity} seats, {status}"), PATIENCE, reached).await.expect("access follows");
    }

    async fn shown(&self, object: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        let reached = async || {
            let rows = self.crm.records(object).await.map_err(|error| format!("{error:#}"))?;
            if rows.iter().any(&wanted) { Ok(()) } else { Err(format!("{rows:?}")) }
        };
        eventually(what, PATIENCE, reached).await.expect("the CRM follows");
    }

    async fn verified(&self) {
        self.bench.verified(PATIENCE).await.expect("verified");
        for service in ["order-flow", "crm-sync", "provisioning"] {
            self.bench.verified_of(service, PATIENCE).await.expect("verified");
        }
    }

    async fn effects(&self) -> (usize, u64, usize) {
        let erp = Erp::of(&self.bench.stack).effects().await.expect("the log").len();
        let crm = self.crm.effect_count().await.expect("the count");
        (erp, crm, self.product.effects().await.expect("the log").len())
    }
}

fn envelope(topic: &'static str, subject: &str, version: i64, recorded_at: Timestamp) -> Envelope {
    Envelope {
        id: format!("{subject}-{version}-{topic}"),
        source: "urn:test:billing".into(),
        event_type: topics::event_type(topic),
        time_ms: recorded_at.as_millisecond(),
        subject: Some(subject.to_owned()),
        ..Envelope::default()
    }
}

/// A deal that renews by itself, whose notice is due already.
fn due(account: &str, id: &str) -> OpportunityClosedWon {
    let mut deal = lifecycle::renewing(account, id);
    deal.term.renewal_notice_days = Some(300);
    deal
}

/// 1 375 calls of which 1 000 are included: 200 at 0.10 and 175 at 0.05 US dollars are 20.00 and 8.75.
const OVERAGE_MINOR: i64 = 2_875;

fn overage() -> InvoicePosted {
    let line = |id: &str, quantity: i64, cents: i64| LineItem {
        line_id: id.into(),
        product_id: "USE-API-CALLS".into(),
        charge_type: ChargeType::Usage,
        quantity: quantity.into(),
        unit_price: format!("0.{cents:02}").parse().expect("a price"),
        net_minor: quantity * cents,
        ..LineItem::default()
    };
    let lines = vec![line("tier-1", 200, 10), line("tier-2", 175, 5)];
    let net: i64 = lines.iter().map(|line| line.net_minor).sum();
    InvoicePosted {
        account_id: "A-2".into(),
        entity_version: 1,
        effective_at: at(500),
        recorded_at: at(500),
        legal_entity_id: "US".into(),
        invoice_id: "INV-1".into(),
        invoice_number: "2026-1".into(),
        type_code: "380".into(),
        contract_id: Some(lifecycle::contract_of("O-2")),
        issue_on: date(2026, 2, 1),
        timezone: "America/New_York".into(),
        due_on: Some(date(2026, 3, 3)),
        currency: "USD".into(),
        lines,
        totals: Totals {
            line_net_minor: net,
            tax_exclusive_minor: net,
            tax_inclusive_minor: net,
            payable_minor: net,
            ..Totals::default()
        },
        ..InvoicePosted::default()
    }
}

fn failed(step: i32) -> PaymentFailed {
    let when = at(600 + i64::from(step));
    PaymentFailed {
        account_id: "A-2".into(),
        payment_id: "P-1".into(),
        entity_version: step.into(),
        effective_at: when,
        recorded_at: when,
        legal_entity_id: "US".into(),
        invoice_id: "INV-1".into(),
        attempt_no: step,
        dunning_step: Some(step),
        amount_minor: OVERAGE_MINOR,
        currency: "USD".into(),
        ..PaymentFailed::default()
    }
}

fn paid() -> PaymentReceived {
    PaymentReceived {
        account_id: "A-2".into(),
        payment_id: "P-1".into(),
        entity_version: 4,
        effective_at: at(700),
        recorded_at: at(700),
        legal_entity_id: "US".into(),
        received_on: date(2026, 2, 20),
        timezone: "America/New_York".into(),
        amount_minor: OVERAGE_MINOR,
        currency: "USD".into(),
        allocations: vec![PaymentAllocation {
            invoice_id: "INV-1".into(),
            amount_minor: OVERAGE_MINOR,
            ..PaymentAllocation::default()
        }],
        ..PaymentReceived::default()
    }
}

/// D2.05, D11.06, D1.13: a downgrade holds at its date, one above policy when its owner approves; the process may be killed on the way.
async fn amendments(life: &mut Life) {
    life.happens([deal("A-1", "O-1"), deal("A-2", "O-2"), due("A-3", "O-3"), deal("A-4", "O-4")].map(Deal::from)).await;
    life.until::<Event>(topics::CONTRACT_ACTIVATED, 4).await;
    for account in ["A-1", "A-2", "A-3", "A-4"] {
        life.seats(account, "10", "active").await;
    }
    let from = Timestamp::now() + SignedDuration::from_secs(15);
    let downgrade = lifecycle::reseat("A-1", "O-1", "M-1", (8, 80_001), from);
    let above = ContractAmendmentRequested {
        delta_tcv_minor: -2_000_000,
        ..lifecycle::reseat("A-4", "O-4", "M-4", (5, 50_001), at(100))
    };
    life.happens([Deal::from(downgrade), above.into()]).await;
    life.until::<Event>(topics::CONTRACT_AMENDED, 1).await;
    life.bench.stack.kill("order-flow").await.expect("it can be killed");
    let cases = life.until::<Case>(topics::FALLOUT_OPENED, 1).await;
    let Case::FalloutOpened(case) = &cases[0] else { panic!("{cases:?}") };
    assert_eq!((&*case.reasons[0].owner_queue, case.amount_at_risk_minor), ("finance", 2_000_000));
    let listed = life.bench.throughline(&["fallout", "ls", "--owner", "finance"]).await.expect("listed");
    assert_eq!(listed["exceptions"][0]["subject"], "M-4", "{listed}");
    life.seats("A-4", "10", "active").await;
    let approve = ["fallout", "approve", &case.case_id, "--reason", "agreed with the customer", "--by", "ada"];
    life.bench.throughline(&approve).await.expect("decided");
    life.seats("A-4", "5", "active").await;
    life.seats("A-1", "8", "active").await;
    let log = life.product.effects().await.expect("the log");
    let mut of_account = log.iter().filter(|effect| effect["account_id"] == "A-1" && effect["object"] == "entitlement");
    let changed: Timestamp =
        of_account.next_back().expect("a change")["at"].as_str().expect("a time").parse().expect("a time");
    assert!(changed >= from, "the downgrade holds from {from}, and was carried out at {changed}");
    let amended = life.told::<Event>(topics::CONTRACT_AMENDED).await;
    let approvals = amended.iter().filter_map(|event| match event {
        Event::ContractAmended(event) => event.approval.as_ref(),
        _ => None,
    });
    assert_eq!(approvals.map(|approval| approval.approved_by.reveal()).collect::<Vec<_>>(), ["ada"]);
}

/// D6.10 to D6.14, D3.24: the renewal is in the ERP, the CRM and the customer's mail once; one that is not wanted ends the contract.
async fn renewals(life: &mut Life) {
    let renewal = life.business(lifecycle::renewal("A-1", "O-1", 3, 10_500));
    life.publish(vec![renewal]).await;
    life.shown("Opportunity", "a won renewal", |row| row["StageName"] == "Closed Won").await;
    life.shown("Opportunity", "a renewal that is due", |row| row["StageName"] == "Prospecting").await;
    let declined = Notice::from(lifecycle::no_renewal("A-3", "O-3"));
    let envelope = envelope(topics::SUBSCRIPTION_RENEWAL_DECLINED, declined.subject(), 1, at(300));
    let record = Outgoing {
        topic: declined.topic().into(),
        partition: None,
        key: Some(declined.account_id().to_owned().into()),
        value: Some(wire::frame(life.bench.schema_id(declined.topic()), &declined.encode_avro()).into()),
        headers: envelope.to_headers(),
        timestamp_ms: None,
    };
    life.publish(vec![record]).await;
    life.shown("Opportunity", "a lost renewal", |row| row["StageName"] == "Closed Lost").await;
    let ended = life.until::<Event>(topics::CONTRACT_CANCELLED, 1).await;
    assert!(matches!(&ended[0], Event::ContractCancelled(event) if event.cancel_on == date(2027, 1, 1)), "{ended:?}");
    let messages = life.until::<Notice>(topics::NOTIFICATION_REQUESTED, 2).await;
    let mut templates: Vec<_> = messages.iter().map(EventSet::subject).collect();
    templates.sort_unstable();
    assert_eq!(templates, ["renewal_accepted/R-O-1", "renewal_due/O-3-US/2027-01-01"]);
}

/// D2.08, D4.01, D4.22, D4.23: overage as calculated by hand; its payment fails three times, a task each; access ends after the grace and comes back.
async fn money(life: &mut Life) {
    assert_eq!(overage().totals.payable_minor, OVERAGE_MINOR);
    let invoice = life.business(overage());
    let failures: Vec<_> = (1..=3).map(|step| life.business(failed(step))).collect();
    life.publish(std::iter::once(invoice).chain(failures).collect()).await;
    life.shown("TL_Receivable__c", "what is owed", |row| is_of("A-2", row) && row["TL_Balance__c"] == "28.75").await;
    let tasks = async || {
        // Deals that cannot go on have tasks, too.
        let tasks = life.crm.records("Task").await.map_err(|error| format!("{error:#}"))?;
        let found = tasks.iter().filter(|task| task["TL_Invoice_Id__c"].is_string()).count();
        if found == 3 { Ok(()) } else { Err(format!("{found} tasks")) }
    };
    eventually("three tasks", PATIENCE, tasks).await.expect("a task for each step of dunning");
    life.seats("A-2", "10", "suspended").await;
    let payment = life.business(paid());
    life.publish(vec![payment]).await;
    life.seats("A-2", "10", "active").await;
    life.shown("TL_Receivable__c", "nothing is owed", |row| is_of("A-2", row) && row["TL_Balance__c"] == "0").await;
    let books = Erp::of(&life.bench.stack).books().await.expect("the books");
    assert_eq!(books.invoiced.get("USD"), Some(&OVERAGE_MINOR));
}

/// Whether a record of the CRM belongs to an account; ids with capitals carry a digest there.
fn is_of(account: &str, row: &Value) -> bool {
    let id = row["account_id"].as_str().unwrap_or_default();
    id.split('~').next() == Some(account)
}

/// A deal with one thing wrong, the code that it must get, and who owns that: D4.06, D4.08, D4.09, D4.12, D4.07.
fn wrong() -> Vec<(OpportunityClosedWon, &'static str, &'static str)> {
    let with = |id: &str, change: fn(&mut OpportunityClosedWon)| {
        let mut deal = deal(&format!("A-{id}"), &format!("O-{id}"));
        change(&mut deal);
        deal
    };
    vec![
        (with("entity", |deal| deal.legal_entity_id = "FR".into()), "ENTITY_UNMAPPED", "revenue-operations"),
        (with("nexus", |deal| deal.tax_exposure[0].nexus_known = false), "TAX_NEXUS_UNKNOWN", "tax"),
        (
            with("revenue", |deal| deal.lines[0].line.charge_type = ChargeType::OneTime),
            "REVENUE_RULE_MISSING",
            "finance",
        ),
        (with("terms", |deal| deal.customer.payment_terms = None), "MISSING_FIELD", "revenue-operations"),
        (with("credit", |_| {}), "CREDIT_HOLD", "credit-control"),
        (
            with("late", |deal| {
                deal.customer.payment_terms = Some(PaymentTerms { code: "NET90".into(), net_days: 90 });
            }),
            "APPROVAL_REQUIRED",
            "credit-control",
        ),
    ]
}

async fn findings(life: &mut Life) {
    life.happens([Deal::from(deals::hold("A-credit", 1, true))]).await;
    life.bench.quiet("order-flow", PATIENCE).await.expect("quiet");
    let wrong = wrong();
    life.happens(wrong.iter().map(|(deal, ..)| Deal::from(deal.clone()))).await;
    let cases = life.until::<Case>(topics::FALLOUT_OPENED, 1 + wrong.len()).await;
    for (deal, code, owner) in wrong {
        let of_deal = cases.iter().find_map(|case| match case {
            Case::FalloutOpened(case) if case.opportunity_id == deal.opportunity_id => Some(case),
            _ => None,
        });
        let found: Vec<_> = of_deal.map(|case| &case.reasons).into_iter().flatten().collect();
        let has = found.iter().any(|reason| reason.code == code && reason.owner_queue == owner);
        assert!(has, "{}: {code} for {owner} is not in {found:?}", deal.opportunity_id);
    }
}

/// I10: reading all of it again changes nothing, calls nobody, and tells no customer twice.
async fn everything_again(life: &mut Life) {
    let before = life.effects().await;
    let published = std::mem::take(&mut life.published);
    life.bench.publish(&published).await.expect("published again");
    life.verified().await;
    assert_eq!(life.effects().await, before, "nothing was carried out a second time");
    assert_eq!(life.told::<Notice>(topics::NOTIFICATION_REQUESTED).await.len(), 2, "no customer is told twice");
}

async fn contracts_live_and_end(kind: Kind, name: &str) {
    let mut life = Life::start(kind, name).await;
    amendments(&mut life).await;
    renewals(&mut life).await;
    money(&mut life).await;
    findings(&mut life).await;
    life.verified().await;
    everything_again(&mut life).await;
    life.bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_live_and_end_as_their_deals_policies_and_customers_say() {
    Box::pin(contracts_live_and_end(Kind::Embedded, "lifecycle-embedded")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_live_and_end_as_their_deals_policies_and_customers_say_on_real_parts() {
    Box::pin(contracts_live_and_end(Kind::Real, "lifecycle-real")).await;
}
