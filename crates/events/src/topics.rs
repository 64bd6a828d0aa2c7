//! Topics, their subjects in the schema registry, and the event types they carry.

pub use crate::generated::SUBJECTS;
pub use crate::generated::{
    ANALYTICS_ACCOUNT_BALANCE, ANALYTICS_CONTRACT, ANALYTICS_EVENT_RECOVERY, ANALYTICS_INVOICE_ACCURACY,
    ANALYTICS_INVOICE_LINE, ANALYTICS_MRR_MOVEMENT, ANALYTICS_ORDER_STEP, ANALYTICS_ORDER_TO_ACTIVATION,
    ANALYTICS_PAYMENT, ANALYTICS_SUBSCRIPTION, ANALYTICS_SYNC_LATENCY, ANALYTICS_USAGE, CONTRACT_ACTIVATED,
    CONTRACT_AMENDED, CONTRACT_AMENDMENT_DECLINED, CONTRACT_AMENDMENT_REQUESTED, CONTRACT_CANCELLED,
    CREDIT_NOTE_ISSUED, CUSTOMER_CREDIT_HOLD_CHANGED, CUSTOMER_ONBOARDED, ENTITLEMENT_GRANTED, ENTITLEMENT_REVOKED,
    ENTITLEMENT_UPDATED, FALLOUT_CLOSED, FALLOUT_DECIDED, FALLOUT_OPENED, INVOICE_MARKED_UNCOLLECTIBLE, INVOICE_POSTED,
    INVOICE_VOIDED, JOURNAL_POSTED, NOTIFICATION_REQUESTED, OPPORTUNITY_CLOSED_WON, OPPORTUNITY_REOPENED,
    ORDER_ACCEPTED, ORDER_CANCEL_REQUESTED, ORDER_CANCELLED, ORDER_REJECTED, ORDER_REQUESTED, PAYMENT_DISPUTED,
    PAYMENT_FAILED, PAYMENT_RECEIVED, PAYMENT_REFUNDED, PROVISIONING_FAILED, QUOTE_ACCEPTED, SAGA_STEP,
    SUBSCRIPTION_RENEWAL_ACCEPTED, SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE, USAGE_RATED,
    USAGE_THRESHOLD_EXCEEDED,
};

/// What our own publishers put before `throughline.<topic>` in `ce_type`; readers accept any prefix.
pub const TYPE_PREFIX: &str = "com.example.";

/// Facts are appended and never deleted; a state topic is compacted and a null value deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Fact,
    State,
}

impl Kind {
    /// The compatibility level its subject has in the registry.
    #[must_use]
    pub const fn compatibility(self) -> &'static str {
        match self {
            Self::Fact => "BACKWARD_TRANSITIVE",
            Self::State => "FULL_TRANSITIVE",
        }
    }
}

/// Who publishes a topic for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// What happened to the business; the services read it.
    Commercial,
    /// What a service says of what it did outside.
    Reply,
    /// What data teams read.
    Analytics,
    /// What happens to deals, and what is asked of the contracts that came of them.
    Deal,
    /// What a process asks another service for.
    Request,
    /// Cases that people have to decide.
    Case,
    /// What happens to processes.
    Saga,
    /// What is coming up, and what customers are to be told of it.
    Notice,
}

/// One topic and the schema its values are written with.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Such as `invoice.posted.v1`.
    pub topic: &'static str,
    /// `<topic>-value`.
    pub subject: &'static str,
    /// Full name of the record.
    pub full_name: &'static str,
    /// The newest schema, shared types inlined: register it as it is.
    pub schema: &'static str,
    pub kind: Kind,
    pub family: Family,
    /// The team that publishes it.
    pub owner: &'static str,
    /// The field that `ce_subject` repeats.
    pub subject_field: &'static str,
    /// The field that is the record key.
    pub key_field: &'static str,
}

/// The topics of one family.
pub fn of_family(family: Family) -> impl Iterator<Item = &'static Subject> {
    SUBJECTS.iter().filter(move |subject| subject.family == family)
}

/// The subject of a topic.
#[must_use]
pub fn find(topic: &str) -> Option<&'static Subject> {
    SUBJECTS.iter().find(|subject| subject.topic == topic)
}

/// `ce_type` of our own publishers for a topic.
#[must_use]
pub fn event_type(topic: &str) -> String {
    format!("{TYPE_PREFIX}throughline.{topic}")
}

/// The topic that events of this `ce_type` belong to, whatever its prefix.
#[must_use]
pub fn of_type(event_type: &str) -> Option<&'static Subject> {
    SUBJECTS.iter().find(|subject| type_matches(event_type, subject.topic))
}

/// Whether `ce_type` is `<reverse-dns>.throughline.<topic>`.
#[must_use]
pub fn type_matches(event_type: &str, topic: &str) -> bool {
    event_type
        .strip_suffix(topic)
        .and_then(|rest| rest.strip_suffix("throughline."))
        .is_some_and(|prefix| prefix.is_empty() || prefix.len() > 1 && prefix.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_names_its_topic_behind_any_prefix() {
        assert_eq!(of_type(&event_type(INVOICE_POSTED)).map(|s| s.topic), Some(INVOICE_POSTED));
        assert_eq!(of_type("org.acme.billing.throughline.invoice.posted.v1").map(|s| s.topic), Some(INVOICE_POSTED));
        for wrong in [
            "invoice.posted.v1",
            "com.acme.invoice.posted.v1",
            "xthroughline.invoice.posted.v1",
            "throughline.invoice.posted.v2",
        ] {
            assert!(of_type(wrong).is_none(), "{wrong}");
        }
    }
}
