//! How much of a plan was billed: the other half of what is deferred.

use crate::document::Revenue;
use events::common::LineItem;

/// The plan with what a document bills of it (`sign` 1) or takes back (−1); `None` where it touches none of its obligations. A line that
/// names an obligation counts although the plan does not have it yet: the amendment that brings it may come after the invoice.
pub(in crate::plan) fn billed(revenue: &Revenue, lines: &[LineItem], sign: i64) -> Option<Revenue> {
    let is_planned = |line: &&LineItem| {
        line.performance_obligation_id.is_some()
            || line
                .contract_line_id
                .as_ref()
                .is_some_and(|id| revenue.obligations.iter().any(|of| of.lines.contains(id)))
    };
    let net: i64 = lines.iter().filter(is_planned).map(|line| line.net_minor).sum();
    (net != 0).then(|| Revenue { billed_minor: revenue.billed_minor + sign * net, ..revenue.clone() })
}
