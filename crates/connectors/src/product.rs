//! What a service may ask of the platform that serves the product, and of the one that knows its users, in words of the business.
//!
//! Each request is the whole state of one thing under our id of it, with a revision that rises by one with each change: what comes late or
//! twice changes nothing.

use crate::{Cause, Error, Recorded};
use async_trait::async_trait;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A customer as the platform knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantState {
    /// The account's id.
    pub tenant_id: String,
    /// How its questions are answered; `None`: as for everybody.
    pub support_tier: Option<String>,
    /// From 1, without gaps.
    pub revision: u64,
}

/// Whether a tenant may use a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntitlementStatus {
    Active,
    /// Not for now; nothing of it is lost.
    Suspended,
    /// Not any more.
    Revoked,
}

impl EntitlementStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// What a tenant may use, how much of it, from when until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementState {
    pub entitlement_id: String,
    pub tenant_id: String,
    pub contract_id: String,
    /// The line that pays for it.
    pub contract_line_id: Option<String>,
    pub feature: String,
    /// `None`: no limit.
    pub quantity: Option<Decimal>,
    pub status: EntitlementStatus,
    pub valid_from: Timestamp,
    /// The first instant at which it does not hold any more.
    pub valid_to: Option<Timestamp>,
    /// From 1, without gaps.
    pub revision: u64,
}

#[async_trait]
pub trait SetTenants: Send + Sync {
    async fn set_tenant(&self, cause: &Cause, key: &str, tenant: &TenantState) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait SetEntitlements: Send + Sync {
    async fn set_entitlement(&self, cause: &Cause, key: &str, state: &EntitlementState) -> Result<Recorded, Error>;
}

/// Asks whether a change took effect whose answer was lost.
#[async_trait]
pub trait FindEntitled: Send + Sync {
    async fn find_tenant(&self, cause: &Cause, tenant: &TenantState) -> Result<Option<Recorded>, Error>;
    async fn find_entitlement(&self, cause: &Cause, state: &EntitlementState) -> Result<Option<Recorded>, Error>;
}

/// The platform that serves the product.
pub trait ProductPlatform: SetTenants + SetEntitlements + FindEntitled + 'static {
    /// Calls at once that it bears now.
    fn concurrency(&self) -> usize;
}

/// The first user of a tenant, who lets the others in. Name and address are masked in `Debug`: they are a person's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminUser {
    /// Our id: the account's, and `/admin`.
    pub user_id: String,
    pub account_id: String,
    pub email: String,
    pub display_name: String,
    /// BCP 47.
    pub locale: Option<String>,
}

impl fmt::Debug for AdminUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminUser").field("user_id", &self.user_id).field("email", &"***").finish_non_exhaustive()
    }
}

/// The group of a tenant's administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminGroup {
    /// Our id: the account's, and `/admins`.
    pub group_id: String,
    pub account_id: String,
    /// Our id of its first member, who must be there.
    pub member_id: String,
}

#[async_trait]
pub trait EnsureUsers: Send + Sync {
    /// Makes the user where there is none of that id; one that is there keeps what people changed.
    async fn ensure_user(&self, cause: &Cause, user: &AdminUser) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait EnsureGroups: Send + Sync {
    async fn ensure_group(&self, cause: &Cause, group: &AdminGroup) -> Result<Recorded, Error>;
}

#[async_trait]
pub trait FindIdentities: Send + Sync {
    async fn find_user(&self, cause: &Cause, user_id: &str) -> Result<Option<Recorded>, Error>;
    async fn find_group(&self, cause: &Cause, group_id: &str) -> Result<Option<Recorded>, Error>;
}

/// The platform that knows the product's users.
pub trait IdentityPlatform: EnsureUsers + EnsureGroups + FindIdentities + 'static {}
