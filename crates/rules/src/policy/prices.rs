//! `price-plans.yaml`: list prices, how far below them a deal may go, and how far a renewal may raise them.

use crate::reader::Reader;
use rust_decimal::Decimal;

pub const FILE: &str = "price-plans.yaml";

#[derive(Debug, Default)]
pub struct Prices {
    plans: Vec<Plan>,
}

#[derive(Debug)]
pub struct Plan {
    pub product: String,
    pub currency: String,
    /// Price of one unit, in major units.
    pub list: Decimal,
    /// Percent.
    pub max_discount: Decimal,
    /// Percent by which a renewal may raise the price; none: by any.
    pub max_uplift: Option<Decimal>,
}

impl Prices {
    #[must_use]
    pub fn find(&self, product: &str, currency: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.product == product && plan.currency == currency)
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for mut table in reader.tables(&mut root, "plans", true) {
            let product = reader.text(&mut table, "product");
            let currency = reader.text(&mut table, "currency");
            reader.currency(&table.at("currency"), &currency);
            let list = reader.number(&mut table, "list").unwrap_or_else(|| {
                reader.problem(table.at("list"), "is missing", "the price of one unit, such as 49.90");
                Decimal::ZERO
            });
            let max_discount = reader.number(&mut table, "max_discount").unwrap_or_default();
            if max_discount > Decimal::ONE_HUNDRED {
                reader.problem(table.at("max_discount"), "must be at most 100", "percent");
            }
            let max_uplift = reader.number(&mut table, "max_uplift");
            if all.find(&product, &currency).is_some() {
                reader.problem(table.at("product"), format!("{product} in {currency} is there twice"), "keep one");
            }
            reader.end(table);
            all.plans.push(Plan { product, currency, list, max_discount, max_uplift });
        }
        reader.end(root);
        all
    }

    pub(crate) fn plans(&self) -> &[Plan] {
        &self.plans
    }
}
