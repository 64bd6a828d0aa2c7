//! Proves the promise from the outside: drains the topics with a client of its own, reads the ledger and the outside system's own
//! effect log, and compares while the records pass by, so that millions of them fit into little memory. It knows nothing of the runtime's memory, so a bug there cannot hide itself.
//!
//! [`verify`] checks I1–I4, I6 and I8–I10 of the design on what is running or has run; [`wait_until_quiet`] waits until there is
//! nothing left to do; [`verify_at_rest`] does both.

mod accepted;
mod checks;
mod effects;
mod input;
mod journal;
mod numbers;
mod places;
mod topics;
mod waiting;

use events::Generation;
use events::topics::{
    CONTRACT_AMENDED, CONTRACT_CANCELLED, ENTITLEMENT_GRANTED, FALLOUT_CLOSED, FALLOUT_OPENED, Family,
    OPPORTUNITY_CLOSED_WON, OPPORTUNITY_REOPENED, ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED, PROVISIONING_FAILED,
    SUBSCRIPTION_RENEWAL_ACCEPTED, SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE, of_family,
};
use journal::JournalView;
use kafka::{Admin, ClientConfig, RegistryConfig};
use ledger::Ledger;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Where everything is.
#[derive(Clone)]
pub struct Sources {
    pub kafka: ClientConfig,
    pub registry: RegistryConfig,
    pub service: ServiceSource,
    /// Base URLs of the outside systems' sandboxes; without one their part is not checked, and the report says so.
    pub outside: Vec<String>,
}

/// One service: its name and its ledger.
#[derive(Clone)]
pub struct ServiceSource {
    pub name: String,
    pub ledger: Arc<dyn Ledger>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("the schema registry: {0}")]
    Registry(String),
    #[error("the outside system's effect log: {0}")]
    Outside(String),
    #[error("not everything was done within {waited_s} s: {reason}")]
    NotQuiet { waited_s: u64, reason: String },
}

/// The outcome of all checks.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub ok: bool,
    pub checks: Vec<Check>,
}

/// One invariant.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The service that was looked at.
    pub service: String,
    /// `I1` … `I10`, as numbered in the design.
    pub id: &'static str,
    pub rule: &'static str,
    pub ok: bool,
    /// How many things were compared. A check that compared nothing says so in its detail.
    pub counted: u64,
    /// What was found; the first few breaks by name.
    pub detail: String,
}

/// The service that books, and adds up usage in documents of its own.
const ERP_SYNC: &str = "erp-sync";
/// The service that shows in a CRM what is owed.
const CRM_SYNC: &str = "crm-sync";
/// The service that gives access; it moves no money.
const PROVISIONING: &str = "provisioning";
/// The service that has deals taxed and contracts billed.
const ORDER_FLOW: &str = "order-flow";

/// Topics that a service reads, besides its replay topic.
#[must_use]
pub fn inputs_of(service: &str) -> Vec<&'static str> {
    let of = |family| of_family(family).map(|subject| subject.topic);
    match Generation::split(service).0 {
        "erp-sync" => of(Family::Commercial).chain(of(Family::Request)).collect(),
        "order-flow" => of(Family::Deal)
            .chain([ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REJECTED, ENTITLEMENT_GRANTED, PROVISIONING_FAILED])
            .chain([CONTRACT_AMENDED, CONTRACT_CANCELLED, SUBSCRIPTION_RENEWAL_ACCEPTED, SUBSCRIPTION_RENEWAL_DECLINED])
            .collect(),
        "analytics-feed" => of(Family::Commercial)
            .chain([OPPORTUNITY_CLOSED_WON, OPPORTUNITY_REOPENED, ORDER_ACCEPTED, ENTITLEMENT_GRANTED])
            .collect(),
        "crm-sync" => of(Family::Commercial)
            .chain([SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE])
            .chain([FALLOUT_CLOSED, FALLOUT_OPENED])
            .collect(),
        _ => of(Family::Commercial).collect(),
    }
}

/// What is known before the topics are read.
struct Known {
    journal: JournalView,
    effects: Option<Vec<effects::Effect>>,
    /// By object and currency, in minor units.
    waiting: BTreeMap<(String, String), i128>,
    /// What the CRM shows to be owed, by currency; only of the service that shows it.
    owed: Option<BTreeMap<String, rust_decimal::Decimal>>,
    /// What the product platform lets customers use; only of the service that gives access.
    access: Option<BTreeMap<String, effects::Standing>>,
    /// Tax documents and billing schedules; only of the service that makes them.
    course: Option<effects::Course>,
    service: String,
}

impl Known {
    async fn read(sources: &Sources) -> Result<Self, Error> {
        let ledger = &*sources.service.ledger;
        let journal = JournalView::read(ledger).await?;
        let (outside, name) = (&sources.outside, sources.service.name.as_str());
        let effects = if outside.is_empty() { None } else { Some(effects::read_all(outside).await?) };
        // Documents of the other services have forms of their own.
        let waiting =
            if outside.is_empty() || name != ERP_SYNC { BTreeMap::new() } else { waiting::read(ledger).await? };
        let owed = match outside.first() {
            Some(url) if name == CRM_SYNC => Some(effects::owed(url).await?),
            Some(_) | None => None,
        };
        let access = match outside.first() {
            Some(url) if name == PROVISIONING => Some(effects::access(url).await?),
            Some(_) | None => None,
        };
        let course = match &outside[..] {
            [billing, tax] if name == ORDER_FLOW => Some(effects::course(billing, tax).await?),
            _ => None,
        };
        Ok(Self { journal, effects, waiting, owed, access, course, service: sources.service.name.clone() })
    }

    /// Whether the service makes the analytics topics of the events it reads.
    fn publishes_analytics(&self) -> bool {
        Generation::split(&self.service).0 == "analytics-feed"
    }
}

/// Compares topics, ledger and effect log.
///
/// # Errors
/// If one of them cannot be read; a broken promise is no error but a check that is not ok.
pub async fn verify(sources: &Sources) -> Result<Report, Error> {
    let known = Known::read(sources).await?;
    let mut checks = topics::compare(sources, known).await?;
    checks.iter_mut().for_each(|check| check.service.clone_from(&sources.service.name));
    Ok(Report { ok: checks.iter().all(|check| check.ok), checks })
}

/// Waits until nothing is left to do and compares then; again, if the service moved on while it was compared.
///
/// Between two tries nothing is open for a moment, so rest is believed only where no entry was written meanwhile: an effect
/// has its entry before it is sent.
///
/// # Errors
/// As [`verify`] and [`wait_until_quiet`].
pub async fn verify_at_rest(
    sources: &Sources,
    patience: Duration,
    mut progress: impl FnMut(&str),
) -> Result<Report, Error> {
    let started = Instant::now();
    loop {
        wait_until_quiet(sources, patience.saturating_sub(started.elapsed()), &mut progress).await?;
        let before = entries(sources).await?;
        let report = verify(sources).await?;
        if before == entries(sources).await? {
            return Ok(report);
        }
        progress("it moved on while it was compared");
    }
}

/// The next entry of each slice, and the last one that is closed.
async fn entries(sources: &Sources) -> Result<Vec<(i32, i64, i64)>, Error> {
    let slices = sources.service.ledger.slices().await?;
    let mut entries: Vec<_> = slices.iter().map(|slice| (slice.slice, slice.next_entry, slice.closed_entry)).collect();
    entries.sort_unstable();
    Ok(entries)
}

/// How many effects the outside systems' logs hold; 0 where no outside system is known.
///
/// # Errors
/// If the log cannot be read.
pub async fn effects_outside(sources: &Sources) -> Result<u64, Error> {
    Ok(effects::read_all(&sources.outside).await?.len() as u64)
}

/// Waits until the service has read everything, nothing is open and nothing waits for its next try.
///
/// # Errors
/// [`Error::NotQuiet`] after `patience`, with what is still to be done.
pub async fn wait_until_quiet(
    sources: &Sources,
    patience: Duration,
    mut progress: impl FnMut(&str),
) -> Result<(), Error> {
    let started = Instant::now();
    let admin = Admin::connect(&sources.kafka)?;
    loop {
        let busy = match busy(sources, &admin).await {
            Ok(None) => return Ok(()),
            Ok(Some(reason)) => reason,
            // Parts of the stack may be on their way back.
            Err(error) => error.to_string(),
        };
        if started.elapsed() >= patience {
            return Err(Error::NotQuiet { waited_s: patience.as_secs(), reason: busy });
        }
        progress(&busy);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What is still to be done, in one line.
async fn busy(sources: &Sources, admin: &Admin) -> Result<Option<String>, Error> {
    let slices = sources.service.ledger.slices().await?;
    let mut lag = 0;
    for topic in inputs_of(&sources.service.name) {
        for partition in 0..admin.partitions(topic).await? {
            let (low, end) = admin.watermarks(topic, partition).await?;
            let slice = slices.iter().find(|slice| slice.slice == partition);
            let known = slice.and_then(|slice| slice.positions.iter().find(|position| position.topic == topic));
            lag += end - known.map_or(low, |position| position.next_offset);
        }
    }
    if lag > 0 {
        return Ok(Some(format!("{lag} records to read")));
    }
    let open: i64 = slices.iter().map(|slice| slice.next_entry - 1 - slice.closed_entry).sum();
    let intents: usize = slices.iter().map(|slice| slice.intents.len()).sum();
    let tries = sources.service.ledger.sequences(None).await?;
    let tries = tries.iter().filter(|sequence| sequence.next_attempt_ms.is_some()).count();
    Ok((open > 0 || intents > 0 || tries > 0).then(|| {
        format!("{open} journal entries open, {intents} intents waiting, {tries} sequences to be tried again")
    }))
}
