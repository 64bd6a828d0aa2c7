//! `throughline fallout`: business exceptions, each with its reason, owner, age and the money at risk; technical failures are `dlq`'s.
//!
//! They lie in two places: an event that a service cannot apply until somebody decides is parked there, and a deal that cannot go on has a
//! case in order-flow. A case of an order that the ERP rejected is not listed beside the parked order it is about.

use super::{dlq, order, publish};
use crate::{
    control::{Control, ControlArgs, part},
    exit::{Exit, Result, Trouble},
    output::{Answer, Output},
    stack::{Stack, StackArgs, broker_trouble, ledger_trouble},
};
use clap::{Args, Subcommand};
use events::{Deal, FalloutDecided, common::FalloutAction};
use ledger::DocumentFilter;
use order_flow::{
    change::Change,
    document::{DealStage, DealState, OpenCase, OrderStage, kind},
};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum FalloutCommand {
    /// List exceptions: what, why, who owns it, since when, money at risk
    Ls(ListArgs),
    /// Show one with all that is known of it
    Show(ShowArgs),
    /// Its cause is mended: look again, and let what waits behind it go on
    Resolve(DecideArgs),
    /// Let it pass: the findings of a deal are waived; a parked event is given up and what waits behind it goes on
    Waive(DecideArgs),
    /// Give the approvals that a deal lacks
    Approve(DecideArgs),
    /// End a deal that cannot go on
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this queue
    #[arg(long)]
    owner: Option<String>,
    /// At most so many parked events, and so many deals
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// As `ls` shows it
    id: String,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// As `ls` shows it
    id: String,
    /// Why; it is kept
    #[arg(long)]
    reason: String,
    /// Who decides, for a deal; of a parked event it is the owner of the token
    #[arg(long, env = "USER", default_value = "unknown")]
    by: String,
    /// Codes of a deal to waive, or rules to approve; all that are open if none is named
    #[arg(long)]
    code: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

const COLUMNS: &[&str] = &["id", "service", "code", "owner", "account", "subject", "since", "at_risk", "reason"];

pub(crate) async fn run(command: &FalloutCommand, output: &Output) -> Result<Exit> {
    match command {
        FalloutCommand::Ls(args) => list(args, output).await,
        FalloutCommand::Show(args) => show(args, output).await,
        FalloutCommand::Resolve(args) => decide(args, (FalloutAction::Retry, Some("retry")), output).await,
        FalloutCommand::Waive(args) => decide(args, (FalloutAction::Waive, Some("discard")), output).await,
        FalloutCommand::Approve(args) => decide(args, (FalloutAction::Approve, None), output).await,
        FalloutCommand::Reject(args) => decide(args, (FalloutAction::Reject, None), output).await,
    }
}

/// The control of the stack in the folder: what is parked is looked at and changed through it.
fn control(args: &StackArgs) -> Result<Control> {
    ControlArgs::of_folder(args.folder()).connect()
}

async fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let query = vec![("class".to_owned(), "business".to_owned())];
    let (letters, more) = dlq::pages(&control(&args.stack)?, "/v1/letters", query, "letters", args.limit).await?;
    if more {
        output.note(format!("more match; --limit shows more than {}", args.limit));
    }
    let mut rows: Vec<Value> = letters.iter().map(of_letter).collect();
    rows.extend(deals(&args.stack.resolve()?, None, args.limit as usize).await?.iter().flat_map(of_deal));
    let wanted = |row: &Value| args.owner.as_ref().is_none_or(|owner| owners(row).any(|found| found == owner));
    rows.retain(wanted);
    if rows.is_empty() {
        output.note("nothing waits for the business");
    }
    output.answer(&Answer::list("exceptions", rows, COLUMNS));
    Ok(Exit::Done)
}

fn owners(row: &Value) -> impl Iterator<Item = &str> {
    row["owner"].as_str().unwrap_or_default().split(", ")
}

fn of_letter(letter: &Value) -> Value {
    json!({ "id": letter["id"], "service": letter["service"], "code": letter["code"], "owner": letter["owner"], "account": letter["key"],
        "subject": letter["subject"], "since": letter["parked"], "at_risk": letter["at_risk"], "reason": letter["reason"] })
}

/// A deal that waits, with when it last changed.
type Waiting = (DealState, i64);

async fn deals(stack: &Stack, opportunity: Option<&str>, limit: usize) -> Result<Vec<Waiting>> {
    let filter = DocumentFilter {
        kind: Some(kind::DEAL.to_owned()),
        key: opportunity.map(str::to_owned),
        limit,
        ..DocumentFilter::default()
    };
    let rows = stack.ledger("order-flow").await?.documents(&filter).await.map_err(|error| ledger_trouble(&error))?;
    Ok(rows.iter().filter_map(|row| Some((order::deal(row)?, row.updated_ms))).collect())
}

/// The case of a deal, and those of its amendments and renewals.
fn of_deal((deal, changed_ms): &Waiting) -> Vec<Value> {
    let since = jiff::Timestamp::from_millisecond(*changed_ms).map(|at| at.to_string()).ok();
    let row = |case: &OpenCase, subject: &str, owner: String, (currency, amount): (&str, i64), reason: String| {
        let codes = case.reasons.iter().map(|reason| reason.split(' ').next().unwrap_or_default());
        json!({ "id": case.case_id, "service": "order-flow", "code": codes.collect::<Vec<_>>().join(", "), "owner": owner,
            "account": deal.account_id, "subject": subject, "since": since, "at_risk": { currency: amount }, "reason": reason })
    };
    let own = deal.case.as_ref().map(|case| {
        let money = (deal.currency.as_str(), deal.total_minor);
        row(case, &deal.opportunity_id, order::owners(deal), money, order::why(deal))
    });
    let of_change = |(id, change): (&String, &Change)| {
        let case = change.case.as_ref()?;
        let money = (change.currency.as_str(), change.amount_minor);
        Some(row(case, id, order::owners_of(change), money, order::why_of(id, change)?))
    };
    own.into_iter().chain(deal.changes.iter().filter_map(of_change)).collect()
}

/// A parked event is named by service, slice, sequence and number; a case by its deal and number.
fn is_letter(id: &str) -> bool {
    super::SERVICES.iter().any(|service| id.strip_prefix(service).is_some_and(|rest| rest.starts_with('/')))
}

async fn show(args: &ShowArgs, output: &Output) -> Result<Exit> {
    let shown = if is_letter(&args.id) {
        let answer = control(&args.stack)?.get(&format!("/v1/letters/{}", part(&args.id)), &[]).await?;
        answer["letter"].clone()
    } else {
        let found = case(&args.stack.resolve()?, &args.id).await?;
        let verdict = of_change(&found.0, &args.id).map_or(&found.0.verdict, |(_, change)| &change.verdict);
        let mut shown = of_deal(&found).into_iter().find(|row| row["id"] == *args.id).unwrap_or_default();
        shown["findings"] = json!(verdict.findings);
        shown["approvals"] = json!(verdict.approvals);
        shown["policies"] = json!(verdict.version);
        if found.0.case.as_ref().is_some_and(|case| case.case_id == args.id) {
            shown["conflicts"] = json!(found.0.conflicts);
        }
        shown
    };
    output.answer(&Answer::fields(shown));
    Ok(Exit::Done)
}

/// The deal whose case is open under this id.
async fn case(stack: &Stack, id: &str) -> Result<Waiting> {
    let opportunity = id.rsplit_once('/').map_or(id, |(opportunity, _)| opportunity);
    let found = deals(stack, Some(opportunity), 1).await?.into_iter().next();
    let is_open = |deal: &DealState| {
        let of_orders = deal.orders.values().filter_map(|order| order.case.as_ref());
        let of_changes = deal.changes.values().filter_map(|change| change.case.as_ref());
        of_orders.chain(of_changes).chain(&deal.case).any(|case| case.case_id == id)
    };
    found.filter(|(deal, _)| is_open(deal)).ok_or_else(|| {
        Trouble::failed("CASE_UNKNOWN", format!("no exception `{id}` is open"))
            .hint("`throughline fallout ls` lists those that are")
    })
}

/// The amendment or renewal whose case it is.
fn of_change<'a>(deal: &'a DealState, case_id: &str) -> Option<(&'a String, &'a Change)> {
    deal.changes.iter().find(|(_, change)| change.case.as_ref().is_some_and(|case| case.case_id == case_id))
}

/// Whether a decision of this kind means something for the case.
fn may_be_decided(deal: &DealState, id: &str, action: FalloutAction) -> bool {
    let is_edit = deal.proposal.is_some() && deal.case.as_ref().is_some_and(|case| case.case_id == id);
    // A step outside that was refused is tried again, or given up.
    let is_refused =
        |change: &Change| change.at_work().is_some_and(|order| order.failed.is_some() && !may_be_let_pass(action));
    deal.stage == DealStage::Waiting
        || of_change(deal, id).is_some_and(|(_, change)| change.at_work().is_none() || is_refused(change))
        || (is_edit && action == FalloutAction::Approve)
        || (action == FalloutAction::Reject
            && (gives_up(deal, id) || deal.case.as_ref().is_some_and(|case| case.case_id == id)))
}

const fn may_be_let_pass(action: FalloutAction) -> bool {
    matches!(action, FalloutAction::Approve | FalloutAction::Waive)
}

/// What is decided of a deal, and what of a parked event, if that can be.
type Decision = (FalloutAction, Option<&'static str>);

async fn decide(args: &DecideArgs, (action, of_letters): Decision, output: &Output) -> Result<Exit> {
    if is_letter(&args.id) {
        let Some(verb) = of_letters else {
            let hint = "fallout resolve once its cause is mended, fallout waive to give it up";
            return Err(Trouble::usage(format!("{} is no case of a deal", args.id)).hint(hint));
        };
        return dlq::one(&control(&args.stack)?, (verb, &args.id), &args.reason, output).await;
    }
    let stack = args.stack.resolve()?;
    let (deal, _) = case(&stack, &args.id).await?;
    if !may_be_decided(&deal, &args.id, action) {
        let hint = "the owner of the field puts the change back in the system it came from, or reopens the opportunity";
        return Err(Trouble::failed("CASE_NOT_DECIDED", "its orders were asked for").hint(hint));
    }
    let decided = decided(args, action, &deal, jiff::Timestamp::now());
    let decision = decided.decision_id.clone();
    let record = publish::encode::of_deal(Deal::from(decided), &publish::schema_ids(&stack).await?);
    let record = record.map_err(|failure| Trouble::failed("DECISION_INVALID", failure.to_string()))?;
    for ack in publish::start_producer(&stack)?.send_all(&[record]).await {
        ack.map_err(|error| broker_trouble(&error))?;
    }
    let text = format!(
        "decision {decision} is published; `throughline order why {}` says what comes of it",
        deal.opportunity_id
    );
    output.answer(&Answer::fields(json!({ "decision": decision, "case": args.id })).said(text));
    Ok(Exit::Done)
}

/// Whether the case is about a contract that the product could not carry out: it may be given up, which cancels it.
fn gives_up(deal: &DealState, case_id: &str) -> bool {
    let mut active = deal.orders.values().filter(|order| order.stage == OrderStage::Active);
    active.any(|order| order.case.as_ref().is_some_and(|case| case.case_id == case_id))
}

fn decided(args: &DecideArgs, action: FalloutAction, deal: &DealState, now: jiff::Timestamp) -> FalloutDecided {
    let change = of_change(deal, &args.id).map(|(_, change)| change);
    let findings = &change.map_or(&deal.verdict, |change| &change.verdict).findings;
    let refused = change.map(|change| change.refused.as_slice()).unwrap_or_default();
    let open = || {
        findings.iter().map(|finding| &finding.code).chain(refused.iter().map(|reason| &reason.code)).cloned().collect()
    };
    // Once its orders were asked for, the deal itself is not kept; its orders say who sells.
    let won = deal.opportunity.as_ref().map(|won| &won.legal_entity_id).or_else(|| deal.orders.keys().next());
    let seller = change.map(|change| &change.legal_entity_id).or(won);
    FalloutDecided {
        account_id: deal.account_id.clone(),
        entity_version: 1,
        effective_at: now,
        recorded_at: now,
        legal_entity_id: seller.cloned().unwrap_or_default(),
        opportunity_id: deal.opportunity_id.clone(),
        decision_id: format!("{}/{}", args.id, now.as_microsecond()),
        action,
        codes: if action == FalloutAction::Waive && args.code.is_empty() { open() } else { args.code.clone() },
        decided_by: args.by.clone(),
        case_id: Some(args.id.clone()),
        note: Some(args.reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::{Finding, Verdict};

    fn waiting() -> DealState {
        let finding = |code: &str, owner: &str| Finding {
            code: code.into(),
            path: "p".into(),
            message: String::new(),
            hint: String::new(),
            owner: owner.into(),
        };
        DealState {
            account_id: "A-1".into(),
            opportunity_id: "O-1".into(),
            currency: "USD".into(),
            total_minor: 700,
            verdict: Verdict {
                findings: vec![finding("CREDIT_HOLD", "credit-control"), finding("TAX_NEXUS_UNKNOWN", "tax")],
                ..Verdict::default()
            },
            case: Some(OpenCase { case_id: "O-1/1".into(), reasons: ["CREDIT_HOLD at p".to_owned()].into() }),
            ..DealState::default()
        }
    }

    #[test]
    fn a_deal_with_a_case_is_an_exception_with_owners_and_money_and_one_without_is_none() {
        let [row] = &of_deal(&(waiting(), 0))[..] else { panic!("one exception") };
        assert_eq!(
            (&row["id"], &row["code"], &row["at_risk"]["USD"]),
            (&"O-1/1".into(), &"CREDIT_HOLD".into(), &700.into())
        );
        assert_eq!(owners(row).collect::<Vec<_>>(), ["credit-control", "tax"]);
        assert!(of_deal(&(DealState { case: None, ..waiting() }, 0)).is_empty());
    }

    #[test]
    fn an_amendment_that_waits_is_an_exception_of_its_own_with_its_own_owner_and_money() {
        let approval =
            rules::Approval { rule: "LARGE-REDUCTION".into(), reason: "too much".into(), owner: "finance".into() };
        let change = Change {
            contract_id: "O-1-US".into(),
            legal_entity_id: "US".into(),
            stage: order_flow::change::ChangeStage::Waiting,
            currency: "USD".into(),
            amount_minor: 900,
            verdict: Verdict { approvals: vec![approval], ..Verdict::default() },
            case: Some(OpenCase {
                case_id: "O-1/2".into(),
                reasons: ["APPROVAL_REQUIRED at LARGE-REDUCTION".to_owned()].into(),
            }),
            ..Change::default()
        };
        let deal =
            DealState { stage: DealStage::Ordered, case: None, changes: [("M-1".into(), change)].into(), ..waiting() };
        let [row] = &of_deal(&(deal.clone(), 0))[..] else { panic!("one exception") };
        assert_eq!(
            (&row["subject"], &row["owner"], &row["at_risk"]["USD"]),
            (&"M-1".into(), &"finance".into(), &900.into())
        );
        assert!(
            may_be_decided(&deal, "O-1/2", FalloutAction::Approve)
                && !may_be_decided(&deal, "O-1/1", FalloutAction::Approve)
        );
    }

    #[test]
    fn letters_and_cases_are_told_apart_by_their_ids() {
        assert!(is_letter("erp-sync/3/A-1/7") && !is_letter("O-1/1") && !is_letter("erp-sync-deal/1"));
    }

    #[test]
    fn a_waiver_without_codes_is_of_all_that_is_open_and_a_retry_of_none() {
        let args = |code: &[&str]| DecideArgs {
            id: "O-1/1".into(),
            reason: "paid in advance".into(),
            by: "ada".into(),
            code: code.iter().map(|code| (*code).to_owned()).collect(),
            stack: StackArgs { data: None, brokers: None, kafka_config: None, registry: None, ledger: None },
        };
        let codes = |args: &DecideArgs, action| decided(args, action, &waiting(), jiff::Timestamp::UNIX_EPOCH).codes;
        assert_eq!(codes(&args(&[]), FalloutAction::Waive), ["CREDIT_HOLD", "TAX_NEXUS_UNKNOWN"]);
        assert_eq!(codes(&args(&["CREDIT_HOLD"]), FalloutAction::Waive), ["CREDIT_HOLD"]);
        assert_eq!(codes(&args(&[]), FalloutAction::Retry), [""; 0]);
    }
}
