//! `order.rejected`: an order that was refused for good, with the reason and what to do about it.
//!
//! A refused order is parked and may still be taken after somebody has mended the cause. So rejections and the acceptance of one
//! order are numbered together: each refusal is one version, and an acceptance after two refusals is the third.

use crate::{event::ErpEvent, plan::order, reply::SYSTEM};
use connectors::order_id;
use events::{
    ContractActivated, Event, OrderRejected, Request, SubscriptionRenewalAccepted,
    common::{RejectionCode, RejectionReason},
};
use failure::{Class, Failure};

/// The rejection that a refusal of `event` means; `None` where no order is refused by it. `refusals`: of the same event before.
pub(crate) fn of(event: &ErpEvent, failure: &Failure, refusals: u32) -> Option<OrderRejected> {
    // The version was used before: what became of that order is told already, and this record is only a dead letter.
    if failure.code == "STALE_VERSION" {
        return None;
    }
    let rejected = match event {
        ErpEvent::Business(Event::ContractActivated(event)) => first(event),
        ErpEvent::Business(Event::SubscriptionRenewalAccepted(event)) => renewed(event),
        ErpEvent::Request(Request::OrderRequested(event)) => first(&order::announced(event)),
        _ => return None,
    };
    Some(OrderRejected {
        entity_version: version(refusals),
        erp_system: SYSTEM.to_owned(),
        reasons: vec![reason(failure)],
        resubmittable: failure.class == Class::Business,
        ..rejected
    })
}

/// Version of an order's next reply after so many refusals.
pub(crate) fn version(refusals: u32) -> i64 {
    i64::from(refusals) + 1
}

/// The order of a first term, in every answer about it.
pub(crate) fn first_order_id(event: &ContractActivated) -> String {
    event.order_id.as_ref().unwrap_or(&event.contract_id).clone()
}

fn first(event: &ContractActivated) -> OrderRejected {
    OrderRejected {
        account_id: event.account_id.clone(),
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        order_id: first_order_id(event),
        contract_id: Some(event.contract_id.clone()),
        opportunity_id: event.opportunity_id.clone(),
        rejected_at: event.recorded_at,
        ..OrderRejected::default()
    }
}

fn renewed(event: &SubscriptionRenewalAccepted) -> OrderRejected {
    OrderRejected {
        account_id: event.account_id.clone(),
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        legal_entity_id: event.legal_entity_id.clone(),
        order_id: order_id(&event.contract_id, Some(&event.renewal_id)),
        contract_id: Some(event.contract_id.clone()),
        rejected_at: event.recorded_at,
        ..OrderRejected::default()
    }
}

fn reason(failure: &Failure) -> RejectionReason {
    RejectionReason {
        code: code(&failure.code),
        path: failure.field.clone(),
        message: format!("{}: {}", failure.code, failure.reason),
        fix_hint: failure::explain(&failure.code).map(|explanation| explanation.action.to_owned()),
        owner_queue: failure.owner.clone(),
    }
}

/// The reason in one word. What has none of its own is told by the code in front of the message.
fn code(code: &str) -> RejectionCode {
    match code {
        "ITEM_UNMAPPED" | "ITEM_UNKNOWN" => RejectionCode::UnmappedProduct,
        "ENTITY_UNMAPPED" => RejectionCode::UnmappedEntity,
        "CREDIT_HOLD" => RejectionCode::Credit,
        "CUSTOMER_DUPLICATE" => RejectionCode::DuplicateCustomer,
        "PERIOD_CLOSED" => RejectionCode::PeriodClosed,
        _ => RejectionCode::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{activated, kept, mapping};
    use crate::{handler::ErpSync, reply::Replies};
    use consumer::{Context, Handler as _, Input, Origin, Receipt};
    use events::{EventSet as _, Payload as _};
    use std::collections::BTreeMap;

    fn hold() -> Failure {
        Failure::business("CREDIT_HOLD", "credit-control", "the customer is on hold").at_field("customer")
    }

    fn envelope() -> events::Envelope {
        events::Envelope {
            id: "E-1".into(),
            source: "urn:crm".into(),
            event_type: events::topics::event_type(ContractActivated::TOPIC),
            time_ms: 1,
            subject: Some("C-1".into()),
            correlation_id: Some("S-1".into()),
            causation_id: None,
            sequence: None,
            dataschema: None,
            change_origin: None,
            traceparent: None,
        }
    }

    fn replying() -> ErpSync {
        ErpSync::replying(mapping(), Replies::new(Replies::TOPICS.into_iter().zip(1..).collect()))
    }

    fn the_one(published: Vec<consumer::Publish>, topic: &str) -> consumer::Publish {
        let mut of_topic = published.into_iter().filter(|event| event.topic == topic);
        let one = of_topic.next().unwrap_or_else(|| panic!("nothing on {topic}"));
        assert_eq!(of_topic.next(), None, "one of {topic}");
        one
    }

    #[test]
    fn a_refused_order_is_told_with_its_reason_owner_and_remedy() {
        let rejected = of(&Event::from(activated("A-1", "C-1")).into(), &hold(), 0).expect("a rejection");
        assert_eq!((&*rejected.order_id, rejected.entity_version, rejected.resubmittable), ("C-1", 1, true));
        let [reason] = rejected.reasons.as_slice() else { panic!("{:?}", rejected.reasons) };
        assert_eq!((reason.code, reason.path.as_deref()), (RejectionCode::Credit, Some("customer")));
        assert_eq!(reason.owner_queue.as_deref(), Some("credit-control"));
        assert!(reason.message.starts_with("CREDIT_HOLD: "), "{}", reason.message);
        assert!(reason.fix_hint.as_deref().is_some_and(|hint| hint.contains("then retry")), "{:?}", reason.fix_hint);
        let reply = events::Reply::from(rejected);
        assert_eq!(reply.check(), Ok(()));
    }

    #[test]
    fn a_refused_renewal_rejects_the_order_of_the_new_term() {
        let event = crate::testing::renewed("A-1", "C-1", 2);
        let rejected = of(&Event::from(event.clone()).into(), &hold(), 0).expect("a rejection");
        assert_eq!(rejected.order_id, order_id("C-1", Some(&event.renewal_id)));
    }

    #[test]
    fn a_broken_rule_of_the_contract_is_not_to_be_sent_again_as_it_is() {
        let failure = Failure::contract("FIELD_INVALID", "no such term");
        assert!(!of(&Event::from(activated("A-1", "C-1")).into(), &failure, 0).expect("a rejection").resubmittable);
    }

    #[test]
    fn a_version_that_was_used_before_rejects_no_order() {
        let failure = Failure::contract("STALE_VERSION", "version 1 is applied");
        assert_eq!(of(&Event::from(activated("A-1", "C-1")).into(), &failure, 0), None);
    }

    #[test]
    fn a_refused_event_that_asks_for_no_order_rejects_none() {
        let invoice = crate::testing::invoiced("A-1", "INV-1", &[100]);
        assert_eq!(of(&Event::from(invoice).into(), &hold(), 0), None);
    }

    #[test]
    fn a_second_refusal_has_an_id_and_a_version_of_its_own_and_the_same_refusal_has_the_same() {
        let event = ErpEvent::from(Event::from(activated("A-1", "C-1")));
        let envelope = envelope();
        let told = |refusals| {
            let context = Context { now_ms: 0, record_ms: 0, envelope: Some(&envelope), key: "A-1", refusals };
            let told = the_one(replying().refused(&event, &hold(), &context), events::topics::ORDER_REJECTED);
            assert_eq!(told.key, "A-1");
            (told.headers.text("ce_id").map(str::to_owned), told.headers.text("ce_sequence").map(str::to_owned))
        };
        assert_eq!(told(0), told(0));
        assert_ne!(told(0).0, told(1).0);
        assert_eq!(told(1).1.as_deref(), Some("0000000002"));
    }

    #[test]
    fn an_order_that_is_taken_after_two_refusals_is_its_third_version() {
        let event = Event::from(activated("A-1", "C-1"));
        let envelope = envelope();
        let known = kept(&mapping(), std::slice::from_ref(&event));
        let event = ErpEvent::from(event);
        let receipt = |id: &str| Receipt { external_id: id.into(), details: BTreeMap::new() };
        let receipts = BTreeMap::from([("order:C-1:v1:create".to_owned(), receipt("7"))]);
        let context = Context { now_ms: 0, record_ms: 0, envelope: Some(&envelope), key: "A-1", refusals: 2 };
        let input = Input::Outcome { of: Origin::Event(&event), receipts: &receipts };
        let decision = replying().decide(&known.documents(), &input, &context).expect("noted");
        let accepted = the_one(decision.publish, events::topics::ORDER_ACCEPTED);
        assert_eq!(accepted.headers.text("ce_sequence"), Some("0000000003"));
    }
}
