//! Carries effects out over the connectors. What may be sent twice and what must be looked up first is the runtime's business.

use crate::effect::AccessEffect;
use async_trait::async_trait;
use connectors::{Cause, IdentityPlatform, ProductPlatform, Recorded};
use consumer::{Effect as _, Intent, Limits, Receipt, Target};
use failure::Failure;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The platforms as the runtime sees them.
pub struct PlatformTarget {
    product: Arc<dyn ProductPlatform>,
    identity: Option<Arc<dyn IdentityPlatform>>,
    visibility: Duration,
}

impl PlatformTarget {
    /// `visibility`: how long a change may stay invisible to a look-up after the call that made it.
    #[must_use]
    pub fn new(
        product: Arc<dyn ProductPlatform>,
        identity: Option<Arc<dyn IdentityPlatform>>,
        visibility: Duration,
    ) -> Self {
        Self { product, identity, visibility }
    }

    fn identity(&self) -> Result<&dyn IdentityPlatform, Failure> {
        // A journal may hold such an effect from before the platform was switched off.
        let reason = "an identity was asked for, and no identity platform is configured; set [identity] enabled = true";
        self.identity.as_deref().ok_or_else(|| Failure::dependency("IDENTITY_UNAVAILABLE", reason))
    }

    async fn send(&self, intent: &Intent<AccessEffect>) -> Result<Receipt, Failure> {
        let (cause, key) = (cause(intent), intent.effect.key());
        let done = match &intent.effect {
            AccessEffect::SetTenant { tenant } => self.product.set_tenant(&cause, &key, tenant).await,
            AccessEffect::SetEntitlement { entitlement } => {
                self.product.set_entitlement(&cause, &key, entitlement).await
            }
            AccessEffect::EnsureUser { user } => self.identity()?.ensure_user(&cause, user).await,
            AccessEffect::EnsureGroup { group } => self.identity()?.ensure_group(&cause, group).await,
        };
        done.map(receipt).map_err(Failure::from)
    }
}

#[async_trait]
impl Target<AccessEffect> for PlatformTarget {
    async fn apply(&self, intents: &[Intent<AccessEffect>]) -> Vec<Result<Receipt, Failure>> {
        let mut answers = Vec::with_capacity(intents.len());
        for intent in intents {
            answers.push(self.send(intent).await);
        }
        answers
    }

    async fn look_up(&self, intent: &Intent<AccessEffect>) -> Result<Option<Receipt>, Failure> {
        let cause = cause(intent);
        let found = match &intent.effect {
            AccessEffect::SetTenant { tenant } => self.product.find_tenant(&cause, tenant).await,
            AccessEffect::SetEntitlement { entitlement } => self.product.find_entitlement(&cause, entitlement).await,
            AccessEffect::EnsureUser { user } => self.identity()?.find_user(&cause, &user.user_id).await,
            AccessEffect::EnsureGroup { group } => self.identity()?.find_group(&cause, &group.group_id).await,
        };
        found.map(|found| found.map(receipt)).map_err(Failure::from)
    }

    fn limits(&self) -> Limits {
        Limits {
            batch: 1,
            concurrency: self.product.concurrency(),
            per_second: None,
            visibility_ms: i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

fn cause(intent: &Intent<AccessEffect>) -> Cause {
    Cause {
        event_id: intent.event_id.clone(),
        correlation_id: intent.correlation_id.clone(),
        account_id: intent.effect.account_id().to_owned(),
        traceparent: intent.traceparent.clone(),
    }
}

fn receipt(recorded: Recorded) -> Receipt {
    let details = if recorded.id == recorded.external_id {
        BTreeMap::new()
    } else {
        BTreeMap::from([("id".to_owned(), recorded.id)])
    };
    Receipt { external_id: recorded.external_id, details }
}
