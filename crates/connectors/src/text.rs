//! Other systems' words on their way to our logs and screens: short, on one line, without addresses of people.

/// No reason is longer than this, in characters: it must fit a header and a table row.
const MAX_CHARS: usize = 300;

/// A vendor's message as it may be shown: whitespace folded, e-mail addresses masked, cut at a bound.
pub(crate) fn shown(message: &str) -> String {
    let mut out = String::new();
    for word in message.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if word.contains('@') { "***" } else { word });
        if out.len() > 4 * MAX_CHARS {
            break;
        }
    }
    match out.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_message_is_one_short_line_without_addresses() {
        assert_eq!(shown("Invalid email\n jane@example.com  given"), "Invalid email *** given");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), 301);
    }
}
