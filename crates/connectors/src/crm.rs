//! What a service may ask of a CRM, in words of the business: to *show* things there that other systems own.
//!
//! There is no capability to post, invoice, credit or pay: a CRM holds no finance, so no request for it can be written down. Each request
//! is the whole state of one thing, sent under our id of it: sending it again changes nothing. All take many at once and give one
//! answer each, in order; one that fails leaves the others alone.

use crate::{Cause, Error, IsoCurrency, Recorded};
use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Kinds of records that we make in a CRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrmObject {
    Account,
    Contract,
    /// What an account owes in one currency.
    Receivable,
    /// Usage of a contract that crossed a threshold.
    Usage,
    /// Work for people: to collect a payment, or to decide about a deal.
    Task,
    /// The opportunity of a renewal.
    Renewal,
}

impl CrmObject {
    pub const ALL: [Self; 6] =
        [Self::Account, Self::Contract, Self::Receivable, Self::Usage, Self::Task, Self::Renewal];
}

/// An account that must be there before anything can be shown of it. The name is masked in `Debug`: it may be a person's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountShown {
    pub account_id: String,
    /// Used where the CRM does not have the account; an account that is there keeps its own.
    pub name: String,
}

impl fmt::Debug for AccountShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountShown").field("account_id", &self.account_id).field("name", &"***").finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractShownStatus {
    Active,
    Suspended,
    /// Cancelled for a day that may lie ahead.
    Ending,
    Cancelled,
}

/// A contract's status and terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractShown {
    pub contract_id: String,
    pub account_id: String,
    pub status: ContractShownStatus,
    pub currency: IsoCurrency,
    pub start_on: Date,
    /// The day after the last one.
    pub end_on: Option<Date>,
    pub auto_renews: bool,
    /// Value of the term, where it is known.
    pub value_minor: Option<i64>,
    /// The first day on which it does not run any more, where it was cancelled.
    pub cancelled_on: Option<Date>,
}

/// What an account owes in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivableShown {
    pub account_id: String,
    pub currency: IsoCurrency,
    /// What is owed less what stands to the account's credit; below zero: it has more than it owes.
    pub balance_minor: i64,
    /// Σ of what is open on invoices.
    pub open_minor: i64,
    pub open_invoices: u64,
    /// When the oldest invoice that is open fell or falls due: before today, it is overdue since then.
    pub oldest_due_on: Option<Date>,
    pub last_payment: Option<LastPayment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPayment {
    pub received_on: Date,
    pub amount_minor: i64,
}

impl ReceivableShown {
    /// Our id of it: an account has one for each currency.
    #[must_use]
    pub fn receivable_id(&self) -> String {
        format!("{}/{}", self.account_id, self.currency.code.to_lowercase())
    }
}

/// Usage that crossed a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageShown {
    pub threshold_id: String,
    pub account_id: String,
    pub contract_id: String,
    pub meter: String,
    pub unit: Option<String>,
    pub period_start_on: Date,
    /// The day after the last one.
    pub period_end_on: Date,
    pub observed: Decimal,
    pub threshold: Decimal,
    /// `absolute`, `percent`, `spend`; another word: unknown.
    pub threshold_type: String,
    /// `notify`, `invoice`, `throttle`; another word: unknown.
    pub action: String,
    pub first_crossed_at: Timestamp,
}

/// Work for people: a payment failed, and dunning has come to a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionTask {
    pub account_id: String,
    pub invoice_id: String,
    pub dunning_step: i32,
    pub currency: IsoCurrency,
    pub amount_minor: i64,
    /// When collecting is tried again by itself; `None`: it is not, people have to act.
    pub next_attempt_on: Option<Date>,
    /// Why it failed, as the payment provider says.
    pub failure_code: String,
}

impl CollectionTask {
    /// Our id of it: an invoice has one for each step.
    #[must_use]
    pub fn task_id(&self) -> String {
        format!("{}/step-{}", self.invoice_id, self.dunning_step)
    }
}

/// A deal that cannot go on by itself, and how that ended. People see it; those who own it decide elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealCase {
    pub case_id: String,
    pub account_id: String,
    pub opportunity_id: String,
    /// The CRM has the account under our id of it.
    pub has_account: bool,
    pub currency: IsoCurrency,
    /// What waits.
    pub amount_minor: i64,
    /// What is wrong, each with the queue that has to mend it.
    pub reasons: Vec<CaseReason>,
    /// `None`: it is open; else such as `mended`, `rejected`, `compensated`.
    pub end: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReason {
    pub code: String,
    pub message: String,
    pub owner: String,
}

impl DealCase {
    /// Our id of its task.
    #[must_use]
    pub fn task_id(&self) -> String {
        format!("case/{}", self.case_id)
    }
}

/// How far a renewal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalStage {
    Due,
    #[default]
    Won,
    Lost,
}

/// A renewal that the customer accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalShown {
    pub renewal_id: String,
    /// What was journalled without it was won.
    #[serde(default)]
    pub stage: RenewalStage,
    pub account_id: String,
    pub contract_id: String,
    pub currency: IsoCurrency,
    /// The day it was accepted or declined; of one that is due, the day by which it has to be.
    pub accepted_on: Date,
    pub term_start_on: Date,
    /// The day after the last one.
    pub term_end_on: Option<Date>,
    pub value_minor: Option<i64>,
}

/// What is to be shown, with the event behind each.
pub type Batch<'a, T> = &'a [(Cause, &'a T)];

/// One answer for each request, in order.
pub type Answers = Vec<Result<Recorded, Error>>;

#[async_trait]
pub trait EnsureAccounts: Send + Sync {
    /// Makes accounts that are not there; those that are keep what they have.
    async fn ensure_accounts(&self, accounts: Batch<'_, AccountShown>) -> Answers;
}

#[async_trait]
pub trait ShowContracts: Send + Sync {
    async fn show_contracts(&self, contracts: Batch<'_, ContractShown>) -> Answers;
}

#[async_trait]
pub trait ShowReceivables: Send + Sync {
    async fn show_receivables(&self, receivables: Batch<'_, ReceivableShown>) -> Answers;
}

#[async_trait]
pub trait ShowUsage: Send + Sync {
    async fn show_usage(&self, usage: Batch<'_, UsageShown>) -> Answers;
}

#[async_trait]
pub trait OpenTasks: Send + Sync {
    async fn open_tasks(&self, tasks: Batch<'_, CollectionTask>) -> Answers;
}

#[async_trait]
pub trait ShowCases: Send + Sync {
    /// A task for each, which is completed when the case has ended.
    async fn show_cases(&self, cases: Batch<'_, DealCase>) -> Answers;
}

#[async_trait]
pub trait ShowRenewals: Send + Sync {
    async fn show_renewals(&self, renewals: Batch<'_, RenewalShown>) -> Answers;
}

#[async_trait]
pub trait FindShown: Send + Sync {
    /// The record under our id `ours`, if the event behind `cause` was the last to write it; an account, whoever wrote it.
    ///
    /// `Ok(None)` only if the CRM answered that there is none, or that it is in another event's state; whatever leaves a doubt is an
    /// error.
    async fn find_shown(&self, cause: &Cause, object: CrmObject, ours: &str) -> Result<Option<Recorded>, Error>;
}

/// A CRM with all of it.
pub trait Crm:
    EnsureAccounts + ShowContracts + ShowReceivables + ShowUsage + OpenTasks + ShowCases + ShowRenewals + FindShown
{
    /// Records that one call takes.
    fn most_records(&self) -> usize;

    /// Calls at once that the remote account bears right now, over all members.
    fn concurrency(&self) -> usize;

    /// Calls a second that are left for us in the account's quota, over all members; `None` while there is plenty.
    fn per_second(&self) -> Option<f64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_name() {
        let account = AccountShown { account_id: "A-1".into(), name: "Jane Roe".into() };
        assert!(!format!("{account:?}").contains("Jane"));
    }
}
