//! Event and known state to effects: pure functions, one file an event type.
//!
//! A plan looks the version up first, then what must be there before, then builds the request with the mapping. So the reason
//! people see is the first thing to mend.

pub mod activation;
pub mod amendment;
pub mod cancellation;
pub mod credit;
pub mod dispute;
pub mod invoice;
mod lines;
pub mod order;
mod outcome;
pub mod pay_back;
pub mod payment;
pub mod renewal;
mod revenue;
mod scope;
mod share;
pub mod skipped;
mod tax;
pub mod usage;
pub mod void;
pub mod write_off;

pub use outcome::recorded;
pub(crate) use outcome::{DATED, EXTERNAL_ID, NUMBER};

use crate::{
    document::ErpRecord,
    handler::ErpSync,
    mapping::{ClosedPeriod, Mapping},
};
use events::version;
use failure::Failure;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// What is to be done about one event.
pub type Decision = consumer::Decision<ErpSync>;

/// The ERP's id in a document, which is there as soon as the effect that made the record was done.
fn erp_id<'a>(what: &str, id: &str, erp: Option<&'a ErpRecord>) -> Result<&'a str, Failure> {
    erp.map(|record| record.id.as_str())
        .ok_or_else(|| Failure::bug("INVARIANT_BROKEN", format!("{what} `{id}` is known, but not its id in the ERP")))
}

/// A document is booked on its own date; another posting period is for people to decide.
fn posting_period(stated: Option<&str>, dated: Date) -> Result<(), Failure> {
    let month = dated.strftime("%Y-%m").to_string();
    match stated {
        Some(period) if period != month => {
            let reason = format!("posting period {period} is not the month of the document's date, {dated}");
            Err(Failure::business("PERIOD_DIFFERS", connectors::queue::FINANCE, reason).at_field("posting_period"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What settles a document, or takes it back, is in its currency.
fn same_currency(field: &str, invoice_id: &str, invoice: &str, other: &str) -> Result<(), Failure> {
    if invoice == other {
        return Ok(());
    }
    let reason = format!("`{invoice_id}` is in {invoice}, this is in {other}");
    Err(Failure::business("CURRENCY_DIFFERS", connectors::queue::FINANCE, reason).at_field(field))
}

/// The local day of an instant, in the zone that the dates beside it are meant in.
fn local_day(at: Timestamp, timezone: &str) -> Option<Date> {
    TimeZone::get(timezone).ok().map(|zone| at.to_zoned(zone).date())
}

/// The day of an instant, in UTC where the zone is none.
fn day_in(at: Timestamp, timezone: &str) -> Date {
    local_day(at, timezone).unwrap_or_else(|| at.to_zoned(TimeZone::UTC).date())
}

/// A change of what the ERP owns: the owner decides, with both values before them.
fn protected(queue: &str, field: &str, reason: String) -> Failure {
    Failure::business("FIELD_PROTECTED", queue, reason).at_field(field)
}

/// Amounts that leave 64 bits are refused long before this.
fn overflow() -> Failure {
    Failure::contract("FIELD_INVALID", "the amounts do not fit into 64 bits").at_field("totals")
}

/// Parts of a header that every document has.
struct Place<'a> {
    mapping: &'a Mapping,
    entity: &'a crate::mapping::Entity,
    currency: connectors::Currency,
}

impl<'a> Place<'a> {
    fn find(mapping: &'a Mapping, legal_entity_id: &str, currency: &str) -> Result<Self, Failure> {
        let entity = mapping.entity(legal_entity_id)?;
        Ok(Self { mapping, entity, currency: mapping.currency("currency", currency)? })
    }

    fn header(&self, account_id: &str, contract_id: Option<&str>, dated: Date, memo: String) -> connectors::Header {
        connectors::Header {
            account_id: account_id.to_owned(),
            contract_id: contract_id.map(str::to_owned),
            subsidiary: self.entity.subsidiary.clone(),
            currency: self.currency.clone(),
            dated,
            memo,
            may_redate: self.mapping.posting.closed_period == ClosedPeriod::NextOpen,
            foreign: None,
        }
    }
}
