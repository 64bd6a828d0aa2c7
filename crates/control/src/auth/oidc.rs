//! OIDC bearer tokens: signed JWTs of one issuer for one audience, checked with the issuer's published keys. The time is an
//! argument; the keys are fetched when a token names one that is not known, at most once in a while.

use super::refused;
use crate::{
    error::{Error, Kind, Result},
    rights::{Caller, Grant},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

/// Clocks may differ by this much.
const SKEW_MS: i64 = 60_000;
/// A stranger's invented key ids must not make us a load on the issuer.
const ASK_AGAIN_MS: i64 = 30_000;
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Signatures with a public key only: an algorithm with a shared secret would let anybody sign with the public key.
const ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whose tokens are taken.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    pub issuer: String,
    pub audience: String,
    /// Where the issuer publishes its keys.
    pub jwks_url: String,
    /// The claim that lists roles: a list of words, or words in one string.
    pub roles_claim: String,
}

/// Where keys come from.
#[derive(Debug)]
pub enum Keys {
    Url(String),
    /// For tests.
    Fixed,
}

/// Checks tokens of one issuer.
#[derive(Debug)]
pub struct Oidc {
    config: OidcConfig,
    source: Keys,
    keys: RwLock<JwkSet>,
    asked_ms: Mutex<Option<i64>>,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Oidc {
    /// # Errors
    /// If no HTTP client can be built.
    pub fn new(config: OidcConfig) -> std::result::Result<Self, String> {
        let source = Keys::Url(config.jwks_url.clone());
        Self::with_keys(config, source, JwkSet { keys: Vec::new() })
    }

    /// With keys that are known already.
    ///
    /// # Errors
    /// If no HTTP client can be built.
    pub fn with_keys(config: OidcConfig, source: Keys, keys: JwkSet) -> std::result::Result<Self, String> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
        let http = http.map_err(|error| error.to_string())?;
        Ok(Self { config, source, keys: RwLock::new(keys), asked_ms: Mutex::new(None), http })
    }

    /// Who sent this token.
    ///
    /// # Errors
    /// `Unauthenticated`, naming what is wrong; `Unavailable` if the key is not known and the issuer does not answer.
    pub async fn caller(&self, token: &str, now_ms: i64) -> Result<Caller> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("the token is no JWT"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused(format!("tokens signed with {:?} are not taken", header.alg)));
        }
        let kid = header.kid.ok_or_else(|| refused("the token names no key (`kid`)"))?;
        let key = self.key(&kid, now_ms).await?;
        let mut rules = Validation::new(header.alg);
        rules.set_audience(&[&self.config.audience]);
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Both are checked below, against the time that was given.
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        let claims = decode::<Claims>(token, &key, &rules)
            .map_err(|error| refused(format!("the token is not valid: {error}")))?
            .claims;
        if claims.exp.saturating_mul(1_000).saturating_add(SKEW_MS) <= now_ms {
            return Err(refused("the token has expired"));
        }
        if claims.nbf.is_some_and(|nbf| nbf.saturating_mul(1_000).saturating_sub(SKEW_MS) > now_ms) {
            return Err(refused("the token is not valid yet"));
        }
        Ok(self.of(claims))
    }

    /// Words that are no role of ours belong to somebody else.
    fn of(&self, claims: Claims) -> Caller {
        let roles = claims.rest.get(&self.config.roles_claim);
        let words: Vec<&str> = match roles {
            Some(Value::String(text)) => text.split_whitespace().collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let grants: BTreeSet<Grant> = words.into_iter().filter_map(|word| word.parse().ok()).collect();
        // Two people are told apart by their names (a second person must agree, the audit names who did what): an address that
        // its owner could have typed in proves nothing.
        let verified = claims.email.filter(|_| claims.email_verified);
        Caller { name: verified.unwrap_or(claims.sub), grants }
    }

    async fn key(&self, kid: &str, now_ms: i64) -> Result<DecodingKey> {
        if let Some(key) = self.known(kid)? {
            return Ok(key);
        }
        if self.may_ask(now_ms)
            && let Keys::Url(url) = &self.source
        {
            let fetched = self.fetch(url).await?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = fetched;
        }
        self.known(kid)?.ok_or_else(|| refused("the token is signed with a key that its issuer does not publish"))
    }

    fn known(&self, kid: &str) -> Result<Option<DecodingKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.find(kid).map(DecodingKey::from_jwk).transpose();
        key.map_err(|error| refused(format!("the issuer's key cannot be used: {error}")))
    }

    fn may_ask(&self, now_ms: i64) -> bool {
        let mut asked = self.asked_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let may = asked.is_none_or(|last| now_ms - last >= ASK_AGAIN_MS);
        if may {
            *asked = Some(now_ms);
        }
        may
    }

    async fn fetch(&self, url: &str) -> Result<JwkSet> {
        let silent = |error: reqwest::Error| {
            Error::new(Kind::Unavailable, "ISSUER_UNAVAILABLE", format!("{url}: {}", error.without_url()))
        };
        let answer = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(silent)?;
        answer.json().await.map_err(silent)
    }
}
