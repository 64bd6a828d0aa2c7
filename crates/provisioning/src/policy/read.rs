//! Reading the file: everything is looked at before anything is refused.

use super::{Amount, Bundled, Dunning, Policy, Problems, Product, VERSION};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Table = Map<String, Value>;

pub(super) fn policy(value: Value) -> Result<Policy, Problems> {
    let mut reader = Reader::default();
    let policy = reader.policy(value);
    if reader.problems.is_empty() { Ok(policy) } else { Err(Problems(reader.problems)) }
}

#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, path: &str, problem: &str) {
        self.problems.push(format!("{path}: {problem}"));
    }

    fn policy(&mut self, value: Value) -> Policy {
        let mut root = self.table("file", value);
        match root.remove("version") {
            Some(version) if version.as_u64() == Some(VERSION) => {}
            other => self.problem("version", &format!("is {}, this service reads version {VERSION}", shown(other))),
        }
        let revision = self.text("revision", root.remove("revision"));
        let features: BTreeSet<String> = self.names("features", root.remove("features")).into_iter().collect();
        let support_tiers = self.names("support_tiers", root.remove("support_tiers"));
        let products = root.remove("products").unwrap_or(Value::Null);
        let products = self.table("products", products);
        let products: BTreeMap<String, Product> = products
            .into_iter()
            .map(|(id, value)| {
                let product = self.product(&format!("products.{id}"), value, (&features, &support_tiers));
                (id, product)
            })
            .collect();
        let dunning = self.dunning(root.remove("dunning").unwrap_or(Value::Null));
        let cancellation = root.remove("cancellation").unwrap_or(Value::Null);
        let mut cancellation = self.table("cancellation", cancellation);
        let grace = self.days("cancellation.grace_days", cancellation.remove("grace_days"));
        self.unknown("cancellation.", &cancellation);
        self.unknown("", &root);
        Policy { revision, features, support_tiers, products, dunning, cancellation_grace_days: grace }
    }

    fn product(&mut self, path: &str, value: Value, known: (&BTreeSet<String>, &[String])) -> Product {
        let mut table = self.table(path, value);
        let list = match table.remove("features") {
            Some(Value::Array(list)) => list,
            other => {
                self.problem(&format!("{path}.features"), &format!("must be a list, it is {}", shown(other)));
                Vec::new()
            }
        };
        let mut seen = BTreeSet::new();
        let features: Vec<Bundled> = list
            .into_iter()
            .enumerate()
            .map(|(n, value)| self.bundled(&format!("{path}.features[{n}]"), value))
            .collect();
        for Bundled { feature, .. } in &features {
            if !feature.is_empty() && !known.0.contains(feature) {
                self.problem(&format!("{path}.features"), &format!("`{feature}` is not among `features`"));
            }
            if !seen.insert(feature) {
                self.problem(&format!("{path}.features"), &format!("`{feature}` is named twice"));
            }
        }
        let support_tier =
            table.remove("support_tier").map(|tier| self.text(&format!("{path}.support_tier"), Some(tier)));
        if let Some(tier) = support_tier.as_ref().filter(|tier| !tier.is_empty() && !known.1.contains(tier)) {
            self.problem(&format!("{path}.support_tier"), &format!("`{tier}` is not among `support_tiers`"));
        }
        self.unknown(&format!("{path}."), &table);
        Product { features, support_tier }
    }

    fn bundled(&mut self, path: &str, value: Value) -> Bundled {
        let mut table = self.table(path, value);
        let feature = self.text(&format!("{path}.feature"), table.remove("feature"));
        let amount = match (table.remove("per_unit"), table.remove("fixed")) {
            (None, None) => Amount::Unlimited,
            (Some(value), None) => Amount::PerUnit(self.quantity(&format!("{path}.per_unit"), &value)),
            (None, Some(value)) => Amount::Fixed(self.quantity(&format!("{path}.fixed"), &value)),
            (Some(_), Some(_)) => {
                self.problem(path, "either `per_unit` or `fixed`");
                Amount::Unlimited
            }
        };
        self.unknown(&format!("{path}."), &table);
        Bundled { feature, amount }
    }

    fn dunning(&mut self, value: Value) -> Dunning {
        let mut table = self.table("dunning", value);
        let steps = match table.remove("steps") {
            Some(Value::Array(steps)) => steps,
            other => {
                self.problem("dunning.steps", &format!("must be a list, it is {}", shown(other)));
                Vec::new()
            }
        };
        self.unknown("dunning.", &table);
        let (mut before, mut dunning) = (0, Dunning::default());
        for (n, value) in steps.into_iter().enumerate() {
            let path = format!("dunning.steps[{n}]");
            let mut step = self.table(&path, value);
            let number =
                step.remove("step").and_then(|number| number.as_i64()).and_then(|number| i32::try_from(number).ok());
            match number.filter(|number| *number > before) {
                Some(number) => before = number,
                None => self.problem(&format!("{path}.step"), &format!("must be a whole number above {before}")),
            }
            let suspends = match step.remove("action") {
                Some(Value::String(action)) if action == "suspend" => true,
                Some(Value::String(action)) if action == "wait" => false,
                other => {
                    self.problem(&format!("{path}.action"), &format!("is `wait` or `suspend`, not {}", shown(other)));
                    false
                }
            };
            let grace = step.remove("grace_days");
            if !suspends && grace.is_some() {
                self.problem(&format!("{path}.grace_days"), "goes with `action: suspend` only");
            }
            if suspends {
                let grace_days = self.days(&format!("{path}.grace_days"), grace);
                if dunning.suspend_at_step.is_none() {
                    dunning = Dunning { suspend_at_step: number, grace_days };
                }
            }
            self.unknown(&format!("{path}."), &step);
        }
        dunning
    }

    fn names(&mut self, path: &str, value: Option<Value>) -> Vec<String> {
        let Some(Value::Array(list)) = value else {
            self.problem(path, &format!("must be a list of names, it is {}", shown(value)));
            return Vec::new();
        };
        let mut names = Vec::new();
        for (n, value) in list.into_iter().enumerate() {
            let name = self.text(&format!("{path}[{n}]"), Some(value));
            if names.contains(&name) {
                self.problem(path, &format!("`{name}` is named twice"));
            }
            names.push(name);
        }
        names
    }

    fn text(&mut self, path: &str, value: Option<Value>) -> String {
        match value {
            Some(Value::String(text)) if !text.trim().is_empty() => text,
            other => {
                self.problem(path, &format!("must be text, it is {}", shown(other)));
                String::new()
            }
        }
    }

    /// Zero or more.
    fn quantity(&mut self, path: &str, value: &Value) -> Decimal {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.parse::<Decimal>() {
            Ok(quantity) if !quantity.is_sign_negative() || quantity.is_zero() => quantity,
            _ => {
                self.problem(path, &format!("must be a number from 0, it is {text}"));
                Decimal::ZERO
            }
        }
    }

    fn days(&mut self, path: &str, value: Option<Value>) -> i32 {
        match value.as_ref().and_then(Value::as_i64).filter(|days| (0..=3_650).contains(days)) {
            Some(days) => i32::try_from(days).unwrap_or_default(),
            None => {
                self.problem(path, &format!("must be a whole number of days from 0 to 3650, it is {}", shown(value)));
                0
            }
        }
    }

    fn table(&mut self, path: &str, value: Value) -> Table {
        match value {
            Value::Object(table) => table,
            other => {
                self.problem(path, &format!("must be a table of names, it is {}", shown(Some(other))));
                Table::new()
            }
        }
    }

    fn unknown(&mut self, prefix: &str, table: &Table) {
        for key in table.keys() {
            self.problem(&format!("{prefix}{key}"), "unknown key");
        }
    }
}

fn shown(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => "missing".to_owned(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;

    #[test]
    fn the_file_of_the_repository_has_no_mistakes() {
        let text = include_str!("../../../../deploy/policies/provisioning.yaml");
        let policy = Policy::parse(text).expect("good");
        assert_eq!((policy.dunning.suspend_at_step, policy.dunning.grace_days), (Some(3), 7));
        assert_eq!(policy.better(Some("standard"), Some("premium")), Some("premium"));
        assert_eq!(policy.better(Some("premium"), None), Some("premium"));
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_place() {
        let text = "version: 2\nfeatures: [a, a]\nsupport_tiers: [s]\nproducts:\n  P: { features: [{ feature: b, per_unit: -1 }], \
                    support_tier: gold }\ndunning: { steps: [{ step: 2, action: suspend }, { step: 2, action: shout }] }\n\
                    cancellation: { grace_days: -1 }\nmore: 1\n";
        let problems = Policy::parse(text).expect_err("bad").to_string();
        for place in [
            "version: is 2",
            "revision: must be text",
            "features: `a` is named twice",
            "products.P.features[0].per_unit",
            "`b` is not among `features`",
            "`gold` is not among `support_tiers`",
            "dunning.steps[0].grace_days",
            "dunning.steps[1].step",
            "dunning.steps[1].action",
            "cancellation.grace_days",
            "more: unknown key",
        ] {
            assert!(problems.contains(place), "`{place}` is not in:\n{problems}");
        }
    }
}
