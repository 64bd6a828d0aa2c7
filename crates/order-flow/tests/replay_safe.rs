//! Any schedule of crashes, redeliveries and late commits ends as the run without faults does.

mod common;

use common::{
    ACCOUNT, accepted, amend, cancelled, deal, decided, decided_case, ended, flow, granted, happens, hold,
    not_provisioned, not_renewed, rejected, renewal_taken, renewed, reopened, shared, won,
};
use events::{ContractAmendmentRequested, Deal, OpportunityClosedWon, common::FalloutAction, topics};
use order_flow::event::FlowEvent;
use testkit::{
    deals::at,
    lifecycle,
    simulation::{Case, SimEvent, assert_replay_safe},
};

/// The same story for several accounts.
fn accounts(story: &[SimEvent<FlowEvent>]) -> Vec<SimEvent<FlowEvent>> {
    let mut all = Vec::new();
    for n in 1..=4 {
        for event in story {
            let mut event = event.clone();
            event.key = format!("A-{n}");
            event.envelope.id = format!("{}-{n}", event.envelope.id);
            if let Ok(inner) = &mut event.event {
                rename(inner, &event.key);
            }
            all.push(event);
        }
    }
    all
}

fn rename(event: &mut FlowEvent, account: &str) {
    use events::{Deal, Event, Notice, Reply};
    let name = |field: &mut String| account.clone_into(field);
    match event {
        FlowEvent::Deal(Deal::OpportunityClosedWon(event)) => name(&mut event.account_id),
        FlowEvent::Deal(Deal::OpportunityReopened(event)) => name(&mut event.account_id),
        FlowEvent::Deal(Deal::CustomerCreditHoldChanged(event)) => name(&mut event.account_id),
        FlowEvent::Deal(Deal::FalloutDecided(event)) => name(&mut event.account_id),
        FlowEvent::Reply(Reply::OrderAccepted(event)) => name(&mut event.account_id),
        FlowEvent::Reply(Reply::OrderRejected(event)) => name(&mut event.account_id),
        FlowEvent::Reply(Reply::OrderCancelled(event)) => name(&mut event.account_id),
        FlowEvent::Reply(Reply::EntitlementGranted(event)) => name(&mut event.account_id),
        FlowEvent::Reply(Reply::ProvisioningFailed(event)) => name(&mut event.account_id),
        FlowEvent::Deal(Deal::QuoteAccepted(event)) => name(&mut event.account_id),
        FlowEvent::Deal(Deal::ContractAmendmentRequested(event)) => name(&mut event.account_id),
        FlowEvent::Contract(Event::ContractCancelled(event)) => name(&mut event.account_id),
        FlowEvent::Contract(Event::SubscriptionRenewalAccepted(event)) => name(&mut event.account_id),
        FlowEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => name(&mut event.account_id),
        FlowEvent::Reply(_) | FlowEvent::Contract(_) | FlowEvent::Notice(_) => {}
    }
    // Documents are per account in life; here the deals' names must differ, too.
    let suffix = account.to_owned();
    let again = |id: &mut String| id.insert_str(0, &format!("{suffix}."));
    match event {
        FlowEvent::Deal(Deal::OpportunityClosedWon(event)) => again(&mut event.opportunity_id),
        FlowEvent::Deal(Deal::OpportunityReopened(event)) => again(&mut event.opportunity_id),
        FlowEvent::Deal(Deal::FalloutDecided(event)) => {
            again(&mut event.opportunity_id);
            event.case_id.iter_mut().for_each(again);
        }
        FlowEvent::Deal(Deal::QuoteAccepted(event)) => again(&mut event.opportunity_id),
        FlowEvent::Deal(Deal::ContractAmendmentRequested(event)) => again(&mut event.contract_id),
        FlowEvent::Contract(Event::ContractCancelled(event)) => again(&mut event.contract_id),
        FlowEvent::Contract(Event::SubscriptionRenewalAccepted(event)) => again(&mut event.contract_id),
        FlowEvent::Notice(Notice::SubscriptionRenewalDeclined(event)) => again(&mut event.contract_id),
        FlowEvent::Reply(Reply::OrderAccepted(event)) => {
            again(&mut event.order_id);
            event.contract_id.iter_mut().for_each(again);
            event.opportunity_id.iter_mut().for_each(again);
        }
        FlowEvent::Reply(Reply::OrderRejected(event)) => {
            again(&mut event.order_id);
            event.opportunity_id.iter_mut().for_each(again);
        }
        FlowEvent::Reply(Reply::OrderCancelled(event)) => {
            again(&mut event.order_id);
            event.opportunity_id.iter_mut().for_each(again);
        }
        FlowEvent::Reply(Reply::EntitlementGranted(event)) => again(&mut event.contract_id),
        FlowEvent::Reply(Reply::ProvisioningFailed(event)) => again(&mut event.failed_subject),
        FlowEvent::Deal(Deal::CustomerCreditHoldChanged(_))
        | FlowEvent::Reply(_)
        | FlowEvent::Contract(_)
        | FlowEvent::Notice(_) => {}
    }
}

/// Topics may overtake each other: answers that come before their deal wait for it.
#[test]
fn order_flow_is_replay_safe() {
    let story = [
        won(1, deal("O-1")),
        accepted(2, "O-1", "US"),
        won(3, shared("O-2")),
        accepted(4, "O-2", "US"),
        accepted(5, "O-2", "DE"),
    ];
    assert_replay_safe(&Case::new(flow(), accounts(&story)), 120);
}

/// Holds, cases, rejections, decisions and deals that are reopened. Only schedules that keep the order between topics can be compared: in
/// the others the hold comes after the deal that it held.
#[test]
fn order_flow_is_replay_safe_where_deals_fall_out_and_are_taken_back() {
    let mut large = deal("O-3");
    large.total_contract_value_minor = 60_000_000;
    large.lines[0].line.amount_minor = 60_000_000;
    let story = [
        hold(1, 1, true),
        won(2, deal("O-1")),
        hold(3, 2, false),
        accepted(10, "O-1", "US"),
        won(11, shared("O-2")),
        rejected(12, "O-2", "US"),
        accepted(13, "O-2", "US"),
        accepted(14, "O-2", "DE"),
        won(15, large),
        decided(16, "O-3", FalloutAction::Approve, &[]),
        won(20, deal("O-4")),
        reopened(21, "O-4", 2),
        accepted(22, "O-4", "US"),
        cancelled(23, "O-4", "US"),
        won(30, deal("O-5")),
        accepted(31, "O-5", "US"),
        not_provisioned(32, "O-5", "US"),
        granted(33, "O-5", "US"),
        won(40, deal("O-6")),
        accepted(41, "O-6", "US"),
        not_provisioned(42, "O-6", "US"),
        decided(43, "O-6", FalloutAction::Reject, &[]),
    ];
    let case = Case::new(flow(), accounts(&story));
    for seed in (1..150).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}

/// Quotes, cases, approvals, rejections and what crosses. As above, only schedules that keep the order between topics can be compared.
#[test]
fn order_flow_is_replay_safe_where_people_decide_about_contracts() {
    let large = |id: &str| ContractAmendmentRequested {
        delta_tcv_minor: -2_000_000,
        ..lifecycle::reseat(ACCOUNT, "O-1", id, (12, 120_001), at(900))
    };
    let mut edited = OpportunityClosedWon { entity_version: 2, ..deal("O-2") };
    edited.lines[0].line.quantity = 12.into();
    let story = [
        happens(0, Deal::from(lifecycle::quote(ACCOUNT, "O-5")), topics::QUOTE_ACCEPTED),
        won(1, deal("O-1")),
        amend(2, lifecycle::reseat(ACCOUNT, "O-1", "M-0", (10, 100_001), at(900))),
        accepted(10, "O-1", "US"),
        amend(20, large("M-1")),
        decided_case(21, ("O-1", "O-1/1"), FalloutAction::Approve, &[]),
        won(30, deal("O-2")),
        accepted(31, "O-2", "US"),
        won(32, edited),
        decided_case(33, ("O-2", "O-2/1"), FalloutAction::Approve, &[]),
        won(40, lifecycle::renewing(ACCOUNT, "O-3")),
        accepted(41, "O-3", "US"),
        not_renewed(42, "O-3"),
        won(50, deal("O-4")),
        accepted(51, "O-4", "US"),
        ended(52, "O-4", 2),
        renewed(53, "O-4", 3, 10_900),
        decided_case(54, ("O-4", "O-4/1"), FalloutAction::Reject, &[]),
        won(60, lifecycle::quoted(ACCOUNT, "O-5")),
        won(70, deal("O-6")),
        accepted(71, "O-6", "US"),
        renewed(72, "O-6", 2, 10_500),
        renewal_taken(73, "O-6"),
    ];
    let case = Case::new(flow(), accounts(&story));
    for seed in (1..150).step_by(2) {
        if let Err(reason) = case.run(seed) {
            panic!("seed {seed}: {reason}");
        }
    }
}
