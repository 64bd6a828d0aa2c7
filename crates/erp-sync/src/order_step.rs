//! What data teams are told of an order: one row of `analytics.order_step.v1` for each reply about it.

use events::{AnalyticsOrderStep, Dataset, Envelope, OrderAccepted, OrderRejected, Reply, common::OrderStepOutcome};
use failure::Failure;

/// The step that this service takes.
const STEP: &str = "erp_order";

/// The row that goes with a reply; `None` where the reply is about no order. `id` is the row's.
pub(crate) fn of(reply: &Reply, failure: Option<&Failure>, cause: &Envelope, id: String) -> Option<Dataset> {
    let step = match reply {
        Reply::OrderAccepted(accepted) => done(accepted),
        Reply::OrderRejected(rejected) => refused(rejected, failure),
        _ => return None,
    };
    let source_event_id = cause.id.clone();
    Some(AnalyticsOrderStep { event_id: id, step: STEP.to_owned(), source_event_id, ..step }.into())
}

fn done(accepted: &OrderAccepted) -> AnalyticsOrderStep {
    AnalyticsOrderStep {
        account_id: accepted.account_id.clone(),
        entity_version: accepted.entity_version,
        occurred_at: accepted.effective_at,
        recorded_at: accepted.recorded_at,
        legal_entity_id: accepted.legal_entity_id.clone(),
        order_id: accepted.order_id.clone(),
        contract_id: accepted.contract_id.clone(),
        opportunity_id: accepted.opportunity_id.clone(),
        system: accepted.erp_system.clone(),
        outcome: OrderStepOutcome::Done,
        system_id: Some(accepted.erp_order_id.clone()),
        system_number: accepted.erp_order_no.clone(),
        currency: Some(accepted.currency.clone()),
        amount_minor: Some(accepted.total_net_minor),
        ..AnalyticsOrderStep::default()
    }
}

/// The text of the reason stays where people are told of it: the row has the code.
fn refused(rejected: &OrderRejected, failure: Option<&Failure>) -> AnalyticsOrderStep {
    AnalyticsOrderStep {
        account_id: rejected.account_id.clone(),
        entity_version: rejected.entity_version,
        occurred_at: rejected.effective_at,
        recorded_at: rejected.recorded_at,
        legal_entity_id: rejected.legal_entity_id.clone(),
        order_id: rejected.order_id.clone(),
        contract_id: rejected.contract_id.clone(),
        opportunity_id: rejected.opportunity_id.clone(),
        system: rejected.erp_system.clone(),
        outcome: OrderStepOutcome::Refused,
        reason_code: failure.map(|failure| failure.code.to_string()),
        owner_queue: failure.and_then(|failure| failure.owner.clone()),
        resubmittable: Some(rejected.resubmittable),
        ..AnalyticsOrderStep::default()
    }
}
