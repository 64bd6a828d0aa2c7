//! Events of one small business: contract `C-1` of account `A-1`, sold by `UK` in pounds for 2026.

use events::{
    ContractActivated, ContractAmended, InvoicePosted, PaymentReceived, SubscriptionRenewalAccepted, UsageRated,
    common::*,
};
use jiff::{Timestamp, civil::Date, civil::date, tz::TimeZone};
use rust_decimal::Decimal;

pub fn noon(day: Date) -> Timestamp {
    day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).expect("a time").timestamp()
}

pub fn contract_line(id: &str, amount_minor: i64) -> ContractLine {
    ContractLine {
        contract_line_id: id.into(),
        product_id: "SUB-PLATFORM".into(),
        quantity: Decimal::ONE,
        unit_price: Decimal::new(amount_minor, 2),
        amount_minor,
        performance_obligation_id: Some(format!("PO-{id}")),
        ..ContractLine::default()
    }
}

pub fn obligation(id: &str, selling_minor: i64, allocated_minor: i64) -> RevenueObligation {
    RevenueObligation {
        performance_obligation_id: format!("PO-{id}"),
        standalone_selling_price_minor: selling_minor,
        allocated_price_minor: allocated_minor,
        method: RecognitionMethod::StraightLineDaily,
        start_on: date(2026, 1, 1),
        end_on: Some(date(2027, 1, 1)),
        ..RevenueObligation::default()
    }
}

pub fn activated() -> ContractActivated {
    ContractActivated {
        account_id: "A-1".into(),
        entity_version: 1,
        effective_at: noon(date(2026, 1, 1)),
        recorded_at: noon(date(2026, 1, 1)),
        legal_entity_id: "UK".into(),
        contract_id: "C-1".into(),
        customer: Customer { legal_name: "Example".into(), currency: "GBP".into(), ..Customer::default() },
        currency: "GBP".into(),
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: "Europe/London".into(),
            ..Term::default()
        },
        lines: vec![contract_line("L-1", 12_000)],
        ..ContractActivated::default()
    }
}

/// As [`activated`], with the whole value deferred and recognised day by day.
pub fn deferred() -> ContractActivated {
    ContractActivated {
        total_contract_value_minor: Some(12_000),
        revenue_plan: vec![obligation("L-1", 12_000, 12_000)],
        ..activated()
    }
}

pub fn amended(entity_version: i64, amendment_type: AmendmentType, at: Timestamp) -> ContractAmended {
    ContractAmended {
        account_id: "A-1".into(),
        entity_version,
        effective_at: at,
        recorded_at: at,
        legal_entity_id: "UK".into(),
        contract_id: "C-1".into(),
        amendment_id: format!("AM-{entity_version}"),
        sequence_no: i32::try_from(entity_version - 1).expect("a small number"),
        amendment_type,
        currency: "GBP".into(),
        ..ContractAmended::default()
    }
}

pub fn renewed(entity_version: i64) -> SubscriptionRenewalAccepted {
    let ContractActivated { lines, term, .. } = activated();
    SubscriptionRenewalAccepted {
        account_id: "A-1".into(),
        entity_version,
        legal_entity_id: "UK".into(),
        contract_id: "C-1".into(),
        renewal_id: "R-1".into(),
        renewed_term: Term { start_on: date(2027, 1, 1), end_on: Some(date(2028, 1, 1)), ..term },
        currency: "GBP".into(),
        lines_before: lines.clone(),
        lines_after: lines,
        ..SubscriptionRenewalAccepted::default()
    }
}

pub fn item(id: &str, net_minor: i64) -> LineItem {
    LineItem {
        line_id: id.into(),
        product_id: "SUB-PLATFORM".into(),
        quantity: Decimal::ONE,
        net_minor,
        ..LineItem::default()
    }
}

/// An invoice whose lines have these net amounts and no tax.
pub fn invoice(id: &str, nets: &[i64]) -> InvoicePosted {
    let net = nets.iter().sum();
    InvoicePosted {
        account_id: "A-1".into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        invoice_id: id.into(),
        invoice_number: id.into(),
        contract_id: Some("C-1".into()),
        issue_on: date(2026, 2, 1),
        timezone: "Europe/London".into(),
        currency: "GBP".into(),
        lines: nets.iter().enumerate().map(|(index, net)| item(&(index + 1).to_string(), *net)).collect(),
        totals: Totals {
            line_net_minor: net,
            tax_exclusive_minor: net,
            tax_inclusive_minor: net,
            payable_minor: net,
            ..Totals::default()
        },
        ..InvoicePosted::default()
    }
}

/// The same with tax of one category on the whole document.
pub fn taxed(id: &str, net_minor: i64, category: &str, percent: i64) -> InvoicePosted {
    let tax_minor = net_minor * percent / 100;
    let mut event = invoice(id, &[net_minor]);
    event.tax_breakdown = vec![TaxLine {
        category_code: category.into(),
        rate_percent: Decimal::from(percent),
        taxable_minor: net_minor,
        tax_minor,
        ..TaxLine::default()
    }];
    event.totals.tax_minor = tax_minor;
    event.totals.tax_inclusive_minor += tax_minor;
    event.totals.payable_minor += tax_minor;
    event
}

pub fn payment(id: &str, allocations: &[(&str, i64)], unapplied_minor: i64) -> PaymentReceived {
    let allocation = |(invoice_id, amount_minor): &(&str, i64)| PaymentAllocation {
        invoice_id: (*invoice_id).into(),
        amount_minor: *amount_minor,
        ..PaymentAllocation::default()
    };
    PaymentReceived {
        account_id: "A-1".into(),
        entity_version: 1,
        legal_entity_id: "UK".into(),
        payment_id: id.into(),
        amount_minor: allocations.iter().map(|(_, amount)| amount).sum::<i64>() + unapplied_minor,
        currency: "GBP".into(),
        received_on: date(2026, 2, 5),
        timezone: "Europe/London".into(),
        allocations: allocations.iter().map(allocation).collect(),
        unapplied_minor,
        ..PaymentReceived::default()
    }
}

/// Usage of a day that costs as many pence.
pub fn used(batch: &str, day: Date, amount_minor: i64) -> UsageRated {
    UsageRated {
        account_id: "A-1".into(),
        entity_version: 1,
        effective_at: noon(day),
        recorded_at: noon(day),
        legal_entity_id: "UK".into(),
        usage_batch_id: batch.into(),
        contract_id: "C-1".into(),
        product_id: "USE-API-CALLS".into(),
        meter: "api_calls".into(),
        period: Period { start_on: day, end_on: day.tomorrow().expect("a day"), timezone: "Europe/London".into() },
        overage_quantity: Decimal::from(amount_minor),
        amount_minor,
        currency: "GBP".into(),
        ..UsageRated::default()
    }
}
