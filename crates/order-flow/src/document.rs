//! What order-flow remembers: deals with their orders and changes, signed quotes, accounts that are held, contracts that came of it.
//!
//! The customer's data is kept only while a deal still needs it, and dropped as soon as its orders are decided.

pub use crate::order_state::{
    AcceptedAt, FailedStep, Order, OrderStage, Outside, Schedule, StepState, TakenBack, Tax, TaxState,
};
use crate::{
    change::Change,
    contract::ContractState,
    protect::{Agreed, Conflict, Proposal},
    quote::Quotes,
};
use events::{OpportunityClosedWon, common::BillingSchedule};
use jiff::Timestamp;
use ledger::DocumentKey;
use rules::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub mod kind {
    pub const DEAL: &str = "deal";
    pub const ACCOUNT: &str = "account";
    pub const CONTRACT: &str = "contract";
    pub const QUOTES: &str = "quotes";
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowDocument {
    Deal(Box<DealState>),
    Account(AccountState),
    Contract(Box<ContractState>),
    Quotes(Box<Quotes>),
}

/// Where a deal stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DealStage {
    /// Something keeps it from becoming orders; a case is open.
    #[default]
    Waiting,
    /// Its orders were asked for.
    Ordered,
    /// Somebody rejected it.
    Declined,
    /// It was reopened.
    Withdrawn,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DealState {
    pub account_id: String,
    pub opportunity_id: String,
    /// Of the opportunity.
    pub entity_version: i64,
    pub stage: DealStage,
    pub currency: String,
    pub total_minor: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The deal itself, until its orders are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opportunity: Option<Box<OpportunityClosedWon>>,
    /// When it was won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub won_at: Option<Timestamp>,
    /// When invoices are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<BillingSchedule>,
    /// What the policies said last, with their version.
    #[serde(default)]
    pub verdict: Verdict,
    /// Codes that people let pass, each with who did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waived: BTreeMap<String, String>,
    /// Rules that people approved, each with who did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approved: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<OpenCase>,
    /// Cases so far.
    #[serde(default)]
    pub cases: u32,
    /// By selling entity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orders: BTreeMap<String, Order>,
    /// Amendments and renewals of its contracts, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, Change>,
    /// What was agreed when its orders were asked for; personal values as marks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agreed: Agreed,
    /// Edits that were refused since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// The last of them, where its owner may let it through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// A case that was published and is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCase {
    pub case_id: String,
    /// `CODE at path`, sorted: the same reasons open no second case.
    pub reasons: BTreeSet<String>,
}

/// An account that was held at least once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    pub account_id: String,
    pub entity_version: i64,
    pub on_hold: bool,
    /// Deals that wait for the release.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<String>,
}

impl consumer::Document for FlowDocument {
    fn status(&self) -> &str {
        match self {
            Self::Deal(deal) => deal.status(),
            Self::Account(account) if account.on_hold => "on_hold",
            Self::Account(_) => "free",
            Self::Contract(contract) if contract.is_cancelled => "cancelled",
            Self::Contract(_) => "active",
            Self::Quotes(_) => "signed",
        }
    }

    fn account_id(&self) -> &str {
        match self {
            Self::Deal(deal) => &deal.account_id,
            Self::Account(account) => &account.account_id,
            Self::Contract(contract) => &contract.account_id,
            Self::Quotes(quotes) => &quotes.account_id,
        }
    }
}

impl DealState {
    /// The stage of the order that is furthest behind, once there are orders.
    fn status(&self) -> &'static str {
        match self.stage {
            DealStage::Waiting => "waiting",
            DealStage::Declined => "declined",
            DealStage::Withdrawn => "withdrawn",
            DealStage::Ordered => {
                let has = |stage| self.orders.values().any(|order| order.stage == stage);
                let stages = [
                    (OrderStage::Rejected, "rejected"),
                    (OrderStage::Pricing, "pricing"),
                    (OrderStage::Requested, "requested"),
                    (OrderStage::Accepted, "accepted"),
                    (OrderStage::Cancelling, "cancelling"),
                    (OrderStage::Active, "active"),
                ];
                stages.into_iter().find(|(stage, _)| has(*stage)).map_or("cancelled", |(_, name)| name)
            }
        }
    }
}

/// The documents of one decision, by name.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a>(pub &'a consumer::Documents<'a, FlowDocument>);

impl<'a> Known<'a> {
    pub(crate) fn deal(self, id: &str) -> Option<&'a DealState> {
        match self.0.get(kind::DEAL, id) {
            Some(FlowDocument::Deal(deal)) => Some(deal),
            _ => None,
        }
    }

    pub(crate) fn account(self, id: &str) -> Option<&'a AccountState> {
        match self.0.get(kind::ACCOUNT, id) {
            Some(FlowDocument::Account(account)) => Some(account),
            _ => None,
        }
    }

    pub(crate) fn contract(self, id: &str) -> Option<&'a ContractState> {
        match self.0.get(kind::CONTRACT, id) {
            Some(FlowDocument::Contract(contract)) => Some(contract),
            _ => None,
        }
    }

    pub(crate) fn quotes(self, opportunity_id: &str) -> Option<&'a Quotes> {
        match self.0.get(kind::QUOTES, opportunity_id) {
            Some(FlowDocument::Quotes(quotes)) => Some(quotes),
            _ => None,
        }
    }
}

pub(crate) fn key(kind: &str, id: &str) -> DocumentKey {
    DocumentKey::new(kind, id)
}
