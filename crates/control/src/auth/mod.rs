//! Who asks: a token from a file of this machine, or an OIDC bearer token. Time is an argument.

mod oidc;
mod token_file;

pub use oidc::{Keys, Oidc, OidcConfig};
pub use token_file::{TokenFile, make_token_file};

use crate::{
    error::{Error, Kind, Result},
    rights::Caller,
};

/// How callers prove who they are. Where both are configured, a token that looks like a JWT is taken for one.
#[derive(Debug, Default)]
pub struct Authenticator {
    pub local: Option<TokenFile>,
    pub oidc: Option<Oidc>,
}

/// What every refusal of a token says first.
const WWW: &str = "send Authorization: Bearer <token>";

impl Authenticator {
    /// Finds out who sent this `Authorization` header.
    ///
    /// # Errors
    /// `Unauthenticated`, with what is wrong with the token; `Unavailable` if the provider's keys cannot be fetched.
    pub async fn caller(&self, authorization: Option<&str>, now_ms: i64) -> Result<Caller> {
        let token = authorization
            .and_then(|header| header.strip_prefix("Bearer "))
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| refused("there is no bearer token"))?;
        match (&self.local, &self.oidc) {
            (_, Some(oidc)) if looks_like_jwt(token) => oidc.caller(token, now_ms).await,
            (Some(local), _) => local.caller(token),
            (None, _) => Err(refused("the token is no JWT")),
        }
    }
}

fn looks_like_jwt(token: &str) -> bool {
    token.split('.').count() == 3 && token.starts_with("ey")
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::Unauthenticated, "UNAUTHENTICATED", message).hint(WWW)
}
