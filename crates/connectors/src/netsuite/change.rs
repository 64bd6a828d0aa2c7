//! Changing a record that exists: once for each event, and never over a change that we have not seen.
//!
//! The record says which event wrote it last, so a look before the write answers whether an earlier call of ours took effect; and the
//! state that was seen travels with the write, so that of two calls of one event only the first takes effect.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict},
    call::Call,
    create::{AFTER_CHANGE, encode},
};
use crate::{Cause, Error, Object, Recorded};
use reqwest::Method;
use serde::Serialize;

/// A change, and the state that it is a change of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen<'a, B> {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_date: Option<&'a str>,
    #[serde(flatten)]
    body: &'a B,
}

impl NetSuite {
    /// `PATCH` that replaces the sublists in `replace`: without that their lines would be appended.
    pub(super) async fn change<B: Serialize + Sync>(
        &self,
        cause: &Cause,
        object: Object,
        ours: &str,
        replace: &str,
        body: &B,
    ) -> Result<Recorded, Error> {
        let mut delays = AFTER_CHANGE.delays(cause.event_id.len() as u64);
        loop {
            let Some(found) = self.by_external_id(cause, object, ours).await? else {
                let reason = format!("{} `{ours}` that we made cannot be seen", object.as_str());
                return Err(Error::Unavailable { system: SYSTEM, reason, retry_after: None });
            };
            if found.was_changed_by(cause) {
                return Ok(found.into_recorded());
            }
            let mut url = self.record_url(object, ours)?;
            url.query_pairs_mut().append_pair("replace", replace);
            let body = encode(&Seen { last_modified_date: found.last_modified.as_deref(), body })?;
            let call = Call { access: Access::Write, method: Method::PATCH, url, body: Some(body), job: None };
            match (self.call(cause, &call).await, delays.next()) {
                (Ok(_), _) => return Ok(Recorded { existed: false, ..found.into_recorded() }),
                (Err(Verdict::Changed(_)), Some(delay)) => tokio::time::sleep(delay).await,
                (Err(verdict), _) => return Err(verdict.into()),
            }
        }
    }
}
