//! What of an annual contract is recognised when: its value, divided by what each product would cost alone.

use super::Shaper;
use crate::business::{
    life::{Line, list_price},
    money::shares,
};
use events::common::{RecognitionMethod, RevenueObligation};

impl Shaper<'_> {
    /// Billing states the shares of every second account; of the others the receiver divides the value itself.
    pub(super) fn revenue_plan(&self) -> Vec<RevenueObligation> {
        let contract = self.contract();
        let weights: Vec<i64> = contract.lines.iter().map(|line| self.standalone(line)).collect();
        let stated = shares(contract.value(), &weights);
        let is_stated = self.account.index.is_multiple_of(2);
        let obligation = |((line, standalone), share): ((&Line, i64), i64)| RevenueObligation {
            performance_obligation_id: format!("{}-PO", self.line_id(line.number)),
            standalone_selling_price_minor: standalone,
            allocated_price_minor: if is_stated { share } else { 0 },
            method: RecognitionMethod::StraightLineDaily,
            start_on: contract.start,
            end_on: Some(contract.end()),
            ..RevenueObligation::default()
        };
        contract.lines.iter().zip(weights).zip(stated).map(obligation).collect()
    }

    /// List price of the seats over the term.
    fn standalone(&self, line: &Line) -> i64 {
        let contract = self.contract();
        list_price(contract.market, line.product, contract.annual) * line.seats * i64::from(contract.periods())
    }
}
