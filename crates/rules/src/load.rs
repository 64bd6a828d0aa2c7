//! A folder of policies, read and checked as a whole.

use crate::{
    cases::Case,
    change::Amendment,
    facts::{Deal, Line},
    policy::{
        approvals, approvals::Approvals, checks, checks::Checks, compensation, compensation::Compensation, entities,
        entities::Entities, nexus, nexus::Nexus, ownership, ownership::Ownership, prices, prices::Prices, products,
        products::Products, revenue, revenue::Revenue, routing, routing::Routing,
    },
    problem::{Problem, Problems},
    reader::Reader,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};

/// The file of examples; it decides nothing, so it is not part of the version.
pub(crate) const CASES: &str = "cases.yaml";

/// Files that decide.
pub(crate) const FILES: [&str; 10] = [
    approvals::FILE,
    checks::FILE,
    compensation::FILE,
    entities::FILE,
    nexus::FILE,
    ownership::FILE,
    prices::FILE,
    products::FILE,
    revenue::FILE,
    routing::FILE,
];

/// All policies of one version.
#[derive(Debug)]
pub struct Policies {
    /// The first 12 hexadecimal digits of the SHA-256 over names and bytes of the files.
    pub version: String,
    pub entities: Entities,
    pub products: Products,
    pub prices: Prices,
    pub nexus: Nexus,
    pub revenue: Revenue,
    pub approvals: Approvals,
    pub checks: Checks,
    pub compensation: Compensation,
    pub routing: Routing,
    pub ownership: Ownership,
    pub cases: Vec<Case>,
}

impl Policies {
    /// Reads the folder.
    ///
    /// # Errors
    /// Everything that is wrong with its files, at once.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut texts = BTreeMap::new();
        for file in FILES {
            match std::fs::read_to_string(folder.join(file)) {
                Ok(text) => {
                    texts.insert(file, text);
                }
                Err(error) => problems.push(Problem {
                    file: file.to_owned(),
                    path: String::new(),
                    message: format!("cannot be read: {error}"),
                    hint: format!("it must lie in {}", folder.display()),
                }),
            }
        }
        if let Ok(text) = std::fs::read_to_string(folder.join(CASES)) {
            texts.insert(CASES, text);
        }
        let found = Self::read(&texts, &mut problems);
        if problems.is_empty() { Ok(found) } else { Err(Problems(problems)) }
    }

    fn read(texts: &BTreeMap<&'static str, String>, problems: &mut Vec<Problem>) -> Self {
        let (deal, line, amendment) = samples();
        let text = |file: &str| texts.get(file).map(String::as_str);
        macro_rules! part {
            ($type:ident, $module:ident $(, $sample:expr)*) => {
                text($module::FILE)
                    .map(|text| $type::read(&mut Reader::new($module::FILE, problems), text $(, $sample)*))
                    .unwrap_or_default()
            };
        }
        let policies = Self {
            version: version(texts),
            entities: part!(Entities, entities),
            products: part!(Products, products),
            prices: part!(Prices, prices),
            nexus: part!(Nexus, nexus),
            revenue: part!(Revenue, revenue, &line),
            approvals: part!(Approvals, approvals, &deal, &amendment),
            checks: part!(Checks, checks, &deal),
            compensation: part!(Compensation, compensation),
            routing: part!(Routing, routing, &deal),
            ownership: part!(Ownership, ownership),
            cases: text(CASES).map(|text| Case::read(&mut Reader::new(CASES, problems), text)).unwrap_or_default(),
        };
        policies.agree(problems);
        policies
    }

    /// Files name what other files declare.
    fn agree(&self, problems: &mut Vec<Problem>) {
        let mut unknown = |file: &'static str, path: String, what: String| {
            Reader::new(file, problems).problem(path, what, "declare it there, or mend the spelling");
        };
        for (product, seller) in self.products.sellers().filter(|(_, seller)| self.entities.find(seller).is_none()) {
            let path = format!("products.{product}.sellers");
            unknown(products::FILE, path, format!("`{seller}` is not in {}", entities::FILE));
        }
        for entity in self.nexus.entities().filter(|entity| self.entities.find(entity).is_none()) {
            unknown(nexus::FILE, "registrations".to_owned(), format!("`{entity}` is not in {}", entities::FILE));
        }
        for (index, plan) in self.prices.plans().iter().enumerate() {
            if self.products.find(&plan.product).is_none() {
                let what = format!("`{}` is not in {}", plan.product, products::FILE);
                unknown(prices::FILE, format!("plans[{index}].product"), what);
            }
        }
    }
}

/// What conditions are tried on: over a deal, over a line of it, and over an amendment.
fn samples() -> (Value, Value, Value) {
    let deal = Deal::sample();
    let line = deal.lines.first().cloned().unwrap_or_else(Line::default);
    (deal.seen(), json!({ "deal": deal, "line": line }), Amendment::sample().seen())
}

fn version(texts: &BTreeMap<&'static str, String>) -> String {
    let mut hash = Sha256::new();
    for (file, text) in texts.iter().filter(|(file, _)| **file != CASES) {
        for part in [file.as_bytes(), text.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
