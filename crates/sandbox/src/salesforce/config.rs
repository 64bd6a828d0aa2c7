//! How a Salesforce stand-in is started, and what can be changed while it runs.

use std::{
    collections::BTreeMap,
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
    /// Requests of the API in 24 hours of virtual time; one more is answered 403 `REQUEST_LIMIT_EXCEEDED`. Default 100 000.
    pub daily_requests: u64,
    /// Requests that may be in progress at once. Default 25, the vendor's limit of long ones in production.
    pub concurrency_limit: usize,
    /// Milliseconds every request takes before it is carried out. Default 0.
    pub latency_ms: u64,
    /// Seconds a session lives, by the virtual clock; the token answer does not say it. Default 7 200.
    pub session_seconds: u64,
    /// Rows of one page of a query, unless the client asks for fewer. Default 2 000, the vendor's most.
    pub query_rows: usize,
    /// Status of an upsert that changed a record: 200 with a body, or 204 without one. Default 200.
    pub updated_status: u16,
    /// Fields that an administrator made mandatory, by object, such as `{"Task": ["Description"]}`. Default none.
    pub required_fields: BTreeMap<String, Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            daily_requests: 100_000,
            concurrency_limit: 25,
            latency_ms: 0,
            session_seconds: 7_200,
            query_rows: 2_000,
            updated_status: 200,
            required_fields: BTreeMap::new(),
        }
    }
}
