//! `throughline order`: where each deal and its orders stand, and what it waits for.

use crate::{
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs, ledger_trouble},
};
use clap::{Args, Subcommand};
use ledger::{DocumentFilter, DocumentRow};
use order_flow::{
    change::{Change, ChangeStage},
    document::{
        DealStage, DealState, FailedStep, FlowDocument, OpenCase, Order, OrderStage, StepState, TakenBack, kind,
    },
};
use rules::Verdict;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    /// List deals with their orders: stage, amount, policies, age in the stage
    Ls(ListArgs),
    /// Show one deal: its orders with the ERP's numbers, its verdict, its case
    Show(OneArgs),
    /// Say in one sentence what a deal waits for, and who has to act
    Why(OneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only deals that wait for somebody
    #[arg(long)]
    waiting: bool,
    /// At most so many deals
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The opportunity
    opportunity: String,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    opportunity: String,
    account: String,
    /// `-` while there is no order.
    order: Option<String>,
    stage: String,
    currency: String,
    amount_minor: i64,
    /// Steps of the order: `+` done, `>` under way, `!` refused, `.` still to come.
    steps: String,
    erp_order_no: Option<String>,
    case: Option<String>,
    policies: String,
    /// Seconds since the deal last changed.
    age_s: i64,
}

pub(crate) async fn run(command: &OrderCommand, output: &Output) -> Result<Exit> {
    match command {
        OrderCommand::Ls(args) => {
            let filter = DocumentFilter { limit: args.limit as usize, ..of_deals() };
            let found = documents(&args.stack.resolve()?, &filter).await?;
            let deals = found.iter().filter_map(|row| deal(row).map(|deal| (row, deal)));
            let deals = deals.filter(|(_, deal)| !args.waiting || is_waiting(deal));
            let now = jiff::Timestamp::now().as_millisecond();
            let rows: Vec<Row> = deals.flat_map(|(row, deal)| rows(&deal, (now - row.updated_ms) / 1_000)).collect();
            let columns = &[
                "opportunity",
                "order",
                "stage",
                "currency",
                "amount_minor",
                "steps",
                "erp_order_no",
                "case",
                "policies",
                "age_s",
            ];
            output.answer(&Answer::list("orders", rows, columns));
        }
        OrderCommand::Show(args) => {
            let deal = one(args).await?;
            let (state, why) = (json!({ "stage": deal.stage, "why": why(&deal) }), &deal);
            let shown = json!({
                "opportunity": why.opportunity_id, "account": why.account_id, "version": why.entity_version,
                "stage": state["stage"], "why": state["why"], "currency": why.currency, "amount_minor": why.total_minor,
                "policies": why.verdict.version, "findings": why.verdict.findings, "approvals": why.verdict.approvals,
                "waived": why.waived, "approved": why.approved, "case": why.case,
                "orders": orders(why), "changes": changes(why), "conflicts": why.conflicts,
            });
            output.answer(&Answer::fields(shown));
        }
        OrderCommand::Why(args) => {
            let deal = one(args).await?;
            output.answer(&Answer::fields(json!({ "opportunity": deal.opportunity_id, "why": why(&deal) })));
        }
    }
    Ok(Exit::Done)
}

fn of_deals() -> DocumentFilter {
    DocumentFilter { kind: Some(kind::DEAL.to_owned()), limit: 1, ..DocumentFilter::default() }
}

async fn documents(stack: &Stack, filter: &DocumentFilter) -> Result<Vec<DocumentRow>> {
    let ledger = stack.ledger("order-flow").await?;
    ledger.documents(filter).await.map_err(|error| ledger_trouble(&error))
}

async fn one(args: &OneArgs) -> Result<DealState> {
    let filter = DocumentFilter { key: Some(args.opportunity.clone()), ..of_deals() };
    let found = documents(&args.stack.resolve()?, &filter).await?;
    found.first().and_then(deal).ok_or_else(|| {
        let message = format!("order-flow knows no deal `{}`", args.opportunity);
        Trouble::failed("DEAL_UNKNOWN", message).hint("`throughline order ls` lists those it knows")
    })
}

pub(super) fn deal(row: &DocumentRow) -> Option<DealState> {
    match serde_json::from_str(&row.body) {
        Ok(FlowDocument::Deal(deal)) => Some(*deal),
        Ok(FlowDocument::Account(_) | FlowDocument::Contract(_) | FlowDocument::Quotes(_)) | Err(_) => None,
    }
}

/// The ERP's side of each order; what was asked for holds the customer's data and is not shown.
fn orders(deal: &DealState) -> serde_json::Value {
    let shown = |(entity, order): (&String, &Order)| {
        let ids = (&order.erp_order_id, &order.erp_order_no);
        let outside = &order.outside;
        let steps = steps(order, deal.schedule.is_some());
        json!({ "order": order.order_id, "entity": entity, "stage": order.stage, "steps": steps,
            "currency": order.currency, "amount_minor": order.total_minor,
            "tax_minor": outside.tax.as_ref().map(|tax| tax.total_tax_minor),
            "erp_order_id": ids.0, "erp_order_no": ids.1,
            "tax_document": tax_document(order),
            "billing_customer": outside.customer, "billing_schedule": billing_schedule(order),
            "failed": order.failed, "taken_back": order.taken_back, "case": order.case })
    };
    deal.orders.iter().map(shown).collect()
}

fn steps(order: &Order, bills: bool) -> Vec<serde_json::Value> {
    order.steps(bills).into_iter().map(|(step, state)| json!({ "step": step, "state": state })).collect()
}

fn tax_document(order: &Order) -> Option<serde_json::Value> {
    let tax = order.outside.tax.as_ref()?;
    Some(json!({ "id": tax.id, "document": tax.document.document_id, "state": tax.state }))
}

/// What a change does in tax engine and billing system.
fn outside(order: &Order) -> serde_json::Value {
    json!({ "process": order.order_id, "stage": order.stage, "steps": steps(order, true), "failed": order.failed,
        "tax_minor": order.outside.tax.as_ref().map(|tax| tax.total_tax_minor), "tax_document": tax_document(order) })
}

/// What bills, without the plan.
fn billing_schedule(order: &Order) -> Option<serde_json::Value> {
    let mut shown = serde_json::to_value(order.outside.schedule.as_ref()?).ok()?;
    shown.as_object_mut()?.remove("plan");
    Some(shown)
}

/// Amendments and renewals; what was asked for stays in the ledger.
fn changes(deal: &DealState) -> serde_json::Value {
    let shown = |(id, change): (&String, &Change)| {
        json!({ "change": id, "contract": change.contract_id, "stage": change.stage, "currency": change.currency,
            "amount_minor": change.amount_minor, "approved": change.approved, "case": change.case,
            "policies": change.verdict.version, "contract_version": change.contract_version,
            "erp_order_id": change.erp_order_id, "erp_order_no": change.erp_order_no,
            "outside": change.order.as_deref().map(outside) })
    };
    deal.changes.iter().map(shown).collect()
}

fn rows(deal: &DealState, age_s: i64) -> Vec<Row> {
    let whole = Row {
        opportunity: deal.opportunity_id.clone(),
        account: deal.account_id.clone(),
        order: None,
        stage: word(&deal.stage),
        currency: deal.currency.clone(),
        amount_minor: deal.total_minor,
        steps: String::new(),
        erp_order_no: None,
        case: deal.case.as_ref().map(|case| case.case_id.clone()),
        policies: deal.verdict.version.clone(),
        age_s,
    };
    if deal.orders.is_empty() {
        return vec![whole];
    }
    let of = |order: &Order| Row {
        order: Some(order.order_id.clone()),
        stage: word(&order.stage),
        currency: order.currency.clone(),
        amount_minor: order.total_minor,
        steps: chips(order, deal.schedule.is_some()),
        erp_order_no: order.erp_order_no.clone(),
        case: order.case.as_ref().or(deal.case.as_ref()).map(|case| case.case_id.clone()),
        opportunity: whole.opportunity.clone(),
        account: whole.account.clone(),
        policies: whole.policies.clone(),
        age_s,
    };
    deal.orders.values().map(of).collect()
}

fn chips(order: &Order, bills: bool) -> String {
    let chip = |(step, state): (&str, StepState)| {
        let sign = match state {
            StepState::Done => '+',
            StepState::Now => '>',
            StepState::Failed => '!',
            StepState::ToCome => '.',
        };
        format!("{sign}{step}")
    };
    order.steps(bills).into_iter().map(chip).collect::<Vec<_>>().join(" ")
}

fn word(stage: &impl Serialize) -> String {
    serde_json::to_value(stage).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn is_waiting(deal: &DealState) -> bool {
    deal.case.is_some()
        || deal.changes.iter().any(|(id, change)| why_of(id, change).is_some())
        || deal
            .orders
            .values()
            .any(|order| order.case.is_some() || !matches!(order.stage, OrderStage::Active | OrderStage::Cancelled))
        // Something is still to be taken back.
        || deal.orders.values().any(|order| order.taken_back == TakenBack::Begun)
}

/// Who has to act on what the policies found, or on an edit of protected fields.
pub(super) fn owners(deal: &DealState) -> String {
    let edited = deal.conflicts.last().filter(|_| deal.stage == DealStage::Ordered);
    match edited.filter(|_| deal.case.is_some()) {
        Some(conflict) => joined(conflict.fields.iter().map(|field| field.queue.as_str())),
        None => owners_by(&deal.verdict, std::iter::empty()),
    }
}

/// The same for an amendment or a renewal.
pub(super) fn owners_of(change: &Change) -> String {
    let refused = change.refused.iter().map(|reason| reason.owner_queue.as_str());
    let failed = change.at_work().and_then(|order| order.failed.as_ref());
    owners_by(&change.verdict, refused.chain(failed.map(|failed| failed.step.owner())))
}

fn owners_by<'a>(verdict: &'a Verdict, others: impl Iterator<Item = &'a str>) -> String {
    let findings = verdict.findings.iter().map(|finding| finding.owner.as_str());
    let approvals = verdict.approvals.iter().map(|approval| approval.owner.as_str());
    joined(findings.chain(approvals).chain(others))
}

fn joined<'a>(queues: impl Iterator<Item = &'a str>) -> String {
    let all: std::collections::BTreeSet<&str> = queues.collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

fn reasons(case: &OpenCase) -> String {
    case.reasons.iter().cloned().collect::<Vec<_>>().join(", ")
}

fn refused(failed: &FailedStep, of: &str, case: Option<&OpenCase>) -> String {
    let then = if failed.is_retried { "is tried again by itself" } else { "waits for its owner" };
    let case = case.map(|case| format!(" (case {}: {})", case.case_id, reasons(case)));
    format!("step {} of {of} was refused and {then}{}", failed.step.as_str(), case.unwrap_or_default())
}

/// What an amendment or a renewal waits for.
pub(super) fn why_of(id: &str, change: &Change) -> Option<String> {
    if let Some(order) = change.at_work() {
        return Some(match &order.failed {
            Some(failed) => refused(failed, &format!("change {id}"), change.case.as_ref()),
            None => format!("change {id} waits for tax engine and billing system, or for an earlier change"),
        });
    }
    match (change.stage, &change.case) {
        (ChangeStage::Early, _) => Some(format!("change {id} waits until contract {} is active", change.contract_id)),
        (ChangeStage::Waiting, Some(case)) => {
            Some(format!("change {id} waits for {} (case {}: {})", owners_of(change), case.case_id, reasons(case)))
        }
        (ChangeStage::Asked, _) => Some(format!("renewal {id} waits for the ERP's answer")),
        (ChangeStage::Waiting, None) | (ChangeStage::Done | ChangeStage::Declined, _) => None,
    }
}

/// What it waits for, in one sentence.
pub(super) fn why(deal: &DealState) -> String {
    match (deal.stage, &deal.case) {
        (DealStage::Waiting, Some(case)) => {
            return format!("Case {} waits for {}: {}.", case.case_id, owners(deal), reasons(case));
        }
        (DealStage::Waiting, None) => return "It waits to be judged.".to_owned(),
        (DealStage::Declined, _) => return "Somebody rejected it; nothing is waited for.".to_owned(),
        (DealStage::Ordered | DealStage::Withdrawn, _) => {}
    }
    let of = |order: &Order| match (order.stage, &order.case) {
        _ if order.failed.is_some() => {
            let of = format!("order {}", order.order_id);
            order.failed.as_ref().map(|failed| refused(failed, &of, order.case.as_ref()))
        }
        (OrderStage::Pricing, _) => Some(format!("order {} waits for the tax engine", order.order_id)),
        (OrderStage::Accepted, _) => Some(format!("order {} waits for tax engine and billing system", order.order_id)),
        (OrderStage::Requested, _) => Some(format!("order {} waits for the ERP's answer", order.order_id)),
        (OrderStage::Rejected, Some(case)) => {
            Some(format!("order {} lies parked in erp-sync (case {}: {})", order.order_id, case.case_id, reasons(case)))
        }
        (OrderStage::Rejected, None) => Some(format!("order {} lies parked in erp-sync", order.order_id)),
        (OrderStage::Cancelling, _) => Some(format!("order {} waits to be cancelled", order.order_id)),
        (OrderStage::Active, Some(case)) => Some(format!(
            "contract {} lies parked in provisioning (case {}: {})",
            order.order_id,
            case.case_id,
            reasons(case)
        )),
        (OrderStage::Active, None) | (OrderStage::Cancelled, _) => None,
    };
    let of_changes = deal.changes.iter().filter_map(|(id, change)| why_of(id, change));
    let waits: Vec<String> = deal.orders.values().filter_map(of).chain(of_changes).collect();
    match (waits.is_empty(), &deal.case) {
        (false, _) => format!("It is on its way: {}.", waits.join("; ")),
        (true, Some(case)) => format!("Case {} is open: {}.", case.case_id, reasons(case)),
        (true, None) => "Nothing is waited for.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use order_flow::{
        effect::Work,
        follow::{Followed, What},
    };
    use rules::Finding;

    fn waiting() -> DealState {
        let finding = Finding {
            code: "CREDIT_HOLD".into(),
            path: "account_id".into(),
            message: String::new(),
            hint: String::new(),
            owner: "credit-control".into(),
        };
        DealState {
            opportunity_id: "O-1".into(),
            verdict: Verdict { findings: vec![finding], ..Verdict::default() },
            case: Some(OpenCase { case_id: "O-1/1".into(), reasons: ["CREDIT_HOLD at account_id".to_owned()].into() }),
            ..DealState::default()
        }
    }

    #[test]
    fn a_deal_that_waits_says_for_whom_and_why() {
        assert_eq!(why(&waiting()), "Case O-1/1 waits for credit-control: CREDIT_HOLD at account_id.");
        let [row] = &rows(&waiting(), 7)[..] else { panic!("one row") };
        assert_eq!((&*row.stage, row.case.as_deref(), row.age_s), ("waiting", Some("O-1/1"), 7));
        assert!(is_waiting(&waiting()));
    }

    #[test]
    fn a_deal_with_orders_has_a_row_for_each_and_waits_for_those_that_are_not_done() {
        let order =
            |id: &str, stage| (id.to_owned(), Order { order_id: format!("O-1-{id}"), stage, ..Order::default() });
        let orders = [order("DE", OrderStage::Active), order("US", OrderStage::Requested)];
        let deal = DealState { stage: DealStage::Ordered, case: None, orders: orders.into(), ..waiting() };
        assert_eq!(why(&deal), "It is on its way: order O-1-US waits for the ERP's answer.");
        assert_eq!(rows(&deal, 0).iter().map(|row| &*row.stage).collect::<Vec<_>>(), ["active", "requested"]);
        assert_eq!(rows(&deal, 0)[1].steps, ">erp_order .activation .provisioning");
        let done = DealState { orders: [order("DE", OrderStage::Active)].into(), ..deal };
        assert_eq!((why(&done), is_waiting(&done)), ("Nothing is waited for.".to_owned(), false));
    }

    #[test]
    fn a_renewal_that_billing_refused_says_which_step_waits_for_whom_and_shows_its_steps() {
        let failed = |is_retried| FailedStep {
            step: Work::ChangeSchedule,
            code: "BILLING_PLAN_INVALID".into(),
            attempts: 1,
            is_retried,
        };
        let followed = Followed {
            contract_id: "O-1-US".into(),
            change_id: "R-1".into(),
            version: 2,
            from: jiff::civil::date(2027, 1, 1),
            what: What::Renewal { lines: Vec::new(), end_on: None, auto_renews: true },
            is_billed: false,
        };
        let order = Order {
            order_id: "O-1-US/R-1".into(),
            stage: OrderStage::Accepted,
            parts: order_flow::Parts { tax: false, billing: true },
            failed: Some(failed(false)),
            followed: Some(Box::new(followed)),
            ..Order::default()
        };
        let change = Change { order: Some(Box::new(order)), case: waiting().case, ..Change::default() };
        let said = "step change_schedule of change R-1 was refused and waits for its owner (case O-1/1: CREDIT_HOLD at account_id)";
        assert_eq!(why_of("R-1", &change).as_deref(), Some(said));
        assert_eq!(owners_of(&change), "billing-operations");
        let steps = json!([{ "step": "erp_order", "state": "done" }, { "step": "change_schedule", "state": "failed" }]);
        assert_eq!(outside(change.order.as_deref().expect("an order"))["steps"], steps);
    }
}
