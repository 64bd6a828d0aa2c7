//! Plan files, which lie with people between the day they are made and the day they are applied, and the selections they are made from.

use crate::Target;
use control::{lane::LanePlan, letters::Selection, plan::Plan};
use serde_json::{Value, json};

pub struct Plans;

impl Target for Plans {
    fn name(&self) -> &'static str {
        "plans"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        let letters = json!({"v": 1, "action": "retry", "service": "erp-sync", "selection": {"code": "PERIOD_CLOSED"},
            "cut_off": "2026-01-01T00:00:00Z", "made_by": "a", "followers": 3, "at_risk": {"EUR": 100}, "by_code": {"PERIOD_CLOSED": 1},
            "items": [{"id": "erp-sync/0/1", "version": 1, "code": "PERIOD_CLOSED", "predicted": "apply"}],
            "predicted": {"apply": 1}, "pace": {"rate": 5, "ramp": [1, 2], "stop": {"percent": 20}}, "estimate_seconds": 1});
        let lane = json!({"v": 1, "action": "replay", "service": "erp-sync", "topic": "dlq.erp-sync", "letters": true,
            "selection": {"since": "2026-01-01"}, "cut_off": "2026-01-01T00:00:00Z", "made_by": "a", "read": 2, "predicted": {"apply": 1},
            "items": [[0, 1], [3, 17]], "refused": [{"at": "0/2", "why": "x"}], "lane_ends": [0, 9]});
        let selection =
            json!({"class": "business", "attempts": ">=3", "where": "attempts > 3", "ids": ["a"], "sample": 5});
        [letters, lane, selection].map(|value| value.to_string().into_bytes()).to_vec()
    }
    fn words(&self) -> &'static [&'static str] {
        &[
            "null",
            "-1",
            "9223372036854775807",
            "1e400",
            "[]",
            "{}",
            "\"erase\"",
            "\"edit\":{",
            "\"target\":{",
            "\"all\":true",
            ",",
        ]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return Ok("no JSON".to_owned()) };
        let mut taken = Vec::new();
        if let Ok(plan) = serde_json::from_value::<Plan>(value.clone()) {
            // Whatever can be a plan is, once sealed, that plan and no other.
            match Plan::open(&plan.sealed()) {
                Ok((again, hash)) if again == plan && hash == plan.hash() => taken.push("letters"),
                Ok((again, _)) => return Err(format!("{plan:?} becomes {again:?}")),
                Err(_) if plan.v != 1 => taken.push("another version"),
                Err(error) => return Err(format!("a sealed plan is refused: {error}")),
            }
        }
        if let Ok(plan) = serde_json::from_value::<LanePlan>(value.clone()) {
            match LanePlan::open(&plan.sealed()) {
                Ok((again, _)) if again == plan => taken.push("records"),
                Ok((again, _)) => return Err(format!("{plan:?} becomes {again:?}")),
                Err(_) => taken.push("records, refused"),
            }
        }
        if let Ok(selection) = serde_json::from_value::<Selection>(value.clone()) {
            let again = serde_json::to_value(&selection).map_err(|error| error.to_string())?;
            let again = serde_json::from_value::<Selection>(again).map_err(|error| error.to_string())?;
            if again != selection {
                return Err(format!("{selection:?} becomes {again:?}"));
            }
            taken.push("selection");
        }
        // As a file that somebody brings, unsealed or with a hash of its own.
        let opened = Plan::open(&value).is_ok() || LanePlan::open(&value).is_ok();
        Ok(format!("{} {opened}", taken.join(" ")))
    }
}
