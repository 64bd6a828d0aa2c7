//! What crm-sync reads: every event of the business, renewals that are coming or do not come, and deals that cannot go on by themselves.

use events::{
    Case, Event, Notice, event_families,
    topics::{FALLOUT_CLOSED, FALLOUT_OPENED, SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE},
};

/// What customers are told is not for the CRM.
const NOTICES: [&str; 2] = [SUBSCRIPTION_RENEWAL_DECLINED, SUBSCRIPTION_RENEWAL_DUE];

/// What people decide comes back as the end of a case.
const CASES: [&str; 2] = [FALLOUT_CLOSED, FALLOUT_OPENED];

event_families! {
    pub enum CrmEvent {
        Notice(Notice) on NOTICES,
        Case(Case) on CASES,
    }
    rest Business(Event)
}
