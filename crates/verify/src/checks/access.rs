//! I4 for access: each entitlement stands in the product platform as it was told last, and none stands there that was never told.

use super::Finding;
use crate::{Check, Known, effects::Standing};
use events::{Reply, common::EntitlementStatus};
use std::collections::BTreeMap;

/// The newest change of each entitlement, by its revision: copies and the order of topics make no difference.
#[derive(Default)]
pub struct Told(BTreeMap<String, Standing>);

const fn name(status: EntitlementStatus) -> &'static str {
    match status {
        EntitlementStatus::Active => "active",
        EntitlementStatus::Suspended => "suspended",
        EntitlementStatus::Revoked => "revoked",
        EntitlementStatus::Unknown => "unknown",
    }
}

impl Told {
    pub fn take(&mut self, reply: &Reply) {
        let (id, revision, status) = match reply {
            Reply::EntitlementGranted(e) => (&e.entitlement_id, e.entity_version, name(e.status)),
            Reply::EntitlementUpdated(e) => (&e.entitlement_id, e.entity_version, name(e.status)),
            Reply::EntitlementRevoked(e) => (&e.entitlement_id, e.entity_version, "revoked"),
            _ => return,
        };
        if self.0.get(id).is_none_or(|known| known.revision < revision) {
            self.0.insert(id.clone(), Standing { revision, status: status.to_owned() });
        }
    }

    pub fn finish(self, known: &Known) -> Check {
        let mut finding = Finding::new();
        let mut stands = known.access.clone().unwrap_or_default();
        let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
        for (id, told) in self.0 {
            let there = stands.remove(&id);
            finding.expect(there.as_ref() == Some(&told), || {
                let there = there.map_or("absent".to_owned(), |there| format!("{} r{}", there.status, there.revision));
                format!("{id}: told {} r{}, there {there}", told.status, told.revision)
            });
            *by_status.entry(told.status).or_default() += 1;
        }
        for (id, there) in stands {
            finding.expect(false, || format!("{id}: {} r{} was never told", there.status, there.revision));
        }
        let mut check = finding.check("I4", "each entitlement stands as it was told last", "entitlements");
        if check.ok {
            let parts: Vec<_> = by_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
            check.detail = format!("{} entitlements: {}", check.counted, parts.join(", "));
        }
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalView;
    use events::{EntitlementGranted, EntitlementRevoked};

    fn granted(id: &str) -> Reply {
        let (entitlement_id, status) = (id.to_owned(), EntitlementStatus::Active);
        EntitlementGranted { entitlement_id, entity_version: 1, status, ..EntitlementGranted::default() }.into()
    }

    fn revoked(id: &str) -> Reply {
        EntitlementRevoked { entitlement_id: id.to_owned(), entity_version: 2, ..EntitlementRevoked::default() }.into()
    }

    fn checked(told: &[Reply], there: &[(&str, &str, i64)]) -> Check {
        let mut all = Told::default();
        told.iter().for_each(|reply| all.take(reply));
        let stands = there.iter().map(|(id, status, revision)| {
            ((*id).to_owned(), Standing { revision: *revision, status: (*status).to_owned() })
        });
        all.finish(&Known {
            journal: JournalView::default(),
            effects: Some(Vec::new()),
            waiting: BTreeMap::new(),
            owed: None,
            access: Some(stands.collect()),
            course: None,
            service: "provisioning".to_owned(),
        })
    }

    #[test]
    fn access_is_as_it_was_told_last_whatever_the_order_of_the_topics() {
        let check = checked(&[revoked("e"), granted("e"), granted("e")], &[("e", "revoked", 2)]);
        assert!(check.ok && check.detail.contains("1 revoked"), "{}", check.detail);
    }

    #[test]
    fn access_that_was_not_told_or_told_and_not_given_is_found() {
        for (told, there) in [
            (vec![granted("e"), revoked("e")], vec![("e", "active", 1)]),
            (vec![granted("e")], vec![]),
            (vec![], vec![("e", "active", 1)]),
        ] {
            let check = checked(&told, &there);
            assert!(!check.ok && check.detail.contains("e: "), "{}", check.detail);
        }
    }
}
