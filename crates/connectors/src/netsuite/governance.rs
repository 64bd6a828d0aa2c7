//! What the account says of its own limits, so that a configured number that is too high does no harm to other integrations.

use super::{NetSuite, SYSTEM, answer::Access, call::Call, find::read};
use crate::{Cause, Error};
use reqwest::Method;
use serde::Deserialize;
use std::time::Duration;

/// A start does not wait longer for the answer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answer of `GET /system/v1/governanceLimits`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Limits {
    account_concurrency_limit: Option<usize>,
    account_unallocated_concurrency_limit: Option<usize>,
    limit_type: Option<String>,
    concurrency_limit: Option<usize>,
}

impl Limits {
    /// Calls at once that this integration may make: its own limit, or what no other integration has been given.
    fn ours(&self) -> Option<usize> {
        match self.limit_type.as_deref() {
            Some("integrationSpecific") => self.concurrency_limit,
            _ => self.account_unallocated_concurrency_limit.or(self.account_concurrency_limit),
        }
    }
}

impl NetSuite {
    /// Asks the account for its concurrency limit and keeps to the smaller of it and the configured one. Only administrators may ask:
    /// without an answer the configured one holds, and the log says so, once a start.
    pub async fn keep_to_account_limits(&self) {
        let configured = self.limit.most();
        let asked = tokio::time::timeout(PATIENCE, self.account_limit()).await;
        let silent = || Error::Unavailable { system: SYSTEM, reason: "no answer in time".into(), retry_after: None };
        match asked.unwrap_or_else(|_| Err(silent())) {
            Ok(Some(limit)) if limit < configured => {
                self.limit.keep_below(limit);
                tracing::warn!(
                    configured,
                    limit,
                    "NetSuite allows fewer calls at once than configured; keeping to that"
                );
            }
            Ok(Some(limit)) => tracing::info!(configured, limit, "NetSuite allows the configured calls at once"),
            Ok(None) => {
                tracing::info!(configured, "NetSuite names no limit of calls at once; the configured one holds")
            }
            Err(Error::Unauthorized { .. }) => {
                tracing::info!(
                    configured,
                    "NetSuite tells its limits to administrators only; the configured number of calls at once holds"
                );
            }
            Err(error) => {
                tracing::warn!(configured, %error, "NetSuite's limits are not known; the configured one holds");
            }
        }
    }

    async fn account_limit(&self) -> Result<Option<usize>, Error> {
        let url = self.url("system/v1/governanceLimits")?;
        let call = Call { access: Access::Read, method: Method::GET, url, body: None, job: None };
        let answer = self.call(&Cause::default(), &call).await.map_err(Error::from)?;
        let limits: Limits = read(&answer)?;
        Ok(limits.ours())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: &str) -> Option<usize> {
        serde_json::from_str::<Limits>(json).expect("JSON").ours()
    }

    #[test]
    fn an_integrations_own_limit_counts_before_the_accounts() {
        assert_eq!(
            limits(r#"{"limitType":"integrationSpecific","concurrencyLimit":4,"accountConcurrencyLimit":15}"#),
            Some(4)
        );
        let shared = r#"{"limitType":"accountSpecific","concurrencyLimit":15,"accountConcurrencyLimit":15,"accountUnallocatedConcurrencyLimit":9}"#;
        assert_eq!(limits(shared), Some(9));
        assert_eq!(limits("{}"), None);
    }
}
