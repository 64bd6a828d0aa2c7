//! PostgreSQL's text holds any character but U+0000, and a key in a topic may hold that too.
//!
//! It is kept as an escape sequence led by the last code point there is, which no text in use holds; where one does, that
//! is escaped as well, so that different texts stay different.

use std::borrow::Cow;

const ESCAPE: char = '\u{10FFFF}';

pub(super) fn to_column(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut column = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => column.extend([ESCAPE, '0']),
            ESCAPE => column.extend([ESCAPE, ESCAPE]),
            other => column.push(other),
        }
    }
    Cow::Owned(column)
}

pub(super) fn from_column(column: String) -> String {
    if !column.contains(ESCAPE) {
        return column;
    }
    let mut text = String::with_capacity(column.len());
    let mut chars = column.chars();
    while let Some(char) = chars.next() {
        match char {
            ESCAPE => text.push(if chars.next() == Some('0') { '\0' } else { ESCAPE }),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_reads_back_and_no_column_holds_a_zero() {
        for text in ["", "plain", "\0", "a\0b", "\u{10FFFF}", "\u{10FFFF}0", "\0\u{10FFFF}\0"] {
            let column = to_column(text).into_owned();
            assert!(!column.contains('\0'));
            assert_eq!(from_column(column), text);
        }
        assert_ne!(to_column("\u{10FFFF}0"), to_column("\0"));
    }
}
