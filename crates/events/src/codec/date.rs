//! Local dates: days since 1970-01-01 in Avro, `2026-01-31` in JSON.

use super::{Encode, put_long};
use jiff::civil::Date;
use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};
use std::fmt;

const EPOCH_DAY: i64 = 719_468;

impl Encode for Date {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(days(*self), out);
    }
}

/// Days since 1970-01-01; the calendar as in Hinnant's `days_from_civil`.
fn days(date: Date) -> i64 {
    let (month, day) = (i64::from(date.month()), i64::from(date.day()));
    let year = i64::from(date.year()) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - EPOCH_DAY
}

/// The inverse; `None` outside of the years -9999 to 9999.
fn from_days(days: i64) -> Option<Date> {
    let shifted = days.checked_add(EPOCH_DAY)?;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

pub fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    deserializer.deserialize_any(DateVisitor)
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date such as 2026-01-31")
    }

    fn visit_i32<E: Error>(self, days: i32) -> Result<Date, E> {
        from_days(i64::from(days)).ok_or_else(|| E::custom("a date outside of the years -9999 to 9999"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Date, E> {
        parse(text).ok_or_else(|| E::custom("not a date such as 2026-01-31"))
    }
}

/// `2026-01-31` and nothing else.
pub(crate) fn parse(text: &str) -> Option<Date> {
    if text.len() == 10 { text.parse().ok() } else { None }
}

/// The same for a nullable field.
pub mod option {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Wrapped(#[serde(with = "super")] Date);

    pub fn serialize<S: Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => super::serialize(date, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        assert_eq!(days(date(1970, 1, 1)), 0);
        assert_eq!(days(date(2026, 1, 1)), 20_454);
        assert_eq!(days(date(1969, 12, 31)), -1);
        assert_eq!(from_days(i64::from(i32::MAX)), None);
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days_in in -4_371_587i64..=2_932_896) {
            let date = from_days(days_in).expect("within the years -9999 to 9999");
            prop_assert_eq!(days(date), days_in);
            prop_assert_eq!(parse(&date.to_string()).is_some(), date.year() >= 0);
        }
    }
}
