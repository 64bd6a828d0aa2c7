//! The key that signs our assertions, read from files each time, so that replacing the files is the whole rotation.

use super::certificate::{self, Notice, REMEDY, notice};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use url::Url;

/// An assertion is used at once; NetSuite takes them up to an hour old.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);

/// Where the certificate's id comes from. It changes with each certificate, so in production it is a file beside the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateId {
    Fixed(String),
    File(PathBuf),
}

/// What NetSuite knows us by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub client_id: String,
    pub certificate_id: CertificateId,
    /// PKCS#8 PEM: RSA (3072 or 4096 bits) or EC (P-256, P-384).
    pub private_key_file: PathBuf,
    /// The certificate itself (PEM), to be told of its end in time. Read again for each token, like the others.
    pub certificate_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: [&'static str; 1],
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl Credentials {
    pub(super) async fn certificate_id(&self) -> Result<String, String> {
        match &self.certificate_id {
            CertificateId::Fixed(id) => Ok(id.clone()),
            CertificateId::File(path) => Ok(read(path).await?.trim().to_owned()),
        }
    }

    /// What a refusal of our credentials is to say besides its own reason: which certificate, how long it is good, what to do.
    pub(super) async fn when_refused(&self) -> String {
        let id = self.certificate_id().await.unwrap_or_default();
        let end = match self.certificate_end().await {
            Some(Ok(ends)) if notice(ends, Timestamp::now()) == Notice::Over => format!(" ended on {}", day(ends)),
            Some(Ok(ends)) => format!(" is valid until {}", day(ends)),
            Some(Err(reason)) => format!(" ({reason})"),
            None => " may have ended, or lost its mapping".to_owned(),
        };
        format!("certificate `{id}`{end}; {REMEDY}")
    }

    /// Warns of a certificate that ends soon.
    pub(super) async fn warn_of_end(&self) {
        let (id, end) = (self.certificate_id().await.unwrap_or_default(), self.certificate_end().await);
        match end.map(|end| end.map(|ends| (ends, notice(ends, Timestamp::now())))) {
            None | Some(Ok((_, Notice::Fine))) => {}
            Some(Ok((ends, Notice::EndsIn { days }))) => {
                tracing::warn!(certificate = id, days, ends = %day(ends), "the certificate for NetSuite ends soon: {REMEDY}");
            }
            Some(Ok((ends, Notice::Over))) => {
                tracing::warn!(certificate = id, ended = %day(ends), "the certificate file for NetSuite is over: {REMEDY}");
            }
            Some(Err(reason)) => tracing::warn!(certificate = id, reason, "the certificate file cannot be read"),
        }
    }

    async fn certificate_end(&self) -> Option<Result<Timestamp, String>> {
        Some(certificate::ends_at(self.certificate_file.as_deref()?).await)
    }

    /// A signed assertion for the token endpoint.
    pub(super) async fn assertion(&self, token_url: &Url) -> Result<String, String> {
        let certificate_id = self.certificate_id().await?;
        let pem = read(&self.private_key_file).await?;
        let (key, algorithm) =
            signing_key(pem.as_bytes()).map_err(|reason| format!("{}: {reason}", self.private_key_file.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            iss: &self.client_id,
            scope: ["rest_webservices"],
            aud: token_url.as_str(),
            iat: now.as_secs(),
            exp: (now + ASSERTION_LIFETIME).as_secs(),
        };
        let header = Header { kid: Some(certificate_id), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, &key).map_err(|error| format!("the assertion cannot be signed: {error}"))
    }
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

async fn read(path: &Path) -> Result<String, String> {
    tokio::fs::read_to_string(path).await.map_err(|error| format!("{}: {error}", path.display()))
}

/// The key and the algorithm that NetSuite takes for its kind.
fn signing_key(pem: &[u8]) -> Result<(EncodingKey, Algorithm), String> {
    if let Ok(key) = EncodingKey::from_rsa_pem(pem) {
        return Ok((key, Algorithm::PS256));
    }
    let key = EncodingKey::from_ec_pem(pem).map_err(|_| "not a PKCS#8 PEM private key, RSA or EC".to_owned())?;
    // The PEM does not say its curve in a way the library shows; the curve decides which algorithm can sign.
    [Algorithm::ES256, Algorithm::ES384]
        .into_iter()
        .find(|algorithm| crypto::sign(b"curve", &key, *algorithm).is_ok())
        .map(|algorithm| (key, algorithm))
        .ok_or_else(|| "its curve is neither P-256 nor P-384".to_owned())
}
