//! Standing rules through the API.

use crate::stage::{NOW_MS, SERVICE, Stage, TOPIC, closed, path_id};
use ledger::{Destination, Outlook, RuleAction};
use serde_json::{Value, json};

fn rule() -> Value {
    json!({ "service": SERVICE, "owner": "finance", "action": "retry", "every": "1h", "code": "PERIOD_CLOSED",
        "ends": "2027-06-30T00:00:00Z", "reason": "month's end" })
}

fn with(change: Value) -> Value {
    let mut rule = rule();
    for (name, value) in change.as_object().unwrap() {
        rule[name] = value.clone();
    }
    rule
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_added_shown_expires_and_is_removed_on_the_record() {
    let stage = Stage::set_up().await;
    let added = stage.post("steward", "/v1/rules", rule()).await;
    assert_eq!(added.status, 200, "{added:?}");
    let id = added.body["rule"]["id"].as_str().unwrap().to_owned();
    let stored = stage.ledger.letter_rules().await.unwrap().remove(0);
    assert_eq!((stored.who.as_str(), stored.action), ("steward", RuleAction::Retry { every_ms: 3_600_000 }));
    let listed = stage.get("viewer", "/v1/rules").await.body;
    assert_eq!((&listed["rules"][0]["id"], &listed["rules"][0]["state"]), (&json!(id), &json!("active")));
    stage.clock.store(NOW_MS + 400 * 24 * 3_600_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.get("viewer", "/v1/rules").await.body["rules"][0]["state"], "expired");
    let remove = format!("/v1/rules/{id}/remove");
    let gone = stage.post("steward", &remove, json!({ "service": SERVICE, "reason": "over" })).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert!(stage.ledger.letter_rules().await.unwrap().is_empty());
    let again = stage.post("steward", &remove, json!({ "service": SERVICE, "reason": "over" })).await;
    assert_eq!(again.status, 404);
    let audit: Vec<_> = stage.ledger.audit(9).await.unwrap().into_iter().map(|row| row.row).collect();
    let actions: Vec<_> = audit.iter().map(|row| (row.actor.as_str(), row.action.as_str())).collect();
    assert_eq!(actions, [("steward", "rule.add"), ("steward", "rule.remove")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_meant_are_refused_and_change_nothing() {
    let stage = Stage::set_up().await;
    for (change, said) in [
        (json!({ "every": null }), "needs `every`"),
        (json!({ "every": "soon" }), "no duration"),
        (json!({ "every": "10s" }), "once a minute"),
        (json!({ "action": "discard" }), "belongs to rules that retry"),
        (json!({ "action": "discard", "every": null, "code": null, "class": "poison" }), "names a code"),
        (json!({ "action": "redirect", "every": null }), "needs `to`"),
        (json!({ "action": "redirect", "every": null, "to": "nowhere" }), "nowhere"),
        (json!({ "action": "redirect", "every": null, "to": format!("dlq.{SERVICE}") }), "only its owner"),
        (json!({ "to": "quarantine" }), "belongs to rules that redirect"),
        (json!({ "code": null }), "selects nothing"),
        (json!({ "class": "dependency" }), "not one of business"),
        (json!({ "ends": "tomorrow" }), "no point in time"),
        (json!({ "ends": "2026-01-01T00:00:00Z" }), "within a year"),
        (json!({ "ends": "2030-01-01T00:00:00Z" }), "within a year"),
        (json!({ "owner": " " }), "needs an owner"),
        (json!({ "service": "payroll" }), "no service"),
    ] {
        let answer = stage.post("admin", "/v1/rules", with(change.clone())).await;
        let message = answer.body["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status >= 400 && answer.status < 500 && message.contains(said), "{change}: {answer:?}");
    }
    assert!(stage.ledger.letter_rules().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_redirects_knows_the_topic_and_its_partitions_and_needs_the_right_to_move() {
    let stage = Stage::set_up().await;
    stage.broker.create_topic("quarantine", 3).unwrap();
    let wanted = with(json!({ "action": "redirect", "every": null, "to": "quarantine" }));
    assert_eq!(stage.post("operator", "/v1/rules", wanted.clone()).await.status, 403);
    let added = stage.post("steward", "/v1/rules", wanted).await;
    assert_eq!((added.status, &added.body["rule"]["to"]), (200, &json!("quarantine")), "{added:?}");
    let to = Destination { topic: "quarantine".to_owned(), partitions: 3 };
    assert_eq!(stage.ledger.letter_rules().await.unwrap()[0].action, RuleAction::Redirect(to));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_letters_say_what_would_become_of_them_now() {
    let stage = Stage::set_up().await;
    stage.park(&[("a", closed())]).await;
    let fingerprint = failure::fingerprint(SERVICE, TOPIC, &closed());
    let outlook = Outlook {
        slice: 0,
        fingerprint,
        checked_ms: NOW_MS,
        build: "1".to_owned(),
        sampled: 1,
        would_end: 1,
        would_ask: 0,
        job: None,
        note: None,
    };
    stage.ledger.put_outlooks(0, &[outlook]).await.unwrap();
    let groups = stage.get("viewer", "/v1/groups").await.body;
    assert_eq!(groups["groups"][0]["now"], "would apply now (1 of 1 asked about)", "{groups}");
    let letter = stage.get("viewer", &format!("/v1/letters/{}", path_id("a"))).await.body;
    assert_eq!(letter["letter"]["now"], "would apply now (1 of 1 asked about)", "{letter}");
}
