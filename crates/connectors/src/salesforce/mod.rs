//! Salesforce over its REST API. The README of this crate says what is sent and how answers are read.

mod answer;
mod body;
mod call;
mod change;
mod external_id;
mod limit;
mod session;
mod upsert;

pub use crate::http::Bounds;
pub use change::{ChangeOrigin, is_echo};
pub use session::Credentials;

use crate::{
    AccountShown, AdaptiveLimit, Answers, Batch, Cause, CollectionTask, ContractShown, Crm, CrmObject, DealCase,
    EnsureAccounts, Error, FindShown, OpenTasks, ReceivableShown, Recorded, RenewalShown, ShowCases, ShowContracts,
    ShowReceivables, ShowRenewals, ShowUsage, UsageShown,
    http::{Http, check_address},
};
use async_trait::async_trait;
use session::Sessions;
use std::{fmt, sync::Arc};
use url::Url;

pub(crate) const SYSTEM: &str = "Salesforce";

/// The API version that every request names. Raise it together with the contract tests.
pub const VERSION: &str = "v66.0";

/// What our calls name themselves (`Sforce-Call-Options`): change events of our own writes carry it back.
pub const CLIENT: &str = "throughline";

/// Records of one collection; Salesforce's limit.
const MOST_RECORDS: usize = 200;

/// How to reach one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `https://<my domain>.my.salesforce.com`.
    pub base_url: String,
    pub credentials: Credentials,
    /// Calls at once, over all members.
    pub concurrency: usize,
    pub bounds: Bounds,
    /// Lets credentials travel over plain http to another machine. For closed test networks only.
    pub allow_plain_http: bool,
}

/// One Salesforce organisation.
pub struct Salesforce {
    http: Arc<Http>,
    /// `<base>/services/data/v66.0/`.
    data: Url,
    sessions: Sessions,
    limit: AdaptiveLimit,
    quota: limit::Quota,
}

impl fmt::Debug for Salesforce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salesforce").field("data", &self.data.as_str()).finish_non_exhaustive()
    }
}

impl Salesforce {
    /// Connects nothing yet: the first call signs in.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(options: Options) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let urls = urls(&options.base_url, options.allow_plain_http).map_err(&mut keep).ok();
        let http = Http::try_new(options.bounds).map_err(&mut keep).ok();
        if options.concurrency == 0 {
            keep("concurrency: must be at least 1".into());
        }
        for (name, value) in [
            ("client_id", &options.credentials.client_id),
            ("username", &options.credentials.username),
            ("audience", &options.credentials.audience),
        ] {
            if value.trim().is_empty() {
                keep(format!("{name}: must not be empty"));
            }
        }
        let (Some((data, token_url)), Some(http), true) = (urls, http, problems.is_empty()) else {
            return Err(problems);
        };
        let http = Arc::new(http);
        let sessions = Sessions::new(http.clone(), token_url, options.credentials);
        let limit = AdaptiveLimit::new(options.concurrency);
        Ok(Self { http, data, sessions, limit, quota: limit::Quota::default() })
    }
}

fn urls(base: &str, allow_plain_http: bool) -> Result<(Url, Url), String> {
    let example = "use https://<my domain>.my.salesforce.com";
    let base = Url::parse(base).map_err(|error| format!("base_url `{base}`: {error}; {example}"))?;
    check_address(&base, allow_plain_http).map_err(|reason| format!("base_url {reason}"))?;
    let join = |path: &str| base.join(path).map_err(|error| format!("base_url `{base}`: {error}; {example}"));
    Ok((join(&format!("/services/data/{VERSION}/"))?, join("/services/oauth2/token")?))
}

#[async_trait]
impl EnsureAccounts for Salesforce {
    async fn ensure_accounts(&self, accounts: Batch<'_, AccountShown>) -> Answers {
        self.ensure(accounts).await
    }
}

#[async_trait]
impl ShowContracts for Salesforce {
    async fn show_contracts(&self, contracts: Batch<'_, ContractShown>) -> Answers {
        self.upsert_all(CrmObject::Contract, contracts, |of| of.contract_id.clone(), body::contract).await
    }
}

#[async_trait]
impl ShowReceivables for Salesforce {
    async fn show_receivables(&self, receivables: Batch<'_, ReceivableShown>) -> Answers {
        self.upsert_all(CrmObject::Receivable, receivables, ReceivableShown::receivable_id, body::receivable).await
    }
}

#[async_trait]
impl ShowUsage for Salesforce {
    async fn show_usage(&self, usage: Batch<'_, UsageShown>) -> Answers {
        self.upsert_all(CrmObject::Usage, usage, |of| of.threshold_id.clone(), body::usage).await
    }
}

#[async_trait]
impl OpenTasks for Salesforce {
    async fn open_tasks(&self, tasks: Batch<'_, CollectionTask>) -> Answers {
        self.upsert_all(CrmObject::Task, tasks, CollectionTask::task_id, body::task).await
    }
}

#[async_trait]
impl ShowCases for Salesforce {
    async fn show_cases(&self, cases: Batch<'_, DealCase>) -> Answers {
        self.upsert_all(CrmObject::Task, cases, DealCase::task_id, body::case).await
    }
}

#[async_trait]
impl ShowRenewals for Salesforce {
    async fn show_renewals(&self, renewals: Batch<'_, RenewalShown>) -> Answers {
        self.upsert_all(CrmObject::Renewal, renewals, |of| of.renewal_id.clone(), body::renewal).await
    }
}

#[async_trait]
impl FindShown for Salesforce {
    async fn find_shown(&self, cause: &Cause, object: CrmObject, ours: &str) -> Result<Option<Recorded>, Error> {
        self.find(cause, object, ours).await
    }
}

impl Crm for Salesforce {
    fn most_records(&self) -> usize {
        MOST_RECORDS
    }

    fn concurrency(&self) -> usize {
        self.limit.current()
    }

    fn per_second(&self) -> Option<f64> {
        self.quota.per_second()
    }
}

/// The object of a kind of record, and the field that holds our id of it. No object that holds finance is among them.
const fn object_and_field(object: CrmObject) -> (&'static str, &'static str) {
    match object {
        CrmObject::Account => ("Account", "TL_Account_Id__c"),
        CrmObject::Contract => ("Contract", "TL_Contract_Id__c"),
        CrmObject::Receivable => ("TL_Receivable__c", "TL_Receivable_Id__c"),
        CrmObject::Usage => ("TL_Usage__c", "TL_Usage_Id__c"),
        CrmObject::Task => ("Task", "TL_Task_Id__c"),
        CrmObject::Renewal => ("Opportunity", "TL_Renewal_Id__c"),
    }
}
