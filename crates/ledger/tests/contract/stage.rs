//! Fresh ledgers to test: each handle is what another process would open.

use crate::server;
use ledger::memory::MemoryLedger;
use ledger::{Config, Ledger};
use std::sync::Arc;

pub struct Stage {
    kind: Kind,
}

enum Kind {
    Memory(MemoryLedger),
    Opened { config: Config, _folder: Option<tempfile::TempDir> },
}

impl Stage {
    pub fn memory() -> Self {
        Self { kind: Kind::Memory(MemoryLedger::new()) }
    }

    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(format!("sqlite://{}", folder.path().join("ledger.db").display()), "unused");
        Self { kind: Kind::Opened { config, _folder: Some(folder) } }
    }

    /// A schema of its own on the server that the tests of this binary share.
    pub fn postgres() -> Self {
        Self { kind: Kind::Opened { config: server::fresh_schema(), _folder: None } }
    }

    /// Another handle to the same ledger.
    pub async fn ledger(&self) -> Arc<dyn Ledger> {
        match &self.kind {
            Kind::Memory(ledger) => Arc::new(ledger.clone()),
            Kind::Opened { config, .. } => ledger::open(config).await.unwrap(),
        }
    }

    pub fn config(&self) -> &Config {
        match &self.kind {
            Kind::Memory(_) => panic!("a memory ledger has no configuration"),
            Kind::Opened { config, .. } => config,
        }
    }

    /// Cases for a model run: fewer where each costs a disk's flush.
    pub fn cases(&self) -> u32 {
        match &self.kind {
            Kind::Memory(_) => 60,
            Kind::Opened { _folder: Some(_), .. } => 25,
            Kind::Opened { _folder: None, .. } => 8,
        }
    }

    /// Empty ledgers of the same kind, for cases that need many.
    pub fn another(&self) -> Self {
        match &self.kind {
            Kind::Memory(_) => Self::memory(),
            Kind::Opened { _folder: Some(_), .. } => Self::sqlite(),
            Kind::Opened { _folder: None, .. } => Self::postgres(),
        }
    }
}
