//! What the demo shows of deals: they close, are taxed, become orders in the ERP, billing schedules, contracts and access; one has no tax
//! nexus and stays with its owner, one its credit held, until credit control lets it go, and one cannot be billed: what was begun for it is
//! taken back.

use crate::{
    commands::{
        order,
        publish::encode::{SchemaIds, of_deal},
    },
    exit::{Result, Trouble},
    stack::{Stack, broker_trouble, ledger_trouble},
};
use events::Deal;
use kafka::Producer;
use ledger::DocumentFilter;
use order_flow::document::{DealStage, DealState, Order, OrderStage, TakenBack, TaxState};
use provisioning::document::AccessDocument;
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};
use testkit::{deals, eventually};

/// The account whose credit is held while its deal closes.
const HELD: &str = "deal-account-held";
const WITHOUT_NEXUS: &str = "deal-account-abroad";
/// Its schedule makes no plan, which comes out when the ERP has the order and the tax is committed.
const UNBILLABLE: &str = "deal-account-unbillable";

/// What became of them, as the ledgers of order-flow and provisioning say.
#[derive(Debug, Default, Serialize)]
pub(super) struct Deals {
    closed: u64,
    /// Orders that the ERP took and whose contract is active.
    contracts: u64,
    /// Orders whose tax the engine has as committed.
    taxed: u64,
    /// Contracts with a billing schedule.
    billed: u64,
    /// Orders that were begun and taken back: closed in the ERP, their tax void.
    taken_back: Vec<String>,
    /// Contracts that give access in the product.
    with_access: u64,
    /// Deals that went on after their credit was released.
    released: u64,
    /// What each of the others waits for.
    waiting: Vec<String>,
}

/// One deal for so many accounts.
const ACCOUNTS_PER_DEAL: u32 = 50;

/// Publishes all of them; answers how many records that are.
pub(super) async fn close(accounts: u32, producer: &Producer, schemas: &SchemaIds) -> Result<u64> {
    let mut happened = vec![Deal::from(deals::hold(HELD, 1, true)), deals::deal(HELD, "deal-held").into()];
    happened.push(deals::without_nexus(WITHOUT_NEXUS, "deal-abroad").into());
    happened.push(deals::billed(deals::shared("deal-account-shared", "deal-shared")).into());
    happened.push(deals::billed(deals::with_services("deal-account-services", "deal-services")).into());
    happened.push(deals::without_plan(UNBILLABLE, "deal-unbillable").into());
    for number in 1..=(accounts / ACCOUNTS_PER_DEAL).max(4) {
        let deal = deals::deal(&format!("deal-account-{number:04}"), &format!("deal-{number:04}"));
        happened.push(deals::billed(deal).into());
    }
    let count = happened.len() as u64;
    send(happened, producer, schemas).await?;
    Ok(count)
}

async fn send(happened: Vec<Deal>, producer: &Producer, schemas: &SchemaIds) -> Result<()> {
    let records: std::result::Result<Vec<_>, _> = happened.into_iter().map(|deal| of_deal(deal, schemas)).collect();
    let records = records.map_err(|failure| Trouble::failed("GENERATOR", failure.to_string()))?;
    for ack in producer.send_all(&records).await {
        ack.map_err(|error| broker_trouble(&error))?;
    }
    Ok(())
}

/// Lets the held account go, and waits until nothing is on its way any more.
pub(super) async fn release(known: &Stack, producer: &Producer, schemas: &SchemaIds, patience: Duration) -> Result<()> {
    settled(known, patience, |deal| deal.account_id != HELD || deal.stage == DealStage::Waiting).await?;
    send(vec![deals::hold(HELD, 2, false).into()], producer, schemas).await?;
    settled(known, patience, |deal| deal.account_id != HELD || deal.stage == DealStage::Ordered).await
}

/// Waits until every deal is with somebody, or has its contracts, and `more` holds of it.
async fn settled(known: &Stack, patience: Duration, more: impl Fn(&DealState) -> bool) -> Result<()> {
    let all = async || {
        let all = of_deals(known).await.map_err(|trouble| trouble.message)?;
        match all.iter().find(|deal| is_under_way(deal) || !more(deal)) {
            Some(deal) => Err(format!("{}: {}", deal.opportunity_id, order::why(deal))),
            None if all.is_empty() => Err("no deal was read yet".to_owned()),
            None => Ok(()),
        }
    };
    let waited = eventually("deals with their contracts", patience, all).await;
    waited.map_err(|late| Trouble::failed("NOT_QUIET", late.to_string()))
}

fn is_under_way(deal: &DealState) -> bool {
    let is_on_its_way = |order: &Order| match order.stage {
        OrderStage::Pricing | OrderStage::Accepted | OrderStage::Requested | OrderStage::Cancelling => true,
        OrderStage::Cancelled => order.taken_back == TakenBack::Begun,
        OrderStage::Rejected | OrderStage::Active => false,
    };
    deal.orders.values().any(|order| order.failed.is_none() && is_on_its_way(order))
}

async fn of_deals(known: &Stack) -> Result<Vec<DealState>> {
    let rows = documents(known, "order-flow", order_flow::document::kind::DEAL).await?;
    Ok(rows.iter().filter_map(order::deal).collect())
}

async fn documents(known: &Stack, service: &str, kind: &str) -> Result<Vec<ledger::DocumentRow>> {
    let filter = DocumentFilter { kind: Some(kind.to_owned()), limit: usize::MAX >> 1, ..DocumentFilter::default() };
    known.ledger(service).await?.documents(&filter).await.map_err(|error| ledger_trouble(&error))
}

/// What became of them.
pub(super) async fn told(known: &Stack) -> Result<Deals> {
    let all = of_deals(known).await?;
    let mut told = Deals { closed: all.len() as u64, ..Deals::default() };
    let mut contracts = BTreeSet::new();
    for deal in &all {
        let active = deal.orders.values().filter(|order| order.stage == OrderStage::Active);
        contracts.extend(active.map(|order| order.order_id.clone()));
        for order in deal.orders.values() {
            let is_committed = order.outside.tax.as_ref().is_some_and(|tax| tax.state == TaxState::Committed);
            told.taxed += u64::from(is_committed);
            told.billed += u64::from(order.outside.schedule.as_ref().is_some_and(|schedule| !schedule.is_ended));
            if order.taken_back == TakenBack::Done {
                told.taken_back.push(order.order_id.clone());
            }
        }
        told.released += u64::from(deal.account_id == HELD && deal.stage == DealStage::Ordered);
        if deal.stage == DealStage::Waiting {
            told.waiting.push(format!("{}: {}", deal.opportunity_id, order::why(deal)));
        }
    }
    told.contracts = contracts.len() as u64;
    for row in documents(known, "provisioning", provisioning::document::kind::ACCOUNT).await? {
        let Ok(AccessDocument::Account(account)) = serde_json::from_str(&row.body) else { continue };
        let with_access: BTreeSet<&String> = account.set.values().map(|given| &given.contract_id).collect();
        told.with_access += with_access.into_iter().filter(|id| contracts.contains(*id)).count() as u64;
    }
    Ok(told)
}

impl Deals {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "{} deals closed: {} contracts, each with its order in the ERP, {} with their tax committed, {} billed by schedule, {} with \
             access in the product; {} went on when credit control released its customer; {} could not be billed, so its order was closed \
             in the ERP and its tax voided.\n",
            self.closed,
            self.contracts,
            self.taxed,
            self.billed,
            self.with_access,
            self.released,
            self.taken_back.len()
        );
        for waiting in &self.waiting {
            text.push_str(&format!("  {waiting}\n"));
        }
        text
    }
}
