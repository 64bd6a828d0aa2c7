//! Which month recognises how much. Whatever is split, Σ of the months is the amount, to the unit.
//!
//! Months are those of local dates; a span is half-open, so that a term that ends on 1 February recognises nothing in February.

use crate::{document::Method, plan::share::largest_remainder};
use connectors::Recognition;
use jiff::{ToSpan as _, civil::Date};
use std::collections::BTreeMap;

/// `YYYY-MM` of a date.
pub(in crate::plan) fn month(of: Date) -> String {
    of.strftime("%Y-%m").to_string()
}

/// What recognises `amount_minor` over a span. Empty where nothing can be planned: as reported, or without an end.
pub(super) fn spread(method: Method, amount_minor: i64, start_on: Date, end_on: Option<Date>) -> Vec<Recognition> {
    let slots = match (method, end_on) {
        (Method::AsReported, _) => return Vec::new(),
        (Method::PointInTime, _) => vec![(start_on, 1)],
        (Method::StraightLineDaily | Method::StraightLineEven, None) => return Vec::new(),
        (_, Some(end_on)) if end_on <= start_on => vec![(start_on, 1)],
        (Method::StraightLineDaily, Some(end_on)) => days_by_month(start_on, end_on),
        (Method::StraightLineEven, Some(end_on)) => anniversaries(start_on, end_on),
    };
    let weights: Vec<u64> = slots.iter().map(|(_, weight)| *weight).collect();
    let amounts = largest_remainder(amount_minor, &weights);
    merged(slots.iter().zip(amounts).map(|((date, _), amount)| (month(*date), amount)))
}

/// First days of the months that a span touches, each with the days of it.
fn days_by_month(start_on: Date, end_on: Date) -> Vec<(Date, u64)> {
    let mut months = Vec::new();
    let mut from = start_on;
    while from < end_on {
        let until = from.last_of_month().tomorrow().unwrap_or(Date::MAX).min(end_on);
        months.push((from, days(from, until)));
        from = until;
    }
    months
}

/// Starts of the months of service, counted from the start itself: 31 January, 28 February, 31 March.
fn anniversaries(start_on: Date, end_on: Date) -> Vec<(Date, u64)> {
    let starts = (0_i32..).map_while(|months| start_on.checked_add(months.months()).ok());
    starts.take_while(|start| *start < end_on).map(|start| (start, 1)).collect()
}

/// Days of `[from, until)`; none where it is empty.
fn days(from: Date, until: Date) -> u64 {
    u64::try_from(until.duration_since(from).as_hours() / 24).unwrap_or(0)
}

/// What is recognised before `at`, and what is left. The month of `at` is divided by days.
pub(super) fn cut(
    schedule: &[Recognition],
    method: Method,
    (start_on, end_on): (Date, Option<Date>),
    at: Date,
) -> (Vec<Recognition>, i64) {
    let total: i64 = schedule.iter().map(|slot| slot.amount_minor).sum();
    let current = month(at);
    let mut kept = Vec::new();
    for slot in schedule {
        let amount_minor = match slot.period.cmp(&current) {
            std::cmp::Ordering::Less => slot.amount_minor,
            std::cmp::Ordering::Greater => 0,
            std::cmp::Ordering::Equal if method == Method::PointInTime => {
                if start_on < at {
                    slot.amount_minor
                } else {
                    0
                }
            }
            std::cmp::Ordering::Equal => part(slot.amount_minor, (start_on, end_on), at),
        };
        kept.push((slot.period.clone(), amount_minor));
    }
    let kept = merged(kept);
    let recognised: i64 = kept.iter().map(|slot| slot.amount_minor).sum();
    (kept, total - recognised)
}

/// The days of the month of `at` before it, as a share of the span's days in that month.
fn part(amount_minor: i64, (start_on, end_on): (Date, Option<Date>), at: Date) -> i64 {
    let from = at.first_of_month().max(start_on);
    let after = at.last_of_month().tomorrow().unwrap_or(Date::MAX);
    let until = end_on.map_or(after, |end_on| end_on.min(after));
    let (before, all) = (days(from, at.min(until)), days(from, until));
    if all == 0 {
        return 0;
    }
    largest_remainder(amount_minor, &[before, all - before]).first().copied().unwrap_or(0)
}

/// Both schedules as one.
pub(super) fn joined(a: Vec<Recognition>, b: Vec<Recognition>) -> Vec<Recognition> {
    merged(a.into_iter().chain(b).map(|slot| (slot.period, slot.amount_minor)))
}

/// `new` with every month before `open` as it was: what differs there is caught up in `open`. A month that may be closed never changes.
pub(super) fn caught_up(old: &[Recognition], new: Vec<Recognition>, open: &str) -> Vec<Recognition> {
    let before = |slots: &[Recognition]| -> i64 {
        slots.iter().filter(|slot| slot.period.as_str() < open).map(|slot| slot.amount_minor).sum()
    };
    let catch_up = before(&new) - before(old);
    let past = old.iter().filter(|slot| slot.period.as_str() < open).cloned();
    let rest = new.into_iter().filter(|slot| slot.period.as_str() >= open);
    let slots = past.chain(rest).map(|slot| (slot.period, slot.amount_minor));
    merged(slots.chain([(open.to_owned(), catch_up)]))
}

fn merged(slots: impl IntoIterator<Item = (String, i64)>) -> Vec<Recognition> {
    let mut months: BTreeMap<String, i64> = BTreeMap::new();
    for (period, amount) in slots {
        *months.entry(period).or_default() += amount;
    }
    months.retain(|_, amount| *amount != 0);
    months.into_iter().map(|(period, amount_minor)| Recognition { period, amount_minor }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn amounts(slots: &[Recognition]) -> Vec<(&str, i64)> {
        slots.iter().map(|slot| (slot.period.as_str(), slot.amount_minor)).collect()
    }

    #[test]
    fn half_open_terms_recognise_nothing_on_the_day_after_the_last_one() {
        let slots = spread(Method::StraightLineDaily, 5_900, date(2026, 1, 1), Some(date(2026, 3, 1)));
        assert_eq!(amounts(&slots), [("2026-01", 3_100), ("2026-02", 2_800)]);
    }

    #[test]
    fn a_leap_day_is_a_day_of_revenue() {
        let slots = spread(Method::StraightLineDaily, 6_000, date(2028, 1, 1), Some(date(2028, 3, 1)));
        assert_eq!(amounts(&slots), [("2028-01", 3_100), ("2028-02", 2_900)]);
    }

    #[test]
    fn month_end_anchors_come_back_after_a_short_month() {
        let slots = spread(Method::StraightLineEven, 300, date(2026, 1, 31), Some(date(2026, 4, 30)));
        assert_eq!(amounts(&slots), [("2026-01", 100), ("2026-02", 100), ("2026-03", 100)]);
    }

    #[test]
    fn a_month_is_divided_by_its_days_where_something_changes() {
        let span = (date(2026, 1, 1), Some(date(2026, 3, 1)));
        let slots = spread(Method::StraightLineDaily, 5_900, span.0, span.1);
        let (kept, left) = cut(&slots, Method::StraightLineDaily, span, date(2026, 1, 11));
        assert_eq!((amounts(&kept), left), (vec![("2026-01", 1_000)], 4_900));
    }

    #[test]
    fn a_closed_month_never_changes_and_the_difference_is_caught_up() {
        let old = spread(Method::StraightLineEven, 300, date(2026, 1, 1), Some(date(2026, 4, 1)));
        let new = spread(Method::StraightLineEven, 600, date(2026, 1, 1), Some(date(2026, 4, 1)));
        let slots = caught_up(&old, new, "2026-02");
        assert_eq!(amounts(&slots), [("2026-01", 100), ("2026-02", 300), ("2026-03", 200)]);
    }

    fn method() -> impl Strategy<Value = Method> {
        prop::sample::select(vec![Method::StraightLineDaily, Method::StraightLineEven, Method::PointInTime])
    }

    proptest! {
        #[test]
        fn no_unit_is_lost_whatever_is_spread_cut_and_caught_up(
            method in method(), amount in -10_000_000i64..10_000_000, start in 0i64..3_000, length in 0i64..1_500, at in -100i64..1_700,
        ) {
            let day = |n: i64| date(2020, 1, 1).saturating_add(n.days());
            let span = (day(start), Some(day(start + length)));
            let slots = spread(method, amount, span.0, span.1);
            let sum = |slots: &[Recognition]| slots.iter().map(|slot| slot.amount_minor).sum::<i64>();
            prop_assert_eq!(sum(&slots), amount);
            let (kept, left) = cut(&slots, method, span, day(start + at));
            prop_assert_eq!(sum(&kept) + left, amount);
            prop_assert!(kept.iter().all(|slot| slot.period <= month(day(start + at))));
            let again = caught_up(&slots, kept.clone(), &month(day(start + at / 2)));
            prop_assert_eq!(sum(&again), sum(&kept));
        }
    }
}
