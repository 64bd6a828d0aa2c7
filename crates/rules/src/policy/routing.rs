//! `routing.yaml`: which queue gets what. The first route that fits decides.

use crate::{expression::Expression, reader::Reader};
use serde_json::Value;

pub const FILE: &str = "routing.yaml";

#[derive(Debug, Default)]
pub struct Routing {
    routes: Vec<Route>,
    default: String,
}

#[derive(Debug)]
struct Route {
    /// Codes it is about; empty for all.
    codes: Vec<String>,
    when: Option<Expression>,
    queue: String,
}

impl Routing {
    /// The queue for a finding of a deal. A route whose condition cannot be worked out is not taken.
    #[must_use]
    pub fn queue(&self, code: &str, seen: &Value) -> &str {
        let fits = |route: &&Route| {
            (route.codes.is_empty() || route.codes.iter().any(|known| known == code))
                && route.when.as_ref().is_none_or(|when| when.holds(seen).unwrap_or(false))
        };
        self.routes.iter().find(fits).map_or(&self.default, |route| &route.queue)
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str, sample: &Value) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        all.default = reader.text(&mut root, "default");
        for mut table in reader.tables(&mut root, "routes", true) {
            let codes = reader.texts(&mut table, "codes");
            let queue = reader.text(&mut table, "queue");
            let text = reader.optional(&mut table, "when");
            let when = text.map(|text| Expression::parse(&text, sample));
            let when = match when.transpose() {
                Ok(when) => when,
                Err(reason) => {
                    reader.problem(table.at("when"), reason, "CEL over deal, such as deal.country == 'DE'");
                    None
                }
            };
            if codes.is_empty() && when.is_none() {
                reader.problem(
                    table.at("codes"),
                    "takes everything",
                    "name codes or a condition; use `default` for the rest",
                );
            }
            reader.end(table);
            all.routes.push(Route { codes, when, queue });
        }
        reader.end(root);
        all
    }
}
