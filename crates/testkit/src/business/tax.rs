//! Which tax is due: by who sells to whom, and on which day.
//!
//! Rates of the European countries are those of `schemas/reference/vat-rates.json` (its licence stands beside it). Japan's are those of its
//! consumption tax act: 8 % from April 2014, 10 % from October 2019.

use super::catalog::Market;
use jiff::civil::{Date, date};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};

/// The tax of one document. Each line's is rounded half up, then summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tax {
    pub(super) category: Category,
    /// Country that levies it, or would.
    pub(super) country: &'static str,
    /// Hundredths of a percent.
    pub(super) basis_points: i64,
}

/// EN 16931 categories that occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Standard,
    Exempt,
    ReverseCharge,
    OutOfScope,
}

impl Category {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::OutOfScope => "O",
        }
    }

    /// Why there is no tax, for those without.
    pub(super) const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Standard => None,
            Self::Exempt => Some("charity"),
            Self::ReverseCharge => Some("reverse charge"),
            Self::OutOfScope => Some("supplied to a customer abroad"),
        }
    }
}

/// What a customer is for the tax authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Private,
    /// Has a VAT number, so that it accounts for tax on what comes from another country of the Union.
    Registered,
    Exempt,
}

impl Tax {
    /// `None` where the seller's country has no such tax.
    pub(super) fn of(seller: &Market, country: &'static str, standing: Standing, on: Date) -> Option<Self> {
        let (category, country) = match seller.seat() {
            "US" => return None,
            home if home == country && standing == Standing::Exempt => (Category::Exempt, country),
            home if home == country => (Category::Standard, country),
            home if is_in_union(home) && is_in_union(country) && standing == Standing::Registered => {
                (Category::ReverseCharge, country)
            }
            home if is_in_union(home) && is_in_union(country) => (Category::Standard, country),
            home => (Category::OutOfScope, home),
        };
        let basis_points = if category == Category::Standard { rate(country, on) } else { 0 };
        Some(Self { category, country, basis_points })
    }

    /// On a positive net amount.
    pub(super) const fn on(self, net: i64) -> i64 {
        (net * self.basis_points + 5_000) / 10_000
    }
}

fn is_in_union(country: &str) -> bool {
    country != "GB" && RATES.contains_key(country)
}

const JAPAN: [(Date, i64); 2] = [(date(2019, 10, 1), 1_000), (date(2014, 4, 1), 800)];

/// The standard rate on a day, in hundredths of a percent; 0 where none is known.
pub(super) fn rate(country: &str, on: Date) -> i64 {
    let steps = if country == "JP" { Some(&JAPAN[..]) } else { RATES.get(country).map(Vec::as_slice) };
    let step = steps.unwrap_or_default().iter().find(|(from, _)| *from <= on);
    step.map_or(0, |(_, basis_points)| *basis_points)
}

/// By country, newest first.
static RATES: LazyLock<BTreeMap<String, Vec<(Date, i64)>>> = LazyLock::new(|| {
    let table: Value =
        serde_json::from_str(include_str!("../../../../schemas/reference/vat-rates.json")).unwrap_or_default();
    let countries = table["items"].as_object().into_iter().flatten();
    countries.map(|(country, steps)| (country.clone(), steps_of(steps))).collect()
});

fn steps_of(steps: &Value) -> Vec<(Date, i64)> {
    let step = |step: &Value| {
        let from: Date = step["effective_from"].as_str()?.parse().ok()?;
        let percent: Decimal = step["rates"]["standard"].to_string().parse().ok()?;
        Some((from, (percent * Decimal::ONE_HUNDRED).to_i64()?))
    };
    let mut steps: Vec<_> = steps.as_array().into_iter().flatten().filter_map(step).collect();
    steps.sort_by_key(|(from, _)| std::cmp::Reverse(*from));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::catalog::MARKETS;

    fn seller(country: &str) -> &'static Market {
        MARKETS.iter().find(|market| market.country == country).expect("a market")
    }

    #[test]
    fn a_rate_holds_from_its_day_until_the_next_one() {
        assert_eq!(rate("DE", date(2020, 6, 30)), 1_900);
        assert_eq!(rate("DE", date(2020, 7, 1)), 1_600);
        assert_eq!(rate("DE", date(2020, 12, 31)), 1_600);
        assert_eq!(rate("DE", date(2021, 1, 1)), 1_900);
        assert_eq!(rate("FI", date(2024, 9, 1)), 2_550, "halves of a percent are exact");
        assert_eq!((rate("JP", date(2019, 9, 30)), rate("JP", date(2019, 10, 1))), (800, 1_000));
        assert_eq!(RATES.len(), 28, "all of the table was read");
    }

    #[test]
    fn within_the_union_a_registered_customer_accounts_for_the_tax_and_a_private_one_pays_that_of_its_country() {
        let tax = |country, standing| Tax::of(seller("DE"), country, standing, date(2025, 7, 1));
        let standard = |country, basis_points| Some(Tax { category: Category::Standard, country, basis_points });
        assert_eq!(tax("EE", Standing::Private), standard("EE", 2_400));
        assert_eq!(tax("DE", Standing::Registered), standard("DE", 1_900));
        let reverse = Tax { category: Category::ReverseCharge, country: "FR", basis_points: 0 };
        assert_eq!(tax("FR", Standing::Registered), Some(reverse));
        assert_eq!(tax("US", Standing::Private).map(|tax| tax.category), Some(Category::OutOfScope));
    }

    #[test]
    fn exports_and_charities_pay_nothing_and_the_united_states_have_no_such_tax() {
        let tax = |seller: &Market, country, standing| Tax::of(seller, country, standing, date(2025, 7, 1));
        let category = |tax: Option<Tax>| tax.map(|tax| (tax.category, tax.basis_points));
        assert_eq!(category(tax(seller("GB"), "GB", Standing::Exempt)), Some((Category::Exempt, 0)));
        assert_eq!(category(tax(seller("KW"), "KW", Standing::Private)), Some((Category::OutOfScope, 0)));
        assert_eq!(tax(seller("US"), "US", Standing::Private), None);
    }
}
