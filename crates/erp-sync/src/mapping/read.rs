//! Reading the file: everything is looked at before anything is refused.

use super::{Entity, Items, Mapping, Names, Owners, Problems, Special, VERSION};
use connectors::Reference;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<String>,
}

impl Reader {
    pub(super) fn read(value: Value) -> Result<Mapping, Problems> {
        let mut reader = Self::default();
        let mapping = reader.mapping(value);
        if reader.problems.is_empty() { Ok(mapping) } else { Err(Problems(reader.problems)) }
    }

    pub(super) fn problem(&mut self, path: &str, problem: impl AsRef<str>) {
        self.problems.push(format!("{path}: {}", problem.as_ref()));
    }

    fn mapping(&mut self, value: Value) -> Mapping {
        let mut root = self.table("", value);
        match self.required("", &mut root, "version") {
            Some(version) if version.as_u64() != Some(VERSION) => {
                self.problem("version", format!("is {version}, this service reads version {VERSION}"));
            }
            Some(_) | None => {}
        }
        let entities = self.entities(&mut root);
        let currencies = self.names("", &mut root, "currencies");
        for code in currencies.keys().filter(|code| !events::currency::is_active(code)) {
            self.problem(&format!("currencies.{code}"), "is not an active ISO 4217 code");
        }
        let terms = self.names("", &mut root, "terms");
        let items = self.items(&mut root);
        let tax_codes = self.names("", &mut root, "tax_codes");
        let mut dimensions = self.required_table("", &mut root, "dimensions");
        let departments = self.names("dimensions.", &mut dimensions, "departments");
        let classes = self.names("dimensions.", &mut dimensions, "classes");
        let locations = self.names("dimensions.", &mut dimensions, "locations");
        self.unknown("dimensions.", &dimensions);
        let owners = self.owners(&mut root);
        let posting = self.posting(root.remove("posting"));
        self.unknown("", &root);
        Mapping { entities, currencies, terms, items, tax_codes, departments, classes, locations, owners, posting }
    }

    fn entities(&mut self, root: &mut Map<String, Value>) -> BTreeMap<String, Entity> {
        let mut entities = BTreeMap::new();
        for (id, value) in self.required_table("", root, "entities") {
            let prefix = format!("entities.{id}.");
            let mut table = self.table(prefix.trim_end_matches('.'), value);
            let subsidiary = self.required(&prefix, &mut table, "subsidiary");
            let subsidiary = subsidiary.map(|value| self.reference(&format!("{prefix}subsidiary"), value));
            let default_item = table.remove("default_item");
            let default_item = default_item.map(|value| self.reference(&format!("{prefix}default_item"), value));
            self.unknown(&prefix, &table);
            if let Some(subsidiary) = subsidiary {
                entities.insert(id, Entity { subsidiary, default_item });
            }
        }
        entities
    }

    fn items(&mut self, root: &mut Map<String, Value>) -> Items {
        let mut table = self.required_table("", root, "items");
        let products = self.names("items.", &mut table, "products");
        let prefixes = self.names("items.", &mut table, "prefixes");
        if prefixes.contains_key("") {
            self.problem("items.prefixes", "an empty prefix would take every product; use `default_item` of an entity");
        }
        let mut special = BTreeMap::new();
        for what in Special::ALL {
            if let Some(value) = self.required("items.", &mut table, what.key()) {
                special.insert(what, self.reference(&format!("items.{}", what.key()), value));
            }
        }
        self.unknown("items.", &table);
        Items { products, prefixes, special }
    }

    fn owners(&mut self, root: &mut Map<String, Value>) -> Owners {
        let mut table = self.required_table("", root, "owners");
        let mut owner = |key| match self.required("owners.", &mut table, key) {
            Some(Value::String(queue)) if !queue.trim().is_empty() => queue,
            Some(_) => {
                self.problem(&format!("owners.{key}"), "must be the name of a work queue");
                String::new()
            }
            None => String::new(),
        };
        let owners = Owners {
            items: owner("items"),
            entities: owner("entities"),
            currencies: owner("currencies"),
            terms: owner("terms"),
            tax_codes: owner("tax_codes"),
            dimensions: owner("dimensions"),
        };
        self.unknown("owners.", &table);
        owners
    }

    /// A table of names and the ERP's records for them.
    fn names(&mut self, prefix: &str, table: &mut Map<String, Value>, key: &str) -> Names {
        let names = self.required_table(prefix, table, key);
        names
            .into_iter()
            .map(|(name, value)| (name.clone(), self.reference(&format!("{prefix}{key}.{name}"), value)))
            .collect()
    }

    pub(super) fn reference(&mut self, path: &str, value: Value) -> Reference {
        let mut table = self.table(path, value);
        let reference = match (table.remove("id"), table.remove("external_id")) {
            (Some(id), None) => Reference::Id(self.text(&format!("{path}.id"), id)),
            (None, Some(id)) => Reference::ExternalId(self.text(&format!("{path}.external_id"), id)),
            (_, _) => {
                self.problem(path, "either `id` or `external_id`, such as {external_id: RETAIL}");
                Reference::Id(String::new())
            }
        };
        self.unknown(&format!("{path}."), &table);
        reference
    }

    fn text(&mut self, path: &str, value: Value) -> String {
        match value {
            Value::String(text) if !text.trim().is_empty() => text,
            _ => {
                self.problem(path, "must be text in quotes, such as \"103\"");
                String::new()
            }
        }
    }

    fn required(&mut self, prefix: &str, table: &mut Map<String, Value>, key: &str) -> Option<Value> {
        let value = table.remove(key);
        if value.is_none() {
            self.problem(&format!("{prefix}{key}"), "is missing");
        }
        value
    }

    fn required_table(&mut self, prefix: &str, table: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
        let value = self.required(prefix, table, key);
        value.map(|value| self.table(&format!("{prefix}{key}"), value)).unwrap_or_default()
    }

    pub(super) fn table(&mut self, path: &str, value: Value) -> Map<String, Value> {
        match value {
            Value::Object(table) => table,
            _ => {
                self.problem(if path.is_empty() { "file" } else { path }, "must be a table of names");
                Map::new()
            }
        }
    }

    pub(super) fn unknown(&mut self, prefix: &str, table: &Map<String, Value>) {
        for key in table.keys() {
            self.problem(&format!("{prefix}{key}"), "unknown key");
        }
    }
}
