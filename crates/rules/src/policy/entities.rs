//! `entities.yaml`: who sells, in which currencies, and the rates between them.

use crate::reader::Reader;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

pub const FILE: &str = "entities.yaml";

#[derive(Debug, Default)]
pub struct Entities {
    entities: BTreeMap<String, Entity>,
    rates: BTreeMap<(String, String), Rate>,
}

#[derive(Debug)]
pub struct Entity {
    /// ISO 3166.
    pub country: String,
    /// What its books are kept in; also what its orders are in unless the deal says otherwise.
    pub currency: String,
    /// What it sells in.
    pub currencies: BTreeSet<String>,
}

/// A rate as finance stated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Units of the second currency for one of the first.
    pub rate: Decimal,
    pub on: Date,
    pub source: String,
}

impl Entities {
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Entity> {
        self.entities.get(id)
    }

    /// The stated rate of a pair; there is no crossing and no inverting.
    #[must_use]
    pub fn rate(&self, from: &str, to: &str) -> Option<&Rate> {
        self.rates.get(&(from.to_owned(), to.to_owned()))
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for (id, mut table) in reader.named(&mut root, "entities", true) {
            let country = reader.text(&mut table, "country");
            let currency = reader.text(&mut table, "currency");
            reader.currency(&table.at("currency"), &currency);
            let mut currencies: BTreeSet<_> = reader.texts(&mut table, "currencies").into_iter().collect();
            currencies.iter().for_each(|code| reader.currency(&table.at("currencies"), code));
            currencies.insert(currency.clone());
            reader.end(table);
            all.entities.insert(id, Entity { country, currency, currencies });
        }
        for mut table in reader.tables(&mut root, "rates", false) {
            let (from, to) = (reader.text(&mut table, "from"), reader.text(&mut table, "to"));
            reader.currency(&table.at("from"), &from);
            reader.currency(&table.at("to"), &to);
            let rate = reader.number(&mut table, "rate").filter(|rate| !rate.is_zero());
            let (on, source) = (reader.text(&mut table, "on"), reader.text(&mut table, "source"));
            let place = table.at("on");
            reader.end(table);
            match (rate, on.parse()) {
                (Some(rate), Ok(on)) => {
                    if all.rates.insert((from.clone(), to.clone()), Rate { rate, on, source }).is_some() {
                        reader.problem(place, format!("{from} to {to} is there twice"), "keep one");
                    }
                }
                (None, _) => reader.problem(place.replace(".on", ".rate"), "must be above 0", "such as 0.92"),
                (_, Err(_)) => reader.problem(place, "must be a day", "such as \"2026-01-02\""),
            }
        }
        reader.end(root);
        all
    }
}
