//! What lines of a contract give, by the catalogue and by what the event asks for. Every mistake of an event is told at once.

use crate::{
    document::Line,
    fold::NO_LINE,
    policy::{Amount, Policy},
};
use connectors::queue;
use events::common::{ChargeType, ContractLine, EntitlementRequest};
use failure::{Class, Failure};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Collects what is wrong.
#[derive(Default)]
pub(super) struct Mistakes(Vec<Failure>);

impl Mistakes {
    fn note(&mut self, failure: Failure) {
        self.0.push(failure);
    }

    /// # Errors
    /// All of them as one, under the class and code of the gravest: what the publisher must mend comes before what we must.
    pub(super) fn check(self) -> Result<(), Failure> {
        let reasons: Vec<String> = self.0.iter().map(|failure| failure.reason.clone()).collect();
        let gravest = self.0.into_iter().min_by_key(|failure| failure.class != Class::Contract);
        match gravest {
            Some(failure) => Err(Failure { reason: reasons.join("; "), ..failure }),
            None => Ok(()),
        }
    }
}

/// What each line gives: what the event asks for in its name, or the bundle of its product.
pub(super) fn lines(
    policy: &Policy,
    sold: &[ContractLine],
    asked: &[EntitlementRequest],
) -> Result<BTreeMap<String, Option<Line>>, Failure> {
    let mut mistakes = Mistakes::default();
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for (n, line) in sold.iter().enumerate() {
        let is_asked = asked.iter().any(|request| request.contract_line_id.as_ref() == Some(&line.contract_line_id));
        let given = bundle(policy, line, &format!("lines[{n}]"), is_asked, &mut mistakes);
        lines.insert(line.contract_line_id.clone(), given);
    }
    for (n, request) in asked.iter().enumerate() {
        let feature = &request.feature_key;
        if !policy.features.contains(feature) {
            let reason = format!("feature `{feature}` is not in the catalogue");
            let failure = Failure::business("FEATURE_UNKNOWN", queue::MASTER_DATA, reason);
            mistakes.note(failure.at_field(format!("entitlements[{n}].feature_key")));
        }
        if let Some(quantity) = request.quantity {
            not_negative(&format!("entitlements[{n}].quantity"), quantity, &mut mistakes);
        }
        let line = request.contract_line_id.as_deref().unwrap_or(NO_LINE).to_owned();
        lines.entry(line).or_default().features.insert(feature.clone(), request.quantity);
    }
    mistakes.check()?;
    Ok(lines.into_iter().map(|(id, line)| (id, Some(line))).collect())
}

fn bundle(policy: &Policy, line: &ContractLine, field: &str, is_asked: bool, mistakes: &mut Mistakes) -> Line {
    let product = policy.products.get(&line.product_id);
    not_negative(&format!("{field}.quantity"), line.quantity, mistakes);
    let Some(product) = product else {
        if gives_access(line) && !is_asked {
            let reason = format!("product `{}` is not in the catalogue of entitlements", line.product_id);
            let failure = Failure::business("PRODUCT_UNMAPPED", queue::MASTER_DATA, reason);
            mistakes.note(failure.at_field(format!("{field}.product_id")));
        }
        return Line::default();
    };
    let mut given = Line { support_tier: product.support_tier.clone(), ..Line::default() };
    // What the event asks for in the line's name stands in place of the bundle.
    for bundled in product.features.iter().filter(|_| !is_asked) {
        let quantity = match bundled.amount {
            Amount::PerUnit(each) => Some(each.checked_mul(line.quantity).unwrap_or(Decimal::MAX)),
            Amount::Fixed(quantity) => Some(quantity),
            Amount::Unlimited => None,
        };
        given.features.insert(bundled.feature.clone(), quantity);
    }
    given
}

/// Whether a product that nobody mapped must be an oversight. Services done once and discounts give no access.
fn gives_access(line: &ContractLine) -> bool {
    match line.charge_type {
        ChargeType::Recurring | ChargeType::Usage | ChargeType::Unknown => true,
        ChargeType::OneTime | ChargeType::Discount | ChargeType::Credit | ChargeType::Proration => false,
    }
}

fn not_negative(field: &str, quantity: Decimal, mistakes: &mut Mistakes) {
    if quantity < Decimal::ZERO {
        let reason = format!("{field} is {quantity}; nobody can be entitled to less than nothing");
        mistakes.note(Failure::contract("FIELD_INVALID", reason).at_field(field.to_owned()));
    }
}
