//! What the handlers work with: the ledgers of the services, the topics, the registry; and the session that guards them.

use crate::{
    auth::Authenticator,
    error::{Error, Kind, Result},
    letters::Decoder,
    rights::{Caller, Right},
};
use ledger::{Ledger, NewAudit};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// The name under which control's own ledger is listed.
pub const OWN: &str = "control";

/// Rules that a deployment sets.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// An edited event waits until another person agrees.
    pub edit_needs_second: bool,
    /// A plan of more letters than this needs another person.
    pub second_above: i64,
}

/// A clock that tests can set: milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}

/// All that control knows.
pub struct App {
    pub(crate) auth: Authenticator,
    pub(crate) kafka: kafka::ClientConfig,
    pub(crate) registry: kafka::Registry,
    pub(crate) policy: Policy,
    clock: Clock,
    configs: BTreeMap<String, ledger::Config>,
    opened: Mutex<HashMap<String, Arc<dyn Ledger>>>,
    /// Held by whoever looks which copies are on a topic and puts those that are missing.
    pub(crate) copying: Mutex<()>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("services", &self.configs.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl App {
    /// `ledgers` by service; the one named [`OWN`] is control's own.
    #[must_use]
    pub fn new(
        auth: Authenticator,
        kafka: kafka::ClientConfig,
        registry: kafka::Registry,
        ledgers: BTreeMap<String, ledger::Config>,
        policy: Policy,
        clock: Clock,
    ) -> Self {
        Self {
            auth,
            kafka,
            registry,
            policy,
            clock,
            configs: ledgers,
            opened: Mutex::default(),
            copying: Mutex::default(),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn decoder(&self) -> Decoder {
        Decoder::new(self.registry.clone())
    }

    /// Reads topics.
    pub(crate) fn drain(&self) -> kafka::Drain {
        kafka::Drain::new(self.kafka.clone(), Duration::from_secs(20))
    }

    /// Opens a ledger when it is first asked for. A file that is not there is not made: its service does that.
    async fn open(&self, service: &str) -> Result<Arc<dyn Ledger>> {
        let config = self.configs.get(service).ok_or_else(|| self.unknown(service))?;
        let mut opened = self.opened.lock().await;
        if let Some(ledger) = opened.get(service) {
            return Ok(ledger.clone());
        }
        if let Some(path) = config.url.strip_prefix("sqlite://").filter(|_| service != OWN)
            && !Path::new(path).is_file()
        {
            let message = format!("{service} has no ledger yet");
            return Err(
                Error::new(Kind::Unavailable, "NO_LEDGER", message).hint("the service makes it when it first starts")
            );
        }
        let ledger = ledger::open(config).await?;
        opened.insert(service.to_owned(), ledger.clone());
        Ok(ledger)
    }

    /// Control's own ledger.
    pub(crate) async fn own(&self) -> Result<Arc<dyn Ledger>> {
        self.open(OWN).await
    }

    fn unknown(&self, service: &str) -> Error {
        let known: Vec<_> = self.configs.keys().map(String::as_str).filter(|name| *name != OWN).collect();
        Error::not_found(format!("there is no service `{service}`")).hint(format!("services: {}", known.join(", ")))
    }

    /// Keeps on the record, in control's own ledger, that somebody tried what they may not.
    pub(crate) async fn refused(&self, caller: &Caller, right: Right, what: &str) {
        let audit = NewAudit {
            at_ms: self.now_ms(),
            actor: caller.name.clone(),
            action: "refused".to_owned(),
            subject: what.chars().take(1_000).collect(),
            reason: format!("needs {right}"),
            before: None,
            after: None,
        };
        let kept = match self.open(OWN).await {
            Ok(ledger) => ledger.append_audit(&audit).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(%error, actor = caller.name, what, "a refused attempt could not be kept in the audit");
        }
    }
}

/// One authenticated request with the one right that its route asks for. Ledgers are reached through it only, so that no handler
/// can forget to ask.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub app: &'a App,
    pub caller: Caller,
    pub right: Right,
    /// What was asked, for the audit.
    pub what: String,
}

impl Session<'_> {
    /// The ledger of a service.
    ///
    /// # Errors
    /// `Forbidden` (and a row in the audit) if the caller lacks the right there; `NotFound`; `Unavailable`.
    pub async fn ledger(&self, service: &str) -> Result<Arc<dyn Ledger>> {
        if !self.app.configs.contains_key(service) {
            return Err(self.app.unknown(service));
        }
        self.must(self.right, service).await?;
        self.app.open(service).await
    }

    /// Asks for another right than the route's.
    ///
    /// # Errors
    /// `Forbidden`, and a row in the audit.
    pub async fn must(&self, right: Right, service: &str) -> Result<()> {
        if self.caller.may(right, service) {
            return Ok(());
        }
        self.app.refused(&self.caller, right, &self.what).await;
        Err(forbidden(&self.caller, right, Some(service)))
    }

    /// The service that is named, or all (without control itself) on which the caller has the right.
    pub async fn services(&self, named: Option<&str>) -> Result<Vec<String>> {
        match named {
            Some(service) => {
                self.ledger(service).await?;
                Ok(vec![service.to_owned()])
            }
            None => {
                let all = self.app.configs.keys().filter(|name| *name != OWN);
                Ok(all.filter(|name| self.caller.may(self.right, name)).cloned().collect())
            }
        }
    }

    /// A row of the audit about `subject`, by the caller, now.
    pub fn audit(&self, action: &str, subject: &str, reason: &str) -> NewAudit {
        NewAudit {
            at_ms: self.app.now_ms(),
            actor: self.caller.name.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            before: None,
            after: None,
        }
    }
}

pub(crate) fn forbidden(caller: &Caller, right: Right, service: Option<&str>) -> Error {
    let place = service.map(|service| format!(" on {service}")).unwrap_or_default();
    Error::new(Kind::Forbidden, "FORBIDDEN", format!("{} may not {right}{place}", caller.name))
        .hint("ask an administrator for the role; this attempt is in the audit")
}
