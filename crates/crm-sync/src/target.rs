//! Carries effects out over the connector. What may be sent twice and what must be looked up first is the runtime's business; here
//! effects of one kind become one call of one capability.

use crate::effect::CrmEffect;
use async_trait::async_trait;
use connectors::{Answers, Cause, Crm, CrmObject, Recorded};
use consumer::{Intent, Limits, Receipt, Target};
use failure::Failure;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The CRM as the runtime sees it.
pub struct CrmTarget {
    crm: Arc<dyn Crm>,
    visibility: Duration,
}

/// Sends all intents that match a variant in one call, and puts the answers where the intents stood.
macro_rules! send {
    ($intents:ident, $answers:ident, $variant:ident { $shown:ident } => $call:expr) => {{
        let mut places = Vec::new();
        let mut batch = Vec::new();
        for (place, intent) in $intents.iter().enumerate() {
            if let CrmEffect::$variant { $shown, .. } = &intent.effect {
                places.push(place);
                batch.push((cause(intent), $shown));
            }
        }
        if !batch.is_empty() {
            let found: Answers = $call(&batch).await;
            places.into_iter().zip(found).for_each(|(place, answer)| $answers[place] = Some(answer));
        }
    }};
}

impl CrmTarget {
    /// `visibility`: how long a record may stay invisible to a look-up after the call that wrote it.
    #[must_use]
    pub fn new(crm: Arc<dyn Crm>, visibility: Duration) -> Self {
        Self { crm, visibility }
    }
}

#[async_trait]
impl Target<CrmEffect> for CrmTarget {
    async fn apply(&self, intents: &[Intent<CrmEffect>]) -> Vec<Result<Receipt, Failure>> {
        let mut answers: Vec<Option<Result<Recorded, connectors::Error>>> = intents.iter().map(|_| None).collect();
        send!(intents, answers, EnsureAccount { account } => |batch| self.crm.ensure_accounts(batch));
        send!(intents, answers, ShowContract { contract } => |batch| self.crm.show_contracts(batch));
        send!(intents, answers, ShowReceivable { receivable } => |batch| self.crm.show_receivables(batch));
        send!(intents, answers, ShowUsage { usage } => |batch| self.crm.show_usage(batch));
        send!(intents, answers, OpenTask { task } => |batch| self.crm.open_tasks(batch));
        send!(intents, answers, ShowCase { case } => |batch| self.crm.show_cases(batch));
        send!(intents, answers, ShowRenewal { renewal } => |batch| self.crm.show_renewals(batch));
        let one = |answer: Option<Result<Recorded, connectors::Error>>| match answer {
            Some(answer) => answer.map(receipt).map_err(Failure::from),
            None => Err(Failure::unknown("OUTCOME_UNKNOWN", "the connector gave no answer for this record")),
        };
        answers.into_iter().map(one).collect()
    }

    async fn look_up(&self, intent: &Intent<CrmEffect>) -> Result<Option<Receipt>, Failure> {
        let cause = cause(intent);
        let (object, ours) = match &intent.effect {
            CrmEffect::EnsureAccount { account } => (CrmObject::Account, account.account_id.clone()),
            CrmEffect::ShowContract { contract, .. } => (CrmObject::Contract, contract.contract_id.clone()),
            CrmEffect::ShowReceivable { receivable, .. } => (CrmObject::Receivable, receivable.receivable_id()),
            CrmEffect::ShowUsage { usage, .. } => (CrmObject::Usage, usage.threshold_id.clone()),
            CrmEffect::OpenTask { task } => (CrmObject::Task, task.task_id()),
            CrmEffect::ShowCase { case, .. } => (CrmObject::Task, case.task_id()),
            CrmEffect::ShowRenewal { renewal } => (CrmObject::Renewal, renewal.renewal_id.clone()),
        };
        let found = self.crm.find_shown(&cause, object, &ours).await;
        found.map(|found| found.map(receipt)).map_err(Failure::from)
    }

    fn limits(&self) -> Limits {
        Limits {
            batch: self.crm.most_records(),
            concurrency: self.crm.concurrency(),
            per_second: self.crm.per_second(),
            visibility_ms: i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

fn cause(intent: &Intent<CrmEffect>) -> Cause {
    Cause {
        event_id: intent.event_id.clone(),
        correlation_id: intent.correlation_id.clone(),
        account_id: intent.effect.account_id().to_owned(),
        traceparent: intent.traceparent.clone(),
    }
}

/// The CRM's own id is not always told, so that what is kept is the id that we gave the record.
fn receipt(recorded: Recorded) -> Receipt {
    let details = match recorded.id {
        id if id.is_empty() => BTreeMap::new(),
        id => BTreeMap::from([("crm_id".to_owned(), id)]),
    };
    Receipt { external_id: recorded.external_id, details }
}
