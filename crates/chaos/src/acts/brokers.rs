//! What happens to a cluster of three brokers, of whose copies of a record two must be there.

use super::{EVENTS, PAUSE, parts::stands_still};
use crate::{cases::Lack, outcome::End, stage::ERP_SYNC, trial::Trial};
use std::time::Instant;

const BROKERS: [&str; 3] = ["kafka", "kafka-2", "kafka-3"];

pub async fn lack(trial: &Trial, lack: Lack) -> Result<(), End> {
    match lack {
        Lack::Rolling | Lack::Killed => one_after_the_other(trial, lack).await,
        Lack::Majority => two_at_once(trial).await,
    }
}

/// Each is away until work has gone on without it: leader of a third of the partitions, and one of them controller, one coordinator.
async fn one_after_the_other(trial: &Trial, lack: Lack) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE * 2, async {
            for broker in BROKERS {
                let before = trial.erp.effect_count().await?;
                trial.until_effects(before + 30).await?;
                let since = Instant::now();
                if lack == Lack::Killed {
                    trial.kill(broker).await?;
                } else {
                    trial.lose(broker);
                }
                trial.hold(broker).await?;
                let before = trial.erp.effect_count().await?;
                trial.until_effects(before + 10).await?;
                trial.note("work went on without it", 1);
                trial.recovered(since).await?;
                trial.release(broker).await?;
            }
            Ok(())
        })
        .await
}

async fn two_at_once(trial: &Trial) -> Result<(), End> {
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(100).await?;
            let pid = trial.pid(ERP_SYNC)?;
            for broker in &BROKERS[1..] {
                trial.kill(broker).await?;
                trial.hold(broker).await?;
            }
            stands_still(trial, pid).await?;
            let since = Instant::now();
            let (two, three) = tokio::join!(trial.release(BROKERS[1]), trial.release(BROKERS[2]));
            two?;
            three?;
            trial.recovered(since).await
        })
        .await
}
