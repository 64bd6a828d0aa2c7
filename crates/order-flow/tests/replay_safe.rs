//! Any schedule of crashes, redeliveries and late commits ends as the run without faults does.

mod common;

use common::{
    accepted, cancelled, deal, decided, flow, granted, hold, not_provisioned, rejected, reopened, shared, won,
};
use events::common::FalloutAction;
use order_flow::event::FlowEvent;
use testkit::simulation::{Case, SimEvent, assert_replay_safe};

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
    use events::{Deal, Reply};
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
        FlowEvent::Reply(_) | FlowEvent::Contract(_) => {}
    }
    // Documents are per account in life; here the deals' names must differ, too.
    let suffix = account.to_owned();
    let again = |id: &mut String| id.insert_str(0, &format!("{suffix}."));
    match event {
        FlowEvent::Deal(Deal::OpportunityClosedWon(event)) => again(&mut event.opportunity_id),
        FlowEvent::Deal(Deal::OpportunityReopened(event)) => again(&mut event.opportunity_id),
        FlowEvent::Deal(Deal::FalloutDecided(event)) => again(&mut event.opportunity_id),
        FlowEvent::Reply(Reply::OrderAccepted(event)) => {
            again(&mut event.order_id);
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
        FlowEvent::Deal(Deal::CustomerCreditHoldChanged(_)) | FlowEvent::Reply(_) | FlowEvent::Contract(_) => {}
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
