//! Decimals: the unscaled number as big-endian bytes in Avro (the scale is the schema's), a string in JSON.

use super::put_bytes;
use rust_decimal::Decimal;
use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};
use std::fmt;

/// Writes the number at the schema's scale. More decimals than that are rounded half away from zero, and a number beyond
/// 38 digits becomes the largest one: nothing that decoding or [`fits`] let in is either.
pub(crate) fn encode(number: &Decimal, scale: u32, out: &mut Vec<u8>) {
    let unscaled = unscaled(number, scale).unwrap_or(if number.is_sign_negative() { i128::MIN } else { i128::MAX });
    let bytes = unscaled.to_be_bytes();
    put_bytes(&bytes[redundant(&bytes)..], out);
}

pub(crate) fn encode_option(number: Option<&Decimal>, scale: u32, out: &mut Vec<u8>) {
    match number {
        None => out.push(0),
        Some(number) => {
            out.push(2);
            encode(number, scale, out);
        }
    }
}

fn unscaled(number: &Decimal, scale: u32) -> Option<i128> {
    if number.scale() > scale {
        let rounded = number.round_dp_with_strategy(scale, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        return rounded.mantissa().checked_mul(10i128.checked_pow(scale - rounded.scale())?);
    }
    number.mantissa().checked_mul(10i128.checked_pow(scale - number.scale())?)
}

/// Leading bytes that only repeat the sign.
fn redundant(bytes: &[u8; 16]) -> usize {
    let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xFF };
    (0..15).take_while(|&at| bytes[at] == sign && bytes[at + 1] & 0x80 == sign & 0x80).count()
}

/// Whether the number has no more digits than the schema allows.
pub(crate) fn fits(number: &Decimal, precision: u32, scale: u32) -> bool {
    let number = number.normalize();
    let digits = number.mantissa().unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    number.scale() <= scale && digits.saturating_sub(number.scale()) <= precision - scale
}

pub fn serialize<S: Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.normalize())
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    deserializer.deserialize_str(DecimalVisitor)
}

struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as text, such as \"12.50\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        parse(text).ok_or_else(|| E::custom("not a decimal such as \"12.50\""))
    }
}

/// Digits with at most one point and a leading minus, at most 28 of them.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if plain { Decimal::from_str_exact(text).ok().map(|number| number.normalize()) } else { None }
}

/// The same for a nullable field.
pub mod option {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Wrapped(#[serde(with = "super")] Decimal);

    pub fn serialize<S: Serializer>(number: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
        match number {
            Some(number) => super::serialize(number, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, scale: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&parse(text).expect("a decimal"), scale, &mut out);
        out
    }

    #[test]
    fn the_unscaled_number_has_the_fewest_bytes() {
        assert_eq!(bytes("0", 9), [2, 0]);
        assert_eq!(bytes("1.27", 2), [2, 127]);
        assert_eq!(bytes("1.28", 2), [4, 0, 128]);
        assert_eq!(bytes("-1.28", 2), [2, 0x80]);
        assert_eq!(bytes("-1.29", 2), [4, 0xFF, 0x7F]);
    }

    #[test]
    fn digits_are_counted_before_and_after_the_point() {
        let number = |text| parse(text).expect("a decimal");
        assert!(fits(&number("999999999999999.999999999"), 24, 9));
        assert!(!fits(&number("1000000000000000"), 24, 9));
        assert!(!fits(&number("0.0000000001"), 24, 9));
        assert!(fits(&number("0.00000000100"), 24, 9));
    }

    #[test]
    fn exponents_signs_and_words_are_refused() {
        for text in ["1e3", "+1", "", ".", "-", "NaN", "1_000", "1.2.3", " 1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
