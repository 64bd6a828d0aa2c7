//! The key pair and ids with which a connector signs in to a sandbox, and the certificates the sandbox knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::Error;

/// A certificate mapped to a client, as an administrator sets it up for machine-to-machine access.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The JWT header's `kid`.
    pub certificate_id: String,
    /// The JWT's `iss`.
    pub client_id: String,
    /// Public key as PEM (`BEGIN PUBLIC KEY`): RSA for PS256, EC P-256 for ES256.
    pub public_key_pem: String,
}

/// What a connector needs to sign in: an EC P-256 key for ES256 with the ids it is registered under.
#[derive(Clone, Debug)]
pub struct DevCredentials {
    pub client_id: String,
    pub certificate_id: String,
    /// PKCS#8 PEM.
    pub private_key_pem: SecretString,
    public_key_pem: String,
}

/// The credentials file next to the key, for programs that are given a data folder.
#[derive(Serialize)]
struct File<'a> {
    client_id: &'a str,
    certificate_id: &'a str,
    algorithm: &'a str,
    scope: &'a str,
    private_key_file: &'a Path,
}

const CLIENT_ID: &str = "throughline-dev-client";
const CERTIFICATE_ID: &str = "throughline-dev-certificate";
/// SubjectPublicKeyInfo of an uncompressed P-256 point, without the point.
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A fresh development key pair under the development ids.
///
/// # Errors
/// The system gives no randomness.
pub fn dev_credentials() -> Result<DevCredentials, Error> {
    let random = SystemRandom::new();
    let failed = |_| Error::Credentials("the system gave no randomness for a key pair".to_owned());
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .map_err(|error| Error::Credentials(format!("the new key is refused: {error}")))?;
    let public = [&P256_SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
    Ok(DevCredentials {
        client_id: CLIENT_ID.to_owned(),
        certificate_id: CERTIFICATE_ID.to_owned(),
        private_key_pem: pem("PRIVATE KEY", pkcs8.as_ref()).into(),
        public_key_pem: pem("PUBLIC KEY", &public),
    })
}

impl DevCredentials {
    /// The credentials in `directory`, made and saved there on first use.
    ///
    /// Files: `erp-private-key.pem` (readable by the owner only), `erp-public-key.pem`, `erp-credentials.json`.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn in_directory(directory: &Path) -> Result<DevCredentials, Error> {
        let (private, public) = (directory.join("erp-private-key.pem"), directory.join("erp-public-key.pem"));
        if private.exists() && public.exists() {
            return Ok(DevCredentials {
                client_id: CLIENT_ID.to_owned(),
                certificate_id: CERTIFICATE_ID.to_owned(),
                private_key_pem: read(&private)?.into(),
                public_key_pem: read(&public)?,
            });
        }
        let credentials = dev_credentials()?;
        credentials.save(directory)?;
        Ok(credentials)
    }

    /// Writes the three files into `directory`; returns the path of the private key.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn save(&self, directory: &Path) -> Result<PathBuf, Error> {
        let private = directory.join("erp-private-key.pem");
        write_private(&private, self.private_key_pem.expose_secret())?;
        write(&directory.join("erp-public-key.pem"), &self.public_key_pem)?;
        let file = File {
            client_id: &self.client_id,
            certificate_id: &self.certificate_id,
            algorithm: "ES256",
            scope: "rest_webservices",
            private_key_file: &private,
        };
        let json = serde_json::to_string_pretty(&file).map_err(|error| Error::Credentials(error.to_string()))?;
        write(&directory.join("erp-credentials.json"), &json)?;
        Ok(private)
    }

    /// The registration that lets these credentials in.
    pub fn certificate(&self) -> Certificate {
        Certificate {
            certificate_id: self.certificate_id.clone(),
            client_id: self.client_id.clone(),
            public_key_pem: self.public_key_pem.clone(),
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |source| Error::File { operation, path, source }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(failed("read", path))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(failed("write", path))
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed("create", path))?;
    file.write_all(text.as_bytes()).map_err(failed("write", path))
}
