//! Phases of a plan, and of a schedule that is there, as a form has them.

use super::{
    Stripe,
    answer::or_none,
    catalogue::{Metered, recurring},
    form::Form,
    money,
};
use crate::{AtEnd, BillingCharge, BillingItem, BillingPhase, BillingPlan, Cause, Error, OneOff, error::queue};
use jiff::{Timestamp, ToSpan as _, Zoned, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Metadata values have at most this many characters.
const MOST_CHARS: usize = 500;

/// A phase as Stripe answers it.
#[derive(Deserialize)]
pub(super) struct Phase {
    pub(super) start_date: i64,
    end_date: i64,
    #[serde(default, deserialize_with = "or_none")]
    items: Vec<Item>,
    #[serde(default, deserialize_with = "or_none")]
    add_invoice_items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: String,
    #[serde(default)]
    quantity: Option<u64>,
    #[serde(default, deserialize_with = "or_none")]
    metadata: BTreeMap<String, String>,
}

fn refused(field: String, reason: String) -> Error {
    Error::Refused { code: "REFUSED_BY_BILLING", queue: queue::REVENUE_OPERATIONS, field: Some(field), reason }
}

/// When a day begins.
fn midnight(day: Date, zone: &TimeZone) -> Result<i64, Error> {
    let start = day.to_zoned(zone.clone()).map_err(|error| refused("zone".into(), error.to_string()))?;
    Ok(start.timestamp().as_second())
}

fn zone(name: &str) -> Result<TimeZone, Error> {
    TimeZone::get(name).map_err(|error| refused("zone".into(), error.to_string()))
}

/// Where billing periods are counted from. Stripe counts months in UTC, so a period that spans a change of the clocks ends an hour beside local
/// midnight; a phase that ends with it must end at that very second, or that hour would be billed as a period of its own.
pub(super) struct Anchor {
    start: Zoned,
    first: Date,
    zone: TimeZone,
}

impl Anchor {
    pub(super) fn new(start: i64, zone_name: &str) -> Result<Self, Error> {
        let start = Timestamp::from_second(start).map_err(|error| refused("phases".into(), error.to_string()))?;
        let zone = zone(zone_name)?;
        Ok(Self { start: start.to_zoned(TimeZone::UTC), first: start.to_zoned(zone.clone()).date(), zone })
    }

    /// When a day begins, as far as billing is concerned.
    pub(super) fn at(&self, day: Date) -> Result<i64, Error> {
        let (first, months) = (self.first, i32::from(day.year()) * 12 + i32::from(day.month()));
        let months = months - i32::from(first.year()) * 12 - i32::from(first.month());
        if first.checked_add(months.months()).ok() == Some(day)
            && let Ok(boundary) = self.start.checked_add(months.months())
        {
            return Ok(boundary.timestamp().as_second());
        }
        midnight(day, &self.zone)
    }
}

pub(super) fn start(plan: &BillingPlan) -> Result<i64, Error> {
    let first = plan.phases.first();
    let first = first.ok_or_else(|| refused("phases".into(), "a plan has at least one phase".into()))?;
    midnight(first.start_on, &zone(&plan.zone)?)
}

pub(super) const fn end_behaviour(at_end: AtEnd) -> &'static str {
    match at_end {
        AtEnd::Renews => "release",
        AtEnd::Ends => "cancel",
    }
}

pub(super) fn cut(text: &str) -> &str {
    text.char_indices().nth(MOST_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// The plan's phases with their starts; of a schedule that runs (since when its phase does, what time it is), those that are not over. The
/// one that runs keeps its start, which cannot be changed.
pub(super) fn from(plan: &BillingPlan, running: Option<(i64, i64)>) -> Result<Vec<(&BillingPhase, i64)>, Error> {
    check(plan)?;
    let anchor = Anchor::new(start(plan)?, &plan.zone)?;
    let mut left = Vec::new();
    for phase in &plan.phases {
        let (start, end) = (anchor.at(phase.start_on)?, anchor.at(phase.end_on)?);
        match running {
            Some((current, now)) if end <= current.max(now) => {}
            Some((current, _)) if left.is_empty() => left.push((phase, current)),
            Some(_) | None => left.push((phase, start)),
        }
    }
    if left.is_empty() {
        return Err(refused("phases".into(), "all phases are over".into()));
    }
    Ok(left)
}

fn check(plan: &BillingPlan) -> Result<(), Error> {
    let mut next = None;
    for (at, phase) in plan.phases.iter().enumerate() {
        let field = || format!("phases[{at}]");
        if phase.end_on <= phase.start_on {
            return Err(refused(field(), format!("ends on {} and begins on {}", phase.end_on, phase.start_on)));
        }
        if next.is_some_and(|next| next != phase.start_on) {
            return Err(refused(field(), format!("begins on {}, not where the one before ends", phase.start_on)));
        }
        if phase.items.is_empty() {
            return Err(refused(field(), "bills nothing again and again; Stripe needs at least one such item".into()));
        }
        next = Some(phase.end_on);
    }
    Ok(())
}

impl Stripe {
    /// What a phase bills. What it bills once is left out where it runs already: it has been billed.
    pub(super) async fn phase(
        &self,
        cause: &Cause,
        plan: &BillingPlan,
        phase: &BillingPhase,
        is_running: bool,
    ) -> Result<Form, Error> {
        let mut form = Form::default();
        form.add("currency", plan.currency.code.to_lowercase());
        form.add("proration_behavior", "create_prorations");
        for (at, item) in phase.items.iter().enumerate() {
            form.within(&format!("items[{at}]"), self.item(cause, plan, item).await?);
        }
        for (at, once) in phase.once.iter().enumerate().filter(|_| !is_running) {
            form.within(&format!("add_invoice_items[{at}]"), self.one_off(cause, plan, once).await?);
        }
        Ok(form)
    }

    async fn item(&self, cause: &Cause, plan: &BillingPlan, item: &BillingItem) -> Result<Form, Error> {
        if item.every.months == 0 {
            return Err(refused(item.line_id.clone(), "is billed every 0 months".into()));
        }
        let mut form = Form::default();
        match &item.charge {
            BillingCharge::Fixed { quantity, amount_minor } => {
                let amount = money::whole(&item.line_id, &plan.currency, *amount_minor)?;
                let (quantity, price) = money::split(amount, *quantity);
                form.add("price_data[currency]", plan.currency.code.to_lowercase());
                form.add("price_data[product]", self.product(cause, &item.product_id).await?);
                form.within("price_data[recurring]", recurring(item.every));
                form.add("price_data[unit_amount_decimal]", price);
                form.add("quantity", quantity);
            }
            BillingCharge::Metered { meter, included, tiers, mode } => {
                check_tiers(&item.line_id, *included, tiers)?;
                let (product_id, currency) = (&*item.product_id, &plan.currency);
                let (every, mode, included) = (item.every, *mode, *included);
                let price = Metered { product_id, currency, every, meter, included, tiers, mode };
                form.add("price", self.price(cause, &price).await?);
            }
        }
        form.add("metadata[tl_line_id]", &item.line_id);
        Ok(form)
    }

    async fn one_off(&self, cause: &Cause, plan: &BillingPlan, once: &OneOff) -> Result<Form, Error> {
        let amount = money::whole(&once.line_id, &plan.currency, once.amount_minor)?;
        let mut form = Form::default();
        form.add("price_data[currency]", plan.currency.code.to_lowercase());
        form.add("price_data[product]", self.product(cause, &once.product_id).await?);
        form.add("price_data[unit_amount_decimal]", amount);
        form.add("quantity", 1);
        form.add("metadata[tl_line_id]", &once.line_id);
        Ok(form)
    }
}

fn check_tiers(line: &str, included: Decimal, tiers: &[crate::BillingTier]) -> Result<(), Error> {
    let wrong = |reason: &str| Err(refused(line.to_owned(), reason.into()));
    let Some((last, before)) = tiers.split_last() else { return wrong("usage without a tier has no price") };
    if last.up_to.is_some() {
        return wrong("the last tier has an end");
    }
    let ends: Option<Vec<Decimal>> = before.iter().map(|tier| tier.up_to).collect();
    let Some(ends) = ends else { return wrong("a tier before the last has no end") };
    if !ends.windows(2).all(|pair| pair[0] < pair[1]) {
        return wrong("the tiers do not rise");
    }
    if included.is_sign_negative() && !included.is_zero() {
        return wrong("less than nothing is included");
    }
    let is_whole = |quantity: &Decimal| quantity.normalize().scale() == 0;
    if !ends.iter().chain([&included]).all(is_whole) {
        return wrong("Stripe's tiers end at whole quantities");
    }
    Ok(())
}

/// The phases that are there, from the current one on, cut off at `end`.
pub(super) fn ending(form: &mut Form, phases: &[Phase], current: Option<i64>, end: i64) {
    let left = phases.iter().filter(|phase| current.is_none_or(|current| phase.end_date > current));
    for (at, phase) in left.filter(|phase| phase.start_date < end).enumerate() {
        let prefix = format!("phases[{at}]");
        form.add(format!("{prefix}[start_date]"), phase.start_date);
        form.add(format!("{prefix}[end_date]"), phase.end_date.min(end));
        form.add(format!("{prefix}[proration_behavior]"), "create_prorations");
        items(form, &format!("{prefix}[items]"), &phase.items);
        // Billed already where the phase runs.
        if current.is_none_or(|current| phase.start_date > current) {
            items(form, &format!("{prefix}[add_invoice_items]"), &phase.add_invoice_items);
        }
    }
}

fn items(form: &mut Form, prefix: &str, items: &[Item]) {
    for (at, item) in items.iter().enumerate() {
        form.add(format!("{prefix}[{at}][price]"), &item.price);
        form.add_some(format!("{prefix}[{at}][quantity]"), item.quantity);
        for (key, value) in &item.metadata {
            form.add(format!("{prefix}[{at}][metadata][{key}]"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_phase_ends_with_the_billing_period_also_where_the_clocks_changed() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let start = midnight(date(2026, 1, 1), &zone).expect("a time");
        let anchor = Anchor::new(start, "Europe/Berlin").expect("an anchor");
        let text = |day| Timestamp::from_second(anchor.at(day).expect("a time")).expect("a time").to_string();
        assert_eq!(text(date(2026, 3, 1)), "2026-02-28T23:00:00Z");
        assert_eq!(text(date(2026, 7, 1)), "2026-06-30T23:00:00Z", "an hour into the day, as the period's end");
        assert_eq!(text(date(2026, 7, 15)), "2026-07-14T22:00:00Z", "within a period a day begins at midnight");
    }
}
