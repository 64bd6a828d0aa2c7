//! An outside system whose calls are noted, so that they can be made again without a service.

use async_trait::async_trait;
use consumer::{Effect, Intent, Limits, Receipt, Target};
use failure::Failure;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Calls by account, each with the id that the system gave to what it made.
type Calls<E> = BTreeMap<String, Vec<(Intent<E>, String)>>;

/// Passes calls on and keeps each that was answered well, by account. Clones share what is kept.
pub struct Kept<T, E> {
    inner: Arc<T>,
    calls: Arc<Mutex<Calls<E>>>,
}

impl<T, E> Clone for Kept<T, E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), calls: self.calls.clone() }
    }
}

/// Whose calls stay in order.
pub trait Owned {
    fn owner(&self) -> &str;
}

impl Owned for erp_sync::effect::ErpEffect {
    fn owner(&self) -> &str {
        self.account_id()
    }
}

impl<T: Target<E>, E: Effect + Owned> Kept<T, E> {
    pub fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    /// Makes all calls again: those of an account one after another, accounts beside each other as far as the system's limit goes.
    pub async fn repeat(&self) -> anyhow::Result<()> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        let free = Semaphore::new(self.inner.limits().concurrency);
        let account = |calls: Vec<(Intent<E>, String)>| async {
            let mut ids = BTreeMap::new();
            for (call, first_id) in calls {
                let _permit = free.acquire().await?;
                let effect = with_ids(&call.effect, &ids)?;
                for result in self.inner.apply(&[Intent { effect, ..call }]).await {
                    let receipt = result.map_err(|failure| anyhow::anyhow!("a repeated call: {failure}"))?;
                    ids.insert(first_id.clone(), receipt.external_id);
                }
            }
            anyhow::Ok(())
        };
        futures::future::try_join_all(calls.into_values().map(account)).await?;
        Ok(())
    }
}

#[async_trait]
impl<T: Target<E>, E: Effect + Owned> Target<E> for Kept<T, E> {
    async fn apply(&self, intents: &[Intent<E>]) -> Vec<Result<Receipt, Failure>> {
        let results = self.inner.apply(intents).await;
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for (intent, receipt) in
            intents.iter().zip(&results).filter_map(|(intent, result)| Some((intent, result.as_ref().ok()?)))
        {
            let made = (intent.clone(), receipt.external_id.clone());
            calls.entry(intent.effect.owner().to_owned()).or_default().push(made);
        }
        drop(calls);
        results
    }

    async fn look_up(&self, intent: &Intent<E>) -> Result<Option<Receipt>, Failure> {
        self.inner.look_up(intent).await
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }
}

/// Whether it names a record of the system in the form of the mapping.
fn is_reference(fields: &Map<String, Value>) -> bool {
    fields.len() == 1 && ["id", "external_id"].iter().any(|name| fields.contains_key(*name))
}

/// The effect as it would have been, had its account's records been given these ids: the system counts them anew.
fn with_ids<E: Effect>(effect: &E, ids: &BTreeMap<String, String>) -> anyhow::Result<E> {
    fn rename(value: &mut Value, ids: &BTreeMap<String, String>) {
        match value {
            Value::String(text) => {
                if let Some(id) = ids.get(text) {
                    text.clone_from(id);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| rename(item, ids)),
            // What the mapping refers to, such as an account of the ledger, was there before and has the name it had, though a
            // record that was made may have been given the same number.
            Value::Object(fields) if is_reference(fields) => {}
            Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, ids)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut json = serde_json::to_value(effect)?;
    rename(&mut json, ids);
    Ok(serde_json::from_value(json)?)
}
