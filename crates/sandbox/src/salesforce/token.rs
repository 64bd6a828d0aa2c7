//! OAuth 2.0 JWT bearer flow: an assertion signed with RS256 becomes a session.

use axum::http::{HeaderValue, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::json;

use super::{app::App, credentials::DevCredentials, refusal::Refusal};
use crate::call::{Call, Reply};

pub const PATH: &str = "/services/oauth2/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Where assertions for production and for sandboxes are addressed.
const AUDIENCES: [&str; 2] = ["https://login.salesforce.com", "https://test.salesforce.com"];
/// How far ahead an assertion may end, with what clocks may differ by.
const MOST_AHEAD_SECONDS: i64 = 180 + 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
}

/// Answers the token endpoint.
pub fn issue(app: &App, call: &Call) -> Reply {
    match check(app, call) {
        Ok(()) => {
            let now = app.clock.now_ms();
            let session = format!("00Dfj0!{}", uuid::Uuid::new_v4().simple());
            let life_ms = app.settings().session_seconds.saturating_mul(1_000);
            app.state().tokens.add(&session, now.saturating_add_unsigned(life_ms), now);
            // How long the session lives is the organisation's policy; the answer does not tell.
            let body = json!({
                "access_token": session,
                "scope": "api",
                "instance_url": app.base_url(),
                "id": format!("{}/id/00Dfj0000000001EAA/005fj0000000001AAA", app.base_url()),
                "token_type": "Bearer",
            });
            Reply::json(200, "application/json", &body)
                .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        }
        Err((error, description)) => {
            Reply::json(400, "application/json", &json!({ "error": error, "error_description": description }))
        }
    }
}

type Rejected = (&'static str, String);

fn check(app: &App, call: &Call) -> Result<(), Rejected> {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some(GRANT) {
        return Err(("unsupported_grant_type", "grant type not supported".to_owned()));
    }
    let assertion = field("assertion").ok_or_else(|| ("invalid_request", "assertion is missing".to_owned()))?;
    let own = format!("http://{}", call.header("host").unwrap_or_default());
    let audiences = [AUDIENCES[0], AUDIENCES[1], app.base_url(), &own];
    // A client signs by its own clock, whatever the virtual one of ours says.
    check_assertion(app.credentials(), &audiences, jiff::Timestamp::now().as_second(), assertion)
        .map_err(|reason| ("invalid_grant", reason))
}

fn check_assertion(known: &DevCredentials, audiences: &[&str], now: i64, assertion: &str) -> Result<(), String> {
    let header = decode_header(assertion).map_err(|_| "invalid assertion".to_owned())?;
    if header.alg != Algorithm::RS256 {
        return Err(format!("algorithm {:?} is not accepted; sign with RS256", header.alg));
    }
    let key = DecodingKey::from_rsa_pem(known.public_key_pem().as_bytes())
        .map_err(|_| "the certificate of the app cannot be read".to_owned())?;
    let mut validation = Validation::new(Algorithm::RS256);
    // Times and audience are checked below, with more to say.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Claims>(assertion, &key, &validation).map_err(|_| "invalid assertion".to_owned())?.claims;
    match claims {
        Claims { iss, .. } if iss != known.client_id => Err("client identifier invalid".to_owned()),
        Claims { sub, .. } if sub != known.username => Err("user hasn't approved this consumer".to_owned()),
        Claims { aud, .. } if !audiences.contains(&aud.as_str()) => Err("audience is invalid".to_owned()),
        Claims { exp, .. } if exp <= now => Err("assertion has expired".to_owned()),
        Claims { exp, .. } if exp > now + MOST_AHEAD_SECONDS => Err("exp is more than three minutes ahead".to_owned()),
        Claims { .. } => Ok(()),
    }
}

/// Lets a call with a live session through.
///
/// # Errors
/// 401 `INVALID_SESSION_ID`: no session, an unknown one, or an expired one.
pub fn authenticate(app: &App, call: &Call) -> Result<(), Refusal> {
    let Some(authorization) = call.header("authorization") else {
        return Err(Refusal::new("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"));
    };
    let session = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let is_live = session.is_some_and(|(_, session)| app.state().tokens.is_live(session.trim(), app.clock.now_ms()));
    if is_live { Ok(()) } else { Err(Refusal::new("INVALID_SESSION_ID", "Session expired or invalid")) }
}
