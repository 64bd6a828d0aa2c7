//! Deals that were won, as a CRM would publish them: good ones, one that several entities share, and some that cannot go on by themselves.
//! They fit the policies that the repository carries.

use events::{
    CustomerCreditHoldChanged, Deal, Envelope, EventSet as _, OpportunityClosedWon,
    common::{
        Address, BillingFrequency, BillingSchedule, ChargeType, ContractLine, Customer, DealLine, DealType,
        PaymentTerms, SellerShare, TaxExposure, Term,
    },
    topics,
};
use jiff::{Timestamp, civil::date};

/// Who publishes them, as `ce_source`.
pub const SOURCE: &str = "urn:test:crm";

/// Midnight of the first of January 2026, and so many seconds.
///
/// # Panics
/// If that is no time.
#[must_use]
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).expect("a time")
}

/// Ten seats for a year, sold in California by the entity `US` for 1 000.01 US dollars.
#[must_use]
pub fn deal(account: &str, id: &str) -> OpportunityClosedWon {
    let line = ContractLine {
        contract_line_id: "L1".into(),
        product_id: "SUB-PLATFORM".into(),
        charge_type: ChargeType::Recurring,
        quantity: 10.into(),
        unit_price: 100.into(),
        amount_minor: 100_001,
        ..ContractLine::default()
    };
    OpportunityClosedWon {
        account_id: account.into(),
        entity_version: 1,
        effective_at: at(0),
        recorded_at: at(0),
        legal_entity_id: "US".into(),
        opportunity_id: id.into(),
        deal_type: DealType::New,
        customer: Customer {
            legal_name: format!("Example {account}").into(),
            currency: "USD".into(),
            payment_terms: Some(PaymentTerms { code: "NET30".into(), net_days: 30 }),
            billing_address: Some(Address {
                country: "US".into(),
                region: Some("CA".into()),
                postal_code: Some("94105".into()),
                ..Address::default()
            }),
            ..Customer::default()
        },
        currency: "USD".into(),
        total_contract_value_minor: 100_001,
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: "America/New_York".into(),
            ..Term::default()
        },
        lines: vec![DealLine { line, ..DealLine::default() }],
        tax_exposure: vec![TaxExposure { country: "US".into(), region: Some("CA".into()), nexus_known: true }],
        ..OpportunityClosedWon::default()
    }
}

/// The share of an entity in a deal, in its currency.
#[must_use]
pub fn seller(entity: &str, currency: &str, percent: i64) -> SellerShare {
    SellerShare { legal_entity_id: entity.into(), currency: currency.into(), share_percent: percent.into() }
}

/// Two entities sell it, in two currencies.
#[must_use]
pub fn shared(account: &str, id: &str) -> OpportunityClosedWon {
    let sellers = vec![seller("US", "USD", 60), seller("DE", "EUR", 40)];
    OpportunityClosedWon { sellers, ..deal(account, id) }
}

/// Implementation services go with it, for 200 US dollars more.
#[must_use]
pub fn with_services(account: &str, id: &str) -> OpportunityClosedWon {
    let mut deal = deal(account, id);
    let line = ContractLine {
        contract_line_id: "L2".into(),
        product_id: "SVC-SETUP".into(),
        charge_type: ChargeType::OneTime,
        quantity: 1.into(),
        unit_price: 200.into(),
        amount_minor: 20_000,
        ..ContractLine::default()
    };
    deal.lines.push(DealLine { line, ..DealLine::default() });
    deal.total_contract_value_minor += 20_000;
    deal
}

/// Invoices are made each month, from its first day.
#[must_use]
pub fn billed(deal: OpportunityClosedWon) -> OpportunityClosedWon {
    let schedule = BillingSchedule {
        frequency: BillingFrequency::Monthly,
        anchor_day: 1,
        timezone: "America/New_York".into(),
        in_advance: true,
        next_invoice_on: None,
    };
    OpportunityClosedWon { billing_schedule: Some(schedule), ..deal }
}

/// Its schedule makes no plan: what was begun when that comes out has to be taken back.
#[must_use]
pub fn without_plan(account: &str, id: &str) -> OpportunityClosedWon {
    let mut deal = billed(deal(account, id));
    deal.billing_schedule.iter_mut().for_each(|schedule| schedule.anchor_day = 15);
    deal
}

/// It is sold where its entity is not registered for tax.
#[must_use]
pub fn without_nexus(account: &str, id: &str) -> OpportunityClosedWon {
    let exposure = TaxExposure { country: "US".into(), region: Some("FL".into()), nexus_known: false };
    OpportunityClosedWon { tax_exposure: vec![exposure], ..deal(account, id) }
}

/// Credit control holds an account, or lets it go.
#[must_use]
pub fn hold(account: &str, version: i64, on_hold: bool) -> CustomerCreditHoldChanged {
    CustomerCreditHoldChanged {
        account_id: account.into(),
        entity_version: version,
        effective_at: at(version),
        recorded_at: at(version),
        legal_entity_id: "US".into(),
        on_hold,
        reason: None,
    }
}

/// The envelope of what happened to a deal: the same event has the same identity.
#[must_use]
pub fn envelope(event: &Deal) -> Envelope {
    let version = event.entity_version().unwrap_or_default();
    Envelope {
        id: format!("{}-{version}-{}", event.subject(), event.topic()),
        source: SOURCE.into(),
        event_type: topics::event_type(event.topic()),
        time_ms: event.recorded_at().as_millisecond(),
        subject: Some(event.subject().to_owned()),
        ..Envelope::default()
    }
}
