//! How a moment of an account's life looks as an event of the wire contract.

mod amendment;
mod contract;
mod document;
mod loss;
mod payment;
mod returned;
mod revenue;
mod usage;

use super::{
    calendar::date_of,
    catalog::Market,
    life::{Account, Contract, Happening, Moment},
    names::Names,
};
use events::{
    Event,
    common::{PaymentTerms, Period, Term},
};
use jiff::{Timestamp, civil::Date};

/// What every event of an account needs to be shaped.
pub(super) struct Shaper<'a> {
    pub(super) names: &'a Names,
    pub(super) account: &'a Account,
    pub(super) moment: &'a Moment,
}

impl Shaper<'_> {
    pub(super) fn event(&self) -> Event {
        match &self.moment.happening {
            Happening::Activated => self.activated().into(),
            Happening::Amended(amended) => self.amended(amended).into(),
            Happening::Renewed { before, uplift_basis_points } => self.renewed(before, *uplift_basis_points).into(),
            Happening::Cancelled(cancelled) => self.cancelled(cancelled).into(),
            Happening::Billed { invoice, period, charges, sum_error } => {
                self.billed(*invoice, *period, charges, *sum_error).into()
            }
            Happening::Voided { invoice, payable } => self.voided(*invoice, *payable).into(),
            Happening::WrittenOff { invoice, amount } => self.written_off(*invoice, *amount).into(),
            Happening::Credited(credited) => self.credited(credited).into(),
            Happening::Paid(paid) => self.paid(paid).into(),
            Happening::Refunded { payment, version, refund, out_of, amount } => {
                self.refunded((*payment, *version), *refund, *out_of, *amount).into()
            }
            Happening::Disputed(dispute) => self.disputed(dispute).into(),
            Happening::PaymentFailed { payment, attempt, invoice, amount, next_at } => {
                self.payment_failed(*payment, *attempt, *invoice, *amount, *next_at).into()
            }
            Happening::Used(used) => self.used(used).into(),
            Happening::Crossed { threshold, meter, period, observed } => {
                self.crossed(*threshold, *meter, *period, *observed).into()
            }
        }
    }

    fn contract(&self) -> &Contract {
        &self.account.contracts[self.moment.contract]
    }

    fn contract_id(&self) -> String {
        self.names.contract(self.account.index, self.contract().number)
    }

    fn account_id(&self) -> String {
        self.names.account(self.account.index)
    }

    /// Where the contract was sold, which is not always where the account joined.
    fn market(&self) -> &'static Market {
        self.contract().market
    }

    fn entity(&self) -> String {
        self.market().legal_entity.to_owned()
    }

    fn currency(&self) -> String {
        self.market().currency.to_owned()
    }

    fn timezone(&self) -> String {
        self.market().timezone.to_owned()
    }

    fn at(&self) -> Timestamp {
        timestamp(self.moment.at_ms)
    }

    fn day(&self) -> Date {
        date_of(self.moment.at_ms)
    }

    fn period(&self, (start_on, end_on): (Date, Date)) -> Period {
        Period { start_on, end_on, timezone: self.timezone() }
    }

    fn term(&self, start_on: Date, end_on: Date) -> Term {
        let end_on = Some(end_on);
        Term { start_on, end_on, timezone: self.timezone(), auto_renew: true, renewal_notice_days: Some(30) }
    }

    fn terms(&self) -> PaymentTerms {
        PaymentTerms { code: self.account.terms.0.to_owned(), net_days: self.account.terms.1 }
    }

    fn line_id(&self, number: u16) -> String {
        self.names.line(self.account.index, self.contract().number, number)
    }
}

fn timestamp(at_ms: i64) -> Timestamp {
    // Years 1971 to 2310 (see `Options::problems`) are far inside of what a timestamp holds.
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
