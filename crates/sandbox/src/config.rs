//! How a sandbox is started.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{books::seed::Seed, credentials::Certificate};

/// Configuration of one sandbox.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Folder for state and credentials; without one everything is in memory.
    pub data: Option<PathBuf>,
    /// Token `/__admin` asks for (`Authorization: Bearer …`); required beyond loopback.
    pub admin_token: Option<SecretString>,
    /// Certificates that may sign in beside the sandbox's own development certificate.
    pub certificates: Vec<Certificate>,
    /// Set-up data of a fresh sandbox.
    pub seed: Seed,
    /// Behaviour that can be changed while it runs.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            admin_token: None,
            certificates: Vec::new(),
            seed: Seed::standard(),
            settings: Settings::default(),
        }
    }
}

/// Behaviour that `POST /__admin/settings` changes while the sandbox runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Requests that may be in progress at once; one more is answered 429. Default 15, the vendor's first tier.
    pub concurrency_limit: usize,
    /// Milliseconds every record and query request takes before it is carried out. Default 0.
    pub latency_ms: u64,
    /// Seconds an access token lives, by the virtual clock. Default 3600.
    pub token_seconds: u64,
    /// Milliseconds of virtual time for which an asynchronous job shows as pending. Default 0.
    pub async_ms: u64,
    /// Seconds of virtual time for which an idempotency key is remembered. Default for ever: the vendor documents no period.
    pub idempotency_seconds: Option<u64>,
    /// Largest request body in bytes. Default 104 MB, the vendor's limit.
    pub max_body_bytes: usize,
    /// From when a certificate is refused, by its id and the virtual clock. Default never.
    pub certificates_expire: BTreeMap<String, jiff::Timestamp>,
    /// Fields that an administrator made mandatory on a form, by record type, such as `{"invoice": ["otherRefNum"]}`. Default none.
    pub required_fields: BTreeMap<String, Vec<String>>,
    /// Whether the integration's role is an administrator's, who alone may read the governance limits. Default true.
    pub is_administrator: bool,
    /// Rows of one query in all pages, beyond which there are none. Default 100 000, the vendor's limit.
    pub query_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency_limit: 15,
            latency_ms: 0,
            token_seconds: 3_600,
            async_ms: 0,
            idempotency_seconds: None,
            max_body_bytes: 104 * 1024 * 1024,
            certificates_expire: BTreeMap::new(),
            required_fields: BTreeMap::new(),
            is_administrator: true,
            query_rows: 100_000,
        }
    }
}
