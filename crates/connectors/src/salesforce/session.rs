//! Sessions: one for all calls, made with the JWT bearer flow, and made anew when Salesforce refuses it. How long one lives is the
//! organisation's policy, which no answer tells.

use super::SYSTEM;
use crate::{
    Error,
    http::{Answer, Http, NoAnswer},
    text::shown,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::Mutex, time::Instant};
use url::{Url, form_urlencoded};

/// Salesforce takes assertions that end at most three minutes ahead.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(150);
/// A failed sign-in is not repeated within this time, whoever asks: those who waited get the same answer.
const FAILURE_HOLDS: Duration = Duration::from_millis(500);
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What Salesforce knows us by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Client id of the external client app.
    pub client_id: String,
    /// User name of the integration's user.
    pub username: String,
    /// `https://login.salesforce.com`, or `https://test.salesforce.com` for a sandbox of theirs.
    pub audience: String,
    /// PKCS#8 PEM, RSA. Read again for each sign-in, so that replacing the file is the whole rotation.
    pub private_key_file: PathBuf,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
}

pub(super) struct Sessions {
    http: Arc<Http>,
    url: Url,
    credentials: Credentials,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    failure: Option<(Instant, Error)>,
    made: u64,
}

#[derive(Clone)]
pub(super) struct Session {
    secret: SecretString,
    number: u64,
}

impl Session {
    pub(super) fn bearer(&self) -> &str {
        self.secret.expose_secret()
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
    error_description: String,
}

impl Sessions {
    pub(super) fn new(http: Arc<Http>, url: Url, credentials: Credentials) -> Self {
        Self { http, url, credentials, state: Mutex::default() }
    }

    /// A session that was good when it was last used.
    pub(super) async fn session(&self) -> Result<Session, Error> {
        let mut state = self.state.lock().await;
        match &state.session {
            Some(session) => Ok(session.clone()),
            None => self.sign_in(&mut state).await,
        }
    }

    /// A session other than `refused`.
    pub(super) async fn after_refusal(&self, refused: &Session) -> Result<Session, Error> {
        let mut state = self.state.lock().await;
        match &state.session {
            Some(session) if session.number != refused.number => Ok(session.clone()),
            Some(_) | None => {
                state.session = None;
                self.sign_in(&mut state).await
            }
        }
    }

    async fn sign_in(&self, state: &mut State) -> Result<Session, Error> {
        if let Some((at, error)) = &state.failure
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error.clone());
        }
        match self.request().await {
            Ok(secret) => {
                state.made += 1;
                let session = Session { secret, number: state.made };
                (state.session, state.failure) = (Some(session.clone()), None);
                Ok(session)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn request(&self) -> Result<SecretString, Error> {
        let assertion =
            self.credentials.assertion().await.map_err(|reason| Error::Unauthorized { system: SYSTEM, reason })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("assertion", &assertion)
            .finish();
        let request = self.http.client().post(self.url.clone());
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        granted(&self.http.send(request).await.map_err(no_session)?)
    }
}

impl Credentials {
    async fn assertion(&self) -> Result<String, String> {
        let path = &self.private_key_file;
        let pem = tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
        let key = EncodingKey::from_rsa_pem(&pem)
            .map_err(|_| format!("{}: not a PKCS#8 PEM private key, RSA", path.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = (now + ASSERTION_LIFETIME).as_secs();
        let claims = Claims { iss: &self.client_id, sub: &self.username, aud: &self.audience, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
            .map_err(|error| format!("the assertion cannot be signed: {error}"))
    }
}

/// Signing in changes nothing, so every failure of it is certain not to have sent the call that needed it.
fn no_session(error: NoAnswer) -> Error {
    match error {
        NoAnswer::NotSent(reason) => Error::Unreachable { system: SYSTEM, reason },
        NoAnswer::Lost(reason) => {
            Error::Unavailable { system: SYSTEM, reason: format!("no session: {reason}"), retry_after: None }
        }
    }
}

fn granted(answer: &Answer) -> Result<SecretString, Error> {
    if answer.status.is_success()
        && answer.is_whole
        && let Ok(granted) = serde_json::from_slice::<Granted>(&answer.body)
    {
        return Ok(granted.access_token);
    }
    let denied: Denied = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reason = format!("{} {} {}", answer.status.as_u16(), shown(&denied.error), shown(&denied.error_description));
    match answer.status.as_u16() {
        400 | 401 | 403 if !denied.error.is_empty() => {
            let remedy = "check the app's certificate and that its user is approved";
            Err(Error::Unauthorized { system: SYSTEM, reason: format!("{}; {remedy}", reason.trim_end()) })
        }
        _ => Err(Error::Unavailable { system: SYSTEM, reason, retry_after: answer.retry_after }),
    }
}
