//! What the vendor tells about the account itself.

use serde_json::json;

use super::RESOURCE;
use crate::{
    app::App,
    books::refusal::{Code, Refusal},
    call::Reply,
};

/// `GET /system/v1/governanceLimits`.
///
/// # Errors
/// 403 for a role that is not an administrator's.
pub fn governance_limits(app: &App) -> Result<Reply, Refusal> {
    let settings = app.settings();
    if !settings.is_administrator {
        let detail = "Permission Violation: only administrators see the governance limits.";
        return Err(Refusal::new(Code::InsufficientPermission, detail));
    }
    let limit = settings.concurrency_limit;
    let body = json!({
        "accountConcurrencyLimit": limit,
        "accountUnallocatedConcurrencyLimit": limit,
        "limitType": "accountSpecific",
        "concurrencyLimit": limit,
    });
    Ok(Reply::json(200, RESOURCE, &body))
}
