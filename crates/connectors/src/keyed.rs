//! Vendors that ask for one long-lived key with each call: read from a file, and read again when it is refused, so that replacing the file
//! is the whole rotation.

use crate::{
    AdaptiveLimit, Cause, Error,
    http::{Answer, Bounds, Http, NoAnswer, check_address},
};
use reqwest::{Method, RequestBuilder, header};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use tokio::sync::Mutex;
use url::Url;

/// How to reach a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Such as `https://api.stripe.com`.
    pub base_url: String,
    pub key_file: PathBuf,
    /// Calls at once, over all members.
    pub concurrency: usize,
    pub bounds: Bounds,
    /// Lets credentials travel over plain http to another machine. For closed test networks only.
    pub allow_plain_http: bool,
}

/// How the key travels.
pub(crate) enum Scheme {
    Bearer,
    /// As the password of this user.
    Basic(String),
}

pub(crate) struct Client {
    system: &'static str,
    http: Http,
    base: Url,
    scheme: Scheme,
    key_file: PathBuf,
    pub(crate) limit: AdaptiveLimit,
    key: Mutex<Option<SecretString>>,
}

/// A request, kept so that it can be sent a second time.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: &'a [(&'static str, String)],
    /// Content type and body.
    pub(crate) body: Option<(&'static str, String)>,
}

impl Client {
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub(crate) fn try_new(system: &'static str, access: Access, scheme: Scheme) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let address = &access.base_url;
        let base = Url::parse(address).map_err(|error| format!("base_url `{address}`: {error}; use https://host"));
        let base = base.and_then(|base| match check_address(&base, access.allow_plain_http) {
            Ok(()) => Ok(base),
            Err(reason) => Err(format!("base_url {reason}")),
        });
        let base = base.map_err(&mut keep).ok();
        let http = Http::try_new(access.bounds).map_err(&mut keep).ok();
        if access.concurrency == 0 {
            keep("concurrency: must be at least 1".into());
        }
        let (Some(base), Some(http), true) = (base, http, problems.is_empty()) else { return Err(problems) };
        let (limit, key_file) = (AdaptiveLimit::new(access.concurrency), access.key_file);
        Ok(Self { system, http, base, scheme, key_file, limit, key: Mutex::default() })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The address below the base; each segment is escaped by itself, because our ids have slashes.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The answer, whatever it says, besides 401.
    pub(crate) async fn call(&self, cause: &Cause, call: &Call<'_>) -> Result<Answer, Error> {
        let _place = self.limit.acquire().await;
        let key = self.key(None).await?;
        let answer = self.send(cause, call, &key).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        let reason = || format!("401, with the key in {}", self.key_file.display());
        let renewed = self.key(Some(&key)).await?;
        if renewed.expose_secret() == key.expose_secret() {
            return Err(Error::Unauthorized { system: self.system, reason: reason() });
        }
        tracing::info!(system = self.system, "key refused; the file has another one");
        let answer = self.send(cause, call, &renewed).await?;
        if answer.status.as_u16() == 401 {
            return Err(Error::Unauthorized { system: self.system, reason: reason() });
        }
        Ok(answer)
    }

    async fn send(&self, cause: &Cause, call: &Call<'_>, key: &SecretString) -> Result<Answer, Error> {
        let request = self.http.client().request(call.method.clone(), call.url.clone());
        let request = match &self.scheme {
            Scheme::Bearer => request.bearer_auth(key.expose_secret()),
            Scheme::Basic(user) => request.basic_auth(user, Some(key.expose_secret())),
        };
        let mut request = marked(request.header(header::ACCEPT, "application/json"), cause);
        for (name, value) in call.headers {
            request = request.header(*name, value);
        }
        if let Some((content_type, body)) = &call.body {
            request = request.header(header::CONTENT_TYPE, *content_type).body(body.clone());
        }
        let (system, is_write) = (self.system, call.method != Method::GET);
        let answer = self.http.send(request).await.map_err(|error| match error {
            NoAnswer::NotSent(reason) => Error::Unreachable { system, reason },
            NoAnswer::Lost(reason) if is_write => Error::OutcomeUnknown { system, reason },
            NoAnswer::Lost(reason) => Error::Unavailable { system, reason, retry_after: None },
        })?;
        match answer.status.as_u16() {
            429 => self.limit.refused(),
            200..=299 => self.limit.accepted(),
            _ => {}
        }
        Ok(answer)
    }

    /// The key that was good when it was last used; where one was refused, what the file has now.
    async fn key(&self, refused: Option<&SecretString>) -> Result<SecretString, Error> {
        let mut kept = self.key.lock().await;
        let is_good = |key: &&SecretString| refused.is_none_or(|old| old.expose_secret() != key.expose_secret());
        if let Some(key) = kept.as_ref().filter(is_good) {
            return Ok(key.clone());
        }
        let read = tokio::fs::read_to_string(&self.key_file).await.map_err(|error| {
            let reason = format!("{}: {error}", self.key_file.display());
            Error::Unauthorized { system: self.system, reason }
        })?;
        let key = SecretString::from(read.trim().to_owned());
        *kept = Some(key.clone());
        Ok(key)
    }
}

/// Whose call it is, for people and for the stand-ins' logs; vendors pass over such headers.
fn marked(mut request: RequestBuilder, cause: &Cause) -> RequestBuilder {
    let ids = [
        ("event-id", Some(&cause.event_id)),
        ("correlation-id", cause.correlation_id.as_ref()),
        ("traceparent", cause.traceparent.as_ref()),
    ];
    for (name, value) in ids.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        // Publishers may choose ids that no header can carry; they are for people only.
        if let Ok(value) = header::HeaderValue::from_str(value) {
            request = request.header(name, value);
        }
    }
    request
}
