//! What the policies say of a deal: pure, and every mistake at once.

use crate::{
    facts::{Deal, Line},
    load::Policies,
    policy::approvals::Rule,
    verdict::{Approval, Finding, Treatment, Verdict},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

impl Policies {
    /// Judges a deal.
    #[must_use]
    pub fn judge(&self, deal: &Deal) -> Verdict {
        let mut court = Court::new(self, deal);
        court.shape();
        court.sellers();
        court.customer();
        court.quote();
        court.exposure();
        let lines = court.lines();
        let approvals =
            court.missing(&self.approvals.rules, &deal.seen(), &deal.approvals, crate::policy::approvals::FILE);
        Verdict { version: self.version.clone(), findings: court.findings, approvals, lines }
    }
}

pub(crate) struct Court<'a> {
    policies: &'a Policies,
    deal: &'a Deal,
    seen: Value,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Court<'a> {
    pub(crate) fn new(policies: &'a Policies, deal: &'a Deal) -> Self {
        Self { policies, deal, seen: deal.seen(), findings: Vec::new() }
    }

    fn find(&mut self, code: &str, path: impl Into<String>, message: impl Into<String>, hint: &str) {
        let owner = self.policies.routing.queue(code, &self.seen).to_owned();
        let (path, message) = (path.into(), message.into());
        self.findings.push(Finding { code: code.to_owned(), path, message, hint: hint.to_owned(), owner });
    }

    /// A rule that cannot be worked out decides nothing by itself: its owner has to.
    fn broken(&mut self, file: &str, rule: &str, reason: &str) {
        self.find(
            "RULE_UNUSABLE",
            "",
            format!("{rule} of {file}: {reason}"),
            "mend the rule, then let the deal be tried again",
        );
    }

    /// What must add up whatever the policies are.
    fn shape(&mut self) {
        let deal = self.deal;
        if !events::currency::is_active(&deal.currency) {
            self.find(
                "CURRENCY_UNKNOWN",
                "currency",
                format!("`{}` is not an active ISO 4217 code", deal.currency),
                "mend the opportunity",
            );
        }
        if let (Some(start), Some(end)) = (deal.start_on, deal.end_on)
            && end <= start
        {
            self.find(
                "TERM_INVALID",
                "term.end_on",
                "the term ends before it begins",
                "mend the dates of the opportunity",
            );
        }
        if deal.lines.is_empty() {
            self.find("LINES_MISSING", "lines", "the deal sells nothing", "add products to the opportunity");
        }
        let sum: i128 = deal.lines.iter().map(|line| i128::from(line.amount_minor)).sum();
        if sum != i128::from(deal.total_minor) {
            let message = format!("the lines come to {sum}, the deal says {}", deal.total_minor);
            self.find("TOTAL_DIFFERS", "total_contract_value_minor", message, "mend the amounts of the opportunity");
        }
        let mut ids = BTreeSet::new();
        for (index, line) in deal.lines.iter().enumerate() {
            if !ids.insert(&line.id) {
                self.find(
                    "LINE_DUPLICATE",
                    format!("lines[{index}].contract_line_id"),
                    format!("`{}` is there twice", line.id),
                    "number the lines",
                );
            }
            if line.quantity.is_sign_negative() {
                self.find(
                    "QUANTITY_NEGATIVE",
                    format!("lines[{index}].quantity"),
                    "must not be negative",
                    "use an amendment to take something back",
                );
            }
        }
        self.ramps();
    }

    /// Segments of a ramp follow each other.
    fn ramps(&mut self) {
        let mut ramps: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
        for line in &self.deal.lines {
            if let Some(name) = &line.ramp {
                ramps.entry(name).or_default().push(line);
            }
        }
        for (name, mut segments) in ramps {
            segments.sort_by_key(|line| line.start_on);
            let overlaps =
                segments.windows(2).any(|pair| pair[0].end_on.is_none() || pair[0].end_on > pair[1].start_on);
            if overlaps {
                self.find(
                    "RAMP_OVERLAPS",
                    "lines",
                    format!("segments of ramp `{name}` overlap"),
                    "let each begin where the one before ends",
                );
            }
        }
    }

    fn sellers(&mut self) {
        let deal = self.deal;
        if deal.sellers.is_empty() {
            self.find("ENTITY_UNMAPPED", "sellers", "no selling entity is named", "name who sells on the opportunity");
        }
        let mut named = BTreeSet::new();
        for (index, seller) in deal.sellers.iter().enumerate() {
            let path = format!("sellers[{index}]");
            if !named.insert(&seller.entity) {
                self.find(
                    "SELLER_DUPLICATE",
                    format!("{path}.legal_entity_id"),
                    format!("`{}` is there twice", seller.entity),
                    "add the shares up",
                );
            }
            let Some(entity) = self.policies.entities.find(&seller.entity) else {
                let message = format!("`{}` is not in entities.yaml", seller.entity);
                self.find(
                    "ENTITY_UNMAPPED",
                    format!("{path}.legal_entity_id"),
                    message,
                    "add the entity, or mend the opportunity",
                );
                continue;
            };
            if !entity.currencies.contains(&seller.currency) {
                let message = format!("`{}` does not sell in {}", seller.entity, seller.currency);
                self.find(
                    "CURRENCY_UNMAPPED",
                    format!("{path}.currency"),
                    message,
                    "add the currency to the entity, or choose another",
                );
            }
            if seller.currency != deal.currency
                && self.policies.entities.rate(&deal.currency, &seller.currency).is_none()
            {
                let message = format!("there is no rate from {} to {}", deal.currency, seller.currency);
                self.find(
                    "RATE_MISSING",
                    format!("{path}.currency"),
                    message,
                    "add it to entities.yaml, with day and source",
                );
            }
        }
        let shares: Decimal = deal.sellers.iter().map(|seller| seller.share).sum();
        let is_shared = deal.lines.iter().any(|line| line.entity.is_none());
        if !deal.sellers.is_empty() && is_shared && shares != Decimal::ONE_HUNDRED {
            self.find(
                "SHARES_DIFFER",
                "sellers",
                format!("the shares come to {shares} percent"),
                "let them come to 100",
            );
        }
    }

    fn customer(&mut self) {
        if self.deal.on_hold {
            self.find(
                "CREDIT_HOLD",
                "account_id",
                "credit control holds the customer",
                "credit control releases the hold; the deal then goes on by itself",
            );
        }
        for check in &self.policies.checks.checks {
            match check.when.holds(&self.seen) {
                Ok(true) => self.find(&check.code, &*check.path, &*check.message, &check.hint),
                Ok(false) => {}
                Err(reason) => self.broken(crate::policy::checks::FILE, &check.code, &reason),
            }
        }
    }

    /// What was signed must be what is sold. Whether a deal needs a signed quote is for `checks.yaml`.
    fn quote(&mut self) {
        let Some(quote) = self.deal.quote.as_ref().filter(|quote| quote.is_signed) else { return };
        if quote.is_expired {
            let message = format!("quote `{}` was signed after it had expired", quote.id);
            self.find("QUOTE_EXPIRED", "quote_id", message, "the deal desk lets it pass, or a new quote is signed");
        }
        for difference in &quote.differs {
            let message = format!("quote `{}` says something else than the deal: {difference}", quote.id);
            let path = difference.split(':').next().unwrap_or_default();
            self.find("QUOTE_DIFFERS", path, message, "mend the opportunity, or have a new quote signed");
        }
    }

    /// Every seller must know where it stands wherever tax may be due.
    fn exposure(&mut self) {
        let deal = self.deal;
        for (index, place) in deal.exposure.iter().enumerate() {
            let name =
                place.region.as_ref().map_or(place.country.clone(), |region| format!("{}-{region}", place.country));
            let path = format!("tax_exposure[{index}]");
            if !place.nexus_known {
                let message = format!("nobody has determined whether tax is due in {name}");
                self.find(
                    "TAX_NEXUS_UNKNOWN",
                    path.clone(),
                    message,
                    "tax determines the nexus and marks it on the opportunity",
                );
            }
            for seller in &deal.sellers {
                let is_known = self.policies.entities.find(&seller.entity).is_some();
                if is_known && !self.policies.nexus.covers(&seller.entity, &place.country, place.region.as_deref()) {
                    let message = format!("`{}` is not registered for tax in {name}", seller.entity);
                    self.find(
                        "TAX_NEXUS_UNKNOWN",
                        path.clone(),
                        message,
                        "register it and add it to tax-nexus.yaml, or sell through another entity",
                    );
                }
            }
        }
    }

    pub(crate) fn lines(&mut self) -> BTreeMap<String, Treatment> {
        let deal = self.deal;
        let mut treated = BTreeMap::new();
        for (index, line) in deal.lines.iter().enumerate() {
            let path = format!("lines[{index}]");
            let features = self.product(line, &path);
            self.price(line, &path);
            if let Some(mut treatment) = self.revenue(line, &path) {
                treatment.features = features;
                treated.insert(line.id.clone(), treatment);
            }
        }
        treated
    }

    fn product(&mut self, line: &Line, path: &str) -> Vec<String> {
        let Some(product) = self.policies.products.find(&line.product) else {
            let message = format!("`{}` is not in products.yaml", line.product);
            self.find(
                "PRODUCT_UNKNOWN",
                format!("{path}.product_id"),
                message,
                "add the product, or mend the opportunity",
            );
            return Vec::new();
        };
        if !product.charges.contains(&line.charge) {
            let message = format!("`{}` is not charged as {}", line.product, line.charge);
            self.find("CHARGE_INVALID", format!("{path}.charge_type"), message, "see products.yaml");
        }
        let sellers: Vec<&str> = match &line.entity {
            Some(entity) => vec![entity],
            None => self.deal.sellers.iter().map(|seller| seller.entity.as_str()).collect(),
        };
        if let Some(entity) = &line.entity
            && !self.deal.sellers.iter().any(|seller| seller.entity == *entity)
        {
            self.find(
                "ENTITY_UNMAPPED",
                format!("{path}.seller_entity_id"),
                format!("`{entity}` is none of the sellers"),
                "add it to the sellers",
            );
        }
        for seller in sellers {
            if !product.sellers.is_empty() && !product.sellers.iter().any(|known| known == seller) {
                let message = format!("`{seller}` may not sell `{}`", line.product);
                self.find("SELLER_NOT_ALLOWED", format!("{path}.product_id"), message, "see products.yaml");
            }
        }
        product.features.clone()
    }

    fn price(&mut self, line: &Line, path: &str) {
        let Some(plan) = self.policies.prices.find(&line.product, &self.deal.currency) else { return };
        let least = plan.list * (Decimal::ONE_HUNDRED - plan.max_discount) / Decimal::ONE_HUNDRED;
        if line.unit_price < least {
            let message =
                format!("{} is below {}, the least for `{}`", line.unit_price, least.normalize(), line.product);
            self.find(
                "PRICE_TOLERANCE",
                format!("{path}.unit_price"),
                message,
                "the deal desk agrees to it, or the price is raised",
            );
        }
    }

    fn revenue(&mut self, line: &Line, path: &str) -> Option<Treatment> {
        let seen = json!({ "deal": self.deal, "line": line });
        let policies = self.policies;
        for rule in &policies.revenue.rules {
            match rule.when.holds(&seen) {
                Ok(false) => {}
                Err(reason) => self.broken(crate::policy::revenue::FILE, &rule.rule, &reason),
                Ok(true) => {
                    if !rule.is_approved {
                        let message = format!("`{}` of revenue.yaml is not approved", rule.rule);
                        self.find("REVENUE_RULE_UNAPPROVED", path, message, "finance approves the rule");
                    }
                    return Some(Treatment {
                        rule: rule.rule.clone(),
                        method: rule.method,
                        deferred_account: rule.deferred_account.clone(),
                        recognised_account: rule.recognised_account.clone(),
                        features: Vec::new(),
                    });
                }
            }
        }
        let message = format!("no rule of revenue.yaml is about `{}` ({})", line.product, line.charge);
        self.find("REVENUE_RULE_MISSING", path, message, "finance adds a rule");
        None
    }

    /// Approvals that these rules ask for and that nobody gave.
    pub(crate) fn missing(&mut self, rules: &[Rule], seen: &Value, given: &[String], file: &str) -> Vec<Approval> {
        let mut missing = Vec::new();
        for rule in rules {
            match rule.when.holds(seen) {
                Ok(true) if !given.contains(&rule.rule) => {
                    missing.push(Approval {
                        rule: rule.rule.clone(),
                        reason: rule.reason.clone(),
                        owner: rule.owner.clone(),
                    });
                }
                Ok(_) => {}
                Err(reason) => self.broken(file, &rule.rule, &reason),
            }
        }
        missing
    }
}
