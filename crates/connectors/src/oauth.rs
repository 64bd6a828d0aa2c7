//! OAuth 2.0 client credentials (RFC 6749 §4.4), for platforms that ask for no more: one token for all calls, made anew when it is
//! refused.

use crate::{
    AdaptiveLimit, Cause, Error,
    http::{Answer, Bounds, Http, NoAnswer, check_address},
    text::shown,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Method, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use url::{Url, form_urlencoded};

/// A failed sign-in is not repeated within this time, whoever asks.
const FAILURE_HOLDS: Duration = Duration::from_millis(500);

/// How to reach a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Such as `https://product.example.com`.
    pub base_url: String,
    /// Where tokens are given, below the base address or elsewhere; `oauth/token` by default.
    pub token_url: Option<String>,
    pub client_id: String,
    /// Read again for each sign-in, so that replacing the file is the whole rotation.
    pub client_secret_file: PathBuf,
    /// Calls at once, over all members.
    pub concurrency: usize,
    pub bounds: Bounds,
    /// Lets credentials travel over plain http to another machine. For closed test networks only.
    pub allow_plain_http: bool,
}

/// A platform behind client credentials: sends a request with a token, twice where the first is refused.
pub(crate) struct Client {
    system: &'static str,
    http: Http,
    base: Url,
    token_url: Url,
    client_id: String,
    client_secret_file: PathBuf,
    pub(crate) limit: AdaptiveLimit,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<(Instant, Error)>,
    made: u64,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    number: u64,
}

/// A request, kept so that it can be sent a second time.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) content_type: &'static str,
    pub(crate) body: Option<&'a Value>,
    pub(crate) idempotency_key: Option<&'a str>,
}

impl Call<'_> {
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Denied {
    error: String,
}

impl Client {
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub(crate) fn try_new(system: &'static str, options: Options) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let urls = urls(&options).map_err(&mut keep).ok();
        let http = Http::try_new(options.bounds).map_err(&mut keep).ok();
        if options.concurrency == 0 {
            keep("concurrency: must be at least 1".into());
        }
        if options.client_id.trim().is_empty() {
            keep("client_id: must not be empty".into());
        }
        let (Some((base, token_url)), Some(http), true) = (urls, http, problems.is_empty()) else {
            return Err(problems);
        };
        let limit = AdaptiveLimit::new(options.concurrency);
        let (client_id, client_secret_file) = (options.client_id, options.client_secret_file);
        Ok(Self { system, http, base, token_url, client_id, client_secret_file, limit, state: Mutex::default() })
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
        let token = self.token(None).await?;
        let answer = self.send(cause, call, &token).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        tracing::info!(system = self.system, "token refused; asking for a new one");
        let token = self.token(Some(&token)).await?;
        let answer = self.send(cause, call, &token).await?;
        if answer.status.as_u16() == 401 {
            let reason = "401, with a new token too".to_owned();
            return Err(Error::Unauthorized { system: self.system, reason });
        }
        Ok(answer)
    }

    async fn send(&self, cause: &Cause, call: &Call<'_>, token: &Token) -> Result<Answer, Error> {
        let request = self.http.client().request(call.method.clone(), call.url.clone());
        let mut request = request.bearer_auth(token.secret.expose_secret()).header(header::ACCEPT, call.content_type);
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
        if let Some(key) = call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body {
            request = request.header(header::CONTENT_TYPE, call.content_type).body(body.to_string());
        }
        let system = self.system;
        let answer = self.http.send(request).await.map_err(|error| match error {
            NoAnswer::NotSent(reason) => Error::Unreachable { system, reason },
            NoAnswer::Lost(reason) if call.is_write() => Error::OutcomeUnknown { system, reason },
            NoAnswer::Lost(reason) => Error::Unavailable { system, reason, retry_after: None },
        })?;
        match answer.status.as_u16() {
            429 => self.limit.refused(),
            200..=299 => self.limit.accepted(),
            _ => {}
        }
        Ok(answer)
    }

    /// A token that was good when it was last used, other than `refused`.
    async fn token(&self, refused: Option<&Token>) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        if let Some(token) = state.token.as_ref().filter(|token| refused.is_none_or(|old| old.number != token.number)) {
            return Ok(token.clone());
        }
        state.token = None;
        if let Some((at, error)) = &state.failure
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error.clone());
        }
        match self.sign_in().await {
            Ok(secret) => {
                state.made += 1;
                let token = Token { secret, number: state.made };
                (state.token, state.failure) = (Some(token.clone()), None);
                Ok(token)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Signing in changes nothing, so every failure of it is certain not to have sent the call that needed it.
    async fn sign_in(&self) -> Result<SecretString, Error> {
        let (system, path) = (self.system, &self.client_secret_file);
        let read = tokio::fs::read_to_string(path).await;
        let secret = read.map(SecretString::from).map_err(|error| {
            let reason = format!("{}: {error}", path.display());
            Error::Unauthorized { system, reason }
        })?;
        let request = self.http.client().post(self.token_url.clone());
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(&self.client_id, secret.expose_secret().trim()))
            .body("grant_type=client_credentials");
        let answer = self.http.send(request).await.map_err(|error| match error {
            NoAnswer::NotSent(reason) => Error::Unreachable { system, reason },
            NoAnswer::Lost(reason) => {
                Error::Unavailable { system, reason: format!("no token: {reason}"), retry_after: None }
            }
        })?;
        if answer.status.is_success()
            && answer.is_whole
            && let Ok(granted) = serde_json::from_slice::<Granted>(&answer.body)
        {
            return Ok(granted.access_token);
        }
        let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = format!("no token: {} {}", answer.status.as_u16(), shown(&denied.error));
        match answer.status.as_u16() {
            400 | 401 | 403 if !denied.error.is_empty() => Err(Error::Unauthorized { system, reason }),
            _ => Err(Error::Unavailable { system, reason, retry_after: answer.retry_after }),
        }
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn basic(id: &str, secret: &str) -> String {
    let encode = |part: &str| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

fn urls(options: &Options) -> Result<(Url, Url), String> {
    let base_url = &options.base_url;
    let base = Url::parse(base_url).map_err(|error| format!("base_url `{base_url}`: {error}; use https://host"))?;
    check_address(&base, options.allow_plain_http).map_err(|reason| format!("base_url {reason}"))?;
    let token = base.join(options.token_url.as_deref().unwrap_or("/oauth/token"));
    let token = token.map_err(|error| format!("token_url: {error}"))?;
    check_address(&token, options.allow_plain_http).map_err(|reason| format!("token_url {reason}"))?;
    Ok((base, token))
}
