//! What an amendment or a renewal makes of a schedule that is there: its whole new plan, from the day on that the change holds.
//!
//! Changes are made to the plan that bills, phase by phase, in the order of the contract's versions. So one that holds from an earlier day than
//! one before it leaves that one alone, and the end of a cancelled contract wins over each.

use crate::{
    billing::{filled, in_arrears, is_once, item, later, months, one_off, phases, unusable},
    follow::{Followed, What},
    order_state::Schedule,
};
use connectors::billing::{AtEnd, BillingCharge, BillingItem, BillingPhase, BillingPlan, BillingTier};
use events::common::{BillingSchedule, ContractLine, LineChange, Term};
use failure::Failure;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// The plan with the change; `None`: it is as it was.
///
/// # Errors
/// The change makes no plan: which field, and what to do.
pub(crate) fn changed(
    schedule: &Schedule,
    terms: &BillingSchedule,
    change: &Followed,
) -> Result<Option<BillingPlan>, Failure> {
    if schedule.end_on.is_some_and(|end| change.from >= end) {
        return Ok(None);
    }
    let kept = schedule.plan.as_deref().ok_or_else(|| {
        unusable("billing_schedule", "was made by a version that kept no plan of it; change it in the billing system")
    })?;
    let mut plan = kept.clone();
    let interval = months(terms.frequency)?;
    let by = Terms { interval, shift: if terms.in_advance { 0 } else { interval }, kept };
    match &change.what {
        What::Renewal { lines, end_on, auto_renews } => {
            let end_on = end_on.map_or_else(|| later(change.from, interval), Ok)?;
            renew(&mut plan, &by, lines, (change.from, end_on))?;
            plan.at_end = if *auto_renews { AtEnd::Renews } else { AtEnd::Ends };
        }
        What::Amendment { changes, new_term } => amend(&mut plan, &by, changes, new_term.as_ref(), change.from)?,
    }
    let mut before = kept.clone();
    if let Some(end) = schedule.end_on {
        end_at(&mut before, end);
        end_at(&mut plan, end);
    }
    if plan == before {
        return Ok(None);
    }
    plan.revision = schedule.revision + 1;
    Ok(Some(plan))
}

/// A cancelled contract bills nothing from this day on.
pub(crate) fn end_at(plan: &mut BillingPlan, end: Date) {
    cut(&mut plan.phases, end);
    plan.at_end = AtEnd::Ends;
}

struct Terms<'a> {
    /// Months between invoices.
    interval: u32,
    /// Months by which invoices are late: in arrears, those of one interval.
    shift: u32,
    kept: &'a BillingPlan,
}

impl Terms<'_> {
    /// When a day of the contract is billed.
    fn billed(&self, day: Date) -> Result<Date, Failure> {
        if self.shift == 0 { Ok(day) } else { later(day, self.shift) }
    }

    /// How a line is charged. The terms of usage are those that the plan has for it: no change of a contract tells them.
    fn item(&self, line: &ContractLine) -> Result<BillingItem, Failure> {
        let items = self.kept.phases.iter().rev().flat_map(|phase| &phase.items);
        let known = items.filter(|item| item.line_id == line.contract_line_id).map(|item| &item.charge).next();
        let plain = item(line, None, self.interval)?;
        let (Some(BillingCharge::Metered { meter, included, tiers, mode }), BillingCharge::Metered { .. }) =
            (known, &plain.charge)
        else {
            return Ok(plain);
        };
        let tiers = match &tiers[..] {
            [only] => vec![BillingTier { unit_price: line.unit_price, ..only.clone() }],
            several if several.iter().any(|tier| tier.unit_price == line.unit_price) => several.to_vec(),
            _ => {
                let field = format!("lines[{}].unit_price", line.contract_line_id);
                return Err(unusable(&field, "is none of its tiers; bill its usage by a contract of its own"));
            }
        };
        let charge = BillingCharge::Metered { meter: meter.clone(), included: *included, tiers, mode: *mode };
        Ok(BillingItem { charge, ..plain })
    }

    /// Whether a line that is billed once has been in the plan before.
    fn has_once(&self, line_id: &str) -> bool {
        self.kept.phases.iter().flat_map(|phase| &phase.once).any(|once| once.line_id == line_id)
    }
}

/// The renewed term follows the one before, or cuts it off.
fn renew(
    plan: &mut BillingPlan,
    by: &Terms<'_>,
    lines: &[ContractLine],
    (start, end): (Date, Date),
) -> Result<(), Failure> {
    let from = by.billed(start)?;
    let (Some(first), Some(last)) = (plan.phases.first(), plan.phases.last()) else {
        return Err(unusable("billing_schedule", "has no phases"));
    };
    if from > last.end_on || from <= first.start_on || end <= start {
        let what = format!("is {start}, and what is billed until then ends on {}; bill the term by hand", last.end_on);
        return Err(unusable("renewed_term.start_on", &what));
    }
    let is_early = from < last.end_on;
    let is_new = |line: &&ContractLine| !is_once(line) || !by.has_once(&line.contract_line_id);
    let lines: Vec<ContractLine> = lines.iter().filter(is_new).cloned().collect();
    // It might run by now: what is billed once with a phase is left out where the phase runs.
    if is_early && lines.iter().any(is_once) {
        return Err(once("lines_after"));
    }
    let mut term = phases(&lines, |line| by.item(line), start, end)?;
    if by.shift > 0 {
        in_arrears(&mut term, by.shift)?;
    }
    cut(&mut plan.phases, from);
    plan.phases.extend(term);
    Ok(())
}

fn amend(
    plan: &mut BillingPlan,
    by: &Terms<'_>,
    changes: &[LineChange],
    new_term: Option<&Term>,
    from: Date,
) -> Result<(), Failure> {
    if let Some(term) = new_term {
        plan.at_end = if term.auto_renew || term.end_on.is_none() { AtEnd::Renews } else { AtEnd::Ends };
        let end = term.end_on.map(|end| by.billed(end)).transpose()?;
        match (end, plan.phases.last_mut()) {
            (Some(end), Some(last)) if end > last.end_on => last.end_on = end,
            (Some(end), Some(_)) => cut(&mut plan.phases, end),
            (Some(_) | None, _) => {}
        }
    }
    let start = plan.phases.first().map(|phase| phase.start_on);
    let end = plan.phases.last().map(|phase| phase.end_on);
    let (Some(start), Some(end)) = (start, end) else {
        return Err(unusable("new_term", "ends before anything is billed"));
    };
    let from = by.billed(from)?.max(start);
    if changes.is_empty() {
        return Ok(());
    }
    if from >= end {
        return Err(unusable("effective_at", &format!("is after the last day that is billed, {end}")));
    }
    for change in changes {
        replace(plan, by, change, from)?;
    }
    plan.phases.iter().filter(|phase| phase.start_on >= from).try_for_each(filled)
}

/// One line as it is from a day on.
fn replace(plan: &mut BillingPlan, by: &Terms<'_>, change: &LineChange, from: Date) -> Result<(), Failure> {
    let id = &change.contract_line_id;
    let after = change.after.as_ref();
    if let Some(line) = after.filter(|line| is_once(line)) {
        return replace_once(plan, by, line, from);
    }
    let item = after.map(|line| by.item(line)).transpose()?;
    let period = after.and_then(|line| line.service_period.as_ref());
    let (begins, ends) = match period {
        Some(period) => (by.billed(period.start_on)?, by.billed(period.end_on)?),
        None => (Date::MIN, Date::MAX),
    };
    for day in BTreeSet::from([from, begins, ends]).into_iter().filter(|day| *day >= from) {
        split(&mut plan.phases, day);
    }
    for phase in plan.phases.iter_mut().filter(|phase| phase.start_on >= from) {
        let at = phase.items.iter().position(|item| item.line_id == *id);
        let item = item.clone().filter(|_| begins <= phase.start_on && phase.end_on <= ends);
        match (at, item) {
            (Some(at), Some(item)) => phase.items[at] = item,
            (Some(at), None) => drop(phase.items.remove(at)),
            (None, Some(item)) => phase.items.push(item),
            (None, None) => {}
        }
        if after.is_none() {
            phase.once.retain(|once| once.line_id != *id);
        }
    }
    Ok(())
}

/// What is billed once may be billed already; where it is not, its phase begins later.
fn replace_once(plan: &mut BillingPlan, by: &Terms<'_>, line: &ContractLine, from: Date) -> Result<(), Failure> {
    if !by.has_once(&line.contract_line_id) {
        return Err(once("changes"));
    }
    let later = plan.phases.iter_mut().filter(|phase| phase.start_on >= from);
    let again = later.flat_map(|phase| &mut phase.once).filter(|once| once.line_id == line.contract_line_id);
    again.for_each(|once| *once = one_off(line));
    Ok(())
}

fn once(field: &str) -> Failure {
    unusable(field, "has a line that is billed once, and the term runs already; invoice that line by itself")
}

/// Nothing is billed from a day on.
fn cut(phases: &mut Vec<BillingPhase>, end: Date) {
    phases.retain(|phase| phase.start_on < end);
    phases.iter_mut().for_each(|phase| phase.end_on = phase.end_on.min(end));
}

/// A phase begins on a day; what the phase before it bills once is billed with its beginning.
fn split(phases: &mut Vec<BillingPhase>, day: Date) {
    let Some(at) = phases.iter().position(|phase| phase.start_on < day && day < phase.end_on) else { return };
    let rest = BillingPhase { start_on: day, once: Vec::new(), ..phases[at].clone() };
    phases[at].end_on = day;
    phases.insert(at + 1, rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use connectors::{
        IsoCurrency,
        billing::{BillingInterval, OneOff, TierMode},
    };
    use events::common::{BillingFrequency, ChargeType};
    use jiff::civil::date;
    use rust_decimal::Decimal;

    fn line(id: &str, charge_type: ChargeType, price: i64) -> ContractLine {
        ContractLine {
            contract_line_id: id.into(),
            charge_type,
            quantity: Decimal::ONE,
            unit_price: price.into(),
            amount_minor: price * 100,
            ..ContractLine::default()
        }
    }

    fn usage(tiers: &[(Option<i64>, i64)]) -> BillingItem {
        let tier = |(up_to, price): &(Option<i64>, i64)| BillingTier {
            up_to: up_to.map(Decimal::from),
            unit_price: (*price).into(),
            flat_minor: 0,
        };
        let charge = BillingCharge::Metered {
            meter: "calls".into(),
            included: Decimal::ONE_HUNDRED,
            tiers: tiers.iter().map(tier).collect(),
            mode: TierMode::Graduated,
        };
        BillingItem { line_id: "U".into(), product_id: String::new(), every: BillingInterval { months: 1 }, charge }
    }

    /// The year 2026, with a service that was done once.
    fn schedule() -> Schedule {
        let seats = item(&line("L1", ChargeType::Recurring, 10), None, 1).expect("an item");
        let once = OneOff { line_id: "S".into(), product_id: String::new(), amount_minor: 500 };
        let plan = BillingPlan {
            contract_id: "C".into(),
            account_id: "A".into(),
            legal_entity_id: "US".into(),
            customer: "cus".into(),
            currency: IsoCurrency { code: "USD".into(), exponent: 2 },
            zone: "UTC".into(),
            phases: vec![BillingPhase {
                start_on: date(2026, 1, 1),
                end_on: date(2027, 1, 1),
                items: vec![seats],
                once: vec![once],
            }],
            at_end: AtEnd::Ends,
            net_days: 30,
            revision: 1,
        };
        Schedule { revision: 1, plan: Some(Box::new(plan)), ..Schedule::default() }
    }

    fn terms(in_advance: bool) -> BillingSchedule {
        BillingSchedule {
            frequency: BillingFrequency::Monthly,
            anchor_day: 1,
            in_advance,
            ..BillingSchedule::default()
        }
    }

    fn change(from: Date, what: What) -> Followed {
        Followed { contract_id: "C".into(), change_id: "X".into(), version: 2, from, what, is_billed: false }
    }

    fn renewal(from: Date, lines: Vec<ContractLine>) -> Followed {
        change(from, What::Renewal { lines, end_on: Some(date(2028, 1, 1)), auto_renews: true })
    }

    fn amendment(from: Date, after: ContractLine) -> Followed {
        let changes =
            vec![LineChange { contract_line_id: after.contract_line_id.clone(), before: None, after: Some(after) }];
        change(from, What::Amendment { changes, new_term: None })
    }

    fn days(plan: &BillingPlan) -> Vec<(Date, Date)> {
        plan.phases.iter().map(|phase| (phase.start_on, phase.end_on)).collect()
    }

    fn field(changed: Result<Option<BillingPlan>, Failure>) -> (String, Option<String>) {
        let failure = changed.expect_err("no plan");
        (failure.code.to_string(), failure.field)
    }

    fn invalid(field: &str) -> (String, Option<String>) {
        ("BILLING_PLAN_INVALID".to_owned(), Some(field.to_owned()))
    }

    #[test]
    fn a_renewed_term_follows_without_a_gap_or_cuts_off_the_one_before() {
        let seats = || vec![line("L1", ChargeType::Recurring, 11)];
        let of = |from| changed(&schedule(), &terms(true), &renewal(from, seats()));
        let early = of(date(2026, 10, 1)).expect("a plan").expect("a change");
        assert_eq!(days(&early), [(date(2026, 1, 1), date(2026, 10, 1)), (date(2026, 10, 1), date(2028, 1, 1))]);
        assert_eq!((early.at_end, early.revision), (AtEnd::Renews, 2));
        assert_eq!(field(of(date(2027, 2, 1))), invalid("renewed_term.start_on"));
        assert_eq!(field(of(date(2026, 1, 1))), invalid("renewed_term.start_on"));
    }

    #[test]
    fn what_was_billed_once_is_not_billed_again_and_what_is_new_begins_with_the_term() {
        let service = |id| line(id, ChargeType::OneTime, 5);
        let lines = || vec![line("L1", ChargeType::Recurring, 11), service("S"), service("T")];
        let of = |from| changed(&schedule(), &terms(true), &renewal(from, lines()));
        let plan = of(date(2027, 1, 1)).expect("a plan").expect("a change");
        let once: Vec<_> =
            plan.phases.iter().map(|phase| phase.once.iter().map(|once| &*once.line_id).collect::<Vec<_>>()).collect();
        assert_eq!(once, [vec!["S"], vec!["T"]]);
        assert_eq!(field(of(date(2026, 10, 1))), invalid("lines_after"));
    }

    #[test]
    fn in_arrears_a_change_is_billed_an_interval_later() {
        let mut schedule = schedule();
        schedule.plan.iter_mut().for_each(|plan| {
            (plan.phases[0].start_on, plan.phases[0].end_on) = (date(2026, 2, 1), date(2027, 2, 1));
        });
        let seats = line("L1", ChargeType::Recurring, 12);
        let amended = changed(&schedule, &terms(false), &amendment(date(2026, 7, 1), seats.clone()));
        let july = (date(2026, 8, 1), date(2027, 2, 1));
        assert_eq!(days(&amended.expect("a plan").expect("a change"))[1], july);
        let renewed = changed(&schedule, &terms(false), &renewal(date(2027, 1, 1), vec![seats]));
        assert_eq!(days(&renewed.expect("a plan").expect("a change"))[1], (date(2027, 2, 1), date(2028, 2, 1)));
    }

    #[test]
    fn usage_keeps_what_is_included_and_its_tiers_and_takes_the_price_of_a_single_one() {
        let with = |tiers: &[(Option<i64>, i64)]| {
            let mut schedule = schedule();
            schedule.plan.iter_mut().for_each(|plan| plan.phases[0].items.push(usage(tiers)));
            schedule
        };
        let of = |tiers, price| {
            changed(&with(tiers), &terms(true), &amendment(date(2026, 7, 1), line("U", ChargeType::Usage, price)))
        };
        let last = |plan: BillingPlan| plan.phases[1].items[1].clone();
        let cheaper = of(&[(None, 3)], 2).expect("a plan").expect("a change");
        assert_eq!(last(cheaper), usage(&[(None, 2)]));
        let tiers = [(Some(200), 5), (None, 3)];
        let same = of(&tiers, 5).expect("a plan").expect("a phase of its own");
        assert_eq!(last(same), usage(&tiers));
        assert_eq!(field(of(&tiers, 4)), invalid("lines[U].unit_price"));
    }

    #[test]
    fn the_end_of_a_contract_cuts_off_each_change_and_what_begins_after_it_is_none() {
        let ended = Schedule { end_on: Some(date(2026, 9, 1)), revision: 2, ..schedule() };
        let seats = || line("L1", ChargeType::Recurring, 12);
        let plan =
            changed(&ended, &terms(true), &amendment(date(2026, 7, 1), seats())).expect("a plan").expect("a change");
        assert_eq!(
            (days(&plan)[1], plan.at_end, plan.revision),
            ((date(2026, 7, 1), date(2026, 9, 1)), AtEnd::Ends, 3)
        );
        let late = amendment(date(2026, 9, 1), seats());
        assert_eq!(changed(&ended, &terms(true), &late), Ok(None));
        assert_eq!(changed(&ended, &terms(true), &renewal(date(2027, 1, 1), vec![seats()])), Ok(None));
    }

    #[test]
    fn a_schedule_of_an_earlier_version_has_no_plan_to_change() {
        let before = Schedule { plan: None, ..schedule() };
        let amended =
            changed(&before, &terms(true), &amendment(date(2026, 7, 1), line("L1", ChargeType::Recurring, 12)));
        assert_eq!(field(amended), invalid("billing_schedule"));
        let after = amendment(date(2027, 1, 1), line("L1", ChargeType::Recurring, 12));
        assert_eq!(field(changed(&schedule(), &terms(true), &after)), invalid("effective_at"));
    }
}
