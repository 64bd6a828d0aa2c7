//! Bearer tokens of an identity provider, at a time of the test's choosing.

use crate::stage::NOW_MS;
use control::{
    auth::{Authenticator, Keys, Oidc, OidcConfig},
    rights::{Caller, Right},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::JwkSet};
use ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use serde_json::{Value, json};

struct Issuer {
    key: EncodingKey,
    auth: Authenticator,
}

impl Issuer {
    fn new() -> Self {
        service::install_tls();
        let random = ring::rand::SystemRandom::new();
        let pair = ring::signature::EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EncodingKey::from_ec_der(pair.as_ref());
        let mut public = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("k1".to_owned());
        let config = OidcConfig {
            issuer: "https://id.example.com".to_owned(),
            audience: "throughline".to_owned(),
            jwks_url: String::new(),
            roles_claim: "roles".to_owned(),
        };
        let oidc = Oidc::with_keys(config, Keys::Fixed, JwkSet { keys: vec![public] }).unwrap();
        Self { key, auth: Authenticator { local: None, oidc: Some(oidc) } }
    }

    fn token(&self, kid: &str, claims: &Value) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key).unwrap()
    }

    async fn ask(&self, token: &str) -> Result<Caller, String> {
        let header = format!("Bearer {token}");
        self.auth.caller(Some(&header), NOW_MS).await.map_err(|error| error.message)
    }
}

fn claims() -> Value {
    let now = NOW_MS / 1_000;
    json!({ "iss": "https://id.example.com", "aud": "throughline", "sub": "u-1", "email": "ada@example.com",
        "email_verified": true, "exp": now + 300, "nbf": now - 10, "roles": ["viewer", "steward:erp-sync", "some-other-app"] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_good_token_names_its_owner_and_their_roles() {
    let issuer = Issuer::new();
    let ada = issuer.ask(&issuer.token("k1", &claims())).await.unwrap();
    assert_eq!(ada.name, "ada@example.com");
    assert!(ada.may(Right::DlqEdit, "erp-sync") && !ada.may(Right::DlqEdit, "analytics-feed"));
    let unverified = issuer.ask(&issuer.token("k1", &with("email_verified", json!(false)))).await.unwrap();
    assert_eq!(unverified.name, "u-1", "anybody may type another's address");
    let words = issuer.ask(&issuer.token("k1", &with("roles", json!("viewer auditor")))).await.unwrap();
    assert!(words.may(Right::AuditRead, "any"));
    let nothing = issuer.ask(&issuer.token("k1", &with("roles", json!(7)))).await.unwrap();
    assert!(!nothing.may_somewhere(Right::DlqRead));
}

#[tokio::test]
async fn expired_foreign_and_forged_tokens_are_refused_with_what_is_wrong() {
    let issuer = Issuer::new();
    let now = NOW_MS / 1_000;
    for (claims, said) in [
        (with("exp", json!(now - 61)), "has expired"),
        (with("nbf", json!(now + 120)), "not valid yet"),
        (with("aud", json!("another")), "not valid"),
        (with("iss", json!("https://evil.example.com")), "not valid"),
        (with("exp", Value::Null), "not valid"),
        (with("sub", Value::Null), "not valid"),
    ] {
        let refused = issuer.ask(&issuer.token("k1", &claims)).await.unwrap_err();
        assert!(refused.contains(said), "{claims}: {refused}");
    }
    let unknown_key = issuer.ask(&issuer.token("k2", &claims())).await.unwrap_err();
    assert!(unknown_key.contains("does not publish"), "{unknown_key}");
    let secret = encode(
        &Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) },
        &claims(),
        &EncodingKey::from_secret(b"x"),
    );
    assert!(issuer.ask(&secret.unwrap()).await.unwrap_err().contains("HS256"));
    let mut cut = issuer.token("k1", &claims());
    cut.truncate(cut.len() - 3);
    for bad in [cut.as_str(), "eyJ.a.b", "not-a-token", &"a".repeat(20_000)] {
        assert!(issuer.ask(bad).await.is_err(), "{}", &bad[..9]);
    }
    assert!(issuer.ask(&issuer.token("k1", &with("exp", json!(now - 59)))).await.is_ok(), "clocks may differ a little");
}
