//! Deals on their way to cash: taxed before they are asked for, billed before their contract is active; their amendments and renewals change
//! what is billed and taxed; they wait for a tax engine that is away, go on after a refusal that was mended, and are taken back by the policy
//! where it was not (rows D2.05, D3.05, D4.10, D6.06, D6.10 to D6.14).

use anyhow::{Context as _, Result, ensure};
use devstack::Kind;
use e2e::{Bench, platform::Platform};
use events::{Deal, Envelope, Event, EventSet as _, OpportunityClosedWon, topics};
use kafka::{Drain, Outgoing};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use testkit::{
    deals::{at, billed, deal, shared, without_plan},
    eventually, lifecycle,
};

const PATIENCE: Duration = Duration::from_secs(240);
const SERVICES: [&str; 4] = ["order-flow", "erp-sync", "crm-sync", "provisioning"];
const DONE: &str = "Nothing is waited for.";

/// Three attempts within seconds, then it is taken back.
const COMPENSATION: &str = "version: 1
steps:
  determine_tax: {retry: [15m], then: wait}
  commit_tax: {retry: [1s], then: wait}
  billing_customer: {retry: [1s], then: cancel}
  billing_schedule: {retry: [1s, 1s], then: cancel}
  change_schedule: {retry: [1s], then: wait}
  provisioning: {retry: [14d], then: wait}
  cancel_schedule: {retry: [1s], then: wait}
  void_tax: {retry: [1s], then: wait}
";

struct Cash {
    bench: Bench,
    tax: Platform,
    stripe: Platform,
    published: Vec<OpportunityClosedWon>,
    /// What became of their contracts.
    changes: Vec<Outgoing>,
}

impl Cash {
    async fn start() -> Result<Self> {
        let services = SERVICES.map(|service| (service, 1));
        let bench = Bench::start_with(Kind::Real, &services, "cash", |config| config).await?;
        let (tax, stripe) = (Platform::of(&bench.stack, "tax")?, Platform::of(&bench.stack, "stripe")?);
        Ok(Self { bench, tax, stripe, published: Vec::new(), changes: Vec::new() })
    }

    async fn publish(&mut self, deals: Vec<OpportunityClosedWon>) -> Result<()> {
        let records: Vec<_> = deals.iter().map(|deal| self.bench.deal(deal.clone())).collect();
        self.published.extend(deals);
        self.bench.publish(&records).await
    }

    async fn change(&mut self, record: Outgoing) -> Result<()> {
        self.changes.push(record.clone());
        self.bench.publish(&[record]).await
    }

    /// Waits until a change holds, also outside.
    async fn holds(&self, deal: &str, change: &str) -> Result<()> {
        let told = async || {
            let shown = self.bench.throughline(&["order", "show", deal]).await.map_err(|error| format!("{error:#}"))?;
            let all = shown["changes"].as_array().cloned().unwrap_or_default();
            let found = all.into_iter().find(|one| one["change"] == change).unwrap_or_default();
            let is_so = found["stage"] == "done" && found["outside"]["stage"] == "active";
            if is_so { Ok(()) } else { Err(format!("{found} {}", shown["why"])) }
        };
        Ok(eventually(&format!("{change} holds"), PATIENCE, told).await?)
    }

    /// Waits until a deal waits for this.
    async fn why(&self, id: &str, wanted: &str) -> Result<()> {
        let told = async || {
            let why = self.bench.throughline(&["order", "why", id]).await.map_err(|error| format!("{error:#}"))?;
            let why = why["why"].as_str().unwrap_or_default().to_owned();
            if why.contains(wanted) { Ok(()) } else { Err(why) }
        };
        Ok(eventually(&format!("{id}: {wanted}"), PATIENCE, told).await?)
    }

    /// Waits until so many calls of the tax engine ended without an answer.
    async fn asked_in_vain(&self, count: u64) -> Result<()> {
        let enough = async || match self.tax.hits().await {
            Ok(hits) if hits >= count => Ok(()),
            Ok(hits) => Err(format!("{hits} of {count} calls")),
            Err(error) => Err(format!("{error:#}")),
        };
        Ok(eventually("the tax engine is asked in vain", PATIENCE, enough).await?)
    }

    /// The orders of a deal as order-flow shows them.
    async fn orders(&self, id: &str) -> Result<Vec<Value>> {
        let shown = self.bench.throughline(&["order", "show", id]).await?;
        Ok(shown["orders"].as_array().context("orders")?.clone())
    }

    /// State of each tax document by order.
    async fn taxes(&self) -> Result<BTreeMap<String, String>> {
        let all = self.tax.records("transaction").await?;
        Ok(all.iter().map(|one| (text(one, "code"), text(one, "status"))).collect())
    }

    /// Contracts that are billed, with how often each has a schedule.
    async fn billed(&self) -> Result<BTreeMap<String, usize>> {
        let mut billed = BTreeMap::new();
        for schedule in self.stripe.records("subscription_schedule").await? {
            if ["active", "not_started"].contains(&&*text(&schedule, "status")) {
                *billed.entry(text(&schedule["metadata"], "tl_contract_id")).or_default() += 1;
            }
        }
        Ok(billed)
    }

    async fn verified(&self) -> Result<()> {
        self.bench.verified_all(&SERVICES, PATIENCE).await
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn map<T: Clone>(expected: &[(&str, T)]) -> BTreeMap<String, T> {
    expected.iter().map(|(id, value)| ((*id).to_owned(), value.clone())).collect()
}

/// Tax first, then the ERP's order, then billing, then the contract: by three orders in two currencies.
async fn deals_are_taxed_and_billed(cash: &mut Cash) -> Result<()> {
    cash.publish(vec![billed(deal("A-1", "O-1")), billed(shared("A-2", "O-2")), deal("A-3", "O-3")]).await?;
    for id in ["O-1", "O-2", "O-3"] {
        cash.why(id, DONE).await?;
    }
    let committed = |id| (id, "Committed".to_owned());
    let expected = map(&[committed("O-1-US"), committed("O-2-DE"), committed("O-2-US"), committed("O-3-US")]);
    ensure!(cash.taxes().await? == expected, "{:?}", cash.taxes().await?);
    let expected = map(&[("O-1-US", 1), ("O-2-DE", 1), ("O-2-US", 1)]);
    ensure!(cash.billed().await? == expected, "what nobody bills by schedule has none: {:?}", cash.billed().await?);
    let orders = cash.orders("O-1").await?;
    // 7.25 % of 1 000.01.
    ensure!(orders[0]["tax_minor"] == 7_250, "{orders:?}");
    for id in ["tax_document", "billing_customer", "billing_schedule", "erp_order_id"] {
        ensure!(!orders[0][id].is_null(), "the order does not know its {id}: {orders:?}");
    }
    Ok(())
}

/// An amendment is billed from its day on; a renewal is taxed as a document of its own, billed for its term, and told to its customer once, also
/// where the process is killed on the way.
async fn changes_of_a_contract_are_taxed_and_billed(cash: &mut Cash) -> Result<()> {
    let amendment = Deal::from(lifecycle::reseat("A-1", "O-1", "M-1", (8, 80_001), at(180 * 86_400)));
    let amendment = cash.bench.deal(amendment);
    cash.change(amendment).await?;
    cash.holds("O-1", "M-1").await?;
    let renewal = Event::from(lifecycle::renewal("A-1", "O-1", 3, 10_500));
    let topic = renewal.topic();
    let envelope = Envelope {
        id: format!("{}-3", renewal.subject()),
        source: "urn:test:billing".into(),
        event_type: topics::event_type(topic),
        time_ms: renewal.recorded_at().as_millisecond(),
        subject: Some(renewal.subject().to_owned()),
        ..Envelope::default()
    };
    let renewal = cash.bench.record(&envelope, &renewal);
    cash.change(renewal).await?;
    cash.bench.stack.kill("order-flow").await?;
    cash.holds("O-1", "R-O-1").await?;
    let documents = cash.tax.records("transaction").await?;
    let renewed = documents.iter().find(|one| one["description"] == "O-1-US/R-O-1").context("a tax document")?;
    // 7.25 % of 1 050.00, for the address in the order's document.
    let found = (text(renewed, "status"), renewed["totalTax"].to_string());
    ensure!(found == ("Committed".to_owned(), "76.13".to_owned()), "{renewed}");
    let schedules = cash.stripe.records("subscription_schedule").await?;
    let bills: Vec<_> = schedules.iter().filter(|one| one["metadata"]["tl_contract_id"] == "O-1-US").collect();
    ensure!(bills.len() == 1 && bills[0]["metadata"]["tl_revision"] == "3", "one schedule, changed twice: {bills:?}");
    let prices = cash.stripe.records("price").await?;
    let monthly = |phase: &Value| {
        let item = &phase["items"][0];
        let price = prices.iter().find(|price| price["id"] == item["price"]);
        (price.map(|price| text(price, "unit_amount_decimal")), item["quantity"].as_i64())
    };
    let phases = bills[0]["phases"].as_array().context("phases")?;
    let billed: Vec<_> = phases.iter().rev().take(2).rev().map(monthly).collect();
    // Eight seats for 800.01, then ten for 1 050.00.
    let expected = [("10000.125", 8), ("10500", 10)].map(|(unit, seats)| (Some(unit.to_owned()), Some(seats)));
    ensure!(billed == expected, "{billed:?} in {phases:?}");
    // Midnight of the first of January 2028 in New York.
    ensure!(phases.last().is_some_and(|phase| phase["end_date"] == 1_830_315_600), "{phases:?}");
    Ok(())
}

/// An outage is no refusal: nothing new is decided while it lasts, a kill in between changes nothing, and all goes on when the engine is
/// back.
async fn deals_wait_for_a_tax_engine_that_is_away(cash: &mut Cash) -> Result<()> {
    cash.tax.add_fault(&json!({ "down": true })).await?;
    cash.publish(vec![billed(deal("A-4", "O-4"))]).await?;
    cash.asked_in_vain(1).await?;
    cash.bench.stack.kill("order-flow").await?;
    cash.asked_in_vain(cash.tax.hits().await? + 1).await?;
    cash.tax.clear_faults().await?;
    cash.why("O-4", DONE).await?;
    ensure!(cash.orders("O-4").await?[0]["case"].is_null(), "nobody is asked to mend an outage");
    Ok(())
}

/// Refused once, then taken; refused each time; and one whose plan cannot be made at all.
async fn refusals_are_tried_again_and_then_taken_back(cash: &mut Cash) -> Result<()> {
    let policies = cash.bench.data().join("services/policies/compensation.yaml");
    std::fs::write(&policies, COMPENSATION)?;
    let refused = |order: &str| {
        json!({ "method": "POST", "path": "/v1/subscription_schedules", "body_contains": order, "status": 402,
            "error": "card_declined" })
    };
    let mut once = refused("O-5-US");
    once["times"] = 1.into();
    cash.stripe.add_fault(&once).await?;
    cash.stripe.add_fault(&refused("O-6-US")).await?;
    cash.publish(vec![billed(deal("A-5", "O-5")), billed(deal("A-6", "O-6")), without_plan("A-7", "O-7")]).await?;
    for id in ["O-5", "O-6", "O-7"] {
        cash.why(id, DONE).await?;
    }
    cash.verified().await?;
    let taxes = cash.taxes().await?;
    let state = |id: &str| taxes.get(id).map(String::as_str);
    ensure!(state("O-5-US") == Some("Committed"), "{taxes:?}");
    ensure!(state("O-6-US") == Some("Cancelled") && state("O-7-US") == Some("Cancelled"), "tax is void: {taxes:?}");
    let billed = cash.billed().await?;
    ensure!(billed.get("O-5-US") == Some(&1), "{billed:?}");
    ensure!(!billed.contains_key("O-6-US") && !billed.contains_key("O-7-US"), "{billed:?}");
    for id in ["O-6", "O-7"] {
        let orders = cash.orders(id).await?;
        ensure!(text(&orders[0], "stage") == "cancelled" && text(&orders[0], "taken_back") == "done", "{orders:?}");
        ensure!(!orders[0]["erp_order_id"].is_null(), "it is closed in the ERP, not deleted: {orders:?}");
    }
    Ok(())
}

async fn each_effect_took_place_once(cash: &Cash) -> Result<()> {
    for (name, system) in [("tax", &cash.tax), ("stripe", &cash.stripe)] {
        for (of, times) in system.created().await? {
            ensure!(times == 1, "{name} made {of:?} {times} times");
        }
    }
    Ok(())
}

/// Read again from the topics, nothing of it takes place again.
async fn copies_change_nothing(cash: &Cash) -> Result<()> {
    let count = async || anyhow::Ok((cash.tax.effects().await?.len(), cash.stripe.effects().await?.len()));
    let before = count().await?;
    let deals = cash.published.iter().map(|deal| cash.bench.deal(deal.clone()));
    let copies: Vec<_> = deals.chain(cash.changes.iter().cloned()).collect();
    cash.bench.publish(&copies).await?;
    cash.verified().await?;
    ensure!(count().await? == before, "copies had effects");
    let topic = topics::NOTIFICATION_REQUESTED;
    let messages = Drain::new(cash.bench.kafka().clone(), PATIENCE).collect(topic).await?;
    let ids: BTreeSet<_> = messages.iter().map(|record| record.headers.text("ce_id").map(str::to_owned)).collect();
    ensure!(ids.len() == 1, "the customer that renewed is told once: {ids:?}");
    Ok(())
}

async fn from_deal_to_cash() -> Result<()> {
    let mut cash = Cash::start().await?;
    deals_are_taxed_and_billed(&mut cash).await.context("taxed and billed")?;
    changes_of_a_contract_are_taxed_and_billed(&mut cash).await.context("an amendment and a renewal")?;
    deals_wait_for_a_tax_engine_that_is_away(&mut cash).await.context("an outage")?;
    refusals_are_tried_again_and_then_taken_back(&mut cash).await.context("refusals")?;
    each_effect_took_place_once(&cash).await?;
    copies_change_nothing(&cash).await.context("copies")?;
    cash.bench.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deals_become_cash_or_are_taken_back_on_real_parts() {
    Box::pin(from_deal_to_cash()).await.expect("from deal to cash");
}
