//! Sign-in: the assertion's rules, tokens by the virtual clock, the answer to a call without one.

mod common;

use common::{ask_for_token, claims, send, sign, start, start_with};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use sandbox::Settings;
use serde_json::json;

#[tokio::test]
async fn a_good_assertion_gets_a_bearer_token_for_an_hour() {
    let erp = start().await;
    let assertion = sign(&erp.sandbox, &erp.sandbox.credentials().certificate_id, &claims(&erp.sandbox));
    let answer = ask_for_token(&erp.http, &erp.sandbox.url(), &assertion).await;
    assert_eq!(answer.status, 200);
    assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("bearer"), &json!("3600")));
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn an_assertion_that_breaks_a_rule_is_an_invalid_grant() {
    let erp = start().await;
    let sandbox = &erp.sandbox;
    let kid = &sandbox.credentials().certificate_id;
    let now = jiff::Timestamp::now().as_second();
    let changed = |name: &str, value: serde_json::Value| {
        let mut claims = claims(sandbox);
        claims[name] = value;
        sign(sandbox, kid, &claims)
    };
    let cases = [
        (changed("iss", json!("somebody")), "iss"),
        (changed("aud", json!("https://example.com/token")), "aud"),
        (changed("exp", json!(now - 1)), "expired"),
        (changed("exp", json!(now + 3_700)), "hour"),
        (changed("iat", json!(now + 600)), "future"),
        (changed("scope", json!(["restlets"])), "scope"),
        (sign(sandbox, "other-certificate", &claims(sandbox)), "other-certificate"),
        ("no.jwt".to_owned(), "JWT"),
    ];
    for (assertion, reason) in cases {
        let answer = ask_for_token(&erp.http, &sandbox.url(), &assertion).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_grant")));
        let description = answer.body["error_description"].as_str().unwrap_or_default();
        assert!(description.contains(reason), "{reason}: {description}");
    }
}

#[tokio::test]
async fn a_foreign_key_or_a_weaker_algorithm_is_refused() {
    let erp = start().await;
    let kid = erp.sandbox.credentials().certificate_id.clone();
    let stranger = sandbox::dev_credentials().expect("a key pair");
    let pem = secrecy::ExposeSecret::expose_secret(&stranger.private_key_pem).as_bytes();
    let key = EncodingKey::from_ec_pem(pem).expect("an EC key");
    let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::ES256) };
    let forged = jsonwebtoken::encode(&header, &claims(&erp.sandbox), &key).expect("it signs");
    let weak = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
    let weak = jsonwebtoken::encode(&weak, &claims(&erp.sandbox), &EncodingKey::from_secret(b"x")).expect("it signs");
    for assertion in [forged, weak] {
        let answer = ask_for_token(&erp.http, &erp.sandbox.url(), &assertion).await;
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_grant")));
    }
}

#[tokio::test]
async fn a_wrong_form_is_answered_in_the_words_of_oauth() {
    let erp = start().await;
    for (form, error) in [
        ("grant_type=password", "unsupported_grant_type"),
        ("", "invalid_request"),
        ("grant_type=client_credentials&client_assertion=x", "invalid_request"),
    ] {
        let url = format!("{}/services/rest/auth/oauth2/v1/token", erp.sandbox.url());
        let answer = send(erp.http.post(url).body(form)).await.expect("an answer");
        assert_eq!((answer.status, &answer.body["error"]), (400, &json!(error)));
    }
}

#[tokio::test]
async fn calls_without_a_live_token_are_challenged_and_change_nothing() {
    let erp = start().await;
    let url = format!("{}/services/rest/record/v1/customer/eid:A", erp.sandbox.url());
    for request in
        [erp.http.put(&url), erp.http.put(&url).bearer_auth("unknown"), erp.http.put(&url).basic_auth("a", Some("b"))]
    {
        let answer = send(request.json(&common::customer("A"))).await.expect("an answer");
        assert_eq!(answer.error(), (401, "INVALID_LOGIN", ""));
        assert!(answer.header("www-authenticate").contains("error=\"token_rejected\""));
    }
    assert_eq!(erp.state().await["effects"], 0);
}

#[tokio::test]
async fn a_token_expires_by_the_virtual_clock_and_a_new_one_can_be_had() {
    let erp = start_with(Settings { token_seconds: 1_800, ..Settings::default() }).await;
    assert_eq!(erp.get("/customer").await.status, 200);
    erp.admin(Method::POST, "/clock", json!({ "advance_ms": 1_800_000 })).await;
    assert_eq!(erp.get("/customer").await.error().1, "INVALID_LOGIN");
    let assertion = sign(&erp.sandbox, &erp.sandbox.credentials().certificate_id, &claims(&erp.sandbox));
    let again = ask_for_token(&erp.http, &erp.sandbox.url(), &assertion).await;
    assert_eq!(again.status, 200, "the client's clock is its own");
}
