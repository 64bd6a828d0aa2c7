//! Reads lines in chunks that are bounded by count and by bytes; a line without end costs no more than its limit.

use std::io::{self, BufRead, Read};

/// A line and its number, from 1. One that is too long is cut just beyond the limit, so that it is seen to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    number: u64,
    longest: usize,
}

/// Bounds of a chunk: large enough to keep the producer busy, small enough for memory and for reports of progress.
const CHUNK_LINES: usize = 4_096;
const CHUNK_BYTES: usize = 8 << 20;

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R, longest: usize) -> Self {
        Self { from, number: 0, longest }
    }

    /// The next lines that are not blank; empty at the end.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<Line>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < CHUNK_LINES && bytes < CHUNK_BYTES {
            let Some(line) = self.line()? else { break };
            self.number += 1;
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                bytes += line.len();
                lines.push(Line { number: self.number, bytes: line });
            }
        }
        Ok(lines)
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        // One more than allowed and the end of the line.
        let most = self.longest as u64 + 2;
        if (&mut self.from).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == most {
            self.skip_rest()?;
        }
        Ok(Some(line))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.from.fill_buf()?;
            let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.from.consume(used);
            if ended {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], longest: usize) -> Vec<(u64, Vec<u8>)> {
        let lines = Lines::new(io::BufReader::with_capacity(4, text), longest).chunk().unwrap();
        lines.into_iter().map(|line| (line.number, line.bytes)).collect()
    }

    #[test]
    fn blank_lines_count_but_are_left_out_and_the_last_needs_no_end() {
        assert_eq!(read(b"a\n\n  \nb", 10), [(1, b"a".to_vec()), (4, b"b".to_vec())]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        assert_eq!(read(b"0123456789\nnext\n", 5), [(1, b"0123456".to_vec()), (2, b"next".to_vec())]);
    }

    #[test]
    fn chunks_end_at_their_bound_and_go_on_behind_it() {
        let text = "x\n".repeat(CHUNK_LINES + 1);
        let mut lines = Lines::new(text.as_bytes(), 10);
        assert_eq!(lines.chunk().unwrap().len(), CHUNK_LINES);
        assert_eq!(lines.chunk().unwrap().len(), 1);
        assert!(lines.chunk().unwrap().is_empty());
    }
}
