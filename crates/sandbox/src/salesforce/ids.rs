//! Record ids: 15 characters in which case matters, and the same with three more that say it, so that case may be lost.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character id of the `number`-th record of an object.
pub fn id(prefix: &str, number: u64) -> String {
    let (mut digits, mut rest) = ([b'0'; 9], number);
    for digit in digits.iter_mut().rev() {
        // Below 62, so it fits.
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    let short: String = format!("{prefix}fj0").chars().chain(digits.iter().map(|digit| char::from(*digit))).collect();
    let suffix = suffix(&short);
    short + &suffix
}

/// The three characters that tell which of the fifteen are capital letters.
fn suffix(short: &str) -> String {
    let chunk = |bytes: &[u8]| {
        let bits = bytes
            .iter()
            .enumerate()
            .fold(0_usize, |bits, (at, byte)| bits | usize::from(byte.is_ascii_uppercase()) << at);
        char::from(SUFFIX[bits])
    };
    short.as_bytes().chunks(5).map(chunk).collect()
}

/// The 18-character form of an id as a client may send it: fifteen characters as they are, or eighteen in any case.
pub fn normal(sent: &str) -> Option<String> {
    if !sent.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match sent.len() {
        15 => Some(format!("{sent}{}", suffix(sent))),
        18 => restore(sent),
        _ => None,
    }
}

/// The letters as the last three characters say they are.
fn restore(sent: &str) -> Option<String> {
    let (short, marks) = sent.split_at(15);
    let bits: Vec<usize> = marks
        .bytes()
        .map(|mark| SUFFIX.iter().position(|known| *known == mark.to_ascii_uppercase()))
        .collect::<Option<_>>()?;
    let letter = |(at, byte): (usize, u8)| {
        let is_upper = bits[at / 5] >> (at % 5) & 1 == 1;
        char::from(if is_upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() })
    };
    let short: String = short.bytes().enumerate().map(letter).collect();
    Some(format!("{short}{}", marks.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_characters_count_case_and_eighteen_do_not() {
        let long = id("001", 10 * 62 + 40);
        assert_eq!((long.len(), normal(&long).as_ref()), (18, Some(&long)));
        assert_eq!(normal(&long.to_lowercase()).as_ref(), Some(&long));
        assert_eq!(normal(&long[..15]).as_ref(), Some(&long));
        assert_ne!(normal(&long[..15].to_lowercase()), Some(long));
        assert_eq!(normal("not an id"), None);
    }

    #[test]
    fn a_known_id_has_the_suffix_that_the_vendor_gives_it() {
        // From the vendor's own help page on converting ids.
        assert_eq!(normal("00570000001ZwTi").as_deref(), Some("00570000001ZwTiAAK"));
    }
}
