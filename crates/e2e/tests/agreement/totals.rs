//! What is compared: money by currency, in minor units.

use events::{Event, common::DisputeStatus};
use std::collections::BTreeMap;

/// With tax, except usage, which is taxed when it is billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub invoiced: i64,
    pub credited: i64,
    pub paid: i64,
    /// Refunds and lost disputes.
    pub paid_back: i64,
    pub written_off: i64,
    /// Usage as it is rated in the end.
    pub rated: i64,
    /// What customers owe in the end.
    pub receivable: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(pub BTreeMap<String, Sums>);

impl Totals {
    pub fn of(&mut self, currency: &str) -> &mut Sums {
        self.0.entry(currency.to_owned()).or_default()
    }

    pub fn add(&mut self, other: &Self) {
        for (currency, more) in &other.0 {
            let sums = self.of(currency);
            sums.invoiced += more.invoiced;
            sums.credited += more.credited;
            sums.paid += more.paid;
            sums.paid_back += more.paid_back;
            sums.written_off += more.written_off;
            sums.rated += more.rated;
            sums.receivable += more.receivable;
        }
    }

    /// What one event moves; `replaced` is what the usage that it replaces was rated at.
    pub fn of_event(&mut self, event: &Event, replaced: i64) {
        match event {
            Event::InvoicePosted(e) => {
                let sums = self.of(&e.currency);
                sums.invoiced += e.totals.payable_minor;
                sums.receivable += e.totals.payable_minor;
            }
            Event::CreditNoteIssued(e) => {
                let sums = self.of(&e.currency);
                sums.credited += e.totals.payable_minor;
                sums.receivable -= e.totals.payable_minor;
            }
            Event::InvoiceMarkedUncollectible(e) => {
                let sums = self.of(&e.currency);
                sums.written_off += e.write_off_minor;
                sums.receivable -= e.write_off_minor;
            }
            Event::PaymentReceived(e) => {
                let sums = self.of(&e.currency);
                sums.paid += e.amount_minor;
                sums.receivable -= e.amount_minor;
            }
            Event::PaymentRefunded(e) => self.pay_back(&e.currency, e.amount_minor),
            Event::PaymentDisputed(e) if e.status == DisputeStatus::Lost => self.pay_back(&e.currency, e.amount_minor),
            Event::UsageRated(e) => self.of(&e.currency).rated += e.amount_minor - replaced,
            _ => {}
        }
    }

    fn pay_back(&mut self, currency: &str, amount: i64) {
        let sums = self.of(currency);
        sums.paid_back += amount;
        sums.receivable += amount;
    }

    /// Without currencies in which nothing moved.
    pub fn moved(mut self) -> Self {
        self.0.retain(|_, sums| *sums != Sums::default());
        self
    }
}
