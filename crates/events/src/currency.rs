//! Active ISO 4217 currencies and the decimals of their minor unit (yen 0, pound 2, dinar 3).

use crate::generated::currencies::ACTIVE;

/// Decimals of the minor unit; `None` if the code is not an active currency. Upper case only, as ISO writes it.
#[must_use]
pub fn exponent(code: &str) -> Option<u32> {
    let code: [u8; 3] = code.as_bytes().try_into().ok()?;
    let found = ACTIVE.binary_search_by(|(active, _)| active.cmp(&code)).ok()?;
    Some(u32::from(ACTIVE[found].1))
}

/// Whether the code is an active ISO 4217 currency.
#[must_use]
pub fn is_active(code: &str) -> bool {
    exponent(code).is_some()
}

/// All active codes, sorted.
pub fn all() -> impl Iterator<Item = &'static str> {
    ACTIVE.iter().filter_map(|(code, _)| std::str::from_utf8(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_differ_by_currency() {
        assert_eq!(["JPY", "GBP", "KWD", "CLF"].map(exponent), [Some(0), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn withdrawn_misspelt_and_lower_case_codes_are_unknown() {
        assert_eq!(["DEM", "XXZ", "gbp", "", "GBPX", "XAU"].map(exponent), [None; 6]);
    }

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(ACTIVE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
