//! Idempotency keys by the rules of those who keep whole answers: the first answer is given again, also a failure after the effect; another
//! request with the key is refused, one that runs at the same time too; keys are forgotten after a while, by the virtual clock.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::app::App;
use crate::call::{Call, Reply};

/// An answer that is given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub key: String,
    /// Method, path and body of the request.
    pub request: String,
    pub at_ms: i64,
    pub status: u16,
    pub body: String,
}

/// Answers by key.
pub type Answers = HashMap<String, Kept>;

/// Keys of the requests in progress.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<String>>>);

/// A request in progress under a key; dropping it ends it.
#[derive(Debug)]
pub struct Held {
    running: Running,
    key: String,
    request: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Running {
    fn hold(&self, key: &str, request: String) -> Option<Held> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        is_new.then(|| Held { running: self.clone(), key: key.to_owned(), request })
    }
}

/// What becomes of a request with a key, or without one.
pub enum Begin {
    Answer(Reply),
    /// It is carried out, and its answer kept where it has a key.
    Go(Option<Held>),
}

/// Before a request is carried out.
pub fn begin(app: &App, call: &Call) -> Begin {
    let key = call.header("idempotency-key").filter(|_| app.api.replays && call.method == axum::http::Method::POST);
    let Some(key) = key else { return Begin::Go(None) };
    if key.len() > 255 {
        return Begin::Answer(app.problem("idempotency_key_invalid", "keys have at most 255 characters"));
    }
    let request = format!("{} {} {}", call.method, call.path, String::from_utf8_lossy(&call.body));
    // Asked first: an answer is kept before it is out, and until then the request is in progress.
    let Some(held) = app.running.hold(key, request) else {
        return Begin::Answer(app.problem("idempotency_key_in_use", "a request with this key is in progress"));
    };
    let oldest = app.clock.now_ms().saturating_sub_unsigned(app.settings().idempotency_seconds.saturating_mul(1_000));
    let kept = app.state().replay(key).filter(|kept| kept.at_ms > oldest).cloned();
    match kept {
        Some(kept) => Begin::Answer(again(app, &kept, &held.request)),
        None => Begin::Go(Some(held)),
    }
}

fn again(app: &App, kept: &Kept, request: &str) -> Reply {
    if kept.request != request {
        return app.problem("idempotency_error", "this key belongs to a request with other parameters");
    }
    let reply = Reply { status: kept.status, headers: Vec::new(), body: kept.body.clone().into() };
    let named = |name: &'static str| axum::http::HeaderName::from_static(name);
    let flag = |text: &'static str| axum::http::HeaderValue::from_static(text);
    reply
        .with(axum::http::header::CONTENT_TYPE, flag("application/json"))
        .with(named("idempotent-replayed"), flag("true"))
}

/// After it was carried out: keeps the answer. What was refused before anything happened is not kept.
pub fn keep(app: &App, held: Option<&Held>, reply: &Reply) {
    let Some(held) = held.filter(|_| matches!(reply.status, 200..=299 | 402 | 500..)) else { return };
    let kept = Kept {
        key: held.key.clone(),
        request: held.request.clone(),
        at_ms: app.clock.now_ms(),
        status: reply.status,
        body: String::from_utf8_lossy(&reply.body).into_owned(),
    };
    if let Err(error) = app.state().keep(kept) {
        tracing::error!(%error, "an answer was not kept under its key");
    }
}

/// A request that was begun and changed nothing, because it failed.
pub fn failed(app: &App, call: &Call, answer: impl Fn() -> Reply) -> Reply {
    match begin(app, call) {
        Begin::Answer(reply) => reply,
        Begin::Go(held) => {
            let answer = answer();
            keep(app, held.as_ref(), &answer);
            answer
        }
    }
}
