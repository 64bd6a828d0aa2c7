//! OAuth 2.0 client credentials (RFC 6749 §4.4): a client id and a secret, sent as HTTP Basic, become a bearer token.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use axum::http::{HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::app::{App, SignIn};
use crate::{
    Error,
    call::{Call, Reply},
};

pub const PATH: &str = "/oauth/token";

/// What a connector needs to sign in.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
}

impl Credentials {
    /// New ones.
    #[must_use]
    pub fn random() -> Self {
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        Self { client_id: "throughline-dev".to_owned(), client_secret: secret.into() }
    }

    /// A further secret, which can be made again from the first.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> String {
        let digest = Sha256::digest(format!("{purpose}:{}", self.client_secret.expose_secret()));
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{purpose}_{hex}")
    }

    /// Those in `directory`, made and saved there on first use: `<name>-secret` (readable by the owner only) and
    /// `<name>-credentials.json`.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn in_directory(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(format!("{name}-secret"));
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|source| failed("read", &path, source))?;
            return Ok(Self { client_secret: text.trim().to_owned().into(), ..Self::random() });
        }
        let credentials = Self::random();
        credentials.save(directory, name)?;
        Ok(credentials)
    }

    /// Writes both files into `directory`; returns the path of the secret.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn save(&self, directory: &Path, name: &str) -> Result<PathBuf, Error> {
        fs::create_dir_all(directory).map_err(|source| failed("create the folder of", directory, source))?;
        let path = directory.join(format!("{name}-secret"));
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(self.client_secret.expose_secret().as_bytes()));
        written.map_err(|source| failed("write", &path, source))?;
        let about = directory.join(format!("{name}-credentials.json"));
        let text = format!("{:#}", json!({ "client_id": self.client_id, "client_secret_file": path }));
        fs::write(&about, text).map_err(|source| failed("write", &about, source))?;
        Ok(path)
    }
}

fn failed(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { operation, path: path.to_owned(), source }
}

/// Answers the token endpoint.
pub fn issue(app: &App, call: &Call) -> Reply {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let grant = form.iter().find(|(key, _)| key == "grant_type").map(|(_, value)| value.as_str());
    if grant != Some("client_credentials") {
        return denied(400, "unsupported_grant_type");
    }
    if !is_known(app, call) {
        return denied(401, "invalid_client");
    }
    let now = app.clock.now_ms();
    let seconds = app.settings().token_seconds;
    let token = format!("{}-{}", app.api.name, uuid::Uuid::new_v4().simple());
    app.state().tokens.add(&token, now.saturating_add_unsigned(seconds.saturating_mul(1_000)), now);
    let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds });
    Reply::json(200, "application/json", &body).with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

fn denied(status: u16, error: &str) -> Reply {
    Reply::json(status, "application/json", &json!({ "error": error }))
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn is_known(app: &App, call: &Call) -> bool {
    let basic = call.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let decoded = basic.and_then(|basic| STANDARD.decode(basic.trim()).ok());
    let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return false };
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    text.split_once(':').is_some_and(|(id, secret)| {
        decode(id) == app.credentials.client_id && decode(secret) == app.credentials.client_secret.expose_secret()
    })
}

/// Whether a request shows whose it is, as this API asks for it.
pub fn is_authenticated(app: &App, call: &Call) -> bool {
    match app.api.sign_in {
        SignIn::Token => bearer(call).is_some_and(|token| app.state().tokens.is_live(token, app.clock.now_ms())),
        SignIn::Key => bearer(call) == Some(app.credentials.client_secret.expose_secret()),
        SignIn::Basic => has_password(app, call),
    }
}

fn bearer(call: &Call) -> Option<&str> {
    let authorization = call.header("authorization").and_then(|value| value.split_once(' '));
    authorization.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim())
}

/// Id and secret as they are, which RFC 6749's form of it is not.
fn has_password(app: &App, call: &Call) -> bool {
    let wanted = format!("{}:{}", app.credentials.client_id, app.credentials.client_secret.expose_secret());
    let sent = call.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    sent.and_then(|sent| STANDARD.decode(sent.trim()).ok()).is_some_and(|sent| sent == wanted.as_bytes())
}
