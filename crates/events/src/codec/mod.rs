//! How the generated types are written and read: Avro out by hand-made encoders (no schema look-up, no `Value`), Avro and
//! JSON in through serde. `Serialize` is the JSON form: dates and times as ISO text, decimals as strings.
//!
//! Readers accept both forms without asking which format they stand in: Avro gives dates as `i32` and times as `i64`
//! microseconds, JSON gives them as text.

mod budget;
pub mod date;
pub mod decimal;
mod personal;
mod symbols;
pub mod timestamp;

pub use budget::measured;
pub(crate) use budget::{Budget, bounded_list, holds};
pub use personal::Personal;
pub(crate) use symbols::symbols;

/// Appends the Avro form of a value.
pub trait Encode {
    fn encode(&self, out: &mut Vec<u8>);
}

/// Avro's variable-length zigzag integer.
pub fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Length, then the bytes.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Encode for i32 {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(i64::from(*self), out);
    }
}

impl Encode for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        put_long(*self, out);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }
}

impl Encode for Personal {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(self.reveal().as_bytes(), out);
    }
}

/// `["null", T]`.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(2);
                value.encode(out);
            }
        }
    }
}

/// One block, then the end mark.
impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(self.len() as i64, out);
            self.iter().for_each(|item| item.encode(out));
        }
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_zigzag_varints() {
        for (value, expected) in [(0i64, &[0u8][..]), (-1, &[1]), (1, &[2]), (64, &[0x80, 1]), (-65, &[0x81, 1])] {
            let mut out = Vec::new();
            put_long(value, &mut out);
            assert_eq!(out, expected, "{value}");
        }
        let mut out = Vec::new();
        put_long(i64::MIN, &mut out);
        assert_eq!(out, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
    }
}
