//! The tax of an order: what the engine is asked, and its answer as events tell it.

use crate::{
    document::{DealState, Order, Tax, TaxState},
    effect::TAX_QUEUE,
    follow::{Followed, What},
    target::ANSWER,
};
use connectors::{
    IsoCurrency,
    tax::{
        CustomerTaxId, Exemption, LineTax, TaxAddress, TaxAnswer, TaxBuyer, TaxCustomer, TaxDocument, TaxQuestion,
        TaxedLine,
    },
};
use consumer::Receipt;
use events::{
    OrderRequested,
    common::{self, TaxExemption},
    currency,
};
use failure::Failure;

/// The whole order as one document; its lines without an amount, such as usage that is still to come, are taxed when they are invoiced.
pub(crate) fn question(request: &OrderRequested) -> Result<TaxQuestion, Failure> {
    let customer = &request.customer;
    let Some(address) = customer.shipping_address.as_ref().or(customer.billing_address.as_ref()) else {
        let reason = "the customer has no address, so nobody can tell which tax is due";
        let failure = Failure::business("TAX_ADDRESS_INVALID", TAX_QUEUE, reason);
        return Err(failure.at_field("customer.billing_address"));
    };
    let open = |text: &Option<events::Personal>| text.as_ref().map(|text| text.reveal().to_owned());
    Ok(TaxQuestion {
        document: document(&request.order_id, &request.legal_entity_id),
        account_id: request.account_id.clone(),
        currency: iso(&request.currency),
        date: request.term.start_on,
        buyer: TaxBuyer::Told(TaxCustomer {
            ship_to: TaxAddress {
                line1: open(&address.line1),
                city: open(&address.city),
                region: open(&address.region),
                postal_code: open(&address.postal_code),
                country: address.country.clone(),
            },
            tax_ids: customer
                .tax_ids
                .iter()
                .map(|id| CustomerTaxId { scheme: id.scheme.clone(), value: id.value.reveal().to_owned() })
                .collect(),
            exemption: match customer.tax_exemption {
                TaxExemption::Exempt => Exemption::Exempt,
                TaxExemption::ReverseCharge => Exemption::ReverseCharge,
                TaxExemption::None | TaxExemption::Unknown => Exemption::None,
            },
        }),
        lines: taxed_lines(&request.lines),
    })
}

/// A renewal as a document of its own. The customer's address is not kept: the order's document has it.
pub(crate) fn again(deal: &DealState, entity: &str, order: &Order, change: &Followed) -> Result<TaxQuestion, Failure> {
    let former = deal.orders.get(entity).and_then(|order| order.outside.tax.as_ref());
    let (Some(former), What::Renewal { lines, .. }) = (former, &change.what) else {
        let reason = format!("`{}` is no renewal of a contract that is taxed", order.order_id);
        return Err(Failure::bug("INVARIANT_BROKEN", reason));
    };
    Ok(TaxQuestion {
        document: document(&order.order_id, entity),
        account_id: deal.account_id.clone(),
        currency: iso(&order.currency),
        date: change.from,
        buyer: TaxBuyer::AsIn(former.document.clone()),
        lines: taxed_lines(lines),
    })
}

fn taxed_lines(lines: &[common::ContractLine]) -> Vec<TaxedLine> {
    lines.iter().filter(|line| line.amount_minor != 0).map(taxed).collect()
}

/// An order without amounts has no tax to determine.
pub(crate) fn is_due(request: &OrderRequested) -> bool {
    request.lines.iter().any(|line| line.amount_minor != 0)
}

fn document(order_id: &str, entity: &str) -> TaxDocument {
    TaxDocument { document_id: order_id.to_owned(), revision: 1, legal_entity_id: entity.to_owned() }
}

pub(crate) fn iso(code: &str) -> IsoCurrency {
    IsoCurrency { code: code.to_owned(), exponent: currency::exponent(code).unwrap_or(2) }
}

fn taxed(line: &common::ContractLine) -> TaxedLine {
    TaxedLine {
        line_id: line.contract_line_id.clone(),
        product_id: line.product_id.clone(),
        tax_code: None,
        quantity: line.quantity,
        amount_minor: line.amount_minor,
    }
}

/// What the engine answered, as it is remembered.
pub(crate) fn determined(entity: &str, order: &Order, receipt: &Receipt) -> Result<Tax, Failure> {
    let broken = |reason: String| Failure::bug("INVARIANT_BROKEN", reason);
    let text = receipt.details.get(ANSWER).map_or("{}", String::as_str);
    let answer: TaxAnswer =
        serde_json::from_str(text).map_err(|error| broken(format!("a tax answer does not read back: {error}")))?;
    let sum: i64 = answer.lines.iter().map(|line| line.tax_minor).sum();
    if sum != answer.total_tax_minor {
        return Err(broken(format!(
            "the taxes of the lines come to {sum}, the document says {}",
            answer.total_tax_minor
        )));
    }
    Ok(Tax {
        document: document(&order.order_id, entity),
        id: answer.id,
        lines: answer.lines,
        total_tax_minor: answer.total_tax_minor,
        state: TaxState::Determined,
    })
}

/// The taxes in the order of the lines, one for each that takes part of it.
pub(crate) fn told(tax: &Tax, exemption: TaxExemption) -> Vec<common::LineTax> {
    tax.lines.iter().flat_map(|line| of_line(line, exemption)).collect()
}

fn of_line(line: &LineTax, exemption: TaxExemption) -> Vec<common::LineTax> {
    let (none_due, reason) = match exemption {
        TaxExemption::Exempt => ("E", Some("the customer is exempt")),
        TaxExemption::ReverseCharge => ("AE", Some("reverse charge")),
        TaxExemption::None | TaxExemption::Unknown => ("O", Some("no tax is due there")),
    };
    let told = |tax| common::LineTax { contract_line_id: line.line_id.clone(), tax };
    if line.parts.is_empty() {
        return vec![told(common::TaxLine {
            category_code: none_due.to_owned(),
            taxable_minor: line.taxable_minor,
            exemption_reason: reason.map(str::to_owned),
            ..common::TaxLine::default()
        })];
    }
    let parts = line.parts.iter().map(|part| common::TaxLine {
        jurisdiction: Some(part.jurisdiction.clone()),
        category_code: if part.tax_minor == 0 { "Z" } else { "S" }.to_owned(),
        rate_percent: part.rate_percent.round_dp(4),
        taxable_minor: part.taxable_minor,
        tax_minor: part.tax_minor,
        ..common::TaxLine::default()
    });
    parts.map(told).collect()
}
