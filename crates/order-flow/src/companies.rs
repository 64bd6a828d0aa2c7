//! Which company of the tax engine's account declares the tax of a selling entity, from a file.

use connectors::{avatax::Company, tax::TaxAddress};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    companies: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    ship_from: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    country: String,
    region: Option<String>,
    postal_code: Option<String>,
    city: Option<String>,
    line1: Option<String>,
}

/// By entity of the seller.
///
/// # Errors
/// Everything that is wrong with the file.
pub(crate) fn load(file: &Path) -> Result<BTreeMap<String, Company>, Vec<String>> {
    let named = |problem: String| format!("{}: {problem}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| vec![named(error.to_string())])?;
    read(&text).map_err(|problems| problems.into_iter().map(named).collect())
}

fn read(text: &str) -> Result<BTreeMap<String, Company>, Vec<String>> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    if file.version != 1 {
        problems.push(format!("version {} is not known; write version: 1", file.version));
    }
    if file.companies.is_empty() {
        problems.push("companies: names none; each selling entity needs one".to_owned());
    }
    for (entity, entry) in &file.companies {
        if entry.code.trim().is_empty() {
            problems.push(format!("companies.{entity}.code: must not be empty"));
        }
        let country = &entry.ship_from.country;
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            problems
                .push(format!("companies.{entity}.ship_from.country: `{country}` is no ISO 3166-1 code such as US"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(file.companies.into_iter().map(|(entity, entry)| (entity, entry.company())).collect())
}

impl Entry {
    fn company(self) -> Company {
        let Address { country, region, postal_code, city, line1 } = self.ship_from;
        Company { code: self.code, ship_from: TaxAddress { line1, city, region, postal_code, country } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_shipped_is_sound() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/policies/tax-companies.yaml"));
        let companies = load(file).expect("sound");
        assert!(companies.keys().map(String::as_str).eq(["DE", "JP", "UK", "US"]), "{companies:?}");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = "version: 2\ncompanies: {US: {code: ' ', ship_from: {country: usa}}}";
        let problems = read(text).expect_err("wrong").join("; ");
        for expected in ["version 2", "companies.US.code", "ship_from.country"] {
            assert!(problems.contains(expected), "`{expected}` is not in {problems}");
        }
        assert!(read("version: 1\ncompanies: {US: {cod: x}}").is_err(), "a mistyped field is no company");
    }
}
