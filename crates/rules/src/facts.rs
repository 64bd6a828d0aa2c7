//! What rules may know of a deal: no names, no addresses, nothing personal.

use jiff::civil::Date;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

/// A deal as rules see it. Amounts are minor units of `currency`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deal {
    /// `new`, `expansion` or `renewal`.
    pub deal_type: String,
    /// ISO 4217.
    pub currency: String,
    pub total_minor: i64,
    pub start_on: Option<Date>,
    /// First day after the term; absent for an evergreen one.
    pub end_on: Option<Date>,
    /// Whole months between the two; 0 where either is missing.
    pub term_months: i64,
    /// ISO 3166 country of the billing address.
    pub country: Option<String>,
    /// Payment terms, such as `NET30`.
    pub terms: Option<String>,
    pub has_legal_name: bool,
    pub has_tax_id: bool,
    /// `none`, `exempt` or `reverse_charge`.
    pub tax_exemption: String,
    pub has_po_number: bool,
    /// Whether the account is named as its own parent company.
    pub is_own_parent: bool,
    /// The quote that the deal names or that was signed for it; absent where there is none.
    pub quote: Option<Quote>,
    /// Whether credit control holds the customer.
    pub on_hold: bool,
    /// Entities that sell, each with its order's currency.
    pub sellers: Vec<Seller>,
    /// Places where tax may be due.
    pub exposure: Vec<Exposure>,
    pub lines: Vec<Line>,
    /// Rules of `approvals.yaml` whose approval is given.
    pub approvals: Vec<String>,
}

/// What is known of a deal's quote.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quote {
    pub id: String,
    /// Whether the customer signed it.
    pub is_signed: bool,
    /// Whether it was signed after it had expired.
    pub is_expired: bool,
    /// Where it says something else than the deal, such as `lines.L1.quantity: 10 there, 12 here`.
    pub differs: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seller {
    pub entity: String,
    pub currency: String,
    /// Percent of the lines that name no entity.
    #[serde(serialize_with = "number")]
    pub share: Decimal,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exposure {
    /// ISO 3166.
    pub country: String,
    /// State or province, where tax is levied there.
    pub region: Option<String>,
    /// Whether the seller knows that it has (or has not) to register there.
    pub nexus_known: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Line {
    pub id: String,
    pub product: String,
    /// `recurring`, `one_time` or `usage`.
    pub charge: String,
    #[serde(serialize_with = "number")]
    pub quantity: Decimal,
    #[serde(serialize_with = "number")]
    pub unit_price: Decimal,
    pub amount_minor: i64,
    /// The one entity that sells it; absent where all sellers share it.
    pub entity: Option<String>,
    pub start_on: Option<Date>,
    /// First day after it.
    pub end_on: Option<Date>,
    /// Segments of one ramp have the same name; they follow each other.
    pub ramp: Option<String>,
}

/// CEL compares numbers, not texts.
pub(crate) fn number<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64().unwrap_or_default())
}

impl Deal {
    /// The variables of a condition over the whole deal.
    #[must_use]
    pub fn seen(&self) -> Value {
        json!({ "deal": self })
    }

    /// A deal with one of everything, for trying conditions.
    #[must_use]
    pub(crate) fn sample() -> Self {
        Self {
            deal_type: "new".into(),
            currency: "EUR".into(),
            country: Some("DE".into()),
            terms: Some("NET30".into()),
            tax_exemption: "none".into(),
            quote: Some(Quote::default()),
            sellers: vec![Seller::default()],
            exposure: vec![Exposure { region: Some(String::new()), ..Exposure::default() }],
            lines: vec![Line { entity: Some(String::new()), ..Line::default() }],
            ..Self::default()
        }
    }
}
