//! One call: a place among the calls in flight, a session, the headers that are always sent, and a second try only after a 401,
//! which promises that nothing was done.

use super::{
    CLIENT, SYSTEM, Salesforce,
    answer::{Access, Verdict, verdict},
};
use crate::{
    Cause, Error,
    http::{Answer, NoAnswer},
};
use reqwest::{Method, header};
use serde::de::DeserializeOwned;
use url::Url;

/// A request, kept so that it can be sent a second time.
pub(super) struct Call {
    pub(super) access: Access,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<String>,
}

impl Salesforce {
    /// The address below `/services/data/…/`; each segment is escaped by itself, because our ids have slashes.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.data.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    pub(super) async fn call(&self, cause: &Cause, call: &Call) -> Result<Answer, Verdict> {
        let _place = self.limit.acquire().await;
        let session = self.sessions.session().await.map_err(Verdict::Failed)?;
        let refused = match self.send(cause, call, session.bearer()).await {
            Err(Verdict::SignInAgain(reason)) => reason,
            done => return done,
        };
        tracing::info!(reason = refused, "session refused; signing in again");
        let session = self.sessions.after_refusal(&session).await.map_err(Verdict::Failed)?;
        match self.send(cause, call, session.bearer()).await {
            Err(Verdict::SignInAgain(reason)) => Err(Verdict::Failed(Error::Unauthorized { system: SYSTEM, reason })),
            done => done,
        }
    }

    async fn send(&self, cause: &Cause, call: &Call, session: &str) -> Result<Answer, Verdict> {
        let mut request = self
            .http
            .client()
            .request(call.method.clone(), call.url.clone())
            .bearer_auth(session)
            .header(header::ACCEPT, "application/json")
            .header("Sforce-Call-Options", format!("client={CLIENT}"));
        if let Some(traceparent) = &cause.traceparent {
            request = request.header("traceparent", traceparent);
        }
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let answer = self.http.send(request).await.map_err(|error| Verdict::Failed(lost(call.access, error)))?;
        // How much of the account's quota is used.
        if let Some(limit) = answer.header("sforce-limit-info") {
            self.quota.note(limit);
        }
        if matches!(answer.status.as_u16(), 200 | 201 | 204) {
            self.limit.accepted();
            return Ok(answer);
        }
        let verdict = verdict(call.access, &answer);
        if matches!(verdict, Verdict::Failed(Error::RateLimited { .. })) {
            self.limit.refused();
            tracing::info!(concurrency = self.limit.current(), "Salesforce asks for fewer calls");
        }
        Err(verdict)
    }
}

impl From<Verdict> for Error {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Failed(error) => error,
            Verdict::SignInAgain(reason) => Self::Unauthorized { system: SYSTEM, reason },
            Verdict::NotThere => {
                Self::Malformed { system: SYSTEM, field: None, reason: "the resource does not exist".into() }
            }
        }
    }
}

fn lost(access: Access, error: NoAnswer) -> Error {
    match (access, error) {
        (_, NoAnswer::NotSent(reason)) => Error::Unreachable { system: SYSTEM, reason },
        (Access::Read, NoAnswer::Lost(reason)) => Error::Unavailable { system: SYSTEM, reason, retry_after: None },
        (Access::Write, NoAnswer::Lost(reason)) => Error::OutcomeUnknown { system: SYSTEM, reason },
    }
}

/// Reads an answer. One to a write that cannot be read leaves its outcome unknown.
pub(super) fn read<T: DeserializeOwned>(access: Access, answer: &Answer) -> Result<T, Error> {
    let broken = |reason: String| match access {
        Access::Read => Error::Unavailable { system: SYSTEM, reason, retry_after: None },
        Access::Write => Error::OutcomeUnknown { system: SYSTEM, reason },
    };
    if !answer.is_whole {
        return Err(broken("the answer was cut short".into()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| broken(format!("the answer cannot be read: {error}")))
}
