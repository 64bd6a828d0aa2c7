//! Deferred revenue: what was billed by the events, what is recognised by the newest plans that the ERP was sent, and how a value is divided.

use crate::erp::{documents, effects};
use connectors::RevenuePlan;
use erp_sync::{document::ErpDocument, effect::ErpEffect};
use events::{ContractActivated, Event, common::LineItem};
use std::collections::BTreeMap;
use testkit::{
    business::{Generated, Item},
    simulation::Observed,
};

/// A contract whose revenue is planned, by the events alone. Amounts are in minor units.
#[derive(Default)]
struct Contract {
    billed: i64,
    /// Σ of its terms with all changes; `None` where what is not served was given back.
    value: Option<i64>,
}

/// Of the events that the ERP has taken.
pub fn check(taken: &[&Generated], erp: &Observed, replay: &str) {
    let contracts = contracts(taken);
    let plans = newest_plans(erp);
    assert_eq!(plans.len(), contracts.len(), "{replay}");
    let revenues = documents(erp).filter_map(|(contract_id, document)| match document {
        ErpDocument::Revenue(revenue) => Some((contract_id.to_owned(), revenue)),
        _ => None,
    });
    for (contract_id, revenue) in revenues {
        let (contract, plan) = (&contracts[&contract_id], &plans[&contract_id]);
        let allocated: i64 = plan.elements.iter().map(|element| element.allocated_minor).sum();
        if let Some(value) = contract.value {
            assert_eq!(allocated, value, "{contract_id}: Σ allocations = total; {replay}");
        }
        for element in plan.elements.iter().filter(|element| !element.on_hold) {
            let planned: i64 = element.schedule.iter().map(|slot| slot.amount_minor).sum();
            assert_eq!(planned, element.allocated_minor, "{contract_id} {}: {replay}", element.element_id);
        }
        let slots = || plan.elements.iter().flat_map(|element| &element.schedule);
        let months: Vec<String> = slots().map(|slot| slot.period.clone()).collect();
        for month in months {
            let recognised: i64 = slots().filter(|slot| slot.period <= month).map(|slot| slot.amount_minor).sum();
            let deferred = contract.billed - recognised;
            assert_eq!(revenue.deferred_minor(&month), deferred, "{contract_id} by {month}: {replay}");
        }
    }
    shares_are_fair(taken, erp, replay);
}

fn applied<'a>(taken: &[&'a Generated]) -> impl Iterator<Item = &'a Event> {
    taken.iter().filter_map(|generated| match &generated.item {
        Item::Event { event, .. } => Some(event),
        Item::Raw { .. } => None,
    })
}

fn activations<'a>(taken: &[&'a Generated]) -> impl Iterator<Item = &'a ContractActivated> {
    applied(taken).filter_map(|event| match event {
        Event::ContractActivated(event) if !event.revenue_plan.is_empty() => Some(&**event),
        _ => None,
    })
}

fn contracts(taken: &[&Generated]) -> BTreeMap<String, Contract> {
    let mut contracts: BTreeMap<String, Contract> = BTreeMap::new();
    for event in activations(taken) {
        let contract = Contract { billed: 0, value: event.total_contract_value_minor };
        contracts.insert(event.contract_id.clone(), contract);
    }
    let planned = |lines: &[LineItem]| -> i64 {
        lines.iter().filter(|line| line.performance_obligation_id.is_some()).map(|line| line.net_minor).sum()
    };
    for event in applied(taken) {
        let of = |contracts: &mut BTreeMap<String, Contract>, id: &str, change: &dyn Fn(&mut Contract)| {
            contracts.get_mut(id).into_iter().for_each(change);
        };
        let plus =
            |amount: i64| move |contract: &mut Contract| contract.value = contract.value.map(|value| value + amount);
        match event {
            Event::ContractAmended(event) => of(&mut contracts, &event.contract_id, &plus(event.delta_tcv_minor)),
            Event::SubscriptionRenewalAccepted(event) => {
                of(&mut contracts, &event.contract_id, &plus(event.total_contract_value_minor.unwrap_or(0)));
            }
            Event::ContractCancelled(event) if event.refund_policy.as_deref() == Some("prorated") => {
                of(&mut contracts, &event.contract_id, &|contract| contract.value = None);
            }
            Event::InvoicePosted(event) => {
                let id = event.contract_id.as_deref().unwrap_or_default();
                of(&mut contracts, id, &|contract| contract.billed += planned(&event.lines));
            }
            Event::CreditNoteIssued(event) => {
                let id = event.contract_id.as_deref().unwrap_or_default();
                of(&mut contracts, id, &|contract| contract.billed -= planned(&event.lines));
            }
            _ => {}
        }
    }
    contracts
}

/// By contract, the plan of the newest version that took effect.
fn newest_plans(erp: &Observed) -> BTreeMap<String, RevenuePlan> {
    let mut newest: BTreeMap<String, (i64, RevenuePlan)> = BTreeMap::new();
    for effect in effects(erp) {
        let (ErpEffect::PlanRevenue { plan, version } | ErpEffect::ChangeRevenue { plan, version }) = effect else {
            continue;
        };
        match newest.get(&plan.contract_id) {
            Some((known, _)) if *known >= version => {}
            _ => drop(newest.insert(plan.contract_id.clone(), (version, plan))),
        }
    }
    newest.into_iter().map(|(id, (_, plan))| (id, plan)).collect()
}

/// Largest remainder: each share is the exact one, rounded down or up, by what each product would cost alone.
fn shares_are_fair(taken: &[&Generated], erp: &Observed, replay: &str) {
    let mut first: BTreeMap<String, RevenuePlan> = BTreeMap::new();
    for effect in effects(erp) {
        if let ErpEffect::PlanRevenue { plan, .. } = effect {
            first.insert(plan.contract_id.clone(), plan);
        }
    }
    for event in activations(taken) {
        let plan = &first[&event.contract_id];
        let total = i128::from(event.total_contract_value_minor.expect("stated"));
        let weights: i128 = event.revenue_plan.iter().map(|of| i128::from(of.standalone_selling_price_minor)).sum();
        for (stated, element) in event.revenue_plan.iter().zip(&plan.elements) {
            let exact = total * i128::from(stated.standalone_selling_price_minor);
            let off = i128::from(element.allocated_minor) * weights - exact;
            assert!(off.abs() < weights, "{} {}: {replay}", event.contract_id, element.element_id);
        }
    }
}
