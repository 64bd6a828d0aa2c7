//! Durations and sizes with their unit written out: a bare number is refused, because nobody can tell its unit.

use std::{fmt, time::Duration};

/// A number of bytes. Displays in the largest unit that loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// For lengths in memory; saturates where the machine cannot address as much.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Nanoseconds of each unit, the largest first.
const TIMES: &[(&str, u64)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZES.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (unit, size) = whole.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// Reads `5MiB`, `1.5 MB`, `512B`.
pub fn parse_bytes(text: &str) -> Result<Bytes, String> {
    scaled(text, SIZES, "size", "B, kB, KiB, MB, MiB, GB or GiB").map(Bytes)
}

/// Reads `10s`, `250 ms`, `1.5h`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    scaled(text, TIMES, "duration", "us, ms, s, m, min, h or d").map(Duration::from_nanos)
}

/// Writes a duration in the largest unit that loses nothing.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    let shown = TIMES.iter().filter(|(unit, _)| *unit != "min");
    let (unit, size) = shown.clone().find(|(_, size)| nanos.is_multiple_of(*size)).unwrap_or(&("us", 1_000));
    format!("{}{unit}", nanos / size)
}

fn scaled(text: &str, units: &[(&str, u64)], what: &str, names: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = (text[..end].replace('_', ""), text[end..].trim());
    if number.is_empty() {
        return Err(format!("not a {what}: it must start with a number, as in `{}`", example(what)));
    }
    if unit.is_empty() {
        return Err(format!("a {what} without a unit: add {names}"));
    }
    let (_, scale) =
        units.iter().find(|(name, _)| *name == unit).ok_or_else(|| format!("unknown unit `{unit}`: use {names}"))?;
    let too_large = || format!("too large for a {what}");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*scale).ok_or_else(too_large);
    }
    let value: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    let value = value * *scale as f64;
    // 2^53: beyond it a fraction cannot be told from a rounding error.
    if value < 9_007_199_254_740_992.0 { Ok(value as u64) } else { Err(too_large()) }
}

fn example(what: &str) -> &'static str {
    if what == "size" { "5MiB" } else { "10s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_with_and_without_a_space() {
        assert_eq!(parse_duration("10 s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_bytes("5MiB"), Ok(Bytes::mib(5)));
        assert_eq!(parse_bytes("1.5 MB"), Ok(Bytes(1_500_000)));
        assert_eq!(parse_bytes("1_000 B"), Ok(Bytes(1_000)));
    }

    #[test]
    fn what_has_no_known_unit_is_refused_with_the_units_there_are() {
        let refused = [
            ("10", "a duration without a unit: add us, ms, s, m, min, h or d"),
            ("10 parsecs", "unknown unit `parsecs`: use us, ms, s, m, min, h or d"),
            ("-3s", "not a duration: it must start with a number, as in `10s`"),
            ("1.2.3s", "`1.2.3` is not a number"),
            ("99999999999d", "too large for a duration"),
            ("", "not a duration: it must start with a number, as in `10s`"),
        ];
        for (text, reason) in refused {
            assert_eq!(parse_duration(text), Err(reason.to_owned()), "{text}");
        }
        assert_eq!(parse_bytes("5Mb"), Err("unknown unit `Mb`: use B, kB, KiB, MB, MiB, GB or GiB".to_owned()));
    }

    #[test]
    fn what_is_shown_reads_back_as_it_was() {
        for duration in
            [Duration::ZERO, Duration::from_millis(1_500), Duration::from_secs(90), Duration::from_secs(7_200)]
        {
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [Bytes(0), Bytes(1_500), Bytes::kib(3), Bytes::mib(64)] {
            assert_eq!(parse_bytes(&bytes.to_string()), Ok(bytes));
        }
        assert_eq!(Bytes::mib(64).to_string(), "64MiB");
        assert_eq!(show_duration(Duration::from_secs(120)), "2m");
    }
}
