//! Settings of crm-sync besides those that every service has.

use connectors::salesforce::{Bounds, Credentials, Options};
use service::config::{Config, Section};
use std::time::Duration;

#[derive(Debug)]
pub struct CrmConfig {
    pub salesforce: Options,
    /// How long a record may stay invisible to a look-up after the call that wrote it.
    pub visibility: Duration,
}

impl Config for CrmConfig {
    fn read(s: &mut Section<'_>) -> Self {
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
        let salesforce = Options {
            base_url: s.required("base_url", "address such as https://example.my.salesforce.com"),
            credentials: Credentials {
                client_id: s.required("client_id", "client id of the external client app"),
                username: s.required("username", "user name of the integration's user"),
                audience: s.or(
                    "audience",
                    "https://login.salesforce.com".to_owned(),
                    "whom assertions are for; https://test.salesforce.com for a sandbox of the vendor's",
                ),
                private_key_file: s
                    .required("private_key_file", "PKCS#8 PEM (RSA) of the key whose certificate the app has"),
            },
            concurrency: s.or("concurrency", 5, "calls at once, over all replicas"),
            bounds,
            allow_plain_http: s.or(
                "allow_plain_http",
                false,
                "credentials may travel unencrypted; for closed test networks",
            ),
        };
        s.rule(
            &["concurrency"],
            salesforce.concurrency > 0,
            "must be at least 1",
            "Salesforce bears 25 long calls at once",
        );
        let never = [bounds.connect_timeout, bounds.request_timeout].iter().any(Duration::is_zero);
        s.rule(&["connect_timeout", "request_timeout"], !never, "must be above zero", "such as \"5s\" and \"60s\"");
        let visibility = s.or("visibility", Duration::from_secs(1), "wait before a look-up after an unknown outcome");
        Self { salesforce, visibility }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::{Source, load};

    fn source(text: &str) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("crm.toml");
        std::fs::write(&file, text).expect("a file");
        (folder, Source { file: Some(file), ..Source::default() })
    }

    #[test]
    fn four_settings_are_enough() {
        let (_folder, source) = source(
            "base_url = \"https://example.my.salesforce.com\"\nclient_id = \"c\"\nusername = \"u\"\n\
             private_key_file = \"/key.pem\"\n",
        );
        let config = load::<CrmConfig>(&source).expect("good").config;
        assert_eq!(config.salesforce.concurrency, 5);
        assert_eq!(config.salesforce.credentials.audience, "https://login.salesforce.com");
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let (_folder, source) = source("request_timeout = \"soon\"\nconcurrency = 0\nclient = \"c\"\n");
        let problems = load::<CrmConfig>(&source).expect_err("bad").to_string();
        for expected in
            ["base_url", "client_id", "username", "private_key_file", "request_timeout", "concurrency", "client: "]
        {
            assert!(problems.contains(expected), "`{expected}` is not in:\n{problems}");
        }
    }
}
