//! What the business sells, where and in which currency: the names that `deploy/policies/erp-mapping.yaml` maps.

/// A selling entity with the market it serves.
#[derive(Debug, PartialEq)]
pub(super) struct Market {
    pub(super) legal_entity: &'static str,
    pub(super) seller: &'static str,
    pub(super) country: &'static str,
    pub(super) currency: &'static str,
    /// Decimal places of the currency's minor unit.
    pub(super) exponent: u32,
    /// Prices of the catalogue times this give a believable price in minor units here.
    pub(super) price_level: i64,
    pub(super) timezone: &'static str,
    pub(super) locale: &'static str,
    /// Where its customers are, by weight.
    pub(super) customers: &'static [(&'static str, u32)],
    /// Accounts out of 100.
    pub(super) weight: u32,
}

impl Market {
    /// The country in which the selling entity sits.
    pub(super) fn seat(&self) -> &'static str {
        if self.legal_entity == "UK" { "GB" } else { self.legal_entity }
    }
}

pub(super) const MARKETS: [Market; 5] = [
    Market {
        legal_entity: "US",
        seller: "Example Inc.",
        country: "US",
        currency: "USD",
        exponent: 2,
        price_level: 100,
        timezone: "America/New_York",
        locale: "en-US",
        customers: &[("US", 1)],
        weight: 42,
    },
    Market {
        legal_entity: "UK",
        seller: "Example Ltd",
        country: "GB",
        currency: "GBP",
        exponent: 2,
        price_level: 80,
        timezone: "Europe/London",
        locale: "en-GB",
        customers: &[("GB", 1)],
        weight: 25,
    },
    Market {
        legal_entity: "DE",
        seller: "Example GmbH",
        country: "DE",
        currency: "EUR",
        exponent: 2,
        price_level: 95,
        timezone: "Europe/Berlin",
        locale: "de-DE",
        customers: &[("DE", 62), ("FR", 11), ("NL", 7), ("AT", 6), ("EE", 6), ("SK", 4), ("FI", 4)],
        weight: 20,
    },
    Market {
        legal_entity: "JP",
        seller: "Example KK",
        country: "JP",
        currency: "JPY",
        exponent: 0,
        price_level: 150,
        timezone: "Asia/Tokyo",
        locale: "ja-JP",
        customers: &[("JP", 1)],
        weight: 9,
    },
    // Sold from the United Kingdom without tax: an export in a currency with three decimals.
    Market {
        legal_entity: "UK",
        seller: "Example Ltd",
        country: "KW",
        currency: "KWD",
        exponent: 3,
        price_level: 300,
        timezone: "Asia/Kuwait",
        locale: "en-KW",
        customers: &[("KW", 1)],
        weight: 4,
    },
];

/// A product billed by the seat.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) feature: &'static str,
    /// Price of a seat and month, in whole units of a currency of level 1.
    pub(super) price: i64,
}

pub(super) const PRODUCTS: [Product; 6] = [
    Product { id: "SUB-PLATFORM", name: "Platform", feature: "platform", price: 49 },
    Product { id: "SUB-ANALYTICS", name: "Analytics", feature: "analytics", price: 19 },
    Product { id: "SUB-SUPPORT", name: "Premium support", feature: "support", price: 12 },
    Product { id: "SUB-STORAGE", name: "Archive storage", feature: "storage", price: 7 },
    Product { id: "SUB-SSO", name: "Single sign-on", feature: "sso", price: 4 },
    Product { id: "SUB-SANDBOX", name: "Sandbox environments", feature: "sandbox", price: 29 },
];

/// What is measured.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) product: &'static str,
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Included in each period, in units.
    pub(super) included: i64,
    /// Price of a unit of the first tier in millionths of a minor unit, times the market's price level.
    pub(super) price_micro: i64,
    /// What is used above the included quantity, cheapest last.
    pub(super) tiers: [Tier; 3],
}

/// Usage from one quantity of a period up to another, at a part of the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tier {
    pub(super) from: i64,
    /// `None` for the last one.
    pub(super) to: Option<i64>,
    pub(super) percent: i64,
}

const fn tier(from: i64, to: Option<i64>, percent: i64) -> Tier {
    Tier { from, to, percent }
}

pub(super) const METERS: [Meter; 2] = [
    Meter {
        product: "USE-API-CALLS",
        name: "api_calls",
        unit: "call",
        included: 100_000,
        price_micro: 123,
        tiers: [tier(100_000, Some(250_000), 100), tier(250_000, Some(1_000_000), 70), tier(1_000_000, None, 40)],
    },
    Meter {
        product: "USE-TRANSFER",
        name: "transfer",
        unit: "GB",
        included: 500,
        price_micro: 42_500,
        tiers: [tier(500, Some(1_000), 100), tier(1_000, Some(5_000), 80), tier(5_000, None, 60)],
    },
];

/// A product that no mapping knows, for business errors.
pub(super) const UNMAPPED_PRODUCT: &str = "UNMAPPED-GADGET";

/// Terms by code, with their net days.
pub(super) const TERMS: [(&str, i32); 3] = [("NET14", 14), ("NET30", 30), ("NET45", 45)];

const FIRST: [&str; 24] = [
    "Alder", "Amber", "Birch", "Cobalt", "Copper", "Coral", "Delta", "Ember", "Fjord", "Garnet", "Harbour", "Iris",
    "Juniper", "Lantern", "Maple", "Meridian", "Nimbus", "Onyx", "Orchard", "Pioneer", "Quarry", "Raven", "Summit",
    "Willow",
];
const SECOND: [&str; 16] = [
    "Analytics",
    "Biotech",
    "Brewing",
    "Energy",
    "Foods",
    "Freight",
    "Health",
    "Homes",
    "Instruments",
    "Labs",
    "Media",
    "Mills",
    "Robotics",
    "Software",
    "Travel",
    "Works",
];

/// An invented company name; `number` makes it unique.
pub(super) fn company(number: u32) -> String {
    let number = number as usize;
    let first = FIRST[number % FIRST.len()];
    let second = SECOND[number / FIRST.len() % SECOND.len()];
    format!("{first} {second} {}", number / (FIRST.len() * SECOND.len()) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_markets_share_out_all_accounts() {
        assert_eq!(MARKETS.iter().map(|market| market.weight).sum::<u32>(), 100);
    }

    #[test]
    fn company_names_differ() {
        let names: std::collections::BTreeSet<_> = (0..10_000).map(company).collect();
        assert_eq!(names.len(), 10_000);
    }
}
