//! The product platform over `docs/openapi/entitlement.yaml`: resources written whole, under an idempotency key, guarded by a revision.

mod answer;

use crate::{
    Cause, EntitlementState, Error, FindEntitled, ProductPlatform, Recorded, SetEntitlements, SetTenants, TenantState,
    oauth::{Call, Client, Options},
};
use answer::{failure, reads};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use std::fmt;
use url::Url;

pub(crate) const SYSTEM: &str = "the product platform";
const JSON: &str = "application/json";

/// One product platform.
pub struct Entitlements {
    client: Client,
}

impl fmt::Debug for Entitlements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entitlements").field("base", &self.client.base().as_str()).finish_non_exhaustive()
    }
}

impl Entitlements {
    /// Connects nothing yet: the first call signs in.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(options: Options) -> Result<Self, Vec<String>> {
        Ok(Self { client: Client::try_new(SYSTEM, options)? })
    }

    fn tenant(&self, tenant_id: &str) -> Url {
        self.client.url(&["v1", "tenants", tenant_id])
    }

    fn entitlement(&self, state: &EntitlementState) -> Url {
        self.client.url(&["v1", "tenants", &state.tenant_id, "entitlements", &state.entitlement_id])
    }

    async fn put(&self, cause: &Cause, key: &str, (id, url): (&str, Url), body: Value) -> Result<Recorded, Error> {
        let call = Call { method: Method::PUT, url, content_type: JSON, body: Some(&body), idempotency_key: Some(key) };
        let answer = self.client.call(cause, &call).await?;
        match answer.status.as_u16() {
            status @ (200 | 201) => Ok(recorded(id, status == 200)),
            _ => Err(failure(true, &answer)),
        }
    }

    /// The resource has our revision, or a later one of ours.
    async fn find(&self, cause: &Cause, (id, url): (&str, Url), revision: u64) -> Result<Option<Recorded>, Error> {
        let call = Call { method: Method::GET, url, content_type: JSON, body: None, idempotency_key: None };
        let answer = self.client.call(cause, &call).await?;
        match answer.status.as_u16() {
            200 => {
                let found: Value = reads(&answer)?;
                Ok(found["revision"].as_u64().filter(|found| *found >= revision).map(|_| recorded(id, true)))
            }
            404 if answer::says(&answer, "NOT_FOUND") => Ok(None),
            _ => Err(failure(false, &answer)),
        }
    }
}

fn recorded(id: &str, existed: bool) -> Recorded {
    Recorded { id: id.to_owned(), external_id: id.to_owned(), number: None, existed, redated: None }
}

#[async_trait]
impl SetTenants for Entitlements {
    async fn set_tenant(&self, cause: &Cause, key: &str, tenant: &TenantState) -> Result<Recorded, Error> {
        let body = json!({ "support_tier": tenant.support_tier, "revision": tenant.revision });
        self.put(cause, key, (&tenant.tenant_id, self.tenant(&tenant.tenant_id)), body).await
    }
}

#[async_trait]
impl SetEntitlements for Entitlements {
    async fn set_entitlement(&self, cause: &Cause, key: &str, state: &EntitlementState) -> Result<Recorded, Error> {
        let body = json!({
            "feature": state.feature,
            "quantity": state.quantity.map(|quantity| quantity.normalize().to_string()),
            "status": state.status.as_str(),
            "valid_from": state.valid_from,
            "valid_to": state.valid_to,
            "contract_id": state.contract_id,
            "contract_line_id": state.contract_line_id,
            "revision": state.revision,
        });
        self.put(cause, key, (&state.entitlement_id, self.entitlement(state)), body).await
    }
}

#[async_trait]
impl FindEntitled for Entitlements {
    async fn find_tenant(&self, cause: &Cause, tenant: &TenantState) -> Result<Option<Recorded>, Error> {
        self.find(cause, (&tenant.tenant_id, self.tenant(&tenant.tenant_id)), tenant.revision).await
    }

    async fn find_entitlement(&self, cause: &Cause, state: &EntitlementState) -> Result<Option<Recorded>, Error> {
        self.find(cause, (&state.entitlement_id, self.entitlement(state)), state.revision).await
    }
}

impl ProductPlatform for Entitlements {
    fn concurrency(&self) -> usize {
        self.client.limit.current()
    }
}
