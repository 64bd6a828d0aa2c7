//! How such a stand-in is started, and what can be changed while it runs.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Configuration of one stand-in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Folder for state and credentials; without one everything is in memory.
    pub data: Option<PathBuf>,
    /// Token `/__admin` asks for (`Authorization: Bearer …`); required beyond loopback.
    pub admin_token: Option<SecretString>,
    /// Behaviour that can be changed while it runs.
    pub settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: None,
            admin_token: None,
            settings: Settings::default(),
        }
    }
}

/// Behaviour that `POST /__admin/settings` changes while the stand-in runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Requests that may be in progress at once; one more is answered 429. Default 20.
    pub concurrency_limit: usize,
    /// Milliseconds every request takes before it is carried out. Default 0.
    pub latency_ms: u64,
    /// Seconds a token lives, by the virtual clock. Default 3 600.
    pub token_seconds: u64,
    /// Entitlements that one tenant may have. Default 1 000.
    pub tenant_entitlements: usize,
    /// Features that the platform does not know, although they are written well. Default none.
    pub unknown_features: Vec<String>,
    /// Milliseconds after which any write is seen by reads. Default 0; more makes the system eventually consistent.
    pub visibility_ms: u64,
    /// Requests that one endpoint takes in a second of the virtual clock; one more is answered 429. Default 0: any number.
    pub endpoint_per_second: u32,
    /// Seconds after which idempotency keys are forgotten, where whole answers are kept under them. Default 86 400.
    pub idempotency_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency_limit: 20,
            latency_ms: 0,
            token_seconds: 3_600,
            tenant_entitlements: 1_000,
            unknown_features: Vec::new(),
            visibility_ms: 0,
            endpoint_per_second: 0,
            idempotency_seconds: 86_400,
        }
    }
}
