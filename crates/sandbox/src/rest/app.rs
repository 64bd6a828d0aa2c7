//! What all requests share, and what makes one API of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering},
};

use secrecy::SecretString;

use super::{
    admin::Delivery,
    config::Settings,
    limits::Rates,
    replay::Running,
    store::{Answered, State, Write},
    token::Credentials,
};
use crate::{
    call::{Call, Reply},
    clock::Clock,
    faults::Faults,
    journal::Journal,
};

/// One API: its errors, and what it does with a request that has a live token.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// Names the files with credentials: `<name>-credentials.json`.
    pub name: &'static str,
    /// Kinds of resources, as the effect log names them.
    pub objects: &'static [&'static str],
    /// The status an error code travels with; `None` where the API has no such code.
    pub status_of: fn(&str) -> Option<u16>,
    /// An error answer.
    pub problem: fn(status: u16, code: &str, detail: &str) -> Reply,
    /// Method and path with ids collapsed: the key under which requests are counted.
    pub route: fn(&Call) -> String,
    /// Carries a request out.
    pub answer: fn(&App, &Call, &Asked) -> Reply,
    pub sign_in: SignIn,
    /// Whether whole answers are given again under their idempotency key, by [`replay`]'s rules.
    pub replays: bool,
    /// What a receiver of webhooks would get.
    pub deliveries: Option<fn(&App, Delivery) -> serde_json::Value>,
}

/// How a request shows whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// A token that lives for a while, given for client id and secret at `/oauth/token` (OAuth 2.0).
    Token,
    /// The secret itself, as a bearer token.
    Key,
    /// Id and secret with each request (RFC 7617).
    Basic,
}

/// What a request says of itself, besides what it asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub event_id: Option<String>,
    pub correlation_id: Option<String>,
    /// Virtual time from which reads show what it writes.
    pub visible_ms: Option<i64>,
    pub now_ms: i64,
}

/// The running stand-in.
#[derive(Debug)]
pub struct App {
    pub api: Api,
    pub clock: Clock,
    pub admin_token: Option<SecretString>,
    pub credentials: Credentials,
    pub base_url: String,
    settings: RwLock<Settings>,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    journal: Mutex<Journal>,
    in_progress: Arc<AtomicUsize>,
    pub(super) running: Running,
    pub(super) rates: Rates,
}

/// A lock whose holder panicked is taken over: commits are whole, so there is nothing half done behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub(super) fn new(
        api: Api,
        base_url: String,
        state: State,
        settings: Settings,
        credentials: Credentials,
        admin_token: Option<SecretString>,
    ) -> Self {
        Self {
            api,
            clock: Clock::new(state.offset_ms()),
            admin_token,
            credentials,
            base_url,
            settings: RwLock::new(settings),
            state: Mutex::new(state),
            faults: Mutex::new(Faults::for_codes(known_somewhere)),
            journal: Mutex::default(),
            in_progress: Arc::default(),
            running: Running::default(),
            rates: Rates::default(),
        }
    }

    /// The state, locked; never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// An error answer of this API.
    pub fn problem(&self, code: &str, detail: &str) -> Reply {
        (self.api.problem)((self.api.status_of)(code).unwrap_or(400), code, detail)
    }

    /// A resource as reads see it.
    pub fn read<T>(
        &self,
        object: &str,
        id: &str,
        asked: &Asked,
        read: impl FnOnce(&serde_json::Value) -> T,
    ) -> Option<T> {
        self.state().get(object, id).and_then(|record| record.seen(asked.now_ms)).map(read)
    }

    /// All resources of a kind as reads see them, by id.
    pub fn all(&self, object: &str, asked: &Asked) -> Vec<(String, serde_json::Value)> {
        let state = self.state();
        let seen =
            state.of(object).filter_map(|(id, record)| Some((id.to_owned(), record.seen(asked.now_ms)?.clone())));
        seen.collect()
    }

    /// Carries a write out under its idempotency key: `decide` sees the resource as it is, whether or not reads see it, and says what it
    /// becomes. The same key and request again gets the same answer, and changes nothing.
    ///
    /// # Errors
    /// What `decide` refuses with; a key that another request has; a log that cannot be written.
    pub fn write(
        &self,
        call: &Call,
        asked: &Asked,
        (object, id, account): (&str, &str, &str),
        decide: impl FnOnce(Option<&serde_json::Value>, &View<'_>) -> Result<serde_json::Value, Reply>,
    ) -> Result<(u16, serde_json::Value), Reply> {
        let request = format!("{} {} {}", call.method, call.path, String::from_utf8_lossy(&call.body));
        let key = call.header("idempotency-key").map(str::to_owned);
        let mut state = self.state();
        if let Some((answered, body)) = key.as_ref().and_then(|key| state.answered(key)) {
            if answered.request != request {
                return Err(self.problem("IDEMPOTENCY_KEY_REUSED", "another request had this key"));
            }
            return Ok((answered.status, body.clone()));
        }
        let before = state.get(object, id).map(|record| record.body.clone());
        let body = decide(before.as_ref(), &View { state: &state })?;
        let status = if before.is_some() { 200 } else { 201 };
        let write = Write {
            object: object.to_owned(),
            id: id.to_owned(),
            account: account.to_owned(),
            body: body.clone(),
            event_id: asked.event_id.clone(),
            correlation_id: asked.correlation_id.clone(),
            visible_ms: asked.visible_ms,
            external_id: None,
            is_silent: false,
            answered: key.map(|key| Answered { key, request, status }),
        };
        let at = asked.now_ms;
        state.write(at, write).map_err(|error| (self.api.problem)(503, "UNAVAILABLE", &error.to_string()))?;
        Ok((status, body))
    }

    /// A slot for one request in progress; `None` when too many are.
    pub(super) fn admit(&self) -> Option<Slot> {
        let limit = self.settings().concurrency_limit;
        let more = |running: usize| (running < limit).then_some(running + 1);
        self.in_progress.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Slot(self.in_progress.clone()))
    }
}

/// What a write may look at besides the resource it writes.
pub struct View<'a> {
    state: &'a State,
}

impl View<'_> {
    pub fn has(&self, object: &str, id: &str) -> bool {
        self.state.get(object, id).is_some()
    }

    /// Resources of a kind as they are.
    pub fn of<'a>(&'a self, object: &'a str) -> impl Iterator<Item = (&'a str, &'a serde_json::Value)> {
        self.state.of(object).map(|(id, record)| (id, &record.body))
    }
}

/// Fault rules are checked by one list for all of these APIs; each answers with the body that it has for the code.
fn known_somewhere(code: &str) -> bool {
    let vendors =
        [crate::entitlement::status_of, crate::scim::status_of, crate::stripe::status_of, crate::avatax::status_of];
    vendors.iter().any(|status_of| status_of(code).is_some())
}

/// One request in progress; dropping it makes room.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
