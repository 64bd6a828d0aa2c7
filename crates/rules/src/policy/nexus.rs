//! `tax-nexus.yaml`: where each entity is registered for tax.

use crate::reader::Reader;
use std::collections::BTreeMap;

pub const FILE: &str = "tax-nexus.yaml";

/// Countries by entity; the regions of each, empty where the country levies the tax.
#[derive(Debug, Default)]
pub struct Nexus(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Nexus {
    /// Whether the entity can charge tax there.
    #[must_use]
    pub fn covers(&self, entity: &str, country: &str, region: Option<&str>) -> bool {
        let regions = self.0.get(entity).and_then(|countries| countries.get(country));
        regions.is_some_and(|regions| {
            regions.is_empty() || region.is_some_and(|region| regions.iter().any(|known| known == region))
        })
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        for mut table in reader.tables(&mut root, "registrations", true) {
            let entity = reader.text(&mut table, "entity");
            let country = reader.text(&mut table, "country");
            let regions = reader.texts(&mut table, "regions");
            let place = table.at("country");
            reader.end(table);
            if all.0.entry(entity.clone()).or_default().insert(country.clone(), regions).is_some() {
                reader.problem(place, format!("{entity} in {country} is there twice"), "put the regions into one");
            }
        }
        reader.end(root);
        all
    }

    pub(crate) fn entities(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}
