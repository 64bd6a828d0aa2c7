//! One step of a deal under construction: its new state, and what it tells.

use crate::{
    document::{DealState, FlowDocument, OpenCase, Order, kind},
    handler::OrderFlow,
    saga::Fact,
    writer::{Cause, SOURCE, Writer},
};
use consumer::{Decision, TimerChange};
use events::{
    Case, Event, FalloutClosed, FalloutOpened, Notice, Reply, Request, Saga,
    common::{FalloutEnd, FalloutReason},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// When a step happens, by the event that brings it about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) effective_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
}

pub(crate) struct Step<'a> {
    writer: &'a Writer,
    pub(crate) cause: Cause,
    pub(crate) times: Times,
    pub(crate) deal: DealState,
    pub(crate) decision: Decision<OrderFlow>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(writer: &'a Writer, mut cause: Cause, times: Times, mut deal: DealState) -> Self {
        // The whole flow of a deal has one correlation: that of its first event.
        match &deal.correlation_id {
            Some(first) => cause.correlation_id = Some(first.clone()),
            None => deal.correlation_id.clone_from(&cause.correlation_id),
        }
        Self { writer, cause, times, deal, decision: Decision::new() }
    }

    pub(crate) fn ask(&mut self, request: impl Into<Request>) {
        self.decision.publish.push(self.writer.request(&request.into(), &self.cause));
    }

    pub(crate) fn tell(&mut self, contract: impl Into<Event>) {
        self.decision.publish.push(self.writer.contract(&contract.into(), &self.cause));
    }

    pub(crate) fn answer(&mut self, reply: impl Into<Reply>) {
        self.decision.publish.push(self.writer.reply(&reply.into(), &self.cause));
    }

    pub(crate) fn notice(&mut self, notice: impl Into<Notice>) {
        self.decision.publish.push(self.writer.notice(&notice.into(), &self.cause));
    }

    /// Whether it follows from an event that we told ourselves.
    pub(crate) fn is_ours(&self) -> bool {
        self.cause.source.as_deref() == Some(SOURCE)
    }

    pub(crate) fn put(&mut self, kind: &str, key: &str, document: FlowDocument) {
        self.decision
            .documents
            .push(consumer::Change { key: ledger::DocumentKey::new(kind, key), document: Some(document) });
    }

    pub(crate) fn timer(&mut self, id: String, due_ms: i64, payload: serde_json::Value) {
        self.decision.timers.push(TimerChange::Set { id, due_ms, payload });
    }

    pub(crate) fn no_timer(&mut self, id: String) {
        self.decision.timers.push(TimerChange::Clear { id });
    }

    /// Tells what happened to the process of an order, with the step.
    pub(crate) fn fact(&mut self, order: &mut Order, entity: &str, fact: Fact<'_>) {
        order.facts += 1;
        let told = fact.of(self, order, entity);
        self.decision.publish.push(self.writer.saga(&Saga::from(told), &self.cause));
    }

    /// Opens a case with these reasons, unless it is open with the same. A case with other reasons ends first.
    pub(crate) fn open(
        &mut self,
        before: Option<OpenCase>,
        about: About,
        reasons: Vec<FalloutReason>,
    ) -> Option<OpenCase> {
        let policies = self.deal.verdict.version.clone();
        self.open_by(before, about, reasons, &policies)
    }

    /// The same for what was decided by this version of the policies.
    pub(crate) fn open_by(
        &mut self,
        before: Option<OpenCase>,
        about: About,
        reasons: Vec<FalloutReason>,
        policies: &str,
    ) -> Option<OpenCase> {
        let named: BTreeSet<String> = reasons
            .iter()
            .map(|reason| format!("{} at {}", reason.code, reason.path.as_deref().unwrap_or_default()))
            .collect();
        if before.as_ref().is_some_and(|case| case.reasons == named) {
            return before;
        }
        self.close(before, FalloutEnd::Mended, None);
        self.deal.cases += 1;
        let case_id = format!("{}/{}", self.deal.opportunity_id, self.deal.cases);
        let opened = FalloutOpened {
            account_id: self.deal.account_id.clone(),
            entity_version: 1,
            effective_at: self.times.effective_at,
            recorded_at: self.times.recorded_at,
            legal_entity_id: about.legal_entity_id,
            case_id: case_id.clone(),
            opportunity_id: self.deal.opportunity_id.clone(),
            order_id: about.order_id,
            reasons,
            currency: about.currency,
            amount_at_risk_minor: about.amount_minor,
            policy_version: policies.to_owned(),
        };
        self.decision.publish.push(self.writer.case(&Case::from(opened), &self.cause));
        Some(OpenCase { case_id, reasons: named })
    }

    pub(crate) fn close(&mut self, case: Option<OpenCase>, end: FalloutEnd, by: Option<&str>) {
        let Some(case) = case else { return };
        let closed = FalloutClosed {
            account_id: self.deal.account_id.clone(),
            entity_version: 2,
            effective_at: self.times.effective_at,
            recorded_at: self.times.recorded_at,
            legal_entity_id: "all".to_owned(),
            case_id: case.case_id,
            opportunity_id: self.deal.opportunity_id.clone(),
            end,
            closed_by: by.map(str::to_owned),
        };
        self.decision.publish.push(self.writer.case(&Case::from(closed), &self.cause));
    }

    /// The decision, with the deal as it is now.
    pub(crate) fn done(mut self) -> Decision<OrderFlow> {
        self.wake();
        let id = self.deal.opportunity_id.clone();
        let deal = FlowDocument::Deal(Box::new(std::mem::take(&mut self.deal)));
        self.put(kind::DEAL, &id, deal);
        self.decision
    }
}

/// What a case is about.
pub(crate) struct About {
    pub(crate) legal_entity_id: String,
    pub(crate) order_id: Option<String>,
    pub(crate) currency: String,
    pub(crate) amount_minor: i64,
}
