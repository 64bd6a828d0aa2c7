//! What becomes of contracts that came of deals: amendments that are asked for, signed quotes, renewals. They fit the policies that the
//! repository carries, and the deals of [`crate::deals`].

use crate::deals::{at, deal};
use events::{
    ContractAmendmentRequested, OpportunityClosedWon, QuoteAccepted, SubscriptionRenewalAccepted,
    SubscriptionRenewalDeclined,
    common::{AmendmentType, ContractLine, LineChange, Reason, Term},
};
use jiff::{Timestamp, civil::date};

/// The line of a plain deal, with so many seats for so much.
#[must_use]
pub fn seats(quantity: i64, amount_minor: i64) -> ContractLine {
    let plain = deal("", "").lines.into_iter().next().unwrap_or_default().line;
    ContractLine { quantity: quantity.into(), amount_minor, ..plain }
}

/// The contract that a plain deal of the entity `US` becomes.
#[must_use]
pub fn contract_of(opportunity: &str) -> String {
    format!("{opportunity}-US")
}

/// From ten seats to `quantity`, worth `amount_minor`, from a day that may lie ahead.
#[must_use]
pub fn reseat(
    account: &str,
    opportunity: &str,
    id: &str,
    (quantity, amount_minor): (i64, i64),
    from: Timestamp,
) -> ContractAmendmentRequested {
    let change = LineChange {
        contract_line_id: "L1".into(),
        before: Some(seats(10, 100_001)),
        after: Some(seats(quantity, amount_minor)),
    };
    ContractAmendmentRequested {
        account_id: account.into(),
        entity_version: 1,
        effective_at: from,
        recorded_at: at(100),
        legal_entity_id: "US".into(),
        contract_id: contract_of(opportunity),
        amendment_id: id.into(),
        amendment_type: AmendmentType::Quantity,
        currency: "USD".into(),
        changes: vec![change],
        delta_tcv_minor: amount_minor - 100_001,
        ..ContractAmendmentRequested::default()
    }
}

/// A deal that renews by itself, with thirty days of notice.
#[must_use]
pub fn renewing(account: &str, id: &str) -> OpportunityClosedWon {
    let plain = deal(account, id);
    let term = Term { auto_renew: true, renewal_notice_days: Some(30), ..plain.term.clone() };
    OpportunityClosedWon { term, ..plain }
}

/// The customer of a plain deal renews for 2027, at this price for a unit in hundredths.
#[must_use]
pub fn renewal(account: &str, opportunity: &str, version: i64, price: i64) -> SubscriptionRenewalAccepted {
    let plain = deal(account, opportunity);
    let unit_price = rust_decimal::Decimal::new(price, 2);
    let after = ContractLine { unit_price, amount_minor: price * 10, ..seats(10, 0) };
    SubscriptionRenewalAccepted {
        account_id: account.into(),
        entity_version: version,
        effective_at: at(200),
        recorded_at: at(200),
        accepted_at: at(200),
        legal_entity_id: "US".into(),
        renewal_id: format!("R-{opportunity}"),
        contract_id: contract_of(opportunity),
        renewed_term: Term { start_on: date(2027, 1, 1), end_on: Some(date(2028, 1, 1)), ..plain.term },
        currency: "USD".into(),
        lines_before: vec![seats(10, 100_001)],
        total_contract_value_minor: Some(after.amount_minor),
        lines_after: vec![after],
        accepted_by: Some("Ada Lovelace".into()),
        ..SubscriptionRenewalAccepted::default()
    }
}

/// The customer of a plain deal does not renew for 2027.
#[must_use]
pub fn no_renewal(account: &str, opportunity: &str) -> SubscriptionRenewalDeclined {
    SubscriptionRenewalDeclined {
        account_id: account.into(),
        entity_version: 1,
        effective_at: at(300),
        recorded_at: at(300),
        declined_at: at(300),
        legal_entity_id: "US".into(),
        renewal_id: format!("{}/2027-01-01", contract_of(opportunity)),
        contract_id: contract_of(opportunity),
        ends_on: date(2027, 1, 1),
        reason: Reason { code: "too_expensive".into(), text: None },
        ..SubscriptionRenewalDeclined::default()
    }
}

/// A deal of so much that it goes by a signed quote, and that its approvers agreed to.
#[must_use]
pub fn quoted(account: &str, id: &str) -> OpportunityClosedWon {
    let mut large = deal(account, id);
    large.total_contract_value_minor = 120_000_000;
    large.lines[0].line.amount_minor = 120_000_000;
    large.quote_id = Some(format!("Q-{id}"));
    large.approvals = vec![events::common::Approval { policy: Some("LARGE-DEAL".into()), ..Default::default() }];
    large
}

/// The quote of such a deal, signed.
#[must_use]
pub fn quote(account: &str, opportunity: &str) -> QuoteAccepted {
    let deal = quoted(account, opportunity);
    QuoteAccepted {
        account_id: account.into(),
        entity_version: 1,
        effective_at: at(0),
        recorded_at: at(0),
        legal_entity_id: "US".into(),
        quote_id: format!("Q-{opportunity}"),
        opportunity_id: opportunity.into(),
        quote_number: Some("2026-17".into()),
        currency: deal.currency,
        lines: deal.lines.into_iter().map(|of| of.line).collect(),
        total_minor: deal.total_contract_value_minor,
        accepted_at: at(0),
        expires_at: Some(at(86_400)),
        signatory: Some("Ada Lovelace".into()),
        document_hash: "ab".repeat(32),
        ..QuoteAccepted::default()
    }
}
