//! What the vendor tells about the account itself.

use serde_json::json;

use super::RESOURCE;
use crate::{app::App, call::Reply};

/// `GET /system/v1/governanceLimits`.
pub fn governance_limits(app: &App) -> Reply {
    let limit = app.settings().concurrency_limit;
    let body = json!({
        "accountConcurrencyLimit": limit,
        "accountUnallocatedConcurrencyLimit": limit,
        "limitType": "accountSpecific",
        "concurrencyLimit": limit,
    });
    Reply::json(200, RESOURCE, &body)
}
