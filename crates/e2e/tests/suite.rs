//! The whole suite on real parts: what each of the five named events leaves in every system, one deal followed through all of them, and any
//! one service away while the others go on. One stack for all of it.

use anyhow::{Context, Result, ensure};
use devstack::Kind;
use e2e::{Bench, crm::Crm, platform::Platform};
use events::{
    Dataset, Envelope, Event, EventSet as _, WriterSchema,
    common::PaymentEntry,
    topics::{
        ANALYTICS_CONTRACT, ANALYTICS_INVOICE_LINE, ANALYTICS_ORDER_TO_ACTIVATION, ANALYTICS_PAYMENT,
        ANALYTICS_SYNC_LATENCY, CONTRACT_ACTIVATED,
    },
};
use kafka::{Drain, Outgoing};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use testkit::{
    business::{Faults, Item, Options, covering},
    deals::{self, deal},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(420);
const SERVICES: [&str; 5] = ["order-flow", "erp-sync", "crm-sync", "provisioning", "analytics-feed"];
const SANDBOXES: [&str; 6] = ["erp", "crm", "product", "identity", "stripe", "tax"];

struct Suite {
    bench: Bench,
}

impl Suite {
    async fn start() -> Result<Self> {
        let services = SERVICES.map(|service| (service, 1));
        Ok(Self { bench: Bench::start_with(Kind::Real, &services, "suite", |config| config).await? })
    }

    async fn publish(&self, events: &[(Envelope, Event)]) -> Result<()> {
        let records: Vec<Outgoing> =
            events.iter().map(|(envelope, event)| self.bench.record(envelope, event)).collect();
        self.bench.publish(&records).await
    }

    /// Rows of an analytics topic, each once.
    async fn rows(&self, topic: &str) -> Result<Vec<Dataset>> {
        let schema = WriterSchema::own(topic).context("a topic of ours")?;
        let records = Drain::new(self.bench.kafka().clone(), PATIENCE).collect(topic).await?;
        let mut seen = BTreeSet::new();
        let fresh = records.iter().filter(|record| seen.insert(record.headers.text("ce_id").map(str::to_owned)));
        let values = fresh.filter_map(|record| record.value.clone());
        values.map(|value| Ok(Dataset::decode_avro(topic, &schema, &value[5..])?)).collect()
    }

    /// Effects of a system, by the event that led to each.
    async fn effects(&self, system: &str) -> Result<BTreeMap<String, Vec<Value>>> {
        let mut effects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for effect in Platform::of(&self.bench.stack, system)?.effects().await? {
            effects.entry(text(&effect, "event_id")).or_default().push(effect);
        }
        Ok(effects)
    }

    async fn verified(&self) -> Result<()> {
        self.bench.verified_all(&SERVICES, PATIENCE).await
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// Lives that together have every kind of event.
fn business(seed: u64) -> Vec<(Envelope, Event)> {
    let start = jiff::civil::date(2026, 1, 1);
    let options = Options { seed, accounts: 200, months: 3, start, max_events: None, faults: Faults::NONE };
    let events = covering(&options).expect("good options").into_iter().filter_map(|generated| match generated.item {
        Item::Event { envelope, event } => Some((envelope, event)),
        Item::Raw { .. } => None,
    });
    events.collect()
}

/// The first event of a kind.
fn first<'a, T>(events: &'a [(Envelope, Event)], of: impl Fn(&'a Event) -> Option<&'a T>) -> (&'a str, &'a T) {
    let found = events.iter().find_map(|(envelope, event)| Some((envelope.id.as_str(), of(event)?)));
    found.expect("the business has one of each kind")
}

macro_rules! of_kind {
    ($events:expr, $kind:ident) => {
        first($events, |event| match event {
            Event::$kind(event) => Some(&**event),
            _ => None,
        })
    };
}

/// Whether the CRM has a record with this id.
async fn in_crm(crm: &Crm, object: &str, field: &str, id: &str) -> Result<()> {
    let known = crm.records(object).await?.iter().any(|row| row[field] == id);
    ensure!(known, "the CRM has no {object} {id}");
    Ok(())
}

/// D3.13 with D4.18 (CRM status), D4.19 (access), D4.20 (order and revenue set-up): contract activated.
async fn an_activated_contract_is_in_every_system(suite: &Suite, events: &[(Envelope, Event)]) -> Result<()> {
    let (id, contract) = of_kind!(events, ContractActivated);
    let erp = suite.effects("erp").await?;
    let objects: BTreeSet<String> = erp.get(id).into_iter().flatten().map(|effect| text(effect, "object")).collect();
    ensure!(objects.contains("salesOrder"), "the ERP made {objects:?} of {id}");
    let crm = Crm::of(&suite.bench.stack)?;
    in_crm(&crm, "Contract", "TL_Contract_Id__c", &contract.contract_id).await?;
    let access = Platform::of(&suite.bench.stack, "product")?.records("entitlement").await?;
    ensure!(
        access.iter().any(|row| row["tenant_id"] == contract.account_id.as_str()),
        "{} has no access",
        contract.account_id
    );
    let rows = suite.rows(ANALYTICS_CONTRACT).await?;
    ensure!(rows.iter().any(|row| row.subject() == contract.contract_id), "analytics does not know the contract");
    Ok(())
}

/// D3.13: invoice posted. The product platform has nothing to do with it.
async fn a_posted_invoice_is_booked_shown_and_counted(suite: &Suite, events: &[(Envelope, Event)]) -> Result<()> {
    let (id, invoice) = of_kind!(events, InvoicePosted);
    let erp = suite.effects("erp").await?;
    let made: Vec<String> = erp.get(id).into_iter().flatten().map(|effect| text(effect, "object")).collect();
    ensure!(made == ["invoice"], "the ERP made {made:?} of {id}");
    let owed = Crm::of(&suite.bench.stack)?.records("TL_Receivable__c").await?;
    ensure!(owed.iter().any(|row| row["account_id"] == invoice.account_id.as_str()), "the CRM shows no balance");
    ensure!(!suite.effects("product").await?.contains_key(id), "an invoice changes no access");
    let net = |row: &Dataset| match row {
        Dataset::AnalyticsInvoiceLine(row) if row.source_event_id == id => row.net_minor,
        _ => 0,
    };
    let counted: i64 = suite.rows(ANALYTICS_INVOICE_LINE).await?.iter().map(net).sum();
    ensure!(counted == invoice.totals.tax_exclusive_minor, "{counted} of {}", invoice.totals.tax_exclusive_minor);
    Ok(())
}

/// D3.13: payment failed. Nothing is booked; somebody in the CRM has a task for the step of the dunning.
async fn a_failed_payment_is_a_task_and_no_booking(suite: &Suite, events: &[(Envelope, Event)]) -> Result<()> {
    let (id, payment) = first(events, |event| match event {
        Event::PaymentFailed(event) if event.dunning_step.is_some() => Some(&**event),
        _ => None,
    });
    ensure!(!suite.effects("erp").await?.contains_key(id), "no money moved");
    let step = payment.dunning_step.unwrap_or_default();
    let task = format!("{}/step-{step}", payment.invoice_id);
    in_crm(&Crm::of(&suite.bench.stack)?, "Task", "TL_Task_Id__c", &task).await?;
    let failed = |row: &Dataset| match row {
        Dataset::AnalyticsPayment(row) => row.source_event_id == id && row.entry == PaymentEntry::Failed,
        _ => false,
    };
    ensure!(suite.rows(ANALYTICS_PAYMENT).await?.iter().filter(|row| failed(row)).count() == 1, "one row of {id}");
    Ok(())
}

/// D3.13: renewal accepted.
async fn an_accepted_renewal_goes_on_in_every_system(suite: &Suite, events: &[(Envelope, Event)]) -> Result<()> {
    let (id, renewal) = of_kind!(events, SubscriptionRenewalAccepted);
    ensure!(suite.effects("erp").await?.contains_key(id), "the ERP knows nothing of renewal {id}");
    in_crm(&Crm::of(&suite.bench.stack)?, "Opportunity", "TL_Renewal_Id__c", &renewal.renewal_id).await?;
    let renewed = |row: &Dataset| match row {
        Dataset::AnalyticsContract(row) => row.contract_id == renewal.contract_id && row.renewals > 0,
        _ => false,
    };
    ensure!(suite.rows(ANALYTICS_CONTRACT).await?.iter().any(renewed), "analytics knows nothing of the renewal");
    Ok(())
}

/// D3.13, D4.23: usage threshold exceeded. It is shown, and neither booked nor a change of access.
async fn an_exceeded_threshold_is_shown_to_the_account_team(suite: &Suite, events: &[(Envelope, Event)]) -> Result<()> {
    let (id, threshold) = of_kind!(events, UsageThresholdExceeded);
    for system in ["erp", "product"] {
        ensure!(!suite.effects(system).await?.contains_key(id), "{system} was changed");
    }
    in_crm(&Crm::of(&suite.bench.stack)?, "TL_Usage__c", "TL_Usage_Id__c", &threshold.threshold_id).await
}

async fn the_five_named_events(suite: &Suite) -> Result<()> {
    let events = business(7);
    suite.publish(&events).await?;
    suite.verified().await?;
    an_activated_contract_is_in_every_system(suite, &events).await?;
    a_posted_invoice_is_booked_shown_and_counted(suite, &events).await?;
    a_failed_payment_is_a_task_and_no_booking(suite, &events).await?;
    an_accepted_renewal_goes_on_in_every_system(suite, &events).await?;
    an_exceeded_threshold_is_shown_to_the_account_team(suite, &events).await
}

/// D4.24: one question by the id of the deal tells every step, with the ids in every system.
async fn a_deal_is_followed_through_all_services(suite: &Suite) -> Result<()> {
    let won = deal("T-1", "TRACED");
    let id = deals::envelope(&won.clone().into()).id;
    suite.bench.publish(&[suite.bench.deal(won)]).await?;
    let told = async || {
        let rows = suite.rows(ANALYTICS_ORDER_TO_ACTIVATION).await.map_err(|error| error.to_string())?;
        let used = |row: &Dataset| matches!(row, Dataset::AnalyticsOrderToActivation(row) if row.entity_version == 4);
        if rows.iter().any(used) { Ok(()) } else { Err(format!("{rows:?}")) }
    };
    eventually("the contract of the deal is in use", PATIENCE, told).await?;
    suite.verified().await?;
    let trace = suite.bench.throughline(&["trace", &id]).await?;
    let records = trace["records"].as_array().context("records")?;
    let topics: BTreeSet<&str> = records.iter().filter_map(|record| record["topic"].as_str()).collect();
    for topic in [
        "opportunity.closed_won.v1",
        "order.requested.v1",
        "order.accepted.v1",
        CONTRACT_ACTIVATED,
        "entitlement.granted.v1",
        ANALYTICS_CONTRACT,
        ANALYTICS_ORDER_TO_ACTIVATION,
    ] {
        ensure!(topics.contains(topic), "the trace lacks {topic}: {topics:?}");
    }
    let journeys = records.iter().flat_map(|record| record["services"].as_array().into_iter().flatten());
    let named: BTreeSet<&str> = journeys.filter_map(|journey| journey["service"].as_str()).collect();
    ensure!(named.into_iter().collect::<Vec<_>>().len() == SERVICES.len(), "every service had its part");
    let outside = records.iter().flat_map(|record| record["outside"].as_array().into_iter().flatten());
    let objects: BTreeSet<String> = outside.map(|effect| text(effect, "object")).collect();
    for object in ["salesOrder", "Contract", "entitlement"] {
        ensure!(objects.contains(object), "the trace lacks the {object}: {objects:?}");
    }
    Ok(())
}

/// With all services at work, one after the other is away for a part of the work. The others come to rest without it; when it is
/// back, all is as if it had never been away.
async fn any_one_service_may_be_away(suite: &Suite) -> Result<()> {
    let events = business(23);
    let parts: Vec<_> = events.chunks(events.len().div_ceil(SERVICES.len())).collect();
    for (index, away) in SERVICES.into_iter().enumerate() {
        suite.bench.stack.hold(away).await?;
        suite.publish(parts.get(index).copied().unwrap_or_default()).await?;
        let late = [deal(&format!("AWAY-{index}"), &format!("AWAY-O-{index}"))].map(|deal| suite.bench.deal(deal));
        suite.bench.publish(&late).await?;
        for other in SERVICES.into_iter().filter(|other| *other != away) {
            let rest = suite.bench.quiet(other, PATIENCE).await;
            rest.with_context(|| format!("{other} goes on without {away}"))?;
        }
        suite.bench.stack.release(away).await?;
    }
    suite.verified().await?;
    for system in SANDBOXES {
        for (of, times) in Platform::of(&suite.bench.stack, system)?.created().await? {
            ensure!(times == 1, "{system} made {of:?} {times} times");
        }
    }
    Ok(())
}

/// D11.13: each pair of systems has its latencies, and each event is counted once.
async fn latencies_are_told_for_each_pair(suite: &Suite) -> Result<()> {
    let pairs = async || {
        let rows = suite.rows(ANALYTICS_SYNC_LATENCY).await.map_err(|error| error.to_string())?;
        let pair = |row: Dataset| match row {
            Dataset::AnalyticsSyncLatency(row) => Some((row.source_system.clone(), row.target_system.clone())),
            _ => None,
        };
        let pairs: BTreeSet<_> = rows.into_iter().filter_map(pair).collect();
        let wanted = [("billing", "erp"), ("billing", "crm"), ("payments", "crm"), ("billing", "product")];
        let is_there = |(source, target): &(&str, &str)| pairs.contains(&((*source).to_owned(), (*target).to_owned()));
        if wanted.iter().all(is_there) { Ok(()) } else { Err(format!("{pairs:?}")) }
    };
    Ok(eventually("every pair has a minute", PATIENCE, pairs).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_keeps_every_system_in_step_although_any_one_service_is_away() {
    let suite = Suite::start().await.expect("the stack starts");
    Box::pin(the_five_named_events(&suite)).await.expect("the five named events");
    Box::pin(a_deal_is_followed_through_all_services(&suite)).await.expect("one trace");
    Box::pin(any_one_service_may_be_away(&suite)).await.expect("any one service may be away");
    Box::pin(latencies_are_told_for_each_pair(&suite)).await.expect("latencies");
    suite.bench.stop().await.expect("stopped");
}
