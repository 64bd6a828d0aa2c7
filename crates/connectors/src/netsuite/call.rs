//! One call: a place among the calls in flight, a token, the headers that are always sent, and a second try only after a
//! 401, which promises that nothing was done.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict, no_answer, verdict},
};
use crate::{
    Cause, Error,
    http::{Answer, NoAnswer},
};
use reqwest::{Method, header};
use url::Url;

/// A request, kept so that it can be sent a second time.
pub(super) struct Call {
    pub(super) access: Access,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<String>,
    /// Idempotency key of a collection that is written by an asynchronous job.
    pub(super) job: Option<String>,
}

impl NetSuite {
    pub(super) async fn call(&self, cause: &Cause, call: &Call) -> Result<Answer, Verdict> {
        let _place = self.limit.acquire().await;
        let token = self.tokens.token().await.map_err(Verdict::Failed)?;
        let refused = match self.send(cause, call, token.bearer()).await {
            Err(Verdict::Reauthenticate(reason)) => reason,
            done => return done,
        };
        tracing::info!(reason = refused, "access token refused; asking for a new one");
        let token = self.tokens.after_refusal(&token).await.map_err(Verdict::Failed)?;
        match self.send(cause, call, token.bearer()).await {
            Err(Verdict::Reauthenticate(reason)) => {
                Err(Verdict::Failed(Error::Unauthorized { system: SYSTEM, reason }))
            }
            done => done,
        }
    }

    async fn send(&self, cause: &Cause, call: &Call, token: &str) -> Result<Answer, Verdict> {
        let mut request = self
            .http
            .client()
            .request(call.method.clone(), call.url.clone())
            .bearer_auth(token)
            .header(header::ACCEPT, "application/json")
            // The default, Warning, lets a mistyped field vanish while the call succeeds.
            .header("X-NetSuite-PropertyNameValidation", "Error");
        if let Some(traceparent) = &cause.traceparent {
            request = request.header("traceparent", traceparent);
        }
        if call.access == Access::Read && call.method == Method::POST {
            request = request.header("Prefer", "transient");
        }
        if let Some(key) = &call.job {
            request = request.header("Prefer", "respond-async").header("X-NetSuite-Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            let content = if call.job.is_some() { COLLECTION } else { "application/json" };
            request = request.header(header::CONTENT_TYPE, content).body(body.clone());
        }
        let answer = self.http.send(request).await.map_err(|error| Verdict::Failed(lost(call.access, error)))?;
        if call.job.is_some() && is_submitted(&answer) {
            self.limit.accepted();
            return Ok(answer);
        }
        self.judge(call.access, answer)
    }

    fn judge(&self, access: Access, answer: Answer) -> Result<Answer, Verdict> {
        // 202 would mean that the work is yet to be done; nobody asked for that.
        if matches!(answer.status.as_u16(), 200 | 201 | 204) {
            self.limit.accepted();
            return Ok(answer);
        }
        let verdict = verdict(access, &answer);
        if matches!(verdict, Verdict::Failed(Error::RateLimited { .. })) {
            self.limit.refused();
            tracing::info!(concurrency = self.limit.current(), "NetSuite asks for fewer calls at once");
        }
        Err(verdict)
    }
}

const COLLECTION: &str = "application/vnd.oracle.resource+json; type=collection";

/// A job was accepted: now, or by an earlier call under the same key, which NetSuite answers with 400 `IDEMPOTENCY_ERROR` and the
/// `Location` of that job.
fn is_submitted(answer: &Answer) -> bool {
    let repeated = answer.status.as_u16() == 400 && super::answer::has_code(answer, "IDEMPOTENCY_ERROR");
    answer.location.is_some() && (answer.status.as_u16() == 202 || repeated)
}

fn lost(access: Access, error: NoAnswer) -> Error {
    match error {
        NoAnswer::NotSent(reason) => Error::Unreachable { system: SYSTEM, reason },
        NoAnswer::Lost(reason) => no_answer(access, reason),
    }
}

/// What is left of a verdict for calls that have no use for its finer points.
impl From<Verdict> for Error {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Failed(error) => error,
            Verdict::Reauthenticate(reason) => Self::Unauthorized { system: SYSTEM, reason },
            Verdict::Changed(reason) => Self::Changed { system: SYSTEM, reason },
            Verdict::Duplicate { reason, .. } => Self::Taken { field: "externalId", reason },
            Verdict::Nonexistent => Self::Refused {
                code: "REFERENCE_UNKNOWN",
                queue: crate::queue::MASTER_DATA,
                field: None,
                reason: format!("{SYSTEM} does not know the record"),
            },
        }
    }
}
