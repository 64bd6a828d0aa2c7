//! What is due where: VAT of the European Union's countries and the United Kingdom, sales tax of some states of the USA. Elsewhere nothing
//! is known, which is an error and not a zero.

use std::{collections::BTreeMap, sync::OnceLock};

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

/// The table that the schemas come with.
const VAT: &str = include_str!("../../../../schemas/reference/vat-rates.json");

/// General rates of states, in parts of ten thousand, by the state's code. Counties and cities are left out.
const STATES: &[(&str, i64)] = &[
    ("CA", 725),
    ("CO", 290),
    ("DE", 0),
    ("FL", 600),
    ("IL", 625),
    ("MA", 625),
    ("NY", 400),
    ("OR", 0),
    ("TX", 625),
    ("WA", 650),
];

#[derive(Deserialize)]
struct Table {
    items: BTreeMap<String, Vec<Period>>,
}

#[derive(Deserialize)]
struct Period {
    effective_from: Date,
    rates: BTreeMap<String, Decimal>,
}

fn vat() -> &'static BTreeMap<String, Vec<Period>> {
    static TABLE: OnceLock<BTreeMap<String, Vec<Period>>> = OnceLock::new();
    TABLE.get_or_init(|| serde_json::from_str::<Table>(VAT).expect("a test reads the table").items)
}

/// A tax of one jurisdiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    pub name: &'static str,
    /// 0.2 means 20 %.
    pub rate: Decimal,
}

/// What holds at a place on a day; `None` where nothing is known.
pub fn at(country: &str, region: Option<&str>, day: Date) -> Option<Rate> {
    if country == "US" {
        let (_, rate) = STATES.iter().find(|(state, _)| Some(*state) == region)?;
        return Some(Rate { name: "STATE SALES TAX", rate: Decimal::new(*rate, 4) });
    }
    let periods = vat().get(country)?;
    let holding =
        periods.iter().filter(|period| period.effective_from <= day).max_by_key(|period| period.effective_from)?;
    let percent = holding.rates.get("standard")?;
    Some(Rate { name: "Standard VAT", rate: percent.checked_div(Decimal::ONE_HUNDRED)? })
}

/// Whether a country levies VAT, so that a registered customer in another one declares it itself.
pub fn has_vat(country: &str) -> bool {
    vat().contains_key(country)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn each_place_has_the_rate_of_its_day() {
        let rate = |country, region, day| at(country, region, day).map(|rate| rate.rate.normalize().to_string());
        assert_eq!(rate("GB", None, date(2010, 6, 1)), None, "the table begins later");
        assert_eq!(rate("GB", None, date(2024, 1, 1)).as_deref(), Some("0.2"));
        assert_eq!(rate("HU", None, date(2024, 1, 1)).as_deref(), Some("0.27"));
        assert_eq!(rate("US", Some("CA"), date(2024, 1, 1)).as_deref(), Some("0.0725"));
        assert_eq!(rate("US", None, date(2024, 1, 1)), None);
        assert_eq!(rate("BR", None, date(2024, 1, 1)), None);
    }
}
