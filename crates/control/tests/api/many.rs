//! Twenty thousand letters: every list goes page by page, and a plan of all of them is made, applied and worked off as one job.

use crate::stage::{SERVICE, Stage, closed, poison};
use control::Policy;
use serde_json::{Value, json};
use std::collections::HashSet;

const LETTERS: usize = 20_000;

async fn full() -> Stage {
    let stage = Stage::with(Policy { edit_needs_second: true, second_above: 1_000_000 }, None).await;
    let names: Vec<String> = (0..LETTERS).map(|n| format!("acct-{n:05}")).collect();
    for part in names.chunks(5_000) {
        let failure = |n: usize| if n.is_multiple_of(4) { poison() } else { closed() };
        let heads: Vec<_> = part.iter().enumerate().map(|(n, name)| (name.as_str(), failure(n))).collect();
        stage.park(&heads).await;
    }
    stage
}

async fn all_pages(stage: &Stage, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = stage.get("operator", &format!("{path}limit=1000{cursor}")).await.body;
        let Value::Array(part) = page["letters"].take() else { panic!("no page: {page}") };
        assert!(part.len() <= 1_000);
        rows.extend(part);
        let Some(next) = page["next"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_twenty_thousand_letters_go_page_by_page_and_their_counts_are_whole() {
    let stage = full().await;
    let listed = all_pages(&stage, "/v1/letters?").await;
    let ids: HashSet<&str> = listed.iter().filter_map(|letter| letter["id"].as_str()).collect();
    assert_eq!((listed.len(), ids.len()), (LETTERS, LETTERS), "each letter once");
    assert_eq!(all_pages(&stage, "/v1/export?code=PERIOD_CLOSED&").await.len(), LETTERS * 3 / 4);
    let groups = stage.get("viewer", "/v1/groups").await.body;
    let counts: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| (&group["count"], &group["keys"])).collect();
    assert_eq!(counts.len(), 2, "{groups}");
    assert!(counts.contains(&(&json!(LETTERS / 4), &json!(LETTERS / 4))), "{counts:?}");
    let stats = stage.get("viewer", "/v1/stats?by=class").await.body;
    assert_eq!((&stats["total"], &stats["stats"][1]["count"]), (&json!(LETTERS), &json!(LETTERS / 4)));
    let sampled = stage.get("viewer", "/v1/letters?sample=50&limit=1000").await.body;
    assert_eq!(sampled["letters"].as_array().unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_twenty_thousand_letters_is_made_applied_and_applied_again_as_one_job() {
    let stage = full().await;
    let mut file = stage.post("operator", "/v1/plan/retry", json!({ "all": true, "rate": 500 })).await.body;
    assert_eq!(file["plan"]["items"].as_array().unwrap().len(), LETTERS);
    assert_eq!((&file["plan"]["estimate_seconds"], &file["plan"]["service"]), (&json!(40), &json!(SERVICE)));
    let fields = file.as_object_mut().unwrap();
    fields.remove("v");
    let body = json!({ "plan": file, "reason": "the period is open again" });
    assert!(body.to_string().len() * 5 < control::MAX_BODY, "a plan five times as long fits, too");
    for _ in 0..2 {
        let job = stage.post("operator", "/v1/apply/retry", body.clone()).await.body["job"].take();
        assert_eq!((&job["total"], &job["pending"]), (&json!(LETTERS), &json!(LETTERS)));
    }
    assert_eq!(stage.get("viewer", "/v1/jobs").await.body["jobs"].as_array().unwrap().len(), 1);
}
