//! How to reach the brokers: one validated structure for every client of this crate.

use crate::{Error, Result};
use rdkafka::config::{ClientConfig as Native, RDKafkaLogLevel};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Where the brokers are and how to talk to them. [`ClientConfig::problems`] lists everything that is wrong at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Name of this program in the brokers' logs and quotas.
    pub client_id: String,
    pub security: Security,
    /// Further librdkafka properties; only those of [`ALLOWED_PROPERTIES`].
    pub properties: BTreeMap<String, String>,
    /// The brokers are librdkafka's in-process ones ([`crate::mock::MockBroker`]): they do not wake long polls.
    pub embedded: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            client_id: "throughline".to_owned(),
            security: Security::default(),
            properties: BTreeMap::new(),
            embedded: false,
        }
    }
}

/// Transport and authentication.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    pub protocol: Protocol,
    /// PEM file of the certificate authorities; the system's if absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate, for mutual TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub key_file: Option<PathBuf>,
    pub key_password: Option<SecretString>,
    pub sasl: Option<Sasl>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Plaintext,
    Tls,
    SaslPlaintext,
    SaslTls,
}

impl Protocol {
    const fn native(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_ssl",
        }
    }

    const fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }

    const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }
}

/// User name and password; exactly one of `password` and `password_file`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    pub mechanism: Mechanism,
    pub username: String,
    #[serde(default)]
    pub password: Option<SecretString>,
    /// File whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    const fn native(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// librdkafka properties that may be set besides ours: they tune, none of them changes what is promised.
pub const ALLOWED_PROPERTIES: &[&str] = &[
    "broker.address.family",
    "client.rack",
    "debug",
    "linger.ms",
    "metadata.max.age.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.timeout.ms",
    "ssl.endpoint.identification.algorithm",
    "statistics.interval.ms",
];

impl ClientConfig {
    /// A plain connection to `brokers`.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), ..Self::default() }
    }

    /// Everything that is wrong, each with its key; empty if the configuration is sound. Reads no file.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = broker_problems(&self.brokers);
        for name in self.properties.keys().filter(|name| !ALLOWED_PROPERTIES.contains(&name.as_str())) {
            problems
                .push(format!("properties.{name}: may not be set here (allowed: {})", ALLOWED_PROPERTIES.join(", ")));
        }
        problems.extend(self.security.problems());
        problems
    }

    /// The native configuration that all clients start from.
    pub(crate) fn native(&self) -> Result<Native> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::Config(problems));
        }
        let mut native = Native::new();
        native
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        self.security.apply(&mut native)?;
        for (name, value) in &self.properties {
            native.set(name, value);
        }
        Ok(native)
    }
}

fn broker_problems(brokers: &str) -> Vec<String> {
    if brokers.trim().is_empty() {
        return vec!["brokers: is missing (host:port, several separated by commas)".to_owned()];
    }
    let wrong = |address: &&str| {
        let port = address.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    brokers.split(',').filter(wrong).map(|address| format!("brokers: `{}` is not host:port", address.trim())).collect()
}

impl Security {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wrong = |text: &str| problems.push(text.to_owned());
        if self.protocol.has_sasl() != self.sasl.is_some() {
            wrong("security.sasl: must be given with the protocols sasl_plaintext and sasl_tls, and only with them");
        }
        if !self.protocol.has_tls() && (self.ca_file.is_some() || self.certificate_file.is_some()) {
            wrong("security.protocol: certificates are given, but the protocol is not tls or sasl_tls");
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            wrong("security.certificate_file and security.key_file: both or neither");
        }
        if let Some(sasl) = &self.sasl {
            if sasl.username.is_empty() {
                wrong("security.sasl.username: is empty");
            }
            if sasl.password.is_some() == sasl.password_file.is_some() {
                wrong("security.sasl: exactly one of password and password_file");
            }
        }
        let scram = self.sasl.as_ref().is_some_and(|sasl| sasl.mechanism != Mechanism::Plain);
        if (self.protocol.has_tls() || scram) && !cfg!(feature = "tls") {
            wrong("security: TLS and SCRAM need a program built with the cargo feature `tls` of crate `kafka`");
        }
        problems
    }

    fn apply(&self, native: &mut Native) -> Result<()> {
        native.set("security.protocol", self.protocol.native());
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                native.set(name, file.to_string_lossy());
            }
        }
        if let Some(password) = &self.key_password {
            native.set("ssl.key.password", password.expose_secret());
        }
        if let Some(sasl) = &self.sasl {
            native.set("sasl.mechanisms", sasl.mechanism.native()).set("sasl.username", &sasl.username);
            native.set("sasl.password", sasl.secret()?.expose_secret());
        }
        Ok(())
    }
}

impl Sasl {
    fn secret(&self) -> Result<SecretString> {
        if let Some(password) = &self.password {
            return Ok(password.clone());
        }
        let file = self.password_file.clone().unwrap_or_default();
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::Config(vec![format!("security.sasl.password_file: {}: {error}", file.display())])
        })?;
        Ok(text.lines().next().unwrap_or_default().to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_at_once_with_its_key() {
        let mut config = ClientConfig::new("localhost, b:9092");
        config.properties.insert("enable.auto.commit".into(), "true".into());
        config.security.protocol = Protocol::SaslPlaintext;
        config.security.key_file = Some("key.pem".into());
        let problems = config.problems();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].contains("`localhost` is not host:port"));
        assert!(problems[1].starts_with("properties.enable.auto.commit"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let sasl = Sasl {
            mechanism: Mechanism::Plain,
            username: "erp".into(),
            password: Some("hunter2".to_owned().into()),
            password_file: None,
        };
        let mut config = ClientConfig::new("b:9092");
        config.security = Security { protocol: Protocol::SaslPlaintext, sasl: Some(sasl), ..Security::default() };
        assert!(config.problems().is_empty(), "{:?}", config.problems());
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.native().expect("valid").get("sasl.password"), Some("hunter2"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_without_the_feature_names_the_feature() {
        let mut config = ClientConfig::new("b:9092");
        config.security.protocol = Protocol::Tls;
        assert!(config.problems()[0].contains("cargo feature `tls`"));
    }
}
