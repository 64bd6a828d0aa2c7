//! Dates and instants of the generated business.

use jiff::civil::Date;

pub(super) const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// The same day `months` later, counted from `anchor` itself: 31 January, 28 February, 31 March.
pub(super) fn months_after(anchor: Date, months: u32) -> Date {
    let month = i64::from(anchor.year()) * 12 + i64::from(anchor.month()) - 1 + i64::from(months);
    let year = i16::try_from(month / 12).unwrap_or(i16::MAX).min(9_999);
    let first = jiff::civil::date(year, (month % 12 + 1) as i8, 1);
    jiff::civil::date(year, first.month(), anchor.day().min(first.days_in_month()))
}

pub(super) fn days_after(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::SignedDuration::from_hours(days * 24))
}

/// An instant of `date` that is on that date in every market: between `hour` and `hour` + 1 in UTC, moved on by `jitter`
/// (0 to 1). Hours below 15 stay on the date as far as Tokyo.
pub(super) fn at_hour(date: Date, hour: i64, jitter: f64) -> i64 {
    epoch_ms(date) + hour * HOUR_MS + (jitter * HOUR_MS as f64) as i64
}

/// Milliseconds from the epoch to the start of `date` in UTC.
pub(super) fn epoch_ms(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() * 1000
}

/// The date, in UTC, of an instant in milliseconds.
pub(super) fn date_of(at_ms: i64) -> Date {
    days_after(EPOCH, at_ms.div_euclid(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_last_day_of_a_month_comes_back_after_a_short_month() {
        let anchor = date(2026, 1, 31);
        let days: Vec<_> = (0..4).map(|months| months_after(anchor, months)).collect();
        assert_eq!(days, [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]);
        assert_eq!(months_after(date(2027, 12, 31), 2), date(2028, 2, 29));
    }

    #[test]
    fn instants_and_dates_agree() {
        let day = date(2026, 3, 29);
        assert_eq!(date_of(at_hour(day, 14, 0.999)), day);
        assert_eq!(date_of(at_hour(date(1969, 12, 31), 3, 0.0)), date(1969, 12, 31));
    }
}
