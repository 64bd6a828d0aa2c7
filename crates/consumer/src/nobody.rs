//! The outside system of a service that has none.

use crate::{Intent, Limits, NoEffect, Receipt, Target};
use async_trait::async_trait;
use failure::Failure;

/// Nothing is ever asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl Target<NoEffect> for Nobody {
    async fn apply(&self, intents: &[Intent<NoEffect>]) -> Vec<Result<Receipt, Failure>> {
        intents.iter().map(|intent| match intent.effect {}).collect()
    }

    async fn look_up(&self, intent: &Intent<NoEffect>) -> Result<Option<Receipt>, Failure> {
        match intent.effect {}
    }

    fn limits(&self) -> Limits {
        Limits { batch: 1, concurrency: 1, per_second: None, visibility_ms: 0 }
    }
}
