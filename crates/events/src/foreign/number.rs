//! Numbers in headers.

/// Decimal digits, from 0 to `most`.
pub(super) fn digits(bytes: &[u8], most: i64) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_digits && *number <= most)
}

/// Big-endian, `width` bytes, as Spring writes them. Versions and bridges that write digits instead are read too: four digits as
/// bytes would be a partition, eight an offset, beyond anything real.
pub(super) fn binary(bytes: &[u8], width: usize, most: i64) -> Option<i64> {
    let as_bytes = (bytes.len() == width)
        .then(|| bytes.iter().fold(0_i64, |number, byte| number.wrapping_shl(8) | i64::from(*byte)))
        .filter(|number| (0..=most).contains(number));
    as_bytes.or_else(|| digits(bytes, most))
}
