//! What provisioning sends to the platforms, as plain data: what is journalled is what is sent.

use connectors::{AdminGroup, AdminUser, EntitlementState, TenantState};
use serde::{Deserialize, Serialize};

/// One change. The serde names are stored in the journal: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum AccessEffect {
    SetTenant { tenant: TenantState },
    SetEntitlement { entitlement: EntitlementState },
    EnsureUser { user: AdminUser },
    EnsureGroup { group: AdminGroup },
}

impl AccessEffect {
    /// The account it belongs to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::SetTenant { tenant } => &tenant.tenant_id,
            Self::SetEntitlement { entitlement } => &entitlement.tenant_id,
            Self::EnsureUser { user } => &user.account_id,
            Self::EnsureGroup { group } => &group.account_id,
        }
    }
}

impl consumer::Effect for AccessEffect {
    fn key(&self) -> String {
        match self {
            Self::SetTenant { tenant } => format!("{}:r{}", self.entity(), tenant.revision),
            Self::SetEntitlement { entitlement } => format!("{}:r{}", self.entity(), entitlement.revision),
            Self::EnsureUser { .. } | Self::EnsureGroup { .. } => format!("{}:ensure", self.entity()),
        }
    }

    fn entity(&self) -> String {
        match self {
            Self::SetTenant { tenant } => format!("tenant:{}", tenant.tenant_id),
            Self::SetEntitlement { entitlement } => {
                format!("entitlement:{}/{}", entitlement.tenant_id, entitlement.entitlement_id)
            }
            Self::EnsureUser { user } => format!("user:{}", user.user_id),
            Self::EnsureGroup { group } => format!("group:{}", group.group_id),
        }
    }

    /// Every change is told to the bus, so none is left out.
    fn coalesces(&self) -> bool {
        false
    }

    fn collection(&self) -> Option<&'static str> {
        None
    }
}
