//! Durations and sizes as people write them in the topics file.

/// Milliseconds of `90d`, `12h`, `30m` or `45s`.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let millis: i64 = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(millis).filter(|duration| *duration > 0)
}

/// Bytes of `1MiB`, `512KiB` or `1000000B`.
pub(super) fn parse_bytes(text: &str) -> Option<i64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let bytes: i64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(bytes).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_known() {
        assert_eq!(parse_duration("90d"), Some(7_776_000_000));
        assert_eq!(parse_bytes("8MiB"), Some(8_388_608));
        for wrong in ["", "90", "d", "0d", "-1d", "1w", "1 d", "99999999999999999999d", "9223372036854775807d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_bytes("1MB"), None);
    }
}
