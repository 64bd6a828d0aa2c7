//! What a change of the contract does to its plan. Months before the one in which the change was recorded never change: they may be
//! closed. What a back-dated change means for them is caught up in that month.

use super::{
    differs, rule,
    schedule::{caught_up, cut, joined, month, spread},
};
use crate::{
    document::{Method, Obligation, OrderLine, Revenue},
    mapping::Mapping,
    plan::share::largest_remainder,
};
use connectors::RevenueElement;
use events::common::{LineChange, RevenueModification};
use failure::Failure;
use jiff::civil::Date;

/// From when a change holds, and the first month that may still change.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Reach {
    pub(in crate::plan) at: Date,
    pub(in crate::plan) open: String,
}

impl Reach {
    pub(in crate::plan) fn new(effective_on: Date, recorded_on: Date) -> Self {
        Self { at: effective_on, open: month(effective_on.max(recorded_on)) }
    }
}

/// What an amendment says about revenue.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Terms<'a> {
    pub(in crate::plan) changes: &'a [LineChange],
    pub(in crate::plan) delta_minor: i64,
    pub(in crate::plan) modification: Option<RevenueModification>,
    /// New end of the running term.
    pub(in crate::plan) end_on: Option<Date>,
    pub(in crate::plan) hold: Option<bool>,
    pub(in crate::plan) term_end: Option<Date>,
}

/// The plan after an amendment.
///
/// # Errors
/// A way of treating it that nobody knows; an account that the mapping lacks.
pub(in crate::plan) fn amended(
    mapping: &Mapping,
    revenue: &Revenue,
    terms: &Terms<'_>,
    reach: &Reach,
) -> Result<Revenue, Failure> {
    let mut new = revenue.clone();
    for change in terms.changes {
        ensure(mapping, &mut new, change, terms, reach)?;
    }
    let deltas = deltas(&new, terms, reach);
    for (index, of) in new.obligations.iter_mut().enumerate() {
        let old = of.element.schedule.clone();
        let delta = deltas.get(index).copied().unwrap_or(0);
        apply(of, delta, terms, reach)?;
        of.element.schedule = caught_up(&old, std::mem::take(&mut of.element.schedule), &reach.open);
    }
    Ok(new)
}

/// A line that is new gets an obligation of its own, unless it names one that is there.
fn ensure(
    mapping: &Mapping,
    revenue: &mut Revenue,
    change: &LineChange,
    terms: &Terms<'_>,
    reach: &Reach,
) -> Result<(), Failure> {
    let Some(after) = &change.after else { return Ok(()) };
    if position(revenue, change).is_some() {
        return Ok(());
    }
    let id = after.performance_obligation_id.as_ref().unwrap_or(&after.contract_line_id);
    let posting = &mapping.posting;
    let account = |default| mapping.account("changes", None, default);
    revenue.obligations.push(Obligation {
        method: Method::StraightLineDaily,
        obligation_id: id.clone(),
        lines: vec![after.contract_line_id.clone()],
        element: RevenueElement {
            element_id: id.clone(),
            description: after.description.clone(),
            standalone_minor: after.amount_minor,
            allocated_minor: 0,
            rule: rule(Method::StraightLineDaily).to_owned(),
            start_on: reach.at,
            end_on: terms.end_on.or(terms.term_end),
            deferred_account: account(posting.deferred_account.as_ref())?,
            recognised_account: account(posting.recognised_account.as_ref())?,
            on_hold: false,
            schedule: Vec::new(),
        },
    });
    Ok(())
}

/// The newest obligation of a changed line.
fn position(revenue: &Revenue, change: &LineChange) -> Option<usize> {
    let stated = change.after.as_ref().or(change.before.as_ref())?.performance_obligation_id.as_ref();
    revenue.obligations.iter().rposition(|of| {
        of.lines.contains(&change.contract_line_id)
            || stated.map_or(of.obligation_id == change.contract_line_id, |id| of.obligation_id == *id)
    })
}

/// What each obligation gains: the contract's delta and what removed lines leave over go to the lines that stay, by how much those
/// change; with none that stay, to the removed ones themselves.
fn deltas(revenue: &Revenue, terms: &Terms<'_>, reach: &Reach) -> Vec<i64> {
    let mut deltas = vec![0_i64; revenue.obligations.len()];
    let (mut pool, mut weights) = (terms.delta_minor, vec![0_u64; deltas.len()]);
    let mut removed = Vec::new();
    for change in terms.changes {
        let Some(at) = position(revenue, change) else { continue };
        let before = change.before.as_ref().map_or(0, |line| line.amount_minor);
        match &change.after {
            Some(after) => weights[at] += after.amount_minor.abs_diff(before),
            None => removed.push(at),
        }
    }
    if weights.iter().any(|weight| *weight > 0) {
        for at in removed {
            let left = left_of(&revenue.obligations[at], reach);
            deltas[at] -= left;
            pool += left;
        }
    } else if let Some(at) = removed.first() {
        weights[*at] = 1;
    } else if pool == 0 {
        return deltas;
    } else {
        for (weight, of) in weights.iter_mut().zip(&revenue.obligations) {
            *weight = of.element.allocated_minor.unsigned_abs();
        }
    }
    for (delta, share) in deltas.iter_mut().zip(largest_remainder(pool, &weights)) {
        *delta += share;
    }
    deltas
}

fn left_of(of: &Obligation, reach: &Reach) -> i64 {
    cut(&of.element.schedule, of.method, (of.element.start_on, of.element.end_on), reach.at).1
}

fn apply(of: &mut Obligation, delta: i64, terms: &Terms<'_>, reach: &Reach) -> Result<(), Failure> {
    let element = &mut of.element;
    let is_running = element.end_on.is_none_or(|end_on| end_on > reach.at);
    let new_end = if is_running { terms.end_on.or(element.end_on) } else { element.end_on };
    let untouched = delta == 0 && new_end == element.end_on && terms.hold.is_none();
    if untouched {
        return Ok(());
    }
    match terms.modification.unwrap_or(RevenueModification::Prospective) {
        RevenueModification::Retrospective if terms.hold.is_none() && !element.on_hold => {
            element.allocated_minor += delta;
            element.end_on = new_end;
            element.schedule = spread(of.method, element.allocated_minor, element.start_on, new_end);
        }
        // A contract of its own starts where it takes effect, as new lines do anyway.
        RevenueModification::Prospective
        | RevenueModification::SeparateContract
        | RevenueModification::Retrospective => prospective(of, delta, new_end, terms.hold, reach.at),
        RevenueModification::Unknown => {
            return Err(differs("the revenue modification is not known".to_owned()).at_field("revenue_modification"));
        }
    }
    Ok(())
}

/// What is left, with the change, goes over the rest of the term; nothing while on hold.
fn prospective(of: &mut Obligation, delta: i64, end_on: Option<Date>, hold: Option<bool>, at: Date) {
    let element = &mut of.element;
    element.on_hold = hold.unwrap_or(element.on_hold);
    element.allocated_minor += delta;
    let (kept, _) = cut(&element.schedule, of.method, (element.start_on, element.end_on), at);
    let recognised: i64 = kept.iter().map(|slot| slot.amount_minor).sum();
    element.end_on = end_on;
    let rest = if element.on_hold {
        Vec::new()
    } else {
        spread(of.method, element.allocated_minor - recognised, at.max(element.start_on), end_on)
    };
    element.schedule = joined(kept, rest);
}

/// The plan after the end: what is left is given back with the customer's money, or earned at once where none is given back.
pub(in crate::plan) fn cancelled(revenue: &Revenue, refunds: bool, reach: &Reach) -> Revenue {
    let mut new = revenue.clone();
    for of in &mut new.obligations {
        let element = &mut of.element;
        if element.end_on.is_some_and(|end_on| end_on <= reach.at) {
            continue;
        }
        let old = element.schedule.clone();
        let (kept, _) = cut(&old, of.method, (element.start_on, element.end_on), reach.at);
        let recognised: i64 = kept.iter().map(|slot| slot.amount_minor).sum();
        element.end_on = Some(reach.at.max(element.start_on));
        element.on_hold = false;
        let is_planned = of.method != Method::AsReported;
        let rest = match refunds {
            true => Vec::new(),
            false if is_planned => {
                let left = element.allocated_minor - recognised;
                spread(Method::PointInTime, left, reach.at.max(element.start_on), None)
            }
            false => Vec::new(),
        };
        if refunds {
            element.allocated_minor = recognised;
        }
        element.schedule = caught_up(&old, joined(kept, rest), &reach.open);
    }
    new
}

/// The plan with the obligations of a renewed term: its value by the lines' amounts.
pub(in crate::plan) fn renewed(
    mapping: &Mapping,
    revenue: &Revenue,
    renewal_id: &str,
    value_minor: i64,
    lines: &[OrderLine],
    (start_on, end_on): (Date, Option<Date>),
) -> Result<Revenue, Failure> {
    let weights: Vec<u64> = lines.iter().map(|line| line.line.amount_minor.unsigned_abs()).collect();
    let posting = &mapping.posting;
    let mut new = revenue.clone();
    for (line, allocated_minor) in lines.iter().zip(largest_remainder(value_minor, &weights)) {
        let id = line.obligation_id.as_ref().unwrap_or(&line.line.line_id);
        let before = revenue.obligations.iter().rev().find(|of| of.obligation_id == *id);
        let method = before.map_or(Method::StraightLineDaily, |of| of.method);
        let account = |known: Option<&connectors::Reference>, default| match known {
            Some(known) => Ok(known.clone()),
            None => mapping.account("lines_after", None, default),
        };
        new.obligations.push(Obligation {
            method,
            obligation_id: id.clone(),
            lines: vec![line.line.line_id.clone()],
            element: RevenueElement {
                element_id: format!("{id}/{renewal_id}"),
                description: line.line.description.clone(),
                standalone_minor: allocated_minor,
                allocated_minor,
                rule: before.map_or_else(|| rule(method).to_owned(), |of| of.element.rule.clone()),
                start_on,
                end_on,
                deferred_account: account(
                    before.map(|of| &of.element.deferred_account),
                    posting.deferred_account.as_ref(),
                )?,
                recognised_account: account(
                    before.map(|of| &of.element.recognised_account),
                    posting.recognised_account.as_ref(),
                )?,
                on_hold: false,
                schedule: spread(method, allocated_minor, start_on, end_on),
            },
        });
    }
    Ok(new)
}
