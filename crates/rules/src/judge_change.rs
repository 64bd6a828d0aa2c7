//! What the policies say of a change of a contract: pure, and every mistake at once, as of a deal.

use crate::{
    change::{Amendment, Renewal, Repriced},
    judge::Court,
    load::Policies,
    policy::approvals,
    verdict::{Approval, Verdict},
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Asked for where a renewal raises a price by more than its plan allows.
pub const PRICE_UPLIFT: &str = "PRICE_UPLIFT";

impl Policies {
    /// Judges an amendment: what it sells as a deal's lines, and who has to approve it.
    #[must_use]
    pub fn judge_amendment(&self, amendment: &Amendment) -> Verdict {
        let (deal, places) = amendment.sold();
        let mut court = Court::new(self, &deal);
        let lines = court.lines();
        for finding in &mut court.findings {
            finding.path = at_change(&finding.path, &places);
        }
        let approvals =
            court.missing(&self.approvals.amendments, &amendment.seen(), &amendment.approvals, approvals::FILE);
        Verdict { version: self.version.clone(), findings: court.findings, approvals, lines }
    }

    /// Judges how a renewal changes prices.
    #[must_use]
    pub fn judge_renewal(&self, renewal: &Renewal) -> Verdict {
        let deal = renewal.sold();
        let mut raised = Vec::new();
        for line in &renewal.lines {
            let Some(most) = self.prices.find(&line.product, &renewal.currency).and_then(|plan| plan.max_uplift) else {
                continue;
            };
            let uplift = uplift(line, renewal.uplift_percent);
            if uplift > most {
                let (uplift, most) = (uplift.round_dp(2).normalize(), most.normalize());
                raised.push(format!("`{}` rises by {uplift} percent, at most {most} may be", line.product));
            }
        }
        let is_open = !raised.is_empty() && !renewal.approvals.iter().any(|rule| rule == PRICE_UPLIFT);
        let approval = is_open.then(|| Approval {
            rule: PRICE_UPLIFT.to_owned(),
            reason: raised.join("; "),
            owner: self.routing.queue(PRICE_UPLIFT, &deal.seen()).to_owned(),
        });
        let approvals = approval.into_iter().collect();
        Verdict { version: self.version.clone(), findings: Vec::new(), approvals, lines: BTreeMap::new() }
    }
}

/// In percent; what is stated for the whole counts where the price before is not known.
fn uplift(line: &Repriced, stated: Decimal) -> Decimal {
    match line.price_before.filter(|before| before.is_sign_positive() && !before.is_zero()) {
        Some(before) => {
            let ratio = line.price.checked_div(before).and_then(|ratio| ratio.checked_sub(Decimal::ONE));
            // A ratio beyond all numbers is above every limit.
            ratio.and_then(|rise| rise.checked_mul(Decimal::ONE_HUNDRED)).unwrap_or(Decimal::MAX)
        }
        None => stated,
    }
}

/// `lines[1].product_id` of what is sold is `changes[2].after.product_id` of the amendment.
fn at_change(path: &str, places: &[usize]) -> String {
    let found = path.strip_prefix("lines[").and_then(|rest| rest.split_once(']')).and_then(|(index, rest)| {
        let place = places.get(index.parse::<usize>().ok()?)?;
        Some(format!("changes[{place}].after{rest}"))
    });
    found.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_among_the_lines_is_one_among_the_changes() {
        assert_eq!(at_change("lines[1].product_id", &[0, 3]), "changes[3].after.product_id");
        assert_eq!(at_change("currency", &[0]), "currency");
    }

    #[test]
    fn a_price_that_is_not_known_rises_as_the_whole_does() {
        let line = |before: Option<i64>, price: i64| Repriced {
            price_before: before.map(Decimal::from),
            price: price.into(),
            ..Repriced::default()
        };
        assert_eq!(uplift(&line(Some(100), 107), Decimal::ONE), Decimal::from(7));
        assert_eq!(uplift(&line(None, 107), Decimal::from(3)), Decimal::from(3));
        assert_eq!(uplift(&line(Some(0), 107), Decimal::from(3)), Decimal::from(3));
    }
}
