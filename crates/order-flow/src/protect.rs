//! Fields that are not the CRM's any more: from when its orders are asked for, an upstream edit of them is refused, named field by field, and
//! logged (D2.10, D11.04). Their owner may let it through as amendments of the contracts.

use crate::{
    amend,
    change::{Asked, Change, Given},
    contract::ContractState,
    course::Court,
    document::{DealState, OrderStage},
    facts,
    handler::OrderFlow,
    split,
    step::{About, Step},
};
use consumer::Decision;
use events::{
    ContractAmendmentRequested, Deal, FalloutDecided, OpportunityClosedWon, Payload,
    common::{AmendmentType, ContractLine, Customer, FalloutEnd, FalloutReason, LineChange},
    mask,
    topics::OPPORTUNITY_CLOSED_WON,
};
use failure::Failure;
use jiff::Timestamp;
use rules::Policies;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Makes the amendments of an edit that its owner let through.
pub(crate) const EXCEPT: &str = "except";
const PROTECTED: &str = "FIELD_PROTECTED";
/// The log of a deal keeps its newest entries.
const MOST_CONFLICTS: usize = 50;
/// What says nothing about the deal itself.
const IGNORED: [&str; 5] = ["entity_version", "effective_at", "recorded_at", "source_record", "approvals"];

/// What was agreed, by field.
pub type Agreed = BTreeMap<String, Seen>;

/// A value as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub shown: String,
    /// Tells a personal value from another one without holding it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// An edit that was refused: who tried, when, what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    pub entity_version: i64,
    pub at: Timestamp,
    /// `ce_source` of who tried.
    pub source: String,
    pub event_id: String,
    pub fields: Vec<Edited>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    pub path: String,
    /// The system of record, and the queue of those who may let an exception through.
    pub system: String,
    pub queue: String,
    pub agreed: String,
    pub tried: String,
}

/// An edit that its owner may let through; without the customer's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub deal: Box<OpportunityClosedWon>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
}

/// Every field of a deal.
pub(crate) fn fields(deal: &OpportunityClosedWon) -> Agreed {
    let plain = Deal::from(deal.clone()).to_json();
    let masked = mask::masked(OPPORTUNITY_CLOSED_WON, &plain);
    let mut all = Agreed::new();
    flatten(String::new(), (&plain, &masked), &deal.opportunity_id, &mut all);
    all
}

fn flatten(path: String, (plain, masked): (&Value, &Value), salt: &str, all: &mut Agreed) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (plain, masked) {
        (Value::Null, _) => {}
        (Value::Object(fields), Value::Object(hidden)) => {
            for (name, value) in fields.iter().filter(|(name, _)| !path.is_empty() || !IGNORED.contains(&name.as_str()))
            {
                flatten(below(name), (value, &hidden[name]), salt, all);
            }
        }
        (Value::Array(items), Value::Array(hidden)) => {
            for (index, (item, hidden)) in items.iter().zip(hidden).enumerate() {
                let name = item["line"]["contract_line_id"].as_str().map_or(index.to_string(), str::to_owned);
                flatten(below(&name), (item, hidden), salt, all);
            }
        }
        (value, hidden) => {
            let is_hidden = hidden.as_str().is_some_and(|text| text.starts_with(mask::MARK)) && value != hidden;
            let mark = is_hidden.then(|| fingerprint(salt, &path, value));
            let shown = hidden.as_str().map_or_else(|| hidden.to_string(), str::to_owned);
            all.insert(path, Seen { shown, mark });
        }
    }
}

fn fingerprint(salt: &str, path: &str, value: &Value) -> String {
    let mut hash = Sha256::new();
    for part in [salt, path, &value.to_string()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The object and field of `ownership.yaml` that a field of a deal belongs to, once its orders were asked for.
fn owned(path: &str) -> (&str, &str) {
    let mut names = path.split('.');
    match names.next().unwrap_or_default() {
        "customer" => ("customer", names.next().unwrap_or_default()),
        field @ ("lines"
        | "term"
        | "currency"
        | "total_contract_value_minor"
        | "sellers"
        | "po_number"
        | "billing_schedule"
        | "tax_exposure") => ("order", field),
        field => ("opportunity", field),
    }
}

/// Fields that were edited and are not the editor's.
fn edited(policies: &Policies, agreed: &Agreed, tried: &Agreed) -> Vec<Edited> {
    let paths: BTreeSet<&String> = agreed.keys().chain(tried.keys()).collect();
    let shown = |seen: Option<&Seen>| seen.map_or("nothing", |seen| &*seen.shown).to_owned();
    let changed = paths.into_iter().filter(|path| agreed.get(*path) != tried.get(*path));
    let fields = changed.filter_map(|path| {
        let (object, field) = owned(path);
        let owner = policies.ownership.system_of_record(object, field);
        let (system, queue) = owner.map_or(("erp", "finance"), |owner| (&*owner.system, &*owner.queue));
        (system != OpportunityClosedWon::OWNER).then(|| Edited {
            path: path.clone(),
            system: system.to_owned(),
            queue: queue.to_owned(),
            agreed: shown(agreed.get(path)),
            tried: shown(tried.get(path)),
        })
    });
    fields.collect()
}

/// The opportunity was changed after its orders were asked for.
pub(crate) fn tried(mut step: Step<'_>, policies: &Policies, event: &OpportunityClosedWon) -> Decision<OrderFlow> {
    let source = step.cause.source.clone().unwrap_or_default();
    let fields = edited(policies, &step.deal.agreed, &fields(event));
    let before = step.deal.case.take();
    if fields.is_empty() {
        // What is the CRM's own may change; and what was put back is mended.
        step.close(before, FalloutEnd::Mended, None);
        step.deal.proposal = None;
        return step.done();
    }
    let about = About {
        legal_entity_id: event.legal_entity_id.clone(),
        order_id: None,
        currency: step.deal.currency.clone(),
        amount_minor: step.deal.total_minor,
    };
    let reasons = fields.iter().map(|field| reason(field, &source)).collect();
    step.deal.case = step.open_by(before, about, reasons, &policies.version);
    step.deal.proposal = may_be_let_through(&fields).then(|| Proposal { deal: without_customer(event), given: None });
    let conflict = Conflict {
        entity_version: event.entity_version,
        at: event.recorded_at,
        source,
        event_id: step.cause.event_id.clone().unwrap_or_default(),
        fields,
    };
    step.deal.conflicts.push(conflict);
    let surplus = step.deal.conflicts.len().saturating_sub(MOST_CONFLICTS);
    step.deal.conflicts.drain(..surplus);
    step.done()
}

fn without_customer(event: &OpportunityClosedWon) -> Box<OpportunityClosedWon> {
    Box::new(OpportunityClosedWon { customer: Customer::default(), approvals: Vec::new(), ..event.clone() })
}

/// Lines and what follows from them can become amendments; everything else is changed by its owner.
fn may_be_let_through(fields: &[Edited]) -> bool {
    fields.iter().all(|field| {
        let (object, name) = owned(&field.path);
        object == "order" && ["lines", "term", "total_contract_value_minor"].contains(&name)
    })
}

fn reason(field: &Edited, source: &str) -> FalloutReason {
    let Edited { path, system, agreed, tried, .. } = field;
    FalloutReason {
        code: PROTECTED.to_owned(),
        path: Some(path.clone()),
        message: format!(
            "owned by {system} since the orders were asked for: {agreed} is agreed, {source} tried {tried}"
        ),
        fix_hint: Some("put it back, approve it as an amendment, or reopen the opportunity".to_owned()),
        owner_queue: field.queue.clone(),
    }
}

/// The owner of the fields decides about the edit of a deal.
pub(crate) fn decided(mut step: Step<'_>, event: &FalloutDecided, is_approved: bool) -> Decision<OrderFlow> {
    let case = step.deal.case.take();
    if !is_approved {
        step.close(case, FalloutEnd::Rejected, Some(&event.decided_by));
        step.deal.proposal = None;
        return step.done();
    }
    let is_active = step.deal.orders.values().all(|order| order.stage == OrderStage::Active);
    let Some(mut proposal) = step.deal.proposal.take().filter(|_| is_active) else {
        return Decision::skip("only lines and term of contracts that are active are changed by an exception");
    };
    let case_id = case.as_ref().map(|case| case.case_id.clone()).unwrap_or_default();
    step.close(case, FalloutEnd::Approved, Some(&event.decided_by));
    proposal.given = Some(Given { by: event.decided_by.clone(), at: event.recorded_at, case_id });
    let agreed = fields(&proposal.deal).into_iter().filter(|(path, _)| owned(path).0 != "customer");
    let customer = std::mem::take(&mut step.deal.agreed).into_iter().filter(|(path, _)| owned(path).0 == "customer");
    step.deal.agreed = agreed.chain(customer).collect();
    step.deal.proposal = Some(proposal);
    let contracts: Vec<String> = step.deal.orders.values().map(|order| order.order_id.clone()).collect();
    for contract_id in contracts {
        let payload = json!({
            "what": EXCEPT, "account_id": step.deal.account_id, "opportunity_id": step.deal.opportunity_id,
            "contract_id": contract_id, "event_id": step.cause.event_id,
            "effective_at": step.times.effective_at, "recorded_at": step.times.recorded_at,
        });
        step.timer(format!("{EXCEPT}:{contract_id}"), step.times.recorded_at.as_millisecond(), payload);
    }
    step.done()
}

/// The part of an edit that is one contract's, as an amendment that its owner approved.
pub(crate) fn except(
    mut step: Step<'_>,
    court: Court<'_>,
    contract: &ContractState,
    contract_id: &str,
) -> Result<Decision<OrderFlow>, Failure> {
    let proposal = step.deal.proposal.clone();
    let Some((deal, given)) = proposal.and_then(|proposal| Some((proposal.deal, proposal.given?))) else {
        return Ok(Decision::skip("an exception that is not there any more"));
    };
    let parts = split::split(&deal, &facts::sellers(&deal), &court.policies.entities)?;
    let lines = parts.into_iter().find(|part| part.legal_entity_id == contract.legal_entity_id);
    let Some(request) = amendment(&step, contract, contract_id, &deal, lines.map(|part| part.lines)) else {
        return Ok(Decision::skip("the exception changes nothing of this contract"));
    };
    let id = request.amendment_id.clone();
    let change = Change {
        contract_id: contract_id.to_owned(),
        legal_entity_id: contract.legal_entity_id.clone(),
        entity_version: 1,
        currency: contract.currency.clone(),
        amount_minor: request.delta_tcv_minor.saturating_abs(),
        approved: BTreeMap::from([(PROTECTED.to_owned(), given)]),
        asked: Some(Asked::Amendment(Box::new(request.clone()))),
        ..Change::default()
    };
    step.deal.changes.insert(id.clone(), change.clone());
    Ok(amend::consider(step, Some(contract), court, (&id, change), &request, (FalloutEnd::Approved, None)))
}

fn amendment(
    step: &Step<'_>,
    contract: &ContractState,
    contract_id: &str,
    deal: &OpportunityClosedWon,
    lines: Option<Vec<ContractLine>>,
) -> Option<ContractAmendmentRequested> {
    let after = lines.unwrap_or_default();
    let new_term = (deal.term.end_on != contract.end_on).then(|| deal.term.clone());
    let changes = changes(&contract.lines, &after);
    if changes.is_empty() && new_term.is_none() {
        return None;
    }
    let value: i64 = after.iter().map(|line| line.amount_minor).fold(0, i64::saturating_add);
    Some(ContractAmendmentRequested {
        account_id: contract.account_id.clone(),
        entity_version: 1,
        effective_at: step.times.effective_at,
        recorded_at: step.times.recorded_at,
        legal_entity_id: contract.legal_entity_id.clone(),
        contract_id: contract_id.to_owned(),
        amendment_id: format!("{contract_id}/opportunity-v{}", deal.entity_version),
        amendment_type: kind(&changes),
        currency: contract.currency.clone(),
        delta_tcv_minor: value.saturating_sub(contract.value_minor),
        changes,
        new_term,
        tax_recalculation_required: true,
        ..ContractAmendmentRequested::default()
    })
}

fn changes(before: &[ContractLine], after: &[ContractLine]) -> Vec<LineChange> {
    let find = |lines: &[ContractLine], id: &str| lines.iter().find(|line| line.contract_line_id == id).cloned();
    let ids: BTreeSet<&String> = before.iter().chain(after).map(|line| &line.contract_line_id).collect();
    let change =
        |id: &&String| LineChange { contract_line_id: (*id).clone(), before: find(before, id), after: find(after, id) };
    ids.iter().map(change).filter(|change| change.before != change.after).collect()
}

fn kind(changes: &[LineChange]) -> AmendmentType {
    let price = |line: &Option<ContractLine>| line.as_ref().map(|line| (line.product_id.clone(), line.unit_price));
    if changes.is_empty() {
        AmendmentType::TermExtension
    } else if changes.iter().all(|change| change.before.is_none()) {
        AmendmentType::Add
    } else if changes.iter().all(|change| change.after.is_none()) {
        AmendmentType::Remove
    } else if changes.iter().all(|change| price(&change.before) == price(&change.after)) {
        AmendmentType::Quantity
    } else {
        AmendmentType::PlanChange
    }
}

/// Whether a decision is about an edit of the deal.
pub(crate) fn is_about(deal: &DealState, case_id: Option<&str>) -> bool {
    let is_protected =
        |case: &crate::document::OpenCase| case.reasons.iter().all(|reason| reason.starts_with(PROTECTED));
    deal.case.as_ref().is_some_and(|case| is_protected(case) && case_id.is_none_or(|id| id == case.case_id))
}
