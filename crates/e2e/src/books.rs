//! What the ERP's books hold, and what they must hold.

use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use testkit::business::Expectations;

/// What the books hold, by currency where it is money, in minor units; zero where there is nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Books {
    pub customers: u64,
    pub orders: u64,
    pub revenue_plans: u64,
    pub invoices: u64,
    pub credit_memos: u64,
    pub payments: u64,
    pub refunds: u64,
    pub journals: u64,
    pub invoiced: BTreeMap<String, i64>,
    pub credited: BTreeMap<String, i64>,
    pub paid: BTreeMap<String, i64>,
    pub paid_back: BTreeMap<String, i64>,
}

impl Books {
    /// Records in these books.
    #[must_use]
    pub const fn count(&self) -> u64 {
        let documents = self.invoices + self.credit_memos + self.payments + self.refunds + self.journals;
        self.customers + self.orders + self.revenue_plans + documents
    }

    /// What the generator says must come out.
    #[must_use]
    pub fn expected(expectations: &Expectations) -> Self {
        let mut books = Self::default();
        for (currency, effects) in &expectations.effects {
            books.customers += effects.customers;
            books.orders += effects.orders;
            books.revenue_plans += effects.revenue_plans;
            books.invoices += effects.invoices;
            // What is written off is credited to a bad-debt item.
            books.credit_memos += effects.credit_memos + effects.write_offs;
            books.payments += effects.payments;
            books.refunds += effects.refunds;
            books.journals += effects.journals;
            let mut sum = |sums: fn(&mut Self) -> &mut BTreeMap<String, i64>, amount: i64| {
                if amount != 0 {
                    sums(&mut books).insert(currency.clone(), amount);
                }
            };
            sum(|books| &mut books.invoiced, effects.invoiced_minor);
            sum(|books| &mut books.credited, effects.credited_minor + effects.written_off_minor);
            sum(|books| &mut books.paid, effects.paid_minor);
            sum(|books| &mut books.paid_back, effects.refunded_minor + effects.charged_back_minor);
        }
        books
    }

    /// What the ERP's stand-in says of itself.
    pub(crate) fn of_state(state: &Value) -> Result<Self> {
        let count = |object: &str| state["totals"][object]["count"].as_u64().unwrap_or(0);
        let money = |object: &str| -> Result<BTreeMap<String, i64>> {
            let sums = &state["totals"][object]["amount_minor"];
            let sums: BTreeMap<String, i64> =
                if sums.is_null() { BTreeMap::new() } else { serde_json::from_value(sums.clone())? };
            Ok(sums.into_iter().filter(|(_, sum)| *sum != 0).collect())
        };
        Ok(Self {
            customers: count("customer"),
            orders: count("salesOrder"),
            revenue_plans: count("revenueArrangement"),
            invoices: count("invoice"),
            credit_memos: count("creditMemo"),
            payments: count("customerPayment"),
            refunds: count("customerRefund"),
            journals: count("journalEntry"),
            invoiced: money("invoice")?,
            credited: money("creditMemo")?,
            paid: money("customerPayment")?,
            paid_back: money("customerRefund")?,
        })
    }
}
