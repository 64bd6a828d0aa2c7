//! A few accounts that show all of a business: what a simulation of many schedules can afford.

use super::{BadOptions, Generated, Item, Options, stream};
use events::Event;
use std::collections::{BTreeMap, BTreeSet};

/// The records of some accounts, whole and in their order, that together show every kind of event that the business has; each account
/// brings the most new kinds for its length. Unreadable records are left out.
///
/// # Errors
/// As [`stream`].
pub fn covering(options: &Options) -> Result<Vec<Generated>, BadOptions> {
    let mut records: Vec<Generated> = stream(options)?.collect();
    records.retain(|generated| matches!(generated.item, Item::Event { .. }));
    let mut accounts: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
    for generated in &records {
        let account = accounts.entry(generated.key.clone()).or_default();
        account.0 += 1;
        account.1.extend(kind(generated));
    }
    let mut missing: BTreeSet<String> = accounts.values().flat_map(|(_, kinds)| kinds.iter().cloned()).collect();
    let mut chosen = BTreeSet::new();
    while !missing.is_empty() {
        let news = |kinds: &BTreeSet<String>| kinds.intersection(&missing).count();
        let best = accounts.iter().max_by(|(_, a), (_, b)| (news(&a.1) * b.0).cmp(&(news(&b.1) * a.0)));
        let Some((account, (_, kinds))) = best else { break };
        missing.retain(|kind| !kinds.contains(kind));
        chosen.insert(account.clone());
    }
    records.retain(|generated| chosen.contains(&generated.key));
    Ok(records)
}

/// What sort of event it is, as finely as services tell them apart.
fn kind(generated: &Generated) -> Option<String> {
    let Item::Event { event, .. } = &generated.item else { return None };
    let detail = match event {
        Event::ContractAmended(event) => event.amendment_type.to_string(),
        Event::ContractCancelled(event) => event.mode.to_string(),
        Event::PaymentDisputed(event) => event.status.to_string(),
        Event::PaymentRefunded(event) => event.reason.code.clone(),
        Event::UsageRated(event) => {
            format!("{} {}", event.late_arriving, event.corrects_usage_batch_id.is_some())
        }
        _ => String::new(),
    };
    Some(format!("{} {detail} {:?}", event.topic(), generated.fate))
}
