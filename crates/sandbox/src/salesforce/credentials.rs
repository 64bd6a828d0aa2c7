//! The key pair with which a connector signs in: RSA, because this vendor takes RS256 and nothing else.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rsa::{
    RsaPrivateKey,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding},
    rand_core::OsRng,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::Error;

/// What a connector needs to sign in.
#[derive(Clone, Debug)]
pub struct DevCredentials {
    /// The app's client id: `iss`.
    pub client_id: String,
    /// The integration's user: `sub`.
    pub username: String,
    /// PKCS#8 PEM.
    pub private_key_pem: SecretString,
    public_key_pem: String,
}

const CLIENT_ID: &str = "throughline-dev-app";
const USERNAME: &str = "integration@throughline.invalid";
const BITS: usize = 2_048;

/// Development credentials; the key pair is made once a process, because making one takes a while.
///
/// # Errors
/// The system gives no randomness.
pub fn dev_credentials() -> Result<DevCredentials, Error> {
    static PAIR: OnceLock<Result<(SecretString, String), String>> = OnceLock::new();
    let (private, public) = PAIR.get_or_init(pair).as_ref().map_err(|reason| Error::Credentials(reason.clone()))?;
    Ok(DevCredentials::with(private.clone(), public.clone()))
}

fn pair() -> Result<(SecretString, String), String> {
    let key = RsaPrivateKey::new(&mut OsRng, BITS).map_err(|error| error.to_string())?;
    let private = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| error.to_string())?;
    let public = key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|error| error.to_string())?;
    Ok((private.as_str().to_owned().into(), public))
}

impl DevCredentials {
    fn with(private_key_pem: SecretString, public_key_pem: String) -> Self {
        Self { client_id: CLIENT_ID.to_owned(), username: USERNAME.to_owned(), private_key_pem, public_key_pem }
    }

    pub(super) fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The credentials in `directory`, made and saved there on first use.
    ///
    /// Files: `crm-private-key.pem` (readable by the owner only), `crm-public-key.pem`, `crm-credentials.json`.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub fn in_directory(directory: &Path) -> Result<Self, Error> {
        let (private, public) = (directory.join("crm-private-key.pem"), directory.join("crm-public-key.pem"));
        if private.exists() && public.exists() {
            return Ok(Self::with(read(&private)?.into(), read(&public)?));
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
        let private = directory.join("crm-private-key.pem");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { operation: "write", path, source }
        };
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&private).map_err(failed(&private))?;
        file.write_all(self.private_key_pem.expose_secret().as_bytes()).map_err(failed(&private))?;
        let public = directory.join("crm-public-key.pem");
        fs::write(&public, &self.public_key_pem).map_err(failed(&public))?;
        let about = json!({
            "client_id": self.client_id,
            "username": self.username,
            "algorithm": "RS256",
            "private_key_file": private,
        });
        let path = directory.join("crm-credentials.json");
        fs::write(&path, format!("{about:#}")).map_err(failed(&path))?;
        Ok(private)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { operation: "read", path: path.to_owned(), source })
}
