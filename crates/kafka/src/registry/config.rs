//! Where the registry is and how to authenticate.

use super::RegistryError;
use base64::Engine as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// `http://host:port`; several separated by commas are tried in order.
    pub url: String,
    pub auth: Auth,
    /// PEM file with the certificate authorities that are trusted besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds for one request.
    pub timeout_ms: u64,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { url: String::new(), auth: Auth::None, ca_file: None, timeout_ms: 4_000 }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer {
        token: SecretString,
    },
}

impl RegistryConfig {
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Everything that is wrong; empty if the configuration is sound. Reads no file.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.url.trim().is_empty() {
            problems.push("url: is missing (http://host:port)".to_owned());
        }
        for url in self.urls() {
            match url::Url::parse(&url) {
                Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
                    if !parsed.username().is_empty() || parsed.password().is_some() {
                        problems.push("url: holds credentials; use auth".to_owned());
                    }
                }
                _ => problems.push(format!("url: `{url}` is not an http or https URL")),
            }
        }
        if !(100..=60_000).contains(&self.timeout_ms) {
            problems.push("timeout_ms: must be from 100 to 60000".to_owned());
        }
        problems
    }

    pub(super) fn urls(&self) -> Vec<String> {
        let trimmed = self.url.split(',').map(|url| url.trim().trim_end_matches('/').to_owned());
        trimmed.filter(|url| !url.is_empty()).collect()
    }

    /// The converter's settings, and a client of ours for the calls that it does not have.
    pub(super) fn clients(&self) -> Result<(SrSettings, reqwest::Client), RegistryError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(RegistryError::Config(problems));
        }
        // Somebody else may have installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut urls = self.urls().into_iter();
        let mut builder = SrSettings::new_builder(urls.next().unwrap_or_default());
        for url in urls {
            builder.add_url(url);
        }
        builder.set_timeout(self.timeout());
        match &self.auth {
            Auth::None => {}
            Auth::Basic { username, password } => {
                builder.set_basic_authorization(username, Some(password.expose_secret()));
            }
            Auth::Bearer { token } => {
                builder.set_token_authorization(token.expose_secret());
            }
        }
        let settings = builder.build_with(self.http()?).map_err(|error| wrong(&error))?;
        let ours = self.http()?.timeout(self.timeout()).default_headers(self.headers()?);
        Ok((settings, ours.build().map_err(|error| wrong(&error))?))
    }

    const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    fn http(&self) -> Result<reqwest::ClientBuilder, RegistryError> {
        let builder = reqwest::Client::builder().connect_timeout(self.timeout());
        let Some(file) = &self.ca_file else { return Ok(builder) };
        let unusable = |error: &dyn std::fmt::Display| {
            RegistryError::Config(vec![format!("ca_file: {}: {error}", file.display())])
        };
        let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
        Ok(builder.tls_certs_merge(certificates))
    }

    fn headers(&self) -> Result<HeaderMap, RegistryError> {
        let value = match &self.auth {
            Auth::None => return Ok(HeaderMap::new()),
            Auth::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            Auth::Bearer { token } => format!("Bearer {}", token.expose_secret()),
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| RegistryError::Config(vec!["auth: has characters that no header may hold".to_owned()]))?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }
}

fn wrong(error: &dyn std::fmt::Display) -> RegistryError {
    RegistryError::Config(vec![error.to_string()])
}
