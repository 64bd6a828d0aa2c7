//! Letters by cause.

use super::{
    page::{self, Letters, Page},
    typed,
};
use crate::{
    app::Session,
    error::{Error, Result},
    letters::{LetterId, Money, Seen, Selection, kind, time},
};
use failure::Failure;
use ledger::{GroupState, LetterGroup};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

#[derive(Deserialize)]
struct Input {
    #[serde(flatten)]
    selection: Selection,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
struct Change {
    fingerprint: String,
    service: String,
    state: GroupState,
    until: Option<String>,
    reason: String,
}

/// Says what people think of a cause.
pub(super) async fn change(session: &Session<'_>, input: Value) -> Result<Value> {
    let Change { fingerprint, service, state, until, reason } = typed(input)?;
    let now = session.app.now_ms();
    let until_ms = until.and_then(|until| until.parse::<jiff::Timestamp>().ok()).map(jiff::Timestamp::as_millisecond);
    match (state, until_ms) {
        (GroupState::Archived, Some(until)) if until > now => {}
        (GroupState::Archived, _) => {
            return Err(
                Error::invalid("archiving needs `until`, a point in time to come").hint("nothing is archived for ever")
            );
        }
        (GroupState::Acknowledged | GroupState::Resolved, None) => {}
        (GroupState::Acknowledged | GroupState::Resolved, Some(_)) => {
            return Err(Error::invalid("`until` belongs to archiving"));
        }
    }
    let ledger = session.ledger(&service).await?;
    let filter = ledger::ParkedFilter { fingerprint: Some(fingerprint.clone()), limit: 1, ..Default::default() };
    if ledger.parked_records(&filter).await?.is_empty() {
        let hint = "`throughline dlq groups` shows all";
        return Err(Error::not_found(format!("{service} has no group {fingerprint}")).hint(hint));
    }
    let before = ledger.letter_groups().await?.into_iter().find(|group| group.fingerprint == fingerprint);
    let who = session.caller.name.clone();
    let group = LetterGroup { fingerprint, state, until_ms, who, note: Some(reason.clone()), updated_ms: now };
    let mut audit = session.audit("group.state", &format!("{service}/{}", group.fingerprint), &reason);
    audit.before = before.map(|before| json!(before).to_string());
    audit.after = Some(json!(group).to_string());
    ledger.put_letter_group(&group, &audit).await?;
    Ok(
        json!({ "group": { "service": service, "fingerprint": group.fingerprint, "state": state, "until": until_ms.and_then(time) } }),
    )
}

/// What people said of the causes of these services.
async fn known(session: &Session<'_>, services: BTreeSet<&str>) -> Result<BTreeMap<(String, String), LetterGroup>> {
    let mut known = BTreeMap::new();
    for service in services {
        let groups = session.ledger(service).await?.letter_groups().await?;
        known.extend(groups.into_iter().map(|group| ((service.to_owned(), group.fingerprint.clone()), group)));
    }
    Ok(known)
}

/// A resolved cause that comes back has regressed; an archived one shows again when its time is over.
fn state(known: Option<&LetterGroup>, last_ms: i64, now_ms: i64) -> &'static str {
    match known {
        None => "new",
        Some(group) => match group.state {
            GroupState::Resolved if last_ms > group.updated_ms => "regressed",
            GroupState::Archived if group.until_ms.is_none_or(|until| until <= now_ms) => "new",
            state => state.as_str(),
        },
    }
}

/// One cause.
struct Group {
    sample: LetterId,
    failure: Option<Failure>,
    topic: String,
    count: u64,
    /// Hashes of the sequences: their number is all that is told.
    keys: HashSet<u64>,
    money: Option<Money>,
    first_ms: i64,
    last_ms: i64,
}

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { selection, page } = typed(input)?;
    let left_out = page::too_many_for_money(session, &selection).await?;
    let letters = Letters::of(session, &selection, left_out.is_none()).await?;
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    letters
        .each(|letter| {
            if let Some(fingerprint) = crate::letters::fingerprint(&letter.id.service, &letter.record) {
                let place = (letter.id.service.clone(), fingerprint);
                groups.entry(place).or_insert_with(|| Group::of(&letter, left_out.is_none())).add(&letter);
            }
            Ok(())
        })
        .await?;
    let known = known(session, groups.keys().map(|(service, _)| service.as_str()).collect()).await?;
    let outlooks =
        super::rules::outlooks(session, groups.keys().map(|(service, _)| service.as_str()).collect()).await?;
    let now = session.app.now_ms();
    let rows: Vec<Value> = groups
        .iter()
        .map(|(key, group)| {
            let mut row = group.row(&key.0, &key.1, known.get(key), now);
            row["now"] = json!(outlooks.get(key));
            row
        })
        .filter(|row| selection.all || row["state"] != "archived")
        .collect();
    let (rows, next) = page.cut(rows, |row| format!("{} {}", row["service"], row["fingerprint"]))?;
    Ok(json!({ "groups": rows, "next": next, "money": left_out }))
}

impl Group {
    fn of(first: &Seen, with_money: bool) -> Self {
        let at = first.record.parked_ms;
        let failure = first.record.fate.failure.clone();
        let money = with_money.then(Money::default);
        let topic = first.record.topic.clone();
        let sample = first.id.clone();
        Self { sample, failure, topic, count: 0, keys: HashSet::new(), money, first_ms: at, last_ms: at }
    }

    fn add(&mut self, letter: &Seen) {
        self.count += 1;
        let mut hasher = DefaultHasher::new();
        (letter.id.slice, &letter.id.sequence).hash(&mut hasher);
        self.keys.insert(hasher.finish());
        if let Some(money) = &mut self.money {
            money.add_all(&letter.money);
        }
        self.first_ms = self.first_ms.min(letter.record.parked_ms);
        self.last_ms = self.last_ms.max(letter.record.parked_ms);
    }

    fn row(&self, service: &str, fingerprint: &str, known: Option<&LetterGroup>, now_ms: i64) -> Value {
        let failure = self.failure.as_ref();
        json!({
            "service": service,
            "fingerprint": fingerprint,
            "class": failure.map(|failure| failure.class),
            "kind": failure.map(|failure| kind(failure.class)),
            "state": state(known, self.last_ms, now_ms),
            "until": known.and_then(|known| known.until_ms).and_then(time),
            "by": known.map(|known| &known.who),
            "note": known.and_then(|known| known.note.as_ref()),
            "code": failure.map(|failure| &failure.code),
            "step": failure.and_then(|failure| failure.stage),
            "topic": self.topic,
            "reason": failure.map(|failure| &failure.reason),
            "owner": failure.and_then(|failure| failure.owner.as_ref()),
            "count": self.count,
            "keys": self.keys.len(),
            "at_risk": self.money,
            "first": time(self.first_ms),
            "last": time(self.last_ms),
            "sample": self.sample.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_new_until_people_say_otherwise_and_comes_back_by_itself() {
        let group = |state, until_ms| LetterGroup {
            fingerprint: "v1:1".to_owned(),
            state,
            until_ms,
            who: "ada".to_owned(),
            note: None,
            updated_ms: 100,
        };
        assert_eq!(state(None, 50, 200), "new");
        assert_eq!(state(Some(&group(GroupState::Acknowledged, None)), 150, 200), "acknowledged");
        assert_eq!(state(Some(&group(GroupState::Resolved, None)), 50, 200), "resolved");
        assert_eq!(state(Some(&group(GroupState::Resolved, None)), 150, 200), "regressed");
        assert_eq!(state(Some(&group(GroupState::Archived, Some(300))), 150, 200), "archived");
        assert_eq!(state(Some(&group(GroupState::Archived, Some(300))), 150, 301), "new");
    }
}
