//! Settings of erp-sync besides those that every service has.

use connectors::netsuite::{Bounds, CertificateId, Credentials, Options};
use service::config::{Config, Section};
use std::{path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct ErpConfig {
    pub netsuite: Options,
    /// How long a record may stay invisible to a look-up after the call that made it.
    pub visibility: Duration,
    /// The mapping file.
    pub mapping: PathBuf,
}

impl Config for ErpConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let mapping =
            s.or("mapping", "deploy/policies/erp-mapping.yaml".into(), "file that maps items, entities and terms");
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
        let netsuite = Options {
            base_url: s.required("base_url", "address such as https://1234567.suitetalk.api.netsuite.com"),
            credentials: credentials(s),
            external_id_prefix: s.or(
                "external_id_prefix",
                "tl-".to_owned(),
                "prefix of external ids: letters, digits, - and _; never change it once records exist",
            ),
            concurrency: s.or(
                "concurrency",
                5,
                "calls at once that the account gives this integration, over all replicas",
            ),
            bounds,
            allow_plain_http: s.or(
                "allow_plain_http",
                false,
                "credentials may travel unencrypted; for closed test networks",
            ),
        };
        s.rule(
            &["concurrency"],
            netsuite.concurrency > 0,
            "must be at least 1",
            "see the integration's governance limits",
        );
        let never = [bounds.connect_timeout, bounds.request_timeout].iter().any(Duration::is_zero);
        s.rule(&["connect_timeout", "request_timeout"], !never, "must be above zero", "such as \"5s\" and \"60s\"");
        let visibility = s.or("visibility", Duration::from_secs(1), "wait before a look-up after an unknown outcome");
        Self { netsuite, visibility, mapping }
    }
}

fn credentials(s: &mut Section<'_>) -> Credentials {
    let client_id = s.required("client_id", "client id of the integration record");
    let private_key_file = s.required("private_key_file", "PKCS#8 PEM of the key whose certificate is mapped");
    let fixed: Option<String> = s.optional("certificate_id", "id of the certificate");
    let file: Option<PathBuf> =
        s.optional("certificate_id_file", "file with the id of the certificate, replaced with the key");
    let either = fixed.is_some() != file.is_some();
    let hint = "a file is replaced together with the key, without a restart";
    s.rule(&["certificate_id", "certificate_id_file"], either, "one of the two must be given", hint);
    let certificate_id = match (fixed, file) {
        (Some(id), _) => CertificateId::Fixed(id),
        (None, Some(file)) => CertificateId::File(file),
        (None, None) => CertificateId::Fixed(String::new()),
    };
    let certificate_file =
        s.optional("certificate_file", "the certificate itself (PEM), to be warned for a month before it ends");
    Credentials { client_id, certificate_id, private_key_file, certificate_file }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::{Source, load};

    fn source(text: &str) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("erp.toml");
        std::fs::write(&file, text).expect("a file");
        (folder, Source { file: Some(file), ..Source::default() })
    }

    const GOOD: &str = "base_url = \"https://1.suitetalk.api.netsuite.com\"\nclient_id = \"c\"\n\
                        certificate_id = \"k\"\nprivate_key_file = \"/key.pem\"\n";

    #[test]
    fn four_settings_are_enough() {
        let (_folder, source) = source(GOOD);
        let config = load::<ErpConfig>(&source).expect("good").config;
        assert_eq!(config.netsuite.concurrency, 5);
        assert_eq!(config.mapping, PathBuf::from("deploy/policies/erp-mapping.yaml"));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let (_folder, source) = source("request_timeout = \"soon\"\nconcurrency = 0\nclient = \"c\"\n");
        let problems = load::<ErpConfig>(&source).expect_err("bad").to_string();
        for expected in [
            "base_url",
            "client_id",
            "private_key_file",
            "certificate_id",
            "request_timeout",
            "concurrency",
            "client: ",
        ] {
            assert!(problems.contains(expected), "`{expected}` is not in:\n{problems}");
        }
    }
}
