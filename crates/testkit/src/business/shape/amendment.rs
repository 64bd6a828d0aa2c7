//! Changes of a contract.

use super::{Shaper, timestamp};
use crate::business::life::{Amended, AmendmentKind, Line};
use events::{common::*, *};

impl Shaper<'_> {
    pub(super) fn amended(&self, amended: &Amended) -> ContractAmended {
        let contract = self.contract();
        let of_lines = |(before, after): &(Option<Line>, Option<Line>)| {
            after.as_ref().map_or(0, Line::amount) - before.as_ref().map_or(0, Line::amount)
        };
        let delta = amended.whole + amended.changes.iter().map(of_lines).sum::<i64>();
        let is_longer = amended.kind == AmendmentKind::TermExtension;
        ContractAmended {
            account_id: self.account_id(),
            entity_version: contract.version,
            effective_at: timestamp(amended.effective_ms),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            contract_id: self.contract_id(),
            amendment_id: format!("{}-A{}", self.contract_id(), contract.amendments),
            sequence_no: contract.amendments,
            amendment_type: kind(amended.kind),
            currency: self.currency(),
            changes: amended
                .changes
                .iter()
                .map(|(before, after)| self.line_change(before.as_ref(), after.as_ref()))
                .collect(),
            new_term: is_longer.then(|| self.term(contract.term_start(), contract.end())),
            delta_mrr_minor: if contract.annual { delta / 12 } else { delta },
            delta_tcv_minor: amended.delta_value,
            proration: self.proration(amended),
            revenue_modification: Some(if amended.is_retrospective {
                RevenueModification::Retrospective
            } else {
                RevenueModification::Prospective
            }),
            ..ContractAmended::default()
        }
    }

    fn line_change(&self, before: Option<&Line>, after: Option<&Line>) -> LineChange {
        LineChange {
            contract_line_id: after.or(before).map(|line| self.line_id(line.number)).unwrap_or_default(),
            before: before.map(|line| self.contract_line(line)),
            after: after.map(|line| self.contract_line(line)),
        }
    }

    fn proration(&self, amended: &Amended) -> Option<Proration> {
        let charge = amended.proration.as_ref()?;
        let lines = self.lines(std::slice::from_ref(charge), None);
        let (credit_lines, charge_lines) =
            if amended.is_given_back { (lines, Vec::new()) } else { (Vec::new(), lines) };
        Some(Proration { policy: "by_days".to_owned(), credit_lines, charge_lines })
    }
}

const fn kind(kind: AmendmentKind) -> AmendmentType {
    match kind {
        AmendmentKind::Add => AmendmentType::Add,
        AmendmentKind::Remove => AmendmentType::Remove,
        AmendmentKind::Quantity => AmendmentType::Quantity,
        AmendmentKind::Price => AmendmentType::Price,
        AmendmentKind::PlanChange => AmendmentType::PlanChange,
        AmendmentKind::TermExtension => AmendmentType::TermExtension,
        AmendmentKind::Suspend => AmendmentType::Suspend,
        AmendmentKind::Resume => AmendmentType::Resume,
    }
}
