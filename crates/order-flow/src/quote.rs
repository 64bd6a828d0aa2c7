//! Signed quotes: what was signed must be what is sold. Whether a deal needs one is for `checks.yaml`.

use crate::{
    course::Court,
    document::{DealStage, FlowDocument, Known, kind},
    handler::OrderFlow,
    process,
    step::Step,
};
use consumer::Decision;
use events::{
    OpportunityClosedWon, OrderRequested, QuoteAccepted,
    common::{ContractLine, FalloutEnd},
    version,
};
use failure::Failure;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The quotes of an opportunity that were signed, often before it is won.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quotes {
    pub account_id: String,
    pub opportunity_id: String,
    pub signed: BTreeMap<String, Signed>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    pub entity_version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    pub document_hash: String,
    pub accepted_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    pub currency: String,
    pub total_minor: i64,
    pub lines: Vec<ContractLine>,
}

/// A quote was signed; a deal that waits is judged with it.
pub(crate) fn accepted(
    mut step: Step<'_>,
    known: Known<'_>,
    court: Court<'_>,
    event: &QuoteAccepted,
) -> Result<Decision<OrderFlow>, Failure> {
    let mut quotes = known.quotes(&event.opportunity_id).cloned().unwrap_or_default();
    let before = quotes.signed.get(&event.quote_id).map(|signed| signed.entity_version);
    version::next(&event.quote_id, before, event.entity_version)?;
    quotes.account_id.clone_from(&event.account_id);
    quotes.opportunity_id.clone_from(&event.opportunity_id);
    let signed = Signed {
        entity_version: event.entity_version,
        number: event.quote_number.clone(),
        document_hash: event.document_hash.to_lowercase(),
        accepted_at: event.accepted_at,
        expires_at: event.expires_at,
        currency: event.currency.clone(),
        total_minor: event.total_minor,
        lines: event.lines.clone(),
    };
    quotes.signed.insert(event.quote_id.clone(), signed);
    step.put(kind::QUOTES, &event.opportunity_id, FlowDocument::Quotes(Box::new(quotes.clone())));
    let waits = step.deal.stage == DealStage::Waiting && step.deal.opportunity.is_some();
    if known.deal(&event.opportunity_id).is_none() || !waits {
        // Before its deal it waits for it; after the orders it changes nothing that was agreed.
        return Ok(step.decision);
    }
    process::judge_with(step, known, court, Some(&quotes), (FalloutEnd::Mended, None))
}

/// The quote that a deal goes by: the one that it names, else the one that was signed last.
pub(crate) fn of<'a>(deal: &OpportunityClosedWon, quotes: Option<&'a Quotes>) -> Option<(String, Option<&'a Signed>)> {
    let signed = |id: &str| quotes.and_then(|quotes| quotes.signed.get(id));
    if let Some(id) = &deal.quote_id {
        return Some((id.clone(), signed(id)));
    }
    let last = quotes?.signed.iter().max_by_key(|(_, signed)| signed.accepted_at)?;
    Some((last.0.clone(), Some(last.1)))
}

/// A quote as the policies see it.
pub(crate) fn seen(deal: &OpportunityClosedWon, quotes: Option<&Quotes>) -> Option<rules::Quote> {
    let (id, signed) = of(deal, quotes)?;
    let is_expired =
        signed.is_some_and(|signed| signed.expires_at.is_some_and(|expires_at| signed.accepted_at > expires_at));
    let differs = signed.map(|signed| differences(deal, signed)).unwrap_or_default();
    Some(rules::Quote { id, is_signed: signed.is_some(), is_expired, differs })
}

/// Where the quote says something else than the deal.
fn differences(deal: &OpportunityClosedWon, quote: &Signed) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |path: &str, there: &str, here: &str| {
        if there != here {
            found.push(format!("{path}: {there} there, {here} here"));
        }
    };
    compare("currency", &quote.currency, &deal.currency);
    compare("total_contract_value_minor", &quote.total_minor.to_string(), &deal.total_contract_value_minor.to_string());
    if let Some(hash) = &deal.quote_document_hash {
        compare("quote_document_hash", &quote.document_hash, &hash.to_lowercase());
    }
    let here = |id: &str| deal.lines.iter().map(|line| &line.line).find(|line| line.contract_line_id == id);
    for there in &quote.lines {
        let id = &there.contract_line_id;
        match here(id) {
            None => compare(&format!("lines.{id}"), &there.product_id, "nothing"),
            Some(here) => {
                let number = |value: Decimal| value.normalize().to_string();
                compare(&format!("lines.{id}.product_id"), &there.product_id, &here.product_id);
                compare(&format!("lines.{id}.quantity"), &number(there.quantity), &number(here.quantity));
                compare(&format!("lines.{id}.unit_price"), &number(there.unit_price), &number(here.unit_price));
                let amounts = (there.amount_minor.to_string(), here.amount_minor.to_string());
                compare(&format!("lines.{id}.amount_minor"), &amounts.0, &amounts.1);
            }
        }
    }
    for line in &deal.lines {
        let id = &line.line.contract_line_id;
        if !quote.lines.iter().any(|there| there.contract_line_id == *id) {
            compare(&format!("lines.{id}"), "nothing", &line.line.product_id);
        }
    }
    found
}

/// What was signed goes with the order.
pub(crate) fn sign(request: &mut OrderRequested, deal: &OpportunityClosedWon, quotes: Option<&Quotes>) {
    let Some((id, signed)) = of(deal, quotes) else { return };
    request.quote_id = Some(id);
    request.quote_number = signed.and_then(|signed| signed.number.clone());
    request.quote_document_hash = signed.map(|signed| signed.document_hash.clone());
}
