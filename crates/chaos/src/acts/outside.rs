//! An outside system that does everything one can do wrong, while effects are sent to it.

use super::{EVENTS, PAUSE};
use crate::{outcome::End, trial::Trial};
use serde_json::json;
use std::time::Instant;

pub async fn misbehaves(trial: &Trial) -> Result<(), End> {
    let records = "/services/rest/record/*";
    let rules = [
        ("took place, then silence", json!({"every": 23, "times": 8, "drop_after_commit": true})),
        ("cut before anything", json!({"every": 29, "times": 8, "drop_before": true})),
        ("500 after the effect", json!({"every": 31, "times": 6, "status": 500, "after_commit": true})),
        ("503 before it", json!({"every": 37, "times": 6, "status": 503})),
        ("429 with Retry-After", json!({"every": 41, "times": 4, "status": 429, "headers": {"Retry-After": "1"}})),
        ("429 without", json!({"every": 43, "times": 4, "status": 429})),
        ("broken JSON", json!({"every": 47, "times": 4, "broken_json": true})),
        ("took place late", json!({"every": 53, "times": 3, "delay_ms": 100, "late_commit_ms": 300})),
        ("seen late", json!({"every": 59, "times": 3, "visibility_ms": 300, "drop_after_commit": true})),
    ];
    for (id, rule) in &rules {
        let mut rule = rule.clone();
        rule["id"] = json!(id);
        rule["path"] = json!(records);
        trial.erp.add_fault(&rule).await?;
    }
    trial
        .under_load(EVENTS, PAUSE, async {
            trial.until_effects(500).await?;
            let mut missed = Vec::new();
            for (id, _) in &rules {
                let hits = trial.erp.hits(id).await?;
                trial.note(id, hits);
                missed.extend((hits == 0).then_some(*id));
            }
            if !missed.is_empty() {
                return Err(End::Void(format!("never happened: {}", missed.join(", "))));
            }
            let since = Instant::now();
            trial.erp.heal().await?;
            trial.recovered(since).await
        })
        .await
}
