//! Who may do what, on which service. A role is a fixed set of rights; a grant is a role, for all services or for one.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// One thing that somebody may do. Each route of the API asks for exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// See groups, letters without their bodies, jobs, statistics.
    DlqRead,
    /// See decoded bodies and headers; personal data stays masked.
    DlqPayloadRead,
    /// See personal data and raw bytes. Each use is on the record.
    DlqPayloadUnmask,
    DlqExport,
    /// Acknowledge, archive or resolve a group: changes what people see, not what happens.
    DlqAcknowledge,
    /// Plan and start jobs that process letters again.
    DlqRetry,
    DlqEdit,
    /// Agree to what somebody else edited.
    DlqEditApprove,
    DlqDiscard,
    /// Put standing rules there and take them away: what happens to letters without anybody looking at each.
    DlqRule,
    /// See personal data and raw bytes in an export. Each use is on the record.
    DlqExportUnmask,
    /// Bring exported letters back to the service, mended or not.
    DlqImport,
    /// Put letters on another topic for good.
    DlqMove,
    /// End letters of a person who is to be forgotten, and delete what is in them for good.
    DlqErase,
    /// Show letters once more to every reader of the topic that they came from.
    DlqOriginal,
    /// Put records of a topic to one service again.
    Replay,
    JobCancel,
    AuditRead,
}

impl Right {
    pub const ALL: [Self; 18] = [
        Self::DlqRead,
        Self::DlqPayloadRead,
        Self::DlqPayloadUnmask,
        Self::DlqExport,
        Self::DlqAcknowledge,
        Self::DlqRetry,
        Self::DlqEdit,
        Self::DlqEditApprove,
        Self::DlqDiscard,
        Self::DlqRule,
        Self::DlqExportUnmask,
        Self::DlqImport,
        Self::DlqMove,
        Self::DlqErase,
        Self::DlqOriginal,
        Self::Replay,
        Self::JobCancel,
        Self::AuditRead,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DlqRead => "dlq.read",
            Self::DlqPayloadRead => "dlq.payload.read",
            Self::DlqPayloadUnmask => "dlq.payload.unmask",
            Self::DlqExport => "dlq.export",
            Self::DlqAcknowledge => "dlq.acknowledge",
            Self::DlqRetry => "dlq.retry",
            Self::DlqEdit => "dlq.edit",
            Self::DlqEditApprove => "dlq.edit.approve",
            Self::DlqDiscard => "dlq.discard",
            Self::DlqRule => "dlq.rule",
            Self::DlqExportUnmask => "dlq.export.unmask",
            Self::DlqImport => "dlq.import",
            Self::DlqMove => "dlq.move",
            Self::DlqErase => "dlq.erase",
            Self::DlqOriginal => "dlq.retry.original",
            Self::Replay => "replay",
            Self::JobCancel => "job.cancel",
            Self::AuditRead => "audit.read",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What somebody is, in the words of the identity provider or of the token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Sees what is stuck, never what is in it.
    Viewer,
    /// Mends technical failures: sees masked bodies, retries, runs jobs.
    Operator,
    /// Decides on business exceptions: an operator who also edits, discards and agrees to others' edits.
    Steward,
    /// Reads the audit, and nothing that has a body.
    Auditor,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Operator, Self::Steward, Self::Auditor, Self::Admin];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Steward => "steward",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// What this role may do.
    #[must_use]
    pub const fn allows(self, right: Right) -> bool {
        use Right::{
            AuditRead, DlqAcknowledge, DlqDiscard, DlqEdit, DlqEditApprove, DlqExport, DlqImport, DlqMove,
            DlqPayloadRead, DlqRead, DlqRetry, DlqRule, JobCancel, Replay,
        };
        match self {
            Self::Viewer => matches!(right, DlqRead),
            Self::Operator => {
                matches!(right, DlqRead | DlqPayloadRead | DlqExport | DlqAcknowledge | DlqRetry | Replay | JobCancel)
            }
            Self::Steward => matches!(
                right,
                DlqRead
                    | DlqPayloadRead
                    | DlqExport
                    | DlqAcknowledge
                    | DlqRetry
                    | JobCancel
                    | DlqEdit
                    | DlqEditApprove
                    | DlqDiscard
                    | DlqRule
                    | DlqImport
                    | DlqMove
                    | Replay
            ),
            Self::Auditor => matches!(right, DlqRead | AuditRead),
            Self::Admin => true,
        }
    }
}

/// A role, for one service or (`None`) for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    pub role: Role,
    pub service: Option<String>,
}

/// `operator` or `operator:erp-sync`.
impl FromStr for Grant {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (role, service) = match word.split_once(':') {
            Some((role, service)) if !service.is_empty() => (role, Some(service.to_owned())),
            Some(_) => return Err(format!("`{word}` names no service behind its colon")),
            None => (word, None),
        };
        let known = || Role::ALL.map(Role::as_str).join(", ");
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
        let role = role.ok_or_else(|| format!("`{word}` is no role; there are {}", known()))?;
        Ok(Self { role, service })
    }
}

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the audit calls them.
    pub name: String,
    pub grants: BTreeSet<Grant>,
}

impl Caller {
    /// Whether they may do it on this service.
    #[must_use]
    pub fn may(&self, right: Right, service: &str) -> bool {
        let is_for = |grant: &&Grant| grant.service.as_deref().is_none_or(|own| own == service);
        self.grants.iter().filter(is_for).any(|grant| grant.role.allows(right))
    }

    /// Whether they may do it anywhere.
    #[must_use]
    pub fn may_somewhere(&self, right: Right) -> bool {
        self.grants.iter().any(|grant| grant.role.allows(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grants: &[&str]) -> Caller {
        let grants = grants.iter().map(|grant| grant.parse().expect("a grant")).collect();
        Caller { name: "ada".to_owned(), grants }
    }

    #[test]
    fn a_role_for_one_service_gives_nothing_on_another() {
        let ada = caller(&["viewer", "steward:erp-sync"]);
        assert!(ada.may(Right::DlqEdit, "erp-sync") && !ada.may(Right::DlqEdit, "analytics-feed"));
        assert!(ada.may(Right::DlqRead, "analytics-feed"));
        assert!(!ada.may_somewhere(Right::DlqPayloadUnmask));
    }

    #[test]
    fn only_the_administrator_sees_personal_data_and_nobody_edits_without_reading() {
        for role in Role::ALL {
            for personal in [Right::DlqPayloadUnmask, Right::DlqExportUnmask] {
                assert_eq!(role.allows(personal), role == Role::Admin, "{role:?}");
            }
            assert!(!role.allows(Right::DlqEdit) || role.allows(Right::DlqPayloadRead), "{role:?}");
            assert!(role.allows(Right::DlqRead), "{role:?}");
        }
    }

    #[test]
    fn a_grant_that_names_no_role_or_no_service_is_refused() {
        assert!("boss".parse::<Grant>().unwrap_err().contains("viewer, operator"));
        assert!("viewer:".parse::<Grant>().is_err());
    }
}
