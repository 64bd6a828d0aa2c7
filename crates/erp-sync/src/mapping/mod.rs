//! How events name things, and how the ERP does: `deploy/policies/erp-mapping.yaml`.
//!
//! The file is checked as a whole when it is read, so that a service never starts with half a mapping. What it simply does not
//! name is no mistake of the file: the event that needs it is parked for the owner, with the field and the reason.

mod posting;
mod read;

pub use posting::{ClosedPeriod, Posting, UsagePolicy};

use connectors::{Currency, Dimensions, Reference};
use events::common;
use failure::Failure;
use read::Reader;
use std::{collections::BTreeMap, fmt, path::Path};

/// The version of the file's form that this service reads.
pub const VERSION: u64 = 1;

type Names = BTreeMap<String, Reference>;

/// A checked mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    entities: BTreeMap<String, Entity>,
    currencies: Names,
    terms: Names,
    items: Items,
    tax_codes: Names,
    departments: Names,
    classes: Names,
    locations: Names,
    owners: Owners,
    /// How amounts are posted.
    pub posting: Posting,
}

/// A selling entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    pub subsidiary: Reference,
    /// Books every product of this entity that `items` does not name.
    pub default_item: Option<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Items {
    products: Names,
    prefixes: Names,
    special: BTreeMap<Special, Reference>,
}

/// Lines that sell no product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Special {
    /// The one line of an order whose contract has none.
    FrameContract,
    /// A reduction on a whole document.
    Allowance,
    /// A charge on a whole document.
    Charge,
    /// Rounding of the amount to pay.
    Rounding,
}

impl Special {
    const ALL: [Self; 4] = [Self::FrameContract, Self::Allowance, Self::Charge, Self::Rounding];

    const fn key(self) -> &'static str {
        match self {
            Self::FrameContract => "frame_contract",
            Self::Allowance => "allowance",
            Self::Charge => "charge",
            Self::Rounding => "rounding",
        }
    }
}

/// Work queues, by the part of the file they keep.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owners {
    items: String,
    entities: String,
    currencies: String,
    terms: String,
    tax_codes: String,
    dimensions: String,
}

/// Everything that is wrong with a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ERP mapping has {} problem(s)", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Mapping {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it cannot be read, is not YAML, or breaks rules: all of them.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Problems(vec![format!("{}: {error}", path.display())]))?;
        Self::parse(&text).map_err(|Problems(all)| {
            Problems(all.into_iter().map(|problem| format!("{}: {problem}", path.display())).collect())
        })
    }

    /// # Errors
    /// As [`Mapping::load`].
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let value = serde_saphyr::from_str(text).map_err(|error| Problems(vec![error.to_string()]))?;
        Reader::read(value)
    }

    /// The selling entity `id`.
    ///
    /// # Errors
    /// `ENTITY_UNMAPPED`.
    pub fn entity(&self, id: &str) -> Result<&Entity, Failure> {
        self.entities.get(id).ok_or_else(|| {
            let reason = format!("selling entity `{id}` has no subsidiary in the mapping");
            Failure::business("ENTITY_UNMAPPED", &*self.owners.entities, reason).at_field("legal_entity_id")
        })
    }

    /// # Errors
    /// `CURRENCY_UNMAPPED` with `field`.
    pub fn currency(&self, field: &str, code: &str) -> Result<Currency, Failure> {
        let found = self.currencies.get(code).cloned().zip(events::currency::exponent(code));
        found.map(|(reference, exponent)| Currency { reference, exponent }).ok_or_else(|| {
            let reason = format!("currency `{code}` is not in the mapping");
            Failure::business("CURRENCY_UNMAPPED", &*self.owners.currencies, reason).at_field(field)
        })
    }

    /// Terms that an event states; none stated, none sent.
    ///
    /// # Errors
    /// `TERMS_UNMAPPED` with `field`.
    pub fn terms(&self, field: &str, terms: Option<&common::PaymentTerms>) -> Result<Option<Reference>, Failure> {
        let Some(terms) = terms else { return Ok(None) };
        self.terms.get(&terms.code).cloned().map(Some).ok_or_else(|| {
            let reason = format!("payment terms `{}` are not in the mapping", terms.code);
            Failure::business("TERMS_UNMAPPED", &*self.owners.terms, reason).at_field(format!("{field}.code"))
        })
    }

    /// The item of a product: by id, then by SKU, the whole one before the longest prefix, then the entity's default.
    ///
    /// # Errors
    /// `ITEM_UNMAPPED` with the line.
    pub fn item(&self, line: &str, entity: &Entity, product_id: &str, sku: Option<&str>) -> Result<Reference, Failure> {
        let names = || std::iter::once(product_id).chain(sku);
        let exact = names().find_map(|name| self.items.products.get(name));
        let found = exact.or_else(|| names().find_map(|name| self.by_prefix(name))).or(entity.default_item.as_ref());
        found.cloned().ok_or_else(|| {
            let reason = format!("product `{product_id}` has no item in the mapping");
            Failure::business("ITEM_UNMAPPED", &*self.owners.items, reason).at_field(format!("{line}.product_id"))
        })
    }

    fn by_prefix(&self, name: &str) -> Option<&Reference> {
        let fits = |prefix: &&String| name.starts_with(prefix.as_str());
        let longest = self.items.prefixes.keys().filter(fits).max_by_key(|prefix| prefix.len())?;
        self.items.prefixes.get(longest)
    }

    /// The item of a line that sells no product.
    #[must_use]
    pub fn special(&self, what: Special) -> Reference {
        self.items.special.get(&what).cloned().expect("reading the file refuses one without all special items")
    }

    /// The ERP's account for `code`, or `default` where the event names none.
    ///
    /// # Errors
    /// `REFERENCE_UNKNOWN` with `field`.
    pub fn account(&self, field: &str, code: Option<&str>, default: Option<&Reference>) -> Result<Reference, Failure> {
        let found = match code {
            Some(code) => self.posting.accounts.get(code),
            None => default,
        };
        found.cloned().ok_or_else(|| {
            let reason = format!("account `{}` is not in the mapping", code.unwrap_or("(default)"));
            Failure::business("REFERENCE_UNKNOWN", connectors::queue::FINANCE, reason).at_field(field)
        })
    }

    /// An item that `posting` names for amounts without product, such as `write_off`.
    ///
    /// # Errors
    /// `ITEM_UNMAPPED`.
    pub fn posting_item(&self, name: &str, item: Option<&Reference>) -> Result<Reference, Failure> {
        item.cloned().ok_or_else(|| {
            let reason = format!("the mapping has no `posting.{name}`");
            Failure::business("ITEM_UNMAPPED", &*self.owners.items, reason).at_field(format!("posting.{name}"))
        })
    }

    /// # Errors
    /// `REFERENCE_UNKNOWN` with the line.
    pub fn tax_code(&self, field: &str, jurisdiction: Option<&str>, category: &str) -> Result<Reference, Failure> {
        let local = jurisdiction.and_then(|place| self.tax_codes.get(&format!("{place}/{category}")));
        local.or_else(|| self.tax_codes.get(category)).cloned().ok_or_else(|| {
            let reason = format!("tax category `{category}` has no tax code in the mapping");
            Failure::business("REFERENCE_UNKNOWN", &*self.owners.tax_codes, reason).at_field(field)
        })
    }

    /// # Errors
    /// `REFERENCE_UNKNOWN` with the line and the dimension.
    pub fn dimensions(&self, line: &str, stated: Option<&common::Dimensions>) -> Result<Dimensions, Failure> {
        let Some(stated) = stated else { return Ok(Dimensions::default()) };
        let find = |names: &Names, name: &str, code: Option<&String>| {
            let Some(code) = code else { return Ok(None) };
            names.get(code).cloned().map(Some).ok_or_else(|| {
                let reason = format!("{name} `{code}` is not in the mapping");
                let failure = Failure::business("REFERENCE_UNKNOWN", &*self.owners.dimensions, reason);
                failure.at_field(format!("{line}.dimensions.{name}"))
            })
        };
        Ok(Dimensions {
            department: find(&self.departments, "department", stated.department.as_ref())?,
            class: find(&self.classes, "class", stated.class.as_ref())?,
            location: find(&self.locations, "location", stated.location.as_ref())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::Class;

    const SHIPPED: &str = include_str!("../../../../deploy/policies/erp-mapping.yaml");

    fn shipped() -> Mapping {
        Mapping::parse(SHIPPED).expect("the mapping in the repository")
    }

    fn problems(text: &str) -> Vec<String> {
        Mapping::parse(text).expect_err("a bad mapping").0
    }

    #[test]
    fn a_product_is_found_by_id_then_sku_then_prefix_then_the_default_of_its_entity() {
        let mapping = shipped();
        let item = |entity: &str, product: &str, sku| {
            let entity = mapping.entity(entity).expect("an entity");
            mapping.item("lines[0]", entity, product, sku)
        };
        let external = |id: &str| Ok(Reference::ExternalId(id.into()));
        assert_eq!(item("US", "RETAIL", None), external("RETAIL"));
        assert_eq!(item("US", "SUB-PLATFORM", None), external("SUBSCRIPTION"));
        assert_eq!(item("US", "4711", Some("USE-API")), external("USAGE"));
        assert_eq!(item("online-retail", "85123A", None), external("RETAIL"));
        let failure = item("US", "UNMAPPED-GADGET", None).expect_err("nobody maps it");
        assert_eq!((failure.class, failure.code.as_ref()), (Class::Business, "ITEM_UNMAPPED"));
        assert_eq!(failure.field.as_deref(), Some("lines[0].product_id"));
        assert_eq!(failure.owner.as_deref(), Some("product-data"));
    }

    #[test]
    fn what_is_not_mapped_names_the_field_and_the_owner() {
        let mapping = shipped();
        let terms = common::PaymentTerms { code: "NET7".into(), net_days: 7 };
        for (failure, code, field) in [
            (mapping.entity("FR").expect_err("unmapped"), "ENTITY_UNMAPPED", "legal_entity_id"),
            (mapping.currency("currency", "NOK").expect_err("unmapped"), "CURRENCY_UNMAPPED", "currency"),
            (
                mapping.terms("payment_terms", Some(&terms)).expect_err("unmapped"),
                "TERMS_UNMAPPED",
                "payment_terms.code",
            ),
        ] {
            assert_eq!(
                (failure.class, failure.code.as_ref(), failure.field.as_deref()),
                (Class::Business, code, Some(field))
            );
            assert!(failure.owner.is_some());
        }
    }

    #[test]
    fn tax_of_a_place_goes_before_the_category() {
        let text =
            SHIPPED.replace("  S: {external_id: STANDARD}", "  S: {external_id: STANDARD}\n  GB/S: {id: \"77\"}");
        let mapping = Mapping::parse(&text).expect("a good mapping");
        assert_eq!(mapping.tax_code("f", Some("GB"), "S"), Ok(Reference::Id("77".into())));
        assert_eq!(mapping.tax_code("f", Some("DE"), "S"), Ok(Reference::ExternalId("STANDARD".into())));
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_place() {
        let text = "version: 2\nentities: {US: {}}\ncurrencies: {GPB: {id: \"2\"}, USD: {id: 1}}\nterms: []\ncolour: blue\n\
                    items: {prefixes: {\"\": {id: \"1\"}}, products: {X: {id: \"1\", external_id: \"2\"}}}\n";
        let problems = problems(text).join("\n");
        for expected in [
            "version: is 2",
            "entities.US.subsidiary: is missing",
            "currencies.GPB: is not an active ISO 4217 code",
            "currencies.USD.id: must be text in quotes",
            "terms: must be a table",
            "colour: unknown key",
            "items.prefixes: an empty prefix",
            "items.products.X: either `id` or `external_id`",
            "items.frame_contract: is missing",
            "owners: is missing",
        ] {
            assert!(problems.contains(expected), "`{expected}` is not in:\n{problems}");
        }
    }

    #[test]
    fn what_is_not_yaml_or_says_a_thing_twice_is_refused() {
        assert_eq!(problems("version: [").len(), 1);
        assert_eq!(problems(&format!("{SHIPPED}\nversion: 1\n")).len(), 1);
    }
}
