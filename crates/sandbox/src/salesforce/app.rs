//! What all requests share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use secrecy::SecretString;

use super::{config::Settings, credentials::DevCredentials, refusal, store::State};
use crate::{clock::Clock, faults::Faults, journal::Journal};

/// The running stand-in.
#[derive(Debug)]
pub struct App {
    pub clock: Clock,
    pub admin_token: Option<SecretString>,
    credentials: DevCredentials,
    base_url: String,
    settings: RwLock<Settings>,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    /// Queries that go on: by locator, their text and the next row.
    queries: Mutex<HashMap<String, (String, usize)>>,
    in_progress: Arc<AtomicUsize>,
}

/// A lock whose holder panicked is taken over: commits are whole, so there is nothing half done behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub fn new(
        base_url: String,
        state: State,
        settings: Settings,
        credentials: DevCredentials,
        admin_token: Option<SecretString>,
    ) -> App {
        App {
            clock: Clock::new(state.offset_ms()),
            admin_token,
            credentials,
            base_url,
            settings: RwLock::new(settings),
            state: Mutex::new(state),
            faults: Mutex::new(Faults::for_codes(|code| refusal::status_of(code).is_some())),
            journal: Mutex::default(),
            queries: Mutex::default(),
            in_progress: Arc::default(),
        }
    }

    /// `http://host:port`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn credentials(&self) -> &DevCredentials {
        &self.credentials
    }

    /// The state, locked; never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Keeps a query whose next page starts at `row`; the locator finds it again.
    pub fn locator(&self, text: String, row: usize) -> String {
        let mut queries = lock(&self.queries);
        let locator = format!("01gfj0{:09}AAA-{row}", queries.len());
        queries.insert(locator.clone(), (text, row));
        locator
    }

    /// The query of a locator, and the row it goes on with.
    pub fn continued(&self, locator: &str) -> Option<(String, usize)> {
        lock(&self.queries).get(locator).cloned()
    }

    /// A slot for one request in progress; `None` when too many are.
    pub fn admit(&self) -> Option<Slot> {
        let limit = self.settings().concurrency_limit;
        let more = |running: usize| (running < limit).then_some(running + 1);
        self.in_progress.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Slot(self.in_progress.clone()))
    }
}

/// One request in progress; dropping it makes room.
#[derive(Debug)]
pub struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
