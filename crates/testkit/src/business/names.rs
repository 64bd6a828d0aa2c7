//! Ids of the generated business. All carry a tag of the seed, so that two businesses can share one stack.

use super::catalog::company;

/// Derives every id from the seed's tag and running numbers.
#[derive(Debug, Clone)]
pub(super) struct Names {
    tag: String,
}

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Names {
    pub(super) fn of_seed(seed: u64) -> Self {
        // Neighbouring seeds shall not look alike: a multiplicative hash, its top 25 bits as five digits.
        let hash = (seed ^ 0x5851_f42d_4c95_7f2d).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let tag = (0..5).map(|place| DIGITS[(hash >> (59 - 5 * place)) as usize % 32] as char).collect();
        Self { tag }
    }

    pub(super) fn account(&self, index: u32) -> String {
        format!("acc-{}-{:06}", self.tag, index + 1)
    }

    /// An invented name that no other business has: an ERP that is searched for a customer finds only its own.
    pub(super) fn company(&self, index: u32) -> String {
        format!("{} {}", company(index), self.tag.to_uppercase())
    }

    /// A VAT number of `country`.
    pub(super) fn vat_id(&self, country: &str, index: u32) -> String {
        format!("{country}{}{index:06}", self.tag.to_uppercase())
    }

    pub(super) fn contract(&self, index: u32, number: u32) -> String {
        format!("con-{}-{:06}-{number}", self.tag, index + 1)
    }

    pub(super) fn line(&self, index: u32, contract: u32, number: u16) -> String {
        format!("con-{}-{:06}-{contract}-L{number}", self.tag, index + 1)
    }

    pub(super) fn invoice(&self, index: u32, number: u32) -> String {
        self.document("inv", index, number)
    }

    pub(super) fn credit_note(&self, index: u32, number: u32) -> String {
        self.document("crn", index, number)
    }

    pub(super) fn payment(&self, index: u32, number: u32) -> String {
        self.document("pay", index, number)
    }

    pub(super) fn refund(&self, index: u32, number: u32) -> String {
        self.document("ref", index, number)
    }

    pub(super) fn dispute(&self, index: u32, number: u32) -> String {
        self.document("dis", index, number)
    }

    pub(super) fn usage_batch(&self, index: u32, number: u32) -> String {
        self.document("use", index, number)
    }

    pub(super) fn threshold(&self, index: u32, number: u32) -> String {
        self.document("thr", index, number)
    }

    pub(super) fn renewal(&self, index: u32, contract: u32, number: u32) -> String {
        format!("ren-{}-{:06}-{contract}-{number}", self.tag, index + 1)
    }

    /// Key of the `number`th record that nobody can read.
    pub(super) fn unreadable(&self, number: u64) -> String {
        format!("unreadable-{}-{number}", self.tag)
    }

    fn document(&self, kind: &str, index: u32, number: u32) -> String {
        format!("{kind}-{}-{:06}-{number:04}", self.tag, index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn businesses_of_different_seeds_share_no_ids() {
        let tags: std::collections::BTreeSet<_> = (0..1_000).map(|seed| Names::of_seed(seed).account(0)).collect();
        assert_eq!(tags.len(), 1_000);
    }
}
