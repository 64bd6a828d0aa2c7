//! Settings that every service has.

use crate::config::{Config, Section};
use secrecy::SecretString;
use std::{net::SocketAddr, time::Duration};
use telemetry::Format;

/// `[http]`, `[log]` and `[shutdown]`.
#[derive(Debug)]
pub struct Common {
    pub http: Http,
    pub log: Format,
    /// How long a drain may take after the first signal.
    pub drain: Duration,
}

/// Where health and metrics are served.
#[derive(Debug)]
pub struct Http {
    pub bind: SocketAddr,
    /// Asked for by everything but the probes.
    pub token: Option<SecretString>,
    /// An event loop that has not ticked for so long is dead.
    pub stall: Duration,
}

impl Config for Common {
    fn read(s: &mut Section<'_>) -> Self {
        let http = s.section("http");
        let Log(log) = s.section("log");
        let Drain(drain) = s.section("shutdown");
        Self { http, log, drain }
    }
}

impl Config for Http {
    fn read(s: &mut Section<'_>) -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let http = Self {
            bind: s.or("bind", local, "address of health and metrics; port 0 takes a free one"),
            token: s.secret("token", "bearer token for everything but the probes"),
            stall: s.or("stall", Duration::from_secs(30), "an event loop that has not ticked for so long is dead"),
        };
        let safe = http.bind.ip().is_loopback() || http.token.is_some();
        let hint = "set `token_file`, or bind to 127.0.0.1";
        s.rule(&["bind", "token", "token_file"], safe, "an address beyond loopback needs a bearer token", hint);
        http
    }
}

struct Log(Format);

impl Config for Log {
    fn read(s: &mut Section<'_>) -> Self {
        let words = [("auto", Format::Auto), ("human", Format::Human), ("json", Format::Json)];
        Self(s.choice("format", "auto", &words, "look of log lines; auto is human on a terminal, JSON otherwise"))
    }
}

struct Drain(Duration);

impl Config for Drain {
    fn read(s: &mut Section<'_>) -> Self {
        Self(s.or(
            "drain",
            Duration::from_secs(20),
            "how long work in flight may take to finish after the first signal",
        ))
    }
}
