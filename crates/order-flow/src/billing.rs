//! What an order bills, phase by phase: the steps of a ramp, usage with what is included and its tiers, services that are done once.

use crate::{
    document::{Order, Schedule},
    tax::iso,
};
use connectors::billing::{
    AtEnd, BillingCharge, BillingCustomer, BillingInterval, BillingItem, BillingPhase, BillingPlan, BillingTier,
    OneOff, ScheduleEnd, ScheduleRef, TierMode,
};
use events::{
    OrderRequested,
    common::{BillingFrequency, BillingSchedule, ChargeType, ContractLine, UsageTerms},
};
use failure::Failure;
use jiff::{Span, civil::Date};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// Why there is no plan: a person has to change the deal, or bill by hand.
pub(crate) const UNUSABLE: &str = "BILLING_PLAN_INVALID";

pub(crate) fn customer(request: &OrderRequested) -> BillingCustomer {
    let customer = &request.customer;
    BillingCustomer {
        account_id: request.account_id.clone(),
        legal_entity_id: request.legal_entity_id.clone(),
        currency: request.currency.clone(),
        name: customer.legal_name.reveal().to_owned(),
        email: customer.email.as_ref().map(|email| email.reveal().to_owned()),
        locale: customer.locale.clone(),
    }
}

/// Whether something is billed again and again. What is only done once is invoiced without a schedule.
pub(crate) fn is_due(request: &OrderRequested, schedule: Option<&BillingSchedule>) -> bool {
    let once = schedule.is_none_or(|schedule| schedule.frequency == BillingFrequency::OneTime);
    !once && request.lines.iter().any(|line| !is_once(line))
}

/// The plan of an order, for a customer that the billing system knows by this id.
///
/// # Errors
/// [`UNUSABLE`] where the lines make no plan, with the field and what to do.
pub(crate) fn plan(order: &Order, schedule: &BillingSchedule, customer: &str) -> Result<BillingPlan, Failure> {
    let request =
        order.request.as_deref().ok_or_else(|| unusable("order", "what was asked for is not there any more"))?;
    let months = months(schedule.frequency)?;
    let start = request.term.start_on;
    anchored(schedule, start)?;
    let end = match request.term.end_on {
        Some(end) => end,
        None => later(start, months)?,
    };
    if end <= start {
        return Err(unusable("term", "ends before it begins"));
    }
    let item = |line: &ContractLine| item(line, order.usage.get(&line.contract_line_id), months);
    let mut phases = phases(&request.lines, item, start, end)?;
    if !schedule.in_advance {
        in_arrears(&mut phases, months)?;
    }
    Ok(BillingPlan {
        contract_id: request.contract_id.clone(),
        account_id: request.account_id.clone(),
        legal_entity_id: request.legal_entity_id.clone(),
        customer: customer.to_owned(),
        currency: iso(&request.currency),
        zone: schedule.timezone.clone(),
        phases,
        at_end: if request.term.auto_renew || request.term.end_on.is_none() { AtEnd::Renews } else { AtEnd::Ends },
        net_days: request
            .customer
            .payment_terms
            .as_ref()
            .map_or(30, |terms| u32::try_from(terms.net_days).unwrap_or(30)),
        revision: 1,
    })
}

/// How a schedule is told to end: at once where what was begun is taken back, else on the day the contract was cancelled for.
pub(crate) fn end(order: &Order, account_id: &str, schedule: &Schedule, is_taken_back: bool) -> ScheduleEnd {
    ScheduleEnd {
        schedule: reference(order, account_id, schedule),
        end_on: schedule.end_on.filter(|_| !is_taken_back),
        zone: schedule.zone.clone(),
        reason: if is_taken_back { "the order was taken back" } else { "the contract was cancelled" }.to_owned(),
        revision: schedule.revision + 1,
    }
}

/// Which schedule it is, for the billing system.
pub(crate) fn reference(order: &Order, account_id: &str, schedule: &Schedule) -> ScheduleRef {
    ScheduleRef {
        schedule_id: schedule.schedule_id.clone(),
        contract_id: order.order_id.clone(),
        account_id: account_id.to_owned(),
    }
}

pub(crate) fn months(frequency: BillingFrequency) -> Result<u32, Failure> {
    match frequency {
        BillingFrequency::Monthly | BillingFrequency::Usage => Ok(1),
        BillingFrequency::Quarterly => Ok(3),
        BillingFrequency::Semiannual => Ok(6),
        BillingFrequency::Annual => Ok(12),
        BillingFrequency::OneTime | BillingFrequency::Unknown => Err(unusable(
            "billing_schedule.frequency",
            "is no interval; choose monthly, quarterly, semiannual or annual",
        )),
    }
}

/// Periods count from the first day of the contract: another anchor would need a first period of its own.
fn anchored(schedule: &BillingSchedule, start: Date) -> Result<(), Failure> {
    let anchor = i32::from(start.day());
    let is_last = start.day() == start.days_in_month() && schedule.anchor_day > anchor;
    if schedule.anchor_day == anchor || is_last {
        return Ok(());
    }
    let what = format!("is {}, the contract starts on day {anchor}; let them be the same", schedule.anchor_day);
    Err(unusable("billing_schedule.anchor_day", &what))
}

/// `item`: how a line is charged that is billed again and again.
pub(crate) fn phases(
    lines: &[ContractLine],
    item: impl Fn(&ContractLine) -> Result<BillingItem, Failure>,
    start: Date,
    end: Date,
) -> Result<Vec<BillingPhase>, Failure> {
    let mut cuts = BTreeSet::from([start, end]);
    for line in lines.iter().filter(|line| !is_once(line)) {
        let (from, to) = span(line, start, end);
        cuts.extend([from, to].into_iter().filter(|day| start < *day && *day < end));
    }
    let cuts: Vec<Date> = cuts.into_iter().collect();
    let mut phases = Vec::new();
    for pair in cuts.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut phase = BillingPhase { start_on: from, end_on: to, items: Vec::new(), once: Vec::new() };
        for line in lines {
            let (begins, ends) = span(line, start, end);
            if is_once(line) {
                // What is delivered outside of the term is billed with its nearest phase.
                let day = begins.clamp(start, cuts[cuts.len() - 2]);
                if from <= day && day < to {
                    phase.once.push(one_off(line));
                }
            } else if begins <= from && to <= ends {
                phase.items.push(item(line)?);
            }
        }
        filled(&phase)?;
        phases.push(phase);
    }
    Ok(phases)
}

/// Each phase bills something again and again.
pub(crate) fn filled(phase: &BillingPhase) -> Result<(), Failure> {
    if !phase.items.is_empty() {
        return Ok(());
    }
    let (from, to) = (phase.start_on, phase.end_on);
    Err(unusable("lines", &format!("nothing is billed from {from} to {to}; let the lines cover the whole term")))
}

/// In arrears, each interval bills what the one before brought: everything is one interval later.
pub(crate) fn in_arrears(phases: &mut [BillingPhase], months: u32) -> Result<(), Failure> {
    let metered = |item: &BillingItem| matches!(item.charge, BillingCharge::Metered { .. });
    if phases.iter().flat_map(|phase| &phase.items).any(metered) {
        let what = "usage is always billed afterwards; with it, bill the rest in advance or as a contract of its own";
        return Err(unusable("billing_schedule.in_advance", what));
    }
    for phase in phases {
        phase.start_on = later(phase.start_on, months)?;
        phase.end_on = later(phase.end_on, months)?;
    }
    Ok(())
}

pub(crate) fn later(day: Date, months: u32) -> Result<Date, Failure> {
    day.checked_add(Span::new().months(months)).map_err(|_| unusable("term", "leaves the calendar"))
}

pub(crate) const fn is_once(line: &ContractLine) -> bool {
    match line.charge_type {
        ChargeType::OneTime | ChargeType::Credit | ChargeType::Proration => true,
        ChargeType::Recurring | ChargeType::Usage | ChargeType::Discount | ChargeType::Unknown => false,
    }
}

fn span(line: &ContractLine, start: Date, end: Date) -> (Date, Date) {
    line.service_period.as_ref().map_or((start, end), |period| (period.start_on, period.end_on))
}

pub(crate) fn one_off(line: &ContractLine) -> OneOff {
    OneOff {
        line_id: line.contract_line_id.clone(),
        product_id: line.product_id.clone(),
        amount_minor: line.amount_minor,
    }
}

pub(crate) fn item(line: &ContractLine, usage: Option<&UsageTerms>, months: u32) -> Result<BillingItem, Failure> {
    let is_usage = line.charge_type == ChargeType::Usage;
    let charge = if is_usage { metered(line, usage)? } else { fixed(line) };
    Ok(BillingItem {
        line_id: line.contract_line_id.clone(),
        product_id: line.product_id.clone(),
        every: BillingInterval { months: if is_usage { 1 } else { months } },
        charge,
    })
}

const fn fixed(line: &ContractLine) -> BillingCharge {
    BillingCharge::Fixed { quantity: line.quantity, amount_minor: line.amount_minor }
}

fn metered(line: &ContractLine, usage: Option<&UsageTerms>) -> Result<BillingCharge, Failure> {
    let last = BillingTier { up_to: None, unit_price: line.unit_price, flat_minor: 0 };
    let Some(usage) = usage else {
        return Ok(BillingCharge::Metered {
            meter: line.product_id.clone(),
            included: Decimal::ZERO,
            tiers: vec![last],
            mode: TierMode::Graduated,
        });
    };
    let field = format!("lines[{}].usage", line.contract_line_id);
    let tiers: Vec<BillingTier> = usage
        .tiers
        .iter()
        .map(|tier| BillingTier { up_to: tier.up_to, unit_price: tier.unit_price, flat_minor: 0 })
        .collect();
    let rises =
        tiers.windows(2).all(|pair| pair[0].up_to.is_some() && pair[1].up_to.is_none_or(|to| Some(to) > pair[0].up_to));
    let is_open = tiers.last().is_none_or(|tier| tier.up_to.is_none());
    if !rises || !is_open || usage.included_quantity.is_sign_negative() {
        return Err(unusable(
            &field,
            "its tiers must rise, and the last have no end; what is included cannot be negative",
        ));
    }
    Ok(BillingCharge::Metered {
        meter: usage.meter.clone(),
        included: usage.included_quantity,
        tiers: if tiers.is_empty() { vec![last] } else { tiers },
        mode: TierMode::Graduated,
    })
}

pub(crate) fn unusable(field: &str, what: &str) -> Failure {
    Failure::business(UNUSABLE, "billing-operations", format!("{field} {what}")).at_field(field)
}
