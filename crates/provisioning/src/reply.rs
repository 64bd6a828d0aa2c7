//! What became of access, told to the bus: `entitlement.granted`, `entitlement.updated`, `entitlement.revoked`, and `provisioning.failed`
//! with the reason.
//!
//! A change is told in the transaction that records that the platform took it, so there is one event for each change and none without.
//! Ids and content follow from the change alone.

use crate::{
    document::Contract,
    fold::{Step, instant},
    plan::When,
    policy::Policy,
};
use connectors::{EntitlementState, EntitlementStatus};
use consumer::Publish;
use events::{
    EntitlementGranted, EntitlementRevoked, EntitlementUpdated, Envelope, Event, EventSet, ProvisioningFailed, Reply,
    common::{self, EntitlementReason, RejectionCode, RejectionReason},
    topics::{self, ENTITLEMENT_GRANTED, ENTITLEMENT_REVOKED, ENTITLEMENT_UPDATED, PROVISIONING_FAILED},
};
use failure::{Class, Failure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Who we are, as `ce_source`.
pub const SOURCE: &str = "urn:throughline:provisioning";

/// Writes events with the schemas that the registry knows under these ids.
#[derive(Debug, Clone)]
pub struct Replies {
    ids: BTreeMap<&'static str, u32>,
}

/// What all changes of one decision share.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub account_id: &'a str,
    pub contracts: &'a BTreeMap<String, Contract>,
    pub when: When,
    pub policy: &'a Policy,
}

impl Replies {
    pub const TOPICS: [&'static str; 4] =
        [ENTITLEMENT_GRANTED, ENTITLEMENT_UPDATED, ENTITLEMENT_REVOKED, PROVISIONING_FAILED];

    /// What events are written with.
    pub fn subjects() -> impl Iterator<Item = &'static topics::Subject> {
        Self::TOPICS.iter().filter_map(|topic| topics::find(topic))
    }

    /// `ids`: of the schema of each topic, by topic.
    #[must_use]
    pub const fn new(ids: BTreeMap<&'static str, u32>) -> Self {
        Self { ids }
    }

    pub(crate) fn change(&self, step: &Step, told: Told<'_>) -> Publish {
        let after = &step.after;
        let reply = match (&step.before, after.status) {
            (_, EntitlementStatus::Revoked) => Reply::from(revoked(step, told)),
            (None, EntitlementStatus::Active | EntitlementStatus::Suspended) => Reply::from(granted(step, told)),
            (Some(_), EntitlementStatus::Active | EntitlementStatus::Suspended) => Reply::from(updated(step, told)),
        };
        let revision = after.revision.to_string();
        let id = id(&[SOURCE, told.account_id, &after.entitlement_id, &revision]);
        let contract = told.contracts.get(&after.contract_id);
        self.record(&reply, id, contract.and_then(|contract| contract.correlation_id.clone()), None)
    }

    pub(crate) fn refusal(&self, event: &Event, failure: &Failure, cause: &Envelope, refusals: u32) -> Publish {
        let failed = ProvisioningFailed {
            account_id: event.account_id().to_owned(),
            entity_version: i64::from(refusals) + 1,
            effective_at: event.effective_at(),
            recorded_at: event.recorded_at(),
            legal_entity_id: event.legal_entity_id().to_owned(),
            failed_event_id: cause.id.clone(),
            failed_event_type: event.topic().to_owned(),
            failed_subject: event.subject().to_owned(),
            reasons: vec![reason(failure)],
            error_class: failure.class.to_string(),
            resubmittable: failure.class == Class::Business,
        };
        let number = refusals.to_string();
        let id = id(&[PROVISIONING_FAILED, &cause.source, &cause.id, &number]);
        let correlation_id = cause.correlation_id.clone();
        self.record(&Reply::from(failed), id, correlation_id, Some(cause))
    }

    fn record(&self, reply: &Reply, id: String, correlation_id: Option<String>, cause: Option<&Envelope>) -> Publish {
        let topic = reply.topic();
        let envelope = Envelope {
            id,
            source: SOURCE.to_owned(),
            event_type: topics::event_type(topic),
            time_ms: reply.recorded_at().as_millisecond(),
            subject: Some(reply.subject().to_owned()),
            correlation_id,
            causation_id: cause.map(|cause| cause.id.clone()),
            sequence: reply.entity_version().map(|version| format!("{version:010}").into()),
            dataschema: None,
            change_origin: None,
            traceparent: cause.and_then(|cause| cause.traceparent.clone()),
        };
        let schema = self.ids.get(topic).copied().unwrap_or_default();
        Publish {
            topic: topic.to_owned(),
            key: reply.account_id().to_owned(),
            value: Some(events::wire::frame(schema, &reply.encode_avro())),
            headers: envelope.to_headers(),
        }
    }
}

fn id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn status(status: EntitlementStatus) -> common::EntitlementStatus {
    match status {
        EntitlementStatus::Active => common::EntitlementStatus::Active,
        EntitlementStatus::Suspended => common::EntitlementStatus::Suspended,
        EntitlementStatus::Revoked => common::EntitlementStatus::Revoked,
    }
}

fn version(after: &EntitlementState) -> i64 {
    i64::try_from(after.revision).unwrap_or(i64::MAX)
}

fn granted(step: &Step, told: Told<'_>) -> EntitlementGranted {
    let after = &step.after;
    EntitlementGranted {
        account_id: told.account_id.to_owned(),
        entity_version: version(after),
        effective_at: told.when.effective_at,
        recorded_at: told.when.recorded_at,
        legal_entity_id: step.legal_entity_id.clone(),
        entitlement_id: after.entitlement_id.clone(),
        contract_id: after.contract_id.clone(),
        contract_line_id: after.contract_line_id.clone(),
        feature_key: after.feature.clone(),
        quantity: after.quantity,
        status: status(after.status),
        valid_from: after.valid_from,
        valid_to: after.valid_to,
        reason: step.reason,
        policy_version: Some(told.policy.revision.clone()),
    }
}

fn updated(step: &Step, told: Told<'_>) -> EntitlementUpdated {
    let after = &step.after;
    EntitlementUpdated {
        account_id: told.account_id.to_owned(),
        entity_version: version(after),
        effective_at: told.when.effective_at,
        recorded_at: told.when.recorded_at,
        legal_entity_id: step.legal_entity_id.clone(),
        entitlement_id: after.entitlement_id.clone(),
        contract_id: after.contract_id.clone(),
        contract_line_id: after.contract_line_id.clone(),
        feature_key: after.feature.clone(),
        quantity: after.quantity,
        status: status(after.status),
        valid_from: after.valid_from,
        valid_to: after.valid_to,
        reason: step.reason,
        policy_version: Some(told.policy.revision.clone()),
    }
}

fn revoked(step: &Step, told: Told<'_>) -> EntitlementRevoked {
    let after = &step.after;
    EntitlementRevoked {
        account_id: told.account_id.to_owned(),
        entity_version: version(after),
        effective_at: told.when.effective_at,
        recorded_at: told.when.recorded_at,
        legal_entity_id: step.legal_entity_id.clone(),
        entitlement_id: after.entitlement_id.clone(),
        contract_id: after.contract_id.clone(),
        contract_line_id: after.contract_line_id.clone(),
        feature_key: after.feature.clone(),
        reason: step.reason,
        grace_until: step.ends_ms.filter(|_| step.reason == EntitlementReason::Cancelled).map(instant),
        policy_version: Some(told.policy.revision.clone()),
    }
}

fn reason(failure: &Failure) -> RejectionReason {
    let code = match failure.code.as_ref() {
        "PRODUCT_UNMAPPED" | "FEATURE_UNKNOWN" => RejectionCode::UnmappedProduct,
        _ => RejectionCode::Unknown,
    };
    RejectionReason {
        code,
        path: failure.field.clone(),
        message: format!("{}: {}", failure.code, failure.reason),
        fix_hint: failure::explain(&failure.code).map(|explanation| explanation.action.to_owned()),
        owner_queue: failure.owner.clone(),
    }
}
