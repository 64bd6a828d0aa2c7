//! Standing rules, and what services say today's code would do about the letters of a cause.

use super::{elsewhere, typed};
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    lane,
    letters::time,
    rights::Right,
};
use failure::Class;
use ledger::{Destination, LetterRule, Outlook, RuleAction};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct List {
    service: Option<String>,
}

#[derive(Deserialize)]
struct Add {
    service: String,
    owner: String,
    action: String,
    every: Option<String>,
    to: Option<String>,
    ends: String,
    class: Option<Class>,
    code: Option<String>,
    group: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
struct Remove {
    id: String,
    service: String,
    reason: String,
}

/// The longest a rule may stand: whoever still wants it then says so again.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let List { service } = typed(input)?;
    let mut rows = Vec::new();
    for service in session.services(service.as_deref()).await? {
        let ledger = match session.ledger(&service).await {
            Ok(ledger) => ledger,
            Err(error) if error.code == "NO_LEDGER" => continue,
            Err(error) => return Err(error),
        };
        let now = session.app.now_ms();
        rows.extend(ledger.letter_rules().await?.iter().map(|rule| shown(&service, rule, now)));
    }
    Ok(json!({ "rules": rows }))
}

pub(super) async fn add(session: &Session<'_>, input: Value) -> Result<Value> {
    let wanted: Add = typed(input)?;
    let ledger = session.ledger(&wanted.service).await?;
    let (service, reason) = (wanted.service.clone(), wanted.reason.clone());
    let action = wanted.action()?;
    let needs = match action {
        Wanted::Retry { .. } => Right::DlqRetry,
        Wanted::Discard => Right::DlqDiscard,
        Wanted::Redirect { .. } => Right::DlqMove,
    };
    session.must(needs, &service).await?;
    let action = match action {
        Wanted::Retry { every_ms } => RuleAction::Retry { every_ms },
        Wanted::Discard => RuleAction::Discard,
        Wanted::Redirect { topic } => RuleAction::Redirect(destination(session, &service, topic).await?),
    };
    let rule = wanted.rule(session, action)?;
    let mut audit = session.audit("rule.add", &format!("{service}/{}", rule.id), &reason);
    audit.after = Some(json!(rule).to_string());
    ledger.add_letter_rule(&rule, &audit).await?;
    Ok(json!({ "rule": shown(&service, &rule, session.app.now_ms()) }))
}

/// What a rule is asked to do, before anybody has looked whether it can.
enum Wanted {
    Retry { every_ms: i64 },
    Discard,
    Redirect { topic: String },
}

/// Where a rule sends letters: a topic that is there, and that may be written to. The rights of the service itself decide in the end.
async fn destination(session: &Session<'_>, service: &str, topic: String) -> Result<Destination> {
    elsewhere::allowed(service, &topic, &BTreeSet::new())?;
    let partitions = i32::try_from(lane::ends(&session.app.kafka, &topic).await?.len()).unwrap_or(i32::MAX);
    Ok(Destination { topic, partitions })
}

impl Add {
    fn action(&self) -> Result<Wanted> {
        match (self.action.as_str(), self.every.as_deref(), self.to.clone()) {
            ("retry", Some(every), None) => Ok(Wanted::Retry { every_ms: millis(every)? }),
            ("retry" | "discard", _, Some(_)) => Err(Error::invalid("`to` belongs to rules that redirect")),
            ("retry", None, None) => Err(Error::invalid("a rule that retries needs `every`").hint("such as 1h")),
            ("redirect", None, Some(topic)) => Ok(Wanted::Redirect { topic }),
            ("redirect", _, None) => Err(Error::invalid("a rule that redirects needs `to`, a topic")),
            (_, None, _) => Ok(Wanted::Discard),
            (_, Some(_), _) => Err(Error::invalid("`every` belongs to rules that retry")),
        }
    }

    fn rule(self, session: &Session<'_>, action: RuleAction) -> Result<LetterRule> {
        let now = session.app.now_ms();
        let ends_ms = self.ends.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
        let ends_ms =
            ends_ms.map_err(|_| Error::invalid("`ends` is no point in time").hint("such as 2027-03-31T00:00:00Z"))?;
        if ends_ms <= now || ends_ms > now + LONGEST_MS {
            return Err(Error::new(Kind::Policy, "RULE_END", "a rule ends within a year, and not before now")
                .hint("renew it when it has expired"));
        }
        let id = format!("r-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        Ok(LetterRule {
            id,
            owner: self.owner,
            who: session.caller.name.clone(),
            reason: self.reason,
            class: self.class,
            code: self.code,
            fingerprint: self.group,
            action,
            created_ms: now,
            ends_ms,
        })
    }
}

fn millis(every: &str) -> Result<i64> {
    let wrong = || Error::invalid(format!("`every`: `{every}` is no duration")).hint("such as 15m, 1h or 1d");
    let every = service::config::parse_duration(every).map_err(|_| wrong())?;
    i64::try_from(every.as_millis()).map_err(|_| wrong())
}

pub(super) async fn remove(session: &Session<'_>, input: Value) -> Result<Value> {
    let Remove { id, service, reason } = typed(input)?;
    let ledger = session.ledger(&service).await?;
    let found = ledger.letter_rules().await?.into_iter().find(|rule| rule.id == id).ok_or_else(|| {
        Error::not_found(format!("{service} has no rule {id}")).hint("`throughline dlq rule ls` shows all")
    })?;
    let mut audit = session.audit("rule.remove", &format!("{service}/{id}"), &reason);
    audit.before = Some(json!(found).to_string());
    ledger.remove_letter_rule(&id, &audit).await?;
    Ok(json!({ "removed": shown(&service, &found, session.app.now_ms()) }))
}

fn shown(service: &str, rule: &LetterRule, now: i64) -> Value {
    let (action, every, to) = match &rule.action {
        RuleAction::Retry { every_ms } => ("retry", Some(format!("{}s", every_ms / 1_000)), None),
        RuleAction::Discard => ("discard", None, None),
        RuleAction::Redirect(to) => ("redirect", None, Some(&to.topic)),
    };
    json!({
        "id": rule.id, "service": service, "state": if rule.is_expired(now) { "expired" } else { "active" },
        "action": action, "every": every, "to": to, "class": rule.class, "code": rule.code, "group": rule.fingerprint,
        "owner": rule.owner, "ends": time(rule.ends_ms), "created": time(rule.created_ms), "who": rule.who,
        "reason": rule.reason,
    })
}

/// What services said of their causes: (service, fingerprint) → sentence.
pub(super) async fn outlooks(
    session: &Session<'_>,
    services: BTreeSet<&str>,
) -> Result<BTreeMap<(String, String), String>> {
    let mut by_cause: BTreeMap<(String, String), Vec<Outlook>> = BTreeMap::new();
    for service in services {
        for outlook in session.ledger(service).await?.outlooks().await? {
            by_cause.entry((service.to_owned(), outlook.fingerprint.clone())).or_default().push(outlook);
        }
    }
    Ok(by_cause.into_iter().map(|(cause, said)| (cause, sentence(&said))).collect())
}

/// What all slices together say of one cause.
pub(super) fn sentence(said: &[Outlook]) -> String {
    let sum = |read: fn(&Outlook) -> u32| said.iter().map(read).sum::<u32>();
    let (sampled, ends, asks) = (sum(|one| one.sampled), sum(|one| one.would_end), sum(|one| one.would_ask));
    if let Some(job) = said.iter().find_map(|one| one.job.as_ref()) {
        return format!("retried by itself: {job}");
    }
    match (ends, asks) {
        (0, 0) => "would fail again".to_owned(),
        (ends, _) if ends == sampled => format!("would apply now ({ends} of {sampled} asked about)"),
        (0, asks) => format!("would be sent again; only the other side can tell ({asks} of {sampled} asked about)"),
        (ends, _) => format!("{ends} of {sampled} asked about would apply now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sampled: u32, would_end: u32, would_ask: u32) -> Outlook {
        Outlook {
            slice: 0,
            fingerprint: "v1:1".to_owned(),
            checked_ms: 0,
            build: "1".to_owned(),
            sampled,
            would_end,
            would_ask,
            job: None,
            note: None,
        }
    }

    #[test]
    fn what_slices_say_is_one_sentence() {
        assert_eq!(sentence(&[said(3, 3, 0), said(1, 1, 0)]), "would apply now (4 of 4 asked about)");
        assert_eq!(sentence(&[said(3, 3, 0), said(1, 0, 0)]), "3 of 4 asked about would apply now");
        assert_eq!(sentence(&[said(3, 0, 0)]), "would fail again");
        assert!(sentence(&[said(3, 0, 3)]).starts_with("would be sent again"));
        let retried = Outlook { job: Some("auto-1".to_owned()), ..said(1, 1, 0) };
        assert_eq!(sentence(&[retried]), "retried by itself: auto-1");
    }
}
