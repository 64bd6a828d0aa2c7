//! Sending: the version that the connector was written to, and keys under which a request is carried out once.

use super::{
    Stripe, VERSION,
    answer::{failure, is_replayed, problem, read},
    form::Form,
};
use crate::{Cause, Error, http::Answer, keyed::Call};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use std::future::Future;
use url::Url;

/// Most objects of a page.
const PAGE: &str = "100";
/// Keys that are tried after one under which Stripe remembers a failure of its own.
const FURTHER_KEYS: u32 = 3;
const FORM: &str = "application/x-www-form-urlencoded";

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
    /// Where the next page of a search begins.
    next_page: Option<String>,
}

/// Tells where the next page of a list begins.
pub(super) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

impl Stripe {
    fn version() -> (&'static str, String) {
        ("stripe-version", VERSION.to_owned())
    }

    pub(super) async fn get(&self, cause: &Cause, url: Url) -> Result<Answer, Error> {
        let headers = [Self::version()];
        self.client.call(cause, &Call { method: Method::GET, url, headers: &headers, body: None }).await
    }

    /// A request without a key: sending it twice makes one thing, or none.
    pub(super) async fn post(&self, cause: &Cause, url: Url, form: &Form) -> Result<Answer, Error> {
        self.send(cause, url, form, [Self::version()].into()).await
    }

    async fn send(
        &self,
        cause: &Cause,
        url: Url,
        form: &Form,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Answer, Error> {
        let body = Some((FORM, form.encoded()));
        self.client.call(cause, &Call { method: Method::POST, url, headers: &headers, body }).await
    }

    /// A request under a key made of `key`. Stripe answers a key again with what it answered first, also with a failure of its own (500)
    /// that may have come before or after the effect, and refuses other parameters under the key. `find` asks then whether there was an
    /// effect; only a no that is certain leads to another key.
    pub(super) async fn once<T, F>(
        &self,
        cause: &Cause,
        (url, form): (Url, &Form),
        (key, sight): (&str, Sight),
        find: impl Fn() -> F,
    ) -> Result<Made<T>, Error>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<Option<T>, Error>>,
    {
        for attempt in 0..=FURTHER_KEYS {
            let headers = vec![Self::version(), ("idempotency-key", idempotency_key(key, attempt))];
            let answer = self.send(cause, url.clone(), form, headers).await?;
            let is_remembered_failure = answer.status.is_server_error() && is_replayed(&answer);
            let is_other_request = problem(&answer).is_other_request();
            if !is_remembered_failure && !is_other_request {
                return read(true, &answer).map(Made::Now);
            }
            let (system, reason) = (super::SYSTEM, failure(true, &answer).to_string());
            match find().await? {
                Some(found) => return Ok(Made::Before(found)),
                None if is_other_request && !sight.others => {
                    return Err(Error::Unavailable { system, reason, retry_after: None });
                }
                None if !is_other_request && !sight.own => return Err(Error::OutcomeUnknown { system, reason }),
                None => {}
            }
        }
        let reason = "Stripe answers with failures of its own under each key".to_owned();
        Err(Error::OutcomeUnknown { system: super::SYSTEM, reason })
    }

    /// All objects of a list that `wanted` takes, page by page.
    pub(super) async fn list<T: Listed>(
        &self,
        cause: &Cause,
        mut url: Url,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Error> {
        url.query_pairs_mut().append_pair("limit", PAGE);
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut at = url.clone();
            if let Some(after) = &after {
                at.query_pairs_mut().append_pair("starting_after", after);
            }
            let page: Page<T> = read(false, &self.get(cause, at).await?)?;
            let last = page.data.last().map(|object| object.id().to_owned());
            all.extend(page.data.into_iter().filter(&wanted));
            match last {
                Some(last) if page.has_more && after.as_ref() != Some(&last) => after = Some(last),
                _ => return Ok(all),
            }
        }
    }

    /// What a search finds. It may be up to a minute behind the last write.
    pub(super) async fn search<T: DeserializeOwned>(&self, cause: &Cause, url: Url) -> Result<Vec<T>, Error> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let mut at = url.clone();
            if let Some(next) = &next {
                at.query_pairs_mut().append_pair("page", next);
            }
            let page: Page<T> = read(false, &self.get(cause, at).await?)?;
            all.extend(page.data);
            match page.next_page.filter(|_| page.has_more) {
                Some(page) if next.as_ref() != Some(&page) => next = Some(page),
                _ => return Ok(all),
            }
        }
    }
}

/// What a look-up is certain to show.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    /// What an earlier request with the same parameters made.
    pub(super) own: bool,
    /// What one with other parameters made.
    pub(super) others: bool,
}

impl Sight {
    pub(super) const ALL: Self = Self { own: true, others: true };
}

/// Who made a thing.
pub(super) enum Made<T> {
    /// This call, or an earlier one with the same key.
    Now(T),
    /// Somebody else.
    Before(T),
}

/// At most 255 characters, whatever is in our keys.
fn idempotency_key(key: &str, attempt: u32) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if attempt == 0 { format!("tl-{hex}") } else { format!("tl-{hex}-{attempt}") }
}
