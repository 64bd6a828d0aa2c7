//! Access tokens: cached, renewed before they expire, and asked for by one caller at a time however many need one.

use super::{SYSTEM, key::Credentials};
use crate::{
    Error,
    http::{Answer, Http, NoAnswer},
    text::shown,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use url::{Url, form_urlencoded};

/// A token is renewed when this share of its life is over, so that no call meets an expired one.
const RENEW_AT: f64 = 0.8;
/// A failed request for a token is not repeated within this time, whoever asks: those who waited get the same answer.
const FAILURE_HOLDS: Duration = Duration::from_millis(500);

pub(super) struct TokenSource {
    http: Arc<Http>,
    url: Url,
    credentials: Credentials,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generation: u64,
    failure: Option<(Instant, Error)>,
}

#[derive(Clone)]
pub(super) struct Token {
    secret: SecretString,
    renew_at: Instant,
    expires_at: Instant,
    generation: u64,
}

impl Token {
    pub(super) fn bearer(&self) -> &str {
        self.secret.expose_secret()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    /// Seconds; some answers have it as text.
    expires_in: serde_json::Value,
}

#[derive(Deserialize)]
struct Denied {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenSource {
    pub(super) fn new(http: Arc<Http>, url: Url, credentials: Credentials) -> Self {
        Self { http, url, credentials, state: Mutex::default() }
    }

    /// A token that is good for now.
    pub(super) async fn token(&self) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        match &state.token {
            Some(token) if now < token.renew_at => Ok(token.clone()),
            Some(token) if now < token.expires_at => {
                let old = token.clone();
                // A renewal that fails is no reason to stop while the old token still serves.
                Ok(self.renew(&mut state).await.unwrap_or(old))
            }
            Some(_) | None => self.renew(&mut state).await,
        }
    }

    /// A token other than `refused`, with the key files as they are now.
    pub(super) async fn after_refusal(&self, refused: &Token) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        match &state.token {
            Some(token) if token.generation != refused.generation => Ok(token.clone()),
            Some(_) | None => {
                state.token = None;
                self.renew(&mut state).await
            }
        }
    }

    async fn renew(&self, state: &mut State) -> Result<Token, Error> {
        if let Some((at, error)) = &state.failure
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error.clone());
        }
        match self.request(state.generation + 1).await {
            Ok(token) => {
                *state = State { token: Some(token.clone()), generation: token.generation, failure: None };
                Ok(token)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn request(&self, generation: u64) -> Result<Token, Error> {
        let unauthorized = |reason| Error::Unauthorized { system: SYSTEM, reason };
        let assertion = self.credentials.assertion(&self.url).await.map_err(unauthorized)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &assertion)
            .finish();
        let request = self.http.client().post(self.url.clone());
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = self.http.send(request).await.map_err(no_token)?;
        let granted = match granted(&answer) {
            Err(Error::Unauthorized { system, reason }) => {
                let reason = format!("{reason}; {}", self.credentials.when_refused().await);
                return Err(Error::Unauthorized { system, reason });
            }
            other => other?,
        };
        self.credentials.warn_of_end().await;
        let now = Instant::now();
        let life = lifetime(&granted.expires_in);
        tracing::debug!(generation, seconds = life.as_secs(), "access token renewed");
        let (renew_at, expires_at) = (now + life.mul_f64(RENEW_AT), now + life);
        Ok(Token { secret: granted.access_token, renew_at, expires_at, generation })
    }
}

/// Asking for a token changes nothing, so every failure of it is certain not to have sent the call that needed it.
fn no_token(error: NoAnswer) -> Error {
    match error {
        NoAnswer::NotSent(reason) => Error::Unreachable { system: SYSTEM, reason },
        NoAnswer::Lost(reason) => {
            Error::Unavailable { system: SYSTEM, reason: format!("no access token: {reason}"), retry_after: None }
        }
    }
}

fn granted(answer: &Answer) -> Result<Granted, Error> {
    let retry_after = answer.retry_after;
    match answer.status.as_u16() {
        200 => serde_json::from_slice(&answer.body).map_err(|_| Error::Unavailable {
            system: SYSTEM,
            reason: "the token endpoint's answer is not a token".into(),
            retry_after,
        }),
        429 => Err(Error::RateLimited { system: SYSTEM, reason: "token endpoint".into(), retry_after }),
        400..=499 => {
            let denied = serde_json::from_slice(&answer.body);
            let reason = denied.map_or_else(
                |_| format!("status {}", answer.status.as_u16()),
                |denied: Denied| shown(&format!("{} {}", denied.error, denied.error_description)),
            );
            Err(Error::Unauthorized { system: SYSTEM, reason })
        }
        status => {
            let reason = format!("the token endpoint answers {status}");
            Err(Error::Unavailable { system: SYSTEM, reason, retry_after })
        }
    }
}

/// A token without a readable lifetime is used for a minute.
fn lifetime(expires_in: &serde_json::Value) -> Duration {
    let seconds = expires_in.as_u64().or_else(|| expires_in.as_str()?.parse().ok()).unwrap_or(60);
    Duration::from_secs(seconds.clamp(1, 24 * 3600))
}
