//! Settings of provisioning besides those that every service has.

use connectors::{Bounds, oauth::Options};
use service::config::{Config, Section};
use std::{path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct ProductConfig {
    pub options: Options,
    /// How long a change may stay invisible to a look-up after the call that made it.
    pub visibility: Duration,
    /// The policy file.
    pub policy: PathBuf,
}

impl Config for ProductConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let policy = s.or(
            "policy",
            "deploy/policies/provisioning.yaml".into(),
            "file with the catalogue of entitlements, steps of dunning and grace",
        );
        let visibility = s.or("visibility", Duration::from_secs(1), "wait before a look-up after an unknown outcome");
        Self { options: options(s, "address such as https://product.example.com"), visibility, policy }
    }
}

/// The identity platform; without an address tenants get no first user.
#[derive(Debug)]
pub struct IdentityConfig {
    pub options: Option<Options>,
}

impl Config for IdentityConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let is_used = s.or("enabled", false, "whether each tenant gets a first user and a group of administrators");
        Self { options: is_used.then(|| options(s, "address such as https://identity.example.com/scim/v2")) }
    }
}

fn options(s: &mut Section<'_>, address: &'static str) -> Options {
    let bounds = Bounds::default();
    let bounds = Bounds {
        connect_timeout: s.or("connect_timeout", bounds.connect_timeout, "longest wait for a connection"),
        request_timeout: s.or(
            "request_timeout",
            bounds.request_timeout,
            "longest wait for an answer; shorter leaves more outcomes unknown",
        ),
        ..bounds
    };
    let options = Options {
        base_url: s.required("base_url", address),
        token_url: s.optional("token_url", "where tokens are given, if not at /oauth/token of that host"),
        client_id: s.required("client_id", "client id of the integration"),
        client_secret_file: s.required("client_secret_file", "file with its secret, read again for each sign-in"),
        concurrency: s.or("concurrency", 8, "calls at once, over all replicas"),
        bounds,
        allow_plain_http: s.or(
            "allow_plain_http",
            false,
            "credentials may travel unencrypted; for closed test networks",
        ),
    };
    s.rule(&["concurrency"], options.concurrency > 0, "must be at least 1", "see the platform's limits");
    let never = [bounds.connect_timeout, bounds.request_timeout].iter().any(Duration::is_zero);
    s.rule(&["connect_timeout", "request_timeout"], !never, "must be above zero", "such as \"5s\" and \"60s\"");
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::{Source, load};

    fn source(text: &str) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("product.toml");
        std::fs::write(&file, text).expect("a file");
        (folder, Source { file: Some(file), ..Source::default() })
    }

    #[test]
    fn three_settings_are_enough() {
        let (_folder, source) =
            source("base_url = \"https://p.example\"\nclient_id = \"c\"\nclient_secret_file = \"/secret\"\n");
        let config = load::<ProductConfig>(&source).expect("good").config;
        assert_eq!(config.policy, PathBuf::from("deploy/policies/provisioning.yaml"));
    }

    #[test]
    fn an_identity_platform_is_asked_for_only_where_it_is_used() {
        let (_folder, source) = source("");
        assert!(load::<IdentityConfig>(&source).expect("good").config.options.is_none());
        let (_folder, source) = self::source("enabled = true\n");
        let problems = load::<IdentityConfig>(&source).expect_err("bad").to_string();
        for expected in ["base_url", "client_id", "client_secret_file"] {
            assert!(problems.contains(expected), "`{expected}` is not in:\n{problems}");
        }
    }
}
