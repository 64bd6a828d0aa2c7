//! Where everything of a stack is, as `endpoints.json` tells other programs. Fields are only ever added.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    process::write_atomically,
};

/// What a stack is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// librdkafka's in-process broker, SQLite, registry and sandbox in one process. Gone with that process.
    Embedded,
    /// Apache Kafka, PostgreSQL, registry and sandbox as processes with their data on disk.
    Real,
}

/// The addresses of a stack's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub kind: Kind,
    /// `host:port`, several separated by commas.
    pub kafka: String,
    /// URL.
    pub registry: String,
    /// Connection URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// Path of the database file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<String>,
    /// URL of the ERP's sandbox.
    pub erp: String,
    /// URLs of all sandboxes by name.
    pub sandboxes: BTreeMap<String, String>,
    /// The API of control, where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlAt>,
    /// The services by name; a second replica of `x` is `x-2`.
    pub services: BTreeMap<String, Running>,
    /// The other processes by name: `kafka`, `postgres`, `registry`, `sandbox`.
    #[serde(default)]
    pub parts: BTreeMap<String, Running>,
}

/// How to reach control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlAt {
    pub url: String,
    /// File with a token that only the owner of the stack can read.
    pub token_file: PathBuf,
}

/// A process of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub pid: u32,
    /// URL of its HTTP interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
}

/// The file's name in the data folder.
pub const FILE: &str = "endpoints.json";

impl Endpoints {
    /// URL of the CRM's sandbox; a stack of an older version has none.
    #[must_use]
    pub fn crm(&self) -> Option<&str> {
        self.sandboxes.get("crm").map(String::as_str)
    }

    /// URLs of the sandboxes that a service changes; none of a service without outside systems, or where the stack has none.
    #[must_use]
    pub fn outside(&self, service: &str) -> Vec<String> {
        let names: &[&str] = match service {
            "erp-sync" => &["erp"],
            "crm-sync" => &["crm"],
            "provisioning" => &["product", "identity"],
            "order-flow" => &["stripe", "tax"],
            _ => &[],
        };
        names.iter().filter_map(|name| self.sandboxes.get(*name).cloned()).collect()
    }

    /// Reads `endpoints.json` of a data folder.
    pub fn read(data: &Path) -> Result<Self> {
        let path = data.join(FILE);
        let bytes = std::fs::read(&path).map_err(Error::file("read", &path))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Damaged { path: path.display().to_string(), reason: error.to_string() })
    }

    /// Replaces `endpoints.json`; readers see the old or the new one.
    pub fn write(&self, data: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("strings and numbers become JSON");
        Ok(write_atomically(&data.join(FILE), &text)?)
    }
}
