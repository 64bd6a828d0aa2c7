//! `products.yaml`: what is sold, and what the product platform grants for it.

use crate::reader::Reader;
use std::collections::BTreeMap;

pub const FILE: &str = "products.yaml";

#[derive(Debug, Default)]
pub struct Products {
    products: BTreeMap<String, Product>,
}

#[derive(Debug)]
pub struct Product {
    /// Ways to charge for it: `recurring`, `one_time`, `usage`.
    pub charges: Vec<String>,
    /// Entities that may sell it; empty for all.
    pub sellers: Vec<String>,
    /// Features granted, in the quantity of the line.
    pub features: Vec<String>,
}

const CHARGES: [&str; 3] = ["recurring", "one_time", "usage"];

impl Products {
    /// The product itself, or the longest name ending in `*` that fits.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Product> {
        let fits = |name: &&String| name.strip_suffix('*').is_some_and(|prefix| id.starts_with(prefix));
        self.products.get(id).or_else(|| {
            let name = self.products.keys().filter(fits).max_by_key(|name| name.len())?;
            self.products.get(name)
        })
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for (id, mut table) in reader.named(&mut root, "products", true) {
            if id == "*" {
                reader.problem(table.at(""), "would take every product", "name a prefix, such as `SUB-*`");
            }
            let charges = reader.texts(&mut table, "charges");
            for charge in charges.iter().filter(|charge| !CHARGES.contains(&charge.as_str())) {
                let hint = format!("one of {}", CHARGES.join(", "));
                reader.problem(table.at("charges"), format!("`{charge}` is no way to charge"), &hint);
            }
            if charges.is_empty() {
                reader.problem(table.at("charges"), "is missing", "how it is charged, such as [recurring]");
            }
            let sellers = reader.texts(&mut table, "sellers");
            let features = reader.texts(&mut table, "features");
            reader.end(table);
            all.products.insert(id, Product { charges, sellers, features });
        }
        reader.end(root);
        all
    }

    /// Entities that products name.
    pub(crate) fn sellers(&self) -> impl Iterator<Item = (&String, &String)> {
        self.products.iter().flat_map(|(id, product)| product.sellers.iter().map(move |seller| (id, seller)))
    }
}
