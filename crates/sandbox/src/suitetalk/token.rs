//! OAuth 2.0 client credentials with a signed client assertion, and the check of access tokens.

use axum::http::{HeaderValue, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::json;

use super::TOKEN_PATH;
use crate::{
    app::App,
    books::refusal::{Code, Refusal},
    call::{Call, Reply},
    clock::timestamp,
    credentials::Certificate,
};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion may live an hour at most.
const MAX_ASSERTION_SECONDS: i64 = 3_600;
/// Clocks of client and server may differ by this much.
const SKEW_SECONDS: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: i64,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scope {
    List(Vec<String>),
    Words(String),
}

/// Answers the token endpoint.
pub fn issue(app: &App, call: &Call) -> Reply {
    match check_request(app, call) {
        Ok(()) => {
            let now = app.clock.now_ms();
            let lifetime = app.settings().token_seconds;
            let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            let expires = now.saturating_add_unsigned(lifetime.saturating_mul(1_000));
            app.state().tokens.add(&token, expires, now);
            let body = json!({ "access_token": token, "expires_in": lifetime.to_string(), "token_type": "bearer" });
            Reply::json(200, "application/json", &body)
                .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        }
        Err((error, description)) => {
            let body = json!({ "error": error, "error_description": description });
            Reply::json(400, "application/json", &body)
        }
    }
}

type Rejected = (&'static str, String);

fn check_request(app: &App, call: &Call) -> Result<(), Rejected> {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(other) => return Err(("unsupported_grant_type", format!("grant_type {other} is not supported"))),
        None => return Err(("invalid_request", "grant_type is missing".to_owned())),
    }
    if field("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(("invalid_request", format!("client_assertion_type must be {ASSERTION_TYPE}")));
    }
    let assertion = field("client_assertion").ok_or(("invalid_request", "client_assertion is missing".to_owned()))?;
    let audiences = [
        format!("{}{TOKEN_PATH}", app.base_url()),
        format!("http://{}{TOKEN_PATH}", call.header("host").unwrap_or_default()),
    ];
    let expired = |kid: &str| {
        app.settings().certificates_expire.get(kid).is_some_and(|from| *from <= timestamp(app.clock.now_ms()))
    };
    if let Some(kid) = decode_header(assertion).ok().and_then(|header| header.kid).filter(|kid| expired(kid)) {
        return Err(("invalid_grant", format!("the certificate {kid} has expired")));
    }
    // A client signs by its own clock, whatever the virtual one of ours says.
    check_assertion(&app.certificates, &audiences, jiff::Timestamp::now().as_second(), assertion)
        .map_err(|reason| ("invalid_grant", reason))
}

/// Checks signature and claims of a client assertion at `now` (seconds).
fn check_assertion(
    certificates: &[Certificate],
    audiences: &[String],
    now: i64,
    assertion: &str,
) -> Result<(), String> {
    let header = decode_header(assertion).map_err(|error| format!("the assertion is no JWT: {error}"))?;
    let kid = header.kid.ok_or("the assertion's header has no kid")?;
    let certificate = certificates.iter().find(|certificate| certificate.certificate_id == kid);
    let certificate = certificate.ok_or_else(|| format!("no certificate {kid} is mapped"))?;
    let pem = certificate.public_key_pem.as_bytes();
    let key = match header.alg {
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => DecodingKey::from_rsa_pem(pem),
        other => return Err(format!("algorithm {other:?} is not accepted; sign with PS256 or ES256")),
    };
    let key = key.map_err(|_| format!("certificate {kid} is not for algorithm {:?}", header.alg))?;
    let mut validation = Validation::new(header.alg);
    // Times are checked below, with more to say; the audience too, as it may be one of several names of ours.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims =
        decode::<Claims>(assertion, &key, &validation).map_err(|error| format!("the assertion is refused: {error}"))?;
    check_claims(&claims.claims, certificate, audiences, now)
}

fn check_claims(claims: &Claims, certificate: &Certificate, audiences: &[String], now: i64) -> Result<(), String> {
    if claims.iss != certificate.client_id {
        return Err("iss is not the client the certificate is mapped to".to_owned());
    }
    let is_ours = |audience: &String| audiences.contains(audience);
    let addressed = match &claims.aud {
        Audience::One(audience) => is_ours(audience),
        Audience::Many(list) => list.iter().any(is_ours),
    };
    if !addressed {
        return Err("aud is not this token endpoint".to_owned());
    }
    if claims.exp <= now {
        return Err("the assertion has expired".to_owned());
    }
    if claims.iat > now + SKEW_SECONDS {
        return Err("iat is in the future".to_owned());
    }
    if claims.exp - claims.iat > MAX_ASSERTION_SECONDS {
        return Err("exp is more than an hour after iat".to_owned());
    }
    let wanted = "rest_webservices";
    let scoped = match &claims.scope {
        Some(Scope::List(scopes)) => scopes.iter().any(|scope| scope == wanted),
        Some(Scope::Words(scopes)) => scopes.split([' ', ',']).any(|scope| scope == wanted),
        None => false,
    };
    if scoped { Ok(()) } else { Err("scope must contain rest_webservices".to_owned()) }
}

/// Lets a call with a live access token through.
///
/// # Errors
/// 401 `INVALID_LOGIN`: no token, an unknown one, or an expired one.
pub fn authenticate(app: &App, call: &Call) -> Result<(), Refusal> {
    let rejected =
        || Refusal::new(Code::InvalidLogin, "Invalid login attempt. The access token is missing, unknown or expired.");
    let authorization = call.header("authorization").ok_or_else(rejected)?;
    let (scheme, token) = authorization.split_once(' ').ok_or_else(rejected)?;
    let is_live = app.state().tokens.is_live(token.trim(), app.clock.now_ms());
    if scheme.eq_ignore_ascii_case("bearer") && is_live { Ok(()) } else { Err(rejected()) }
}
