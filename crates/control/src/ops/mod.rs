//! One module a family of routes. A handler gets a session that has the route's right, and input that was checked against the
//! route's parameters.

mod audit;
mod draft;
mod edit;
mod elsewhere;
mod estimate;
mod export;
mod foreign;
mod groups;
mod import;
mod jobs;
mod lane;
mod letters;
mod page;
mod plans;
mod predict;
mod rules;
mod stats;

use crate::{
    app::Session,
    error::{Error, Result},
    routes::Op,
};
use ledger::{JobAction, Verb};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) async fn dispatch(session: &Session<'_>, op: Op, input: Value) -> Result<Value> {
    match op {
        Op::Services => services(session).await,
        Op::Groups => groups::list(session, input).await,
        Op::Letters => letters::list(session, input).await,
        Op::Letter => letters::show(session, input).await,
        Op::Unmasked => letters::unmasked(session, input).await,
        Op::Stats => stats::count(session, input).await,
        Op::Export => export::page(session, input).await,
        Op::Foreign => foreign::list(session, input).await,
        Op::ForeignLetter => foreign::show(session, input).await,
        Op::AuditList => audit::list(session, input).await,
        Op::AuditVerify => audit::verify(session, input).await,
        Op::AuditExport => audit::export(session, input).await,
        Op::GroupState => groups::change(session, input).await,
        Op::PlanRetry => plans::plan(session, Verb::Retry, input).await,
        Op::PlanDiscard => plans::plan(session, Verb::Discard, input).await,
        Op::PlanRestore => plans::plan(session, Verb::Restore, input).await,
        Op::PlanEdit => edit::plan(session, input).await,
        Op::ApplyRetry => plans::apply(session, Verb::Retry, false, input).await,
        Op::ApplyDiscard => plans::apply(session, Verb::Discard, false, input).await,
        Op::ApplyRestore => plans::apply(session, Verb::Restore, false, input).await,
        Op::ApplyEdit => plans::apply(session, Verb::Edit, false, input).await,
        Op::PlanErase => plans::plan(session, Verb::Erase, input).await,
        Op::ApplyErase => plans::apply(session, Verb::Erase, false, input).await,
        Op::PlanMove => plans::plan(session, Verb::Move, input).await,
        Op::ApplyMove => plans::apply(session, Verb::Move, true, input).await,
        Op::PlanOriginal => plans::plan(session, Verb::Retry, elsewhere::to_original(input)).await,
        Op::ApplyOriginal => plans::apply(session, Verb::Retry, true, input).await,
        Op::ExportUnmasked => export::unmasked(session, input).await,
        Op::Import => import::import(session, input).await,
        Op::PlanReplay => lane::plan(session, input).await,
        Op::ApplyReplay => lane::apply(session, input).await,
        Op::ReplayOutcome => lane::outcome(session, input).await,
        Op::Jobs => jobs::list(session, input).await,
        Op::Job => jobs::show(session, input).await,
        Op::JobItems => jobs::items(session, input).await,
        Op::JobPause => jobs::set(session, JobAction::Pause, input).await,
        Op::JobResume => jobs::set(session, JobAction::Resume, input).await,
        Op::Rules => rules::list(session, input).await,
        Op::RuleAdd => rules::add(session, input).await,
        Op::RuleRemove => rules::remove(session, input).await,
        Op::JobCancel => jobs::set(session, JobAction::Cancel, input).await,
    }
}

/// Input that its parameters let pass, as a type.
pub(crate) fn typed<T: DeserializeOwned>(input: Value) -> Result<T> {
    serde_json::from_value(input).map_err(|error| Error::invalid(error.to_string()))
}

async fn services(session: &Session<'_>) -> Result<Value> {
    let mut services = Vec::new();
    for service in session.services(None).await? {
        let state = match session.ledger(&service).await {
            Ok(ledger) => match ledger.sequences(None).await {
                Ok(sequences) => json!({ "service": service, "ok": true, "parked_sequences": sequences.len(),
                    "parked_records": sequences.iter().map(|sequence| sequence.depth).sum::<i64>() }),
                Err(error) => json!({ "service": service, "ok": false, "reason": error.to_string() }),
            },
            Err(error) => json!({ "service": service, "ok": false, "reason": error.message }),
        };
        services.push(state);
    }
    Ok(json!({ "services": services }))
}
