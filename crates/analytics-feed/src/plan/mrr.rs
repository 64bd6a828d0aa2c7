//! Monthly recurring revenue: of a line, and how that of a contract moves.

use events::common::{BillingFrequency, MrrChange};
use jiff::civil::Date;

/// Months of a billing period; `None` where it is no number of months.
#[must_use]
pub const fn months(frequency: BillingFrequency) -> Option<i64> {
    match frequency {
        BillingFrequency::Monthly => Some(1),
        BillingFrequency::Quarterly => Some(3),
        BillingFrequency::Semiannual => Some(6),
        BillingFrequency::Annual => Some(12),
        BillingFrequency::OneTime | BillingFrequency::Usage | BillingFrequency::Unknown => None,
    }
}

/// What a line brings a month: its amount by the months of its period, rounded half away from zero.
#[must_use]
pub fn of_line(amount_minor: i64, frequency: BillingFrequency) -> i64 {
    let Some(months) = months(frequency) else { return 0 };
    let (whole, rest) = (amount_minor / months, amount_minor % months);
    whole + if rest.abs() * 2 >= months { rest.signum() } else { 0 }
}

/// The revenue of a contract, as far as movements depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// While it runs.
    pub mrr_minor: i64,
    /// First day without any, once it is cancelled.
    pub ends_on: Option<Date>,
    /// Whether there ever was any.
    pub had_any: bool,
}

/// One movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    pub change: MrrChange,
    pub delta_minor: i64,
    pub on: Date,
}

/// The movements from one level to the next, which holds from `on`. Those up to a day add up to the revenue of that day, so what
/// changes under a cancellation that is known already leaves again on its day.
#[must_use]
pub fn movements(before: Level, after: Level, on: Date) -> Vec<Movement> {
    let delta = after.mrr_minor - before.mrr_minor;
    let mut found = vec![Movement { change: kind(before, after.mrr_minor), delta_minor: delta, on }];
    let mut leave = |day, amount: i64| {
        let change = if amount < 0 { MrrChange::Churn } else { MrrChange::Reactivation };
        found.push(Movement { change, delta_minor: amount, on: day });
    };
    match (before.ends_on, after.ends_on) {
        (Some(old), Some(new)) if old == new => leave(old, -delta),
        (old, new) => {
            // A contract that comes back after its end has nothing in between.
            old.into_iter().for_each(|day| leave(day.max(on), before.mrr_minor));
            new.into_iter().for_each(|day| leave(day, -after.mrr_minor));
        }
    }
    found.retain(|movement| movement.delta_minor != 0);
    found
}

fn kind(before: Level, after_minor: i64) -> MrrChange {
    match (before.mrr_minor, after_minor) {
        (0, _) if before.had_any => MrrChange::Reactivation,
        (0, _) => MrrChange::New,
        (_, 0) => MrrChange::Churn,
        (old, new) if new > old => MrrChange::Expansion,
        _ => MrrChange::Contraction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const FIRST: Date = date(2026, 1, 1);
    const LATER: Date = date(2026, 3, 1);
    const END: Date = date(2026, 12, 1);

    fn level(mrr_minor: i64, ends_on: Option<Date>) -> Level {
        Level { mrr_minor, ends_on, had_any: true }
    }

    fn told(before: Level, after: Level, on: Date) -> Vec<(MrrChange, i64, Date)> {
        movements(before, after, on).iter().map(|m| (m.change, m.delta_minor, m.on)).collect()
    }

    #[test]
    fn a_year_is_twelve_months_and_halves_are_rounded_away_from_zero() {
        assert_eq!(of_line(1_200, BillingFrequency::Annual), 100);
        assert_eq!(of_line(1_206, BillingFrequency::Annual), 101);
        assert_eq!(of_line(-1_206, BillingFrequency::Annual), -101);
        assert_eq!(of_line(1_205, BillingFrequency::Annual), 100);
        assert_eq!(of_line(500, BillingFrequency::OneTime), 0);
    }

    #[test]
    fn each_kind_of_movement_has_its_name() {
        assert_eq!(told(Level::default(), level(100, None), FIRST), [(MrrChange::New, 100, FIRST)]);
        assert_eq!(told(level(100, None), level(130, None), LATER), [(MrrChange::Expansion, 30, LATER)]);
        assert_eq!(told(level(100, None), level(70, None), LATER), [(MrrChange::Contraction, -30, LATER)]);
        assert_eq!(told(level(100, None), level(0, None), LATER), [(MrrChange::Churn, -100, LATER)]);
        assert_eq!(told(level(0, None), level(100, None), LATER), [(MrrChange::Reactivation, 100, LATER)]);
        assert_eq!(told(level(100, None), level(100, None), LATER), []);
    }

    #[test]
    fn a_cancellation_churns_on_its_day_and_a_renewal_takes_that_back() {
        assert_eq!(told(level(100, None), level(100, Some(END)), LATER), [(MrrChange::Churn, -100, END)]);
        assert_eq!(told(level(100, Some(END)), level(100, None), LATER), [(MrrChange::Reactivation, 100, END)]);
    }

    #[test]
    fn a_contract_that_comes_back_after_its_end_has_no_revenue_in_between() {
        let back = date(2027, 2, 1);
        assert_eq!(told(level(100, Some(END)), level(100, None), back), [(MrrChange::Reactivation, 100, back)]);
    }

    #[test]
    fn what_changes_after_a_cancellation_leaves_with_it() {
        assert_eq!(
            told(level(100, Some(END)), level(120, Some(END)), LATER),
            [(MrrChange::Expansion, 20, LATER), (MrrChange::Churn, -20, END)]
        );
    }
}
