//! Making records: once, and never over one that is there. The rules are in the README of this crate.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict},
    call::Call,
    record_type,
};
use crate::{Cause, Error, Object, Recorded, http::Answer};
use failure::RetryPolicy;
use reqwest::Method;
use serde::Serialize;
use std::time::Duration;

/// Tries after `RCRD_HAS_BEEN_CHANGED`: the other writer is done by then, or the failure goes to the runtime.
pub(super) const AFTER_CHANGE: RetryPolicy =
    RetryPolicy::new(Duration::from_millis(100), Duration::from_secs(1), Some(3));

/// A record to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) object: Object,
    pub(super) ours: &'a str,
    /// The number it gets, where we give it one.
    pub(super) number: Option<&'a str>,
}

impl NetSuite {
    /// `POST`: NetSuite refuses it where the external id exists, so that nothing is ever overwritten.
    pub(super) async fn create<B: Serialize>(
        &self,
        cause: &Cause,
        wanted: Wanted<'_>,
        body: &B,
    ) -> Result<Recorded, Error> {
        let url = self.url(&format!("record/v1/{}", record_type(wanted.object)))?;
        let call = Call { access: Access::Write, method: Method::POST, url, body: Some(encode(body)?), job: None };
        match self.write(cause, &call).await {
            Ok(answer) => self.recorded(cause, wanted, &answer).await,
            Err(Verdict::Duplicate { field, reason }) => self.duplicate(cause, wanted, field.as_deref(), reason).await,
            Err(verdict) => Err(verdict.into()),
        }
    }

    /// `PUT` by external id, for fields that may be set again and again.
    pub(super) async fn upsert<B: Serialize>(
        &self,
        cause: &Cause,
        object: Object,
        ours: &str,
        body: &B,
    ) -> Result<Recorded, Error> {
        let url = self.record_url(object, ours)?;
        let call = Call { access: Access::Write, method: Method::PUT, url, body: Some(encode(body)?), job: None };
        let answer = self.write(cause, &call).await.map_err(Error::from)?;
        self.recorded(cause, Wanted { object, ours, number: None }, &answer).await
    }

    pub(super) async fn write(&self, cause: &Cause, call: &Call) -> Result<Answer, Verdict> {
        let mut delays = AFTER_CHANGE.delays(cause.event_id.len() as u64);
        loop {
            match self.call(cause, call).await {
                Err(Verdict::Changed(reason)) => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(Verdict::Changed(reason)),
                },
                done => return done,
            }
        }
    }

    /// The receipt: NetSuite's id from `Location`, or from the record itself where a proxy lost the header.
    pub(super) async fn recorded(&self, cause: &Cause, wanted: Wanted<'_>, answer: &Answer) -> Result<Recorded, Error> {
        let location =
            answer.location.as_deref().and_then(|location| location.trim_end_matches('/').rsplit('/').next());
        if let Some(id) = location.filter(|id| !id.is_empty() && !id.starts_with("eid:")) {
            return Ok(Recorded {
                id: id.to_owned(),
                external_id: self.scheme.external_id(wanted.object, wanted.ours),
                number: wanted.number.map(str::to_owned),
                existed: false,
                redated: None,
            });
        }
        let found = self.by_external_id(cause, wanted.object, wanted.ours).await;
        // From here on the record exists; whatever goes wrong must lead to a look-up, not to a second call.
        let unknown = |reason| Error::OutcomeUnknown { system: SYSTEM, reason };
        match found {
            Ok(Some(found)) => Ok(Recorded { existed: false, ..found.made_by(cause, wanted.object)? }),
            Ok(None) => Err(unknown("made, but not to be seen yet".into())),
            Err(error) => Err(unknown(format!("made, but its id cannot be read: {error}"))),
        }
    }

    /// The record was refused as a duplicate: of ours, of somebody else's, or of one that cannot be seen yet.
    pub(super) async fn duplicate(
        &self,
        cause: &Cause,
        wanted: Wanted<'_>,
        field: Option<&str>,
        reason: String,
    ) -> Result<Recorded, Error> {
        let Wanted { object, ours, number } = wanted;
        if let Some(found) = self.by_external_id(cause, object, ours).await? {
            tracing::info!(object = object.as_str(), id = found.id, "found what an earlier call made");
            return found.made_by(cause, object);
        }
        let by_number = match number {
            Some(number) => self.by_number(cause, object, number).await?,
            None => None,
        };
        match by_number {
            Some(found) if found.external_id == self.scheme.external_id(object, ours) => found.made_by(cause, object),
            Some(found) => {
                let reason = format!(
                    "{} {} in {SYSTEM} already has the number {} (external id `{}`)",
                    record_type(object),
                    found.id,
                    number.unwrap_or_default(),
                    found.external_id
                );
                Err(Error::Taken { field: "tranId", reason })
            }
            None if field.is_some_and(|field| field.ends_with("entityId") || field.ends_with("companyName")) => {
                Err(Error::Taken { field: "entityId", reason })
            }
            None => Err(Error::OutcomeUnknown {
                system: SYSTEM,
                reason: format!("refused as a duplicate of a record that cannot be seen yet: {reason}"),
            }),
        }
    }
}

pub(super) fn encode<B: Serialize>(body: &B) -> Result<String, Error> {
    serde_json::to_string(body).map_err(|error| Error::Malformed {
        system: SYSTEM,
        field: None,
        reason: format!("the request cannot be written as JSON: {error}"),
    })
}
