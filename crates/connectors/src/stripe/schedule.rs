//! Subscription schedules: one for each contract, found by the customer's list, which is never behind.

use super::{
    SYSTEM, Stripe,
    answer::{failure, or_none, problem, read},
    call::{Listed, Made, Sight},
    form::Form,
    phases::{self, Anchor, Phase},
};
use crate::{BillingPlan, Cause, Error, ScheduleEnd, ScheduleRef, Scheduled, error::queue, http::Answer};
use jiff::Timestamp;
use serde::Deserialize;
use std::{collections::BTreeMap, future::Future};
use url::Url;

const CONTRACT: &str = "tl_contract_id";
const REVISION: &str = "tl_revision";
/// When the first period began: phases that are over may be gone.
const ANCHOR: &str = "tl_anchor";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    NotStarted,
    Active,
    Completed,
    Released,
    Canceled,
}

#[derive(Deserialize)]
struct Current {
    start_date: i64,
}

#[derive(Deserialize)]
pub(super) struct Schedule {
    id: String,
    status: Status,
    #[serde(default, deserialize_with = "or_none")]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    subscription: Option<String>,
    #[serde(default)]
    current_phase: Option<Current>,
    #[serde(default, deserialize_with = "or_none")]
    phases: Vec<Phase>,
}

impl Listed for Schedule {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Schedule {
    fn revision(&self) -> u64 {
        self.metadata.get(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn anchor(&self) -> Option<i64> {
        self.metadata
            .get(ANCHOR)
            .and_then(|text| text.parse().ok())
            .or(self.phases.first().map(|phase| phase.start_date))
    }

    fn is_over(&self) -> bool {
        match self.status {
            Status::NotStarted | Status::Active => false,
            Status::Completed | Status::Released | Status::Canceled => true,
        }
    }

    fn scheduled(self, existed: bool) -> Scheduled {
        let revision = self.revision();
        Scheduled { schedule_id: self.id, subscription_id: self.subscription, revision, existed }
    }
}

/// A schedule, and what time it was there.
struct Seen {
    schedule: Schedule,
    now: i64,
}

impl Stripe {
    pub(super) async fn create(&self, cause: &Cause, key: &str, plan: &BillingPlan) -> Result<Scheduled, Error> {
        if let Some(found) = self.of_contract(cause, plan).await? {
            return Ok(found.scheduled(true));
        }
        let mut form = Form::default();
        form.add("customer", &plan.customer);
        form.add("start_date", phases::start(plan)?);
        form.add("billing_mode[type]", "flexible");
        form.add("default_settings[collection_method]", "send_invoice");
        form.add("default_settings[invoice_settings][days_until_due]", plan.net_days);
        self.state(cause, &mut form, plan, None).await?;
        let url = self.client.url(&["v1", "subscription_schedules"]);
        match self.once(cause, (url, &form), (key, Sight::ALL), || self.of_contract(cause, plan)).await? {
            Made::Now(schedule) => Ok(Schedule::scheduled(schedule, false)),
            Made::Before(schedule) => Ok(schedule.scheduled(true)),
        }
    }

    /// What a plan says of a schedule, also of one that is there: phases from the current one on.
    async fn state(
        &self,
        cause: &Cause,
        form: &mut Form,
        plan: &BillingPlan,
        seen: Option<&Seen>,
    ) -> Result<(), Error> {
        form.add("end_behavior", phases::end_behaviour(plan.at_end));
        form.add(format!("metadata[{CONTRACT}]"), &plan.contract_id);
        form.add(format!("metadata[{REVISION}]"), plan.revision);
        form.add(format!("metadata[{ANCHOR}]"), phases::start(plan)?);
        form.add("metadata[tl_account_id]", &plan.account_id);
        form.add("metadata[tl_legal_entity_id]", &plan.legal_entity_id);
        super::mark(form, cause);
        let anchor = Anchor::new(phases::start(plan)?, &plan.zone)?;
        let running = seen.and_then(|seen| Some((seen.schedule.current_phase.as_ref()?.start_date, seen.now)));
        for (at, (phase, start)) in phases::from(plan, running)?.into_iter().enumerate() {
            let is_running = running.is_some_and(|(current, _)| current == start);
            let filled = self.phase(cause, plan, phase, is_running).await?;
            let prefix = format!("phases[{at}]");
            if seen.is_some() {
                form.add(format!("{prefix}[start_date]"), start);
            }
            form.add(format!("{prefix}[end_date]"), anchor.at(phase.end_on)?);
            form.within(&prefix, filled);
        }
        Ok(())
    }

    pub(super) async fn of_contract(&self, cause: &Cause, plan: &BillingPlan) -> Result<Option<Schedule>, Error> {
        let mut url = self.client.url(&["v1", "subscription_schedules"]);
        url.query_pairs_mut().append_pair("customer", &plan.customer);
        let is_ours = |found: &Schedule| found.metadata.get(CONTRACT) == Some(&plan.contract_id);
        let mut found = self.list(cause, url, is_ours).await?;
        if found.len() > 1 {
            return Err(Error::Refused {
                code: "BILLING_DUPLICATE",
                queue: queue::FINANCE,
                field: Some("contract_id".into()),
                reason: format!("several schedules bill the contract `{}`", plan.contract_id),
            });
        }
        Ok(found.pop())
    }

    pub(super) async fn found(&self, cause: &Cause, plan: &BillingPlan) -> Result<Option<Scheduled>, Error> {
        let found = self.of_contract(cause, plan).await?;
        Ok(found.filter(|found| found.revision() >= plan.revision).map(|found| found.scheduled(true)))
    }

    pub(super) async fn change(
        &self,
        cause: &Cause,
        key: &str,
        schedule: &ScheduleRef,
        plan: &BillingPlan,
    ) -> Result<Scheduled, Error> {
        let seen = self.seen(cause, schedule).await?;
        if seen.schedule.revision() >= plan.revision {
            return Ok(seen.schedule.scheduled(true));
        }
        if seen.schedule.is_over() {
            return Err(over(schedule));
        }
        let mut form = Form::default();
        form.add("proration_behavior", "create_prorations");
        form.add("default_settings[invoice_settings][days_until_due]", plan.net_days);
        self.state(cause, &mut form, plan, Some(&seen)).await?;
        let find = || async { self.with_revision(cause, schedule, plan.revision).await };
        self.update(cause, key, self.at(schedule, &[]), &form, find).await
    }

    async fn update<F>(
        &self,
        cause: &Cause,
        key: &str,
        url: Url,
        form: &Form,
        find: impl Fn() -> F,
    ) -> Result<Scheduled, Error>
    where
        F: Future<Output = Result<Option<Schedule>, Error>>,
    {
        match self.once(cause, (url, form), (key, Sight::ALL), find).await? {
            Made::Now(schedule) => Ok(Schedule::scheduled(schedule, false)),
            Made::Before(schedule) => Ok(schedule.scheduled(true)),
        }
    }

    async fn with_revision(
        &self,
        cause: &Cause,
        schedule: &ScheduleRef,
        revision: u64,
    ) -> Result<Option<Schedule>, Error> {
        Ok(Some(self.seen(cause, schedule).await?.schedule).filter(|found| found.revision() >= revision))
    }

    pub(super) async fn cancel(&self, cause: &Cause, key: &str, end: &ScheduleEnd) -> Result<Scheduled, Error> {
        let seen = self.seen(cause, &end.schedule).await?;
        if has_ended(&seen.schedule, end) {
            return Ok(seen.schedule.scheduled(true));
        }
        let first = seen.schedule.phases.first().map_or(i64::MIN, |phase| phase.start_date);
        let anchor = seen.schedule.anchor().map(|anchor| Anchor::new(anchor, &end.zone)).transpose()?;
        let ends_at = anchor.zip(end.end_on).map(|(anchor, day)| anchor.at(day)).transpose()?;
        let find = || async {
            let found = self.seen(cause, &end.schedule).await?.schedule;
            Ok(if has_ended(&found, end) { Some(found) } else { None })
        };
        let Some(at) = ends_at.filter(|at| *at > seen.now.max(first)) else {
            let mut form = Form::default();
            form.add("invoice_now", true);
            form.add("prorate", true);
            return self.update(cause, key, self.at(&end.schedule, &["cancel"]), &form, find).await;
        };
        let mut form = Form::default();
        form.add("end_behavior", "cancel");
        form.add(format!("metadata[{REVISION}]"), end.revision);
        form.add("metadata[tl_end_reason]", phases::cut(&end.reason));
        super::mark(&mut form, cause);
        let current = seen.schedule.current_phase.as_ref().map(|phase| phase.start_date);
        phases::ending(&mut form, &seen.schedule.phases, current, at);
        self.update(cause, key, self.at(&end.schedule, &[]), &form, find).await
    }

    pub(super) async fn end_found(&self, cause: &Cause, end: &ScheduleEnd) -> Result<Option<Scheduled>, Error> {
        let found = self.seen(cause, &end.schedule).await?.schedule;
        Ok(if has_ended(&found, end) { Some(found.scheduled(true)) } else { None })
    }

    fn at(&self, schedule: &ScheduleRef, more: &[&str]) -> Url {
        let mut segments = vec!["v1", "subscription_schedules", &*schedule.schedule_id];
        segments.extend(more);
        self.client.url(&segments)
    }

    async fn seen(&self, cause: &Cause, schedule: &ScheduleRef) -> Result<Seen, Error> {
        let answer = self.get(cause, self.at(schedule, &[])).await?;
        if problem(&answer).is_missing() {
            return Err(failure(true, &answer));
        }
        let now = clock(&answer)?;
        let schedule = read(false, &answer)?;
        Ok(Seen { schedule, now })
    }
}

/// Nothing is billed any more, or not after the day that was asked for.
fn has_ended(schedule: &Schedule, end: &ScheduleEnd) -> bool {
    schedule.is_over() || schedule.revision() >= end.revision
}

fn over(schedule: &ScheduleRef) -> Error {
    Error::Refused {
        code: "BILLING_OVER",
        queue: queue::REVENUE_OPERATIONS,
        field: Some("contract_id".into()),
        reason: format!("the schedule {} of {} is over", schedule.schedule_id, schedule.contract_id),
    }
}

/// The time at Stripe: this process' own clock may be wrong, and decides nothing about money.
fn clock(answer: &Answer) -> Result<i64, Error> {
    let text = answer.header("date").unwrap_or_default();
    let read = jiff::fmt::rfc2822::parse(text).map(|date| Timestamp::from(&date).as_second());
    read.map_err(|_| Error::Unavailable {
        system: SYSTEM,
        reason: format!("the answer has no date: `{text}`"),
        retry_after: None,
    })
}
