//! What is odd about the records, and about the time of day.

use super::{EVENTS, PAUSE};
use crate::{
    cases::Odd,
    clock,
    outcome::End,
    stage::ERP_SYNC,
    trial::{PATIENCE, SOON, Trial},
};
use e2e::member::Member;
use std::time::{Duration, Instant};
use testkit::{business::Faults, eventually};

/// The faults of the generated business.
pub const fn faults(odd: Odd) -> Faults {
    match odd {
        Odd::Copies => Faults { duplicates: 0.5, disorder: 0.1, ..Faults::NONE },
        Odd::Disorder => Faults { disorder: 0.3, cross_topic_disorder: 0.3, ..Faults::NONE },
        Odd::Poison => Faults { duplicates: 0.05, poison: 0.1, contract_errors: 0.2, conflicts: 0.1, ..Faults::NONE },
    }
}

pub async fn odd(trial: &Trial, odd: Odd) -> Result<(), End> {
    trial.under_load(EVENTS, PAUSE / 5, async { Ok(()) }).await?;
    if odd != Odd::Copies {
        return Ok(());
    }
    let effects = trial.erp.effects().await?.len();
    let again = trial.publish_again().await?;
    trial.note("published again", again);
    trial.stage.bench.verified(PATIENCE).await?;
    let after = trial.erp.effects().await?.len();
    // Not all was done before the first count; what was done after it is in the books, which are compared.
    if after < effects {
        return Err(End::Broken(format!("I2: {effects} effects became {after}")));
    }
    Ok(())
}

/// Longer than a session of the group.
const CALL: Duration = Duration::from_secs(8);

pub async fn outside_slow(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(50).await?;
            let before = epochs(trial).await?;
            let rule = serde_json::json!({"id": "slow", "path": "/services/rest/record/*", "delay_ms": CALL.as_millis() as u64});
            trial.erp.add_fault(&rule).await?;
            tokio::time::sleep(CALL * 3).await;
            trial.note("calls longer than a session", trial.erp.hits("slow").await?);
            let after = epochs(trial).await?;
            if before != after {
                return Err(End::Broken("a slice changed hands while calls were slow".to_owned()));
            }
            trial.note("slices stayed with their owner", after.len() as u64);
            let since = Instant::now();
            trial.erp.heal().await?;
            trial.recovered(since).await
        })
        .await
}

async fn epochs(trial: &Trial) -> Result<Vec<(i32, i64)>, End> {
    let slices = trial.stage.bench.ledger.slices().await.map_err(anyhow::Error::from)?;
    Ok(slices.iter().map(|slice| (slice.slice, slice.epoch)).collect())
}

/// Seconds ahead of the right time, one after the other.
const JUMPS: [i64; 3] = [3_600, -3_600, 0];
/// How long each lasts.
const LASTS: Duration = Duration::from_secs(8);

pub async fn clock(trial: &Trial) -> Result<(), End> {
    let clock = trial.stage.clock.as_ref().ok_or_else(|| End::Void("there is no clock to set".to_owned()))?;
    trial
        .under_load(EVENTS, PAUSE * 2, async {
            trial.until_effects(60).await?;
            for ahead in JUMPS {
                let since = Instant::now();
                clock.set(ahead)?;
                let noticed = async || match clock::ahead(&Member::of(&trial.stage.bench.stack, ERP_SYNC)?).await {
                    Ok(found) if (found - ahead).abs() < 60 => Ok(()),
                    other => Err(anyhow::anyhow!("{other:?} seconds ahead, not {ahead}")),
                };
                let noticed = eventually("the process sees another time of day", SOON, noticed).await;
                noticed.map_err(|error| End::Void(error.to_string()))?;
                trial.note("another time of day", u64::from(ahead != 0));
                trial.lose(ERP_SYNC);
                tokio::time::sleep(LASTS).await;
                trial.recovered(since).await?;
            }
            Ok(())
        })
        .await
}
