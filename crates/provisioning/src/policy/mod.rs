//! The policy file: what products entitle to, steps of dunning, grace. Read once at start; every mistake is reported at once.

mod read;

use rust_decimal::Decimal;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

/// The form of the file that this service reads.
pub const VERSION: u64 = 1;

/// A policy without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its authors' word for this state of it; told with every change of access.
    pub revision: String,
    pub features: BTreeSet<String>,
    /// The best last.
    pub support_tiers: Vec<String>,
    pub products: BTreeMap<String, Product>,
    pub dunning: Dunning,
    /// Days between the end of a cancelled contract and the end of access.
    pub cancellation_grace_days: i32,
}

/// What a line of a product gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub features: Vec<Bundled>,
    pub support_tier: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    pub feature: String,
    pub amount: Amount,
}

/// How much of a feature a line gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// For one unit of the line.
    PerUnit(Decimal),
    Fixed(Decimal),
    Unlimited,
}

/// When access is suspended for want of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dunning {
    /// From this step on; `None`: never.
    pub suspend_at_step: Option<i32>,
    /// Days after that step's failure.
    pub grace_days: i32,
}

/// All mistakes of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl Policy {
    /// # Errors
    /// Every mistake in the file, each with its place.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let of_file = |problem: String| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| Problems(vec![of_file(error.to_string())]))?;
        Self::parse(&text).map_err(|problems| Problems(problems.0.into_iter().map(of_file).collect()))
    }

    /// # Errors
    /// Every mistake in the text, each with its place.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let value = serde_saphyr::from_str(text).map_err(|error| Problems(vec![format!("not YAML: {error}")]))?;
        read::policy(value)
    }

    /// The better of two tiers, by their place in the file.
    #[must_use]
    pub fn better<'a>(&self, one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
        let place =
            |tier: Option<&str>| tier.and_then(|tier| self.support_tiers.iter().position(|known| known == tier));
        if place(other) > place(one) { other } else { one }
    }
}
