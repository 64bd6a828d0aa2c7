//! Settings of control besides those that every service has.

use crate::auth::{Authenticator, Oidc, OidcConfig, TokenFile, make_token_file};
use consumer::runtime;
use secrecy::SecretString;
use service::config::{Config, Section};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// `[api]`, `[auth]`, `[oidc]`, `[kafka]`, `[registry]`, `[ledger]`, `[ledgers]`.
#[derive(Debug)]
pub struct ControlConfig {
    pub api: Api,
    pub auth: Auth,
    oidc: OidcSection,
    pub kafka: kafka::ClientConfig,
    pub registry: kafka::RegistryConfig,
    pub ledger: LedgerSection,
    /// URL by service.
    pub ledgers: BTreeMap<String, String>,
}

/// `[api]`.
#[derive(Debug)]
pub struct Api {
    pub bind: SocketAddr,
    /// Whether an edit needs another person's agreement.
    pub edit_needs_second: bool,
    /// A plan of more letters than this needs another person's.
    pub second_above: i64,
}

/// `[auth]`.
#[derive(Debug)]
pub struct Auth {
    pub token_file: Option<PathBuf>,
    /// Make the file if it is not there.
    pub make: bool,
}

#[derive(Debug)]
struct OidcSection {
    issuer: Option<String>,
    audience: Option<String>,
    jwks_url: Option<String>,
    roles_claim: String,
}

/// `[ledger]`: control's own, where refused attempts are kept.
#[derive(Debug)]
pub struct LedgerSection {
    pub url: String,
    pub password: Option<SecretString>,
}

impl Config for ControlConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let config = Self {
            api: s.section("api"),
            auth: s.section("auth"),
            oidc: s.section("oidc"),
            kafka: named(s.section::<runtime::Kafka>("kafka").client),
            registry: s.section::<runtime::Registry>("registry").0,
            ledger: s.section("ledger"),
            ledgers: s.map("ledgers", "ledger of each service, by its name: postgres://… or sqlite:///…"),
        };
        let known = config.auth.token_file.is_some() || config.oidc.issuer.is_some();
        let hint = "set `auth.token_file`, or `oidc.issuer` with its audience and keys";
        s.rule(&["auth.token_file", "oidc.issuer"], known, "nobody could prove who they are", hint);
        s.rule(&["ledgers"], !config.ledgers.is_empty(), "names no service", "[ledgers] erp-sync = \"sqlite:///…\"");
        config
    }
}

fn named(client: kafka::ClientConfig) -> kafka::ClientConfig {
    kafka::ClientConfig { client_id: "throughline-control".to_owned(), ..client }
}

impl Config for Api {
    fn read(s: &mut Section<'_>) -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            bind: s.or("bind", local, "address of the API; port 0 takes a free one"),
            edit_needs_second: s.or("edit_needs_second", true, "an edited event waits until another person agrees"),
            second_above: s.or("second_above", 10_000_i64, "a plan of more letters than this needs a second person"),
        }
    }
}

impl Config for Auth {
    fn read(s: &mut Section<'_>) -> Self {
        Self {
            token_file: s.optional("token_file", "tokens of one machine, a line each: TOKEN NAME ROLE[:SERVICE]…"),
            make: s.or("make_token_file", false, "make that file with one administrator if it is not there"),
        }
    }
}

impl Config for OidcSection {
    fn read(s: &mut Section<'_>) -> Self {
        let oidc = Self {
            issuer: s.optional("issuer", "issuer of bearer tokens (`iss`)"),
            audience: s.optional("audience", "what tokens must be for (`aud`)"),
            jwks_url: s.optional("jwks_url", "where the issuer publishes its keys"),
            roles_claim: s.or("roles_claim", "roles".to_owned(), "claim that lists ROLE or ROLE:SERVICE"),
        };
        let given = [&oidc.issuer, &oidc.audience, &oidc.jwks_url].map(Option::is_some);
        let whole = given.iter().all(|one| *one) || given.iter().all(|one| !*one);
        s.rule(&["issuer", "audience", "jwks_url"], whole, "belong together", "give all three of them");
        let safe = oidc.jwks_url.as_deref().is_none_or(is_safe);
        s.rule(&["jwks_url"], safe, "keys must come over https", "write https://…");
        oidc
    }
}

fn is_safe(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| url.scheme() == "https" || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")))
}

impl Config for LedgerSection {
    fn read(s: &mut Section<'_>) -> Self {
        Self {
            url: s.required("url", "control's own ledger: postgres://… or sqlite:///…"),
            password: s.secret("password", "password of the ledgers, if the url has none"),
        }
    }
}

impl ControlConfig {
    /// How callers prove who they are.
    ///
    /// # Errors
    /// In words, if the token file cannot be used.
    pub fn authenticator(&self) -> Result<Authenticator, String> {
        let mut found = Authenticator::default();
        if let Some(path) = &self.auth.token_file {
            if self.auth.make {
                let owner = std::env::var("USER").unwrap_or_else(|_| "local".to_owned());
                make_token_file(path, &owner).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            found.local = Some(TokenFile::read(path)?);
        }
        let OidcSection { issuer, audience, jwks_url, roles_claim } = &self.oidc;
        if let (Some(issuer), Some(audience), Some(jwks_url)) = (issuer, audience, jwks_url) {
            let config = OidcConfig {
                issuer: issuer.clone(),
                audience: audience.clone(),
                jwks_url: jwks_url.clone(),
                roles_claim: roles_claim.clone(),
            };
            found.oidc = Some(Oidc::new(config)?);
        }
        Ok(found)
    }
}
