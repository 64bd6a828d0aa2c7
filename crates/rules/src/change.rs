//! What rules may know of a change of a contract that is in force: an amendment, or a renewal. Nothing personal.

use crate::facts::{Deal, Line, Quote, Seller, number};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An amendment that somebody asks for. Amounts are minor units of `currency`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// `add`, `remove`, `quantity`, `price`, `plan_change`, `term_extension`, `owner_transfer`, `suspend` or `resume`.
    pub kind: String,
    /// ISO 4217.
    pub currency: String,
    /// The entity whose contract it is.
    pub entity: String,
    pub delta_mrr_minor: i64,
    pub delta_tcv_minor: i64,
    /// What the contract is worth without it.
    pub contract_value_minor: i64,
    /// Day from which it holds.
    pub holds_on: Option<Date>,
    /// Whole months of the new term; 0 where it stays or has no end.
    pub term_months: i64,
    pub changes: Vec<Changed>,
    /// Rules whose approval is given.
    pub approvals: Vec<String>,
}

/// A line before and after.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changed {
    /// Absent for a new line.
    pub before: Option<Line>,
    /// Absent for one that is removed.
    pub after: Option<Line>,
}

/// A renewal that the customer accepted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Renewal {
    /// ISO 4217.
    pub currency: String,
    /// The entity whose contract it is.
    pub entity: String,
    /// Whole months of the new term; 0 where it has no end.
    pub term_months: i64,
    /// What the new term is worth, in minor units.
    pub total_minor: i64,
    /// Rise of the price in percent, as it is stated for the whole.
    #[serde(serialize_with = "number")]
    pub uplift_percent: Decimal,
    pub lines: Vec<Repriced>,
    /// Rules whose approval is given.
    pub approvals: Vec<String>,
}

/// A line of the new term, with what its unit cost before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repriced {
    pub id: String,
    pub product: String,
    /// Absent for a line that is new.
    pub price_before: Option<Decimal>,
    #[serde(serialize_with = "number")]
    pub price: Decimal,
}

impl Amendment {
    /// The variables of a condition.
    #[must_use]
    pub fn seen(&self) -> Value {
        json!({ "amendment": self })
    }

    /// What is sold after it, as far as it changes: judged as the lines of a deal are, each with its place among the changes.
    pub(crate) fn sold(&self) -> (Deal, Vec<usize>) {
        let after = self.changes.iter().enumerate().filter_map(|(at, change)| Some((at, change.after.clone()?)));
        let (places, lines) = after.unzip();
        (of_contract(&self.currency, &self.entity, lines), places)
    }

    #[must_use]
    pub(crate) fn sample() -> Self {
        let change = Changed { before: Some(Line::default()), after: Some(Line::default()) };
        Self { kind: "quantity".into(), currency: "EUR".into(), changes: vec![change], ..Self::default() }
    }
}

impl Renewal {
    /// What it is routed by.
    pub(crate) fn sold(&self) -> Deal {
        let of = |line: &Repriced| Line {
            id: line.id.clone(),
            product: line.product.clone(),
            unit_price: line.price,
            ..Line::default()
        };
        of_contract(&self.currency, &self.entity, self.lines.iter().map(of).collect())
    }
}

fn of_contract(currency: &str, entity: &str, lines: Vec<Line>) -> Deal {
    let seller = Seller { entity: entity.to_owned(), currency: currency.to_owned(), share: Decimal::ONE_HUNDRED };
    // What conditions of routes may ask of every deal.
    let quote = Quote::default();
    Deal { currency: currency.to_owned(), sellers: vec![seller], lines, quote: Some(quote), ..Deal::default() }
}
