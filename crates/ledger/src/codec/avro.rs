//! Avro's binary primitives, as far as the journal needs them.
//!
//! Written by hand because a commit encodes a thousand records and a take-over decodes what may be damaged: nothing is
//! copied twice, and no count in the bytes makes more room than the bytes that are really there could fill.

use crate::{Error, Result};
use bytes::Bytes;
use events::{Headers, record::header_name};

#[derive(Debug, Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    /// Zig-zag, then seven bits a byte, lowest first.
    pub(super) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.long(i64::try_from(count).expect("no collection is larger than i64::MAX"));
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(super) fn fixed(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// A union of null and something.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.long(0),
            Some(value) => {
                self.long(1);
                write(self, value);
            }
        }
    }

    pub(super) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.count(items.len());
            items.iter().for_each(|item| write(self, item));
        }
        self.long(0);
    }

    pub(super) fn headers(&mut self, headers: &Headers) {
        self.array(&headers.0, |w, (name, value)| {
            w.text(name);
            w.option(value.as_ref(), |w, value| w.bytes(value));
        });
    }
}

#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// `what` names the content in errors.
    pub(super) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn damaged(&self, why: &str) -> Error {
        Error::Corrupt(format!("{}: {why} with {} bytes left", self.what, self.rest.len()))
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.damaged("it ends early")) };
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn long(&mut self) -> Result<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(self.damaged("a number has more than ten bytes"))
    }

    pub(super) fn int(&mut self) -> Result<i32> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| self.damaged("a number is out of range"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.long()?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((head, rest)) = split else { return Err(self.damaged("a length is larger than what follows")) };
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn blob(&mut self) -> Result<Bytes> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    pub(super) fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        match self.fixed()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.damaged("a boolean is neither 0 nor 1")),
        }
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        match self.long()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(self.damaged("a union has an unknown branch")),
        }
    }

    /// `least` is the size of the smallest item, never 0: more items than fit are refused before room is made.
    pub(super) fn array<T>(&mut self, least: usize, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // A negative count is followed by the size of the block, which only skipping needs.
                self.long()?;
            }
            let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            if count > self.rest.len() / least {
                return Err(self.damaged("an array has more items than bytes"));
            }
            items.reserve(count.min(4096));
            for _ in 0..count {
                items.push(read(self)?);
            }
        }
    }

    pub(super) fn headers(&mut self) -> Result<Headers> {
        self.array(2, |r| Ok((header_name(r.text()?.as_bytes()), r.option(Self::blob)?))).map(Headers)
    }

    pub(super) fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("it does not end where it should")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_bytes_that_avro_gives_them() {
        for (value, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-64, vec![0x7f]), (64, vec![0x80, 1])] {
            let mut writer = Writer::default();
            writer.long(value);
            assert_eq!(writer.0, bytes);
        }
        for value in [i64::MIN, i64::MAX, -1, 0, 1 << 40] {
            let mut writer = Writer::default();
            writer.long(value);
            assert_eq!(Reader::new(&writer.0, "test").long().ok(), Some(value));
        }
    }

    #[test]
    fn an_array_in_blocks_with_sizes_is_read_too() {
        // Two items in a block of 2 bytes, one in a block without a size.
        let bytes = [3, 4, 2, 4, 2, 6, 0];
        let mut reader = Reader::new(&bytes, "test");
        assert_eq!(reader.array(1, Reader::long).ok(), Some(vec![1, 2, 3]));
    }

    #[test]
    fn a_count_beyond_the_bytes_makes_no_room() {
        let mut writer = Writer::default();
        writer.long(i64::MAX);
        let mut reader = Reader::new(&writer.0, "test");
        assert!(matches!(reader.array(1, Reader::long), Err(Error::Corrupt(_))));
        assert!(matches!(Reader::new(&writer.0, "test").bytes(), Err(Error::Corrupt(_))));
    }
}
