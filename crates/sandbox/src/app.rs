//! What all requests share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering},
};

use secrecy::SecretString;

use crate::{clock::Clock, config::Settings, credentials::Certificate, faults::Faults, journal::Journal, state::State};

/// The running sandbox.
#[derive(Debug)]
pub struct App {
    pub clock: Clock,
    pub certificates: Vec<Certificate>,
    pub admin_token: Option<SecretString>,
    base_url: String,
    settings: RwLock<Settings>,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    submissions: Mutex<()>,
    in_progress: Arc<AtomicUsize>,
}

/// A lock whose holder panicked is taken over: commits are whole, so there is nothing half done behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// A sandbox reachable at `base_url` (no slash at the end).
    pub fn new(
        base_url: String,
        state: State,
        settings: Settings,
        certificates: Vec<Certificate>,
        admin_token: Option<SecretString>,
    ) -> App {
        App {
            clock: Clock::new(state.offset_ms()),
            certificates,
            admin_token,
            base_url,
            settings: RwLock::new(settings),
            state: Mutex::new(state),
            faults: Mutex::default(),
            journal: Mutex::default(),
            submissions: Mutex::default(),
            in_progress: Arc::default(),
        }
    }

    /// `http://host:port`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where records live: the start of every `Location`.
    pub fn record_base(&self) -> String {
        format!("{}/services/rest/record/v1", self.base_url)
    }

    /// The state, locked; never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The fault rules, locked.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The request journal, locked.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    /// The turn to submit an asynchronous request; taken before [`Self::state`].
    pub fn submissions(&self) -> MutexGuard<'_, ()> {
        lock(&self.submissions)
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the settings for the requests that come now.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Requests in progress that take a slot.
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Acquire)
    }

    /// A slot for one request in progress; `None` when the account's limit is reached.
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
