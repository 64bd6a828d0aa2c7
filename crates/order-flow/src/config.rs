//! Settings of order-flow besides those that every service has.

use crate::companies;
use connectors::{Access, Bounds, avatax};
use service::config::{Config, Section};
use std::{path::PathBuf, time::Duration};

#[derive(Debug)]
pub struct FlowConfig {
    /// Folder of the policy files.
    pub policies: PathBuf,
    /// How often the files are looked at.
    pub look_every: Duration,
    /// How long a change in an outside system may stay invisible to a look-up after the call that made it.
    pub visibility: Duration,
}

impl Config for FlowConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let policies = s.or("policies", "deploy/policies".into(), "folder of the policy files");
        let look_every = s.or("look_every", Duration::from_secs(2), "how soon a changed policy file is noticed");
        s.rule(&["look_every"], !look_every.is_zero(), "must be above zero", "such as \"2s\"");
        let visibility = s.or("visibility", Duration::from_secs(1), "wait before a look-up after an unknown outcome");
        Self { policies, look_every, visibility }
    }
}

/// The tax engine; without it orders carry no tax.
#[derive(Debug)]
pub struct TaxConfig {
    pub account: Option<TaxAccount>,
}

#[derive(Debug)]
pub struct TaxAccount {
    access: Access,
    account_id: String,
    companies: PathBuf,
}

impl TaxAccount {
    /// # Errors
    /// Everything that is wrong with the file of companies.
    pub fn options(self) -> Result<avatax::Options, Vec<String>> {
        let companies = companies::load(&self.companies)?;
        Ok(avatax::Options { access: self.access, account_id: self.account_id, companies })
    }
}

impl Config for TaxConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let is_used = s.or("enabled", false, "whether the tax of orders is determined by a tax engine");
        let account = is_used.then(|| TaxAccount {
            access: access(s, "address such as https://rest.avatax.com", "file with its licence key"),
            account_id: s.required("account_id", "number of the account that the key belongs to"),
            companies: s.or(
                "companies",
                "deploy/policies/tax-companies.yaml".into(),
                "file that names the company of each selling entity, and where it delivers from",
            ),
        });
        Self { account }
    }
}

/// The billing system; without it contracts are billed by others.
#[derive(Debug)]
pub struct BillingConfig {
    pub access: Option<Access>,
}

impl Config for BillingConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let is_used = s.or("enabled", false, "whether contracts get a billing schedule in a billing system");
        let access = is_used.then(|| access(s, "address such as https://api.stripe.com", "file with its secret key"));
        Self { access }
    }
}

fn access(s: &mut Section<'_>, address: &'static str, key: &'static str) -> Access {
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
    let access = Access {
        base_url: s.required("base_url", address),
        key_file: s.required("key_file", key),
        concurrency: s.or("concurrency", 8, "calls at once, over all replicas"),
        bounds,
        allow_plain_http: s.or(
            "allow_plain_http",
            false,
            "credentials may travel unencrypted; for closed test networks",
        ),
    };
    s.rule(&["concurrency"], access.concurrency > 0, "must be at least 1", "see the account's limits");
    let never = [bounds.connect_timeout, bounds.request_timeout].iter().any(Duration::is_zero);
    s.rule(&["connect_timeout", "request_timeout"], !never, "must be above zero", "such as \"5s\" and \"60s\"");
    access
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::{Source, load};

    fn source(text: &str) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("flow.toml");
        std::fs::write(&file, text).expect("a file");
        (folder, Source { file: Some(file), ..Source::default() })
    }

    #[test]
    fn neither_tax_engine_nor_billing_system_is_asked_unless_somebody_says_so() {
        let (_folder, source) = source("");
        assert!(load::<TaxConfig>(&source).expect("good").config.account.is_none());
        assert!(load::<BillingConfig>(&source).expect("good").config.access.is_none());
    }

    #[test]
    fn what_is_missing_of_one_that_is_used_is_told_at_once() {
        let (_folder, source) = source("enabled = true\n");
        let problems = load::<TaxConfig>(&source).expect_err("bad").to_string();
        for expected in ["base_url", "key_file", "account_id"] {
            assert!(problems.contains(expected), "`{expected}` is not in:\n{problems}");
        }
        let problems = load::<BillingConfig>(&source).expect_err("bad").to_string();
        assert!(problems.contains("base_url") && problems.contains("key_file"), "{problems}");
    }
}
