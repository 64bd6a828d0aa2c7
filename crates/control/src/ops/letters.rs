//! Lists of letters, and one letter with all that is known of it.

use super::{
    page::{self, Page},
    typed,
};
use crate::{
    app::Session,
    error::{Error, Result},
    letters::{Body, LetterId, Selection, State, at_risk, headers, mask, summary, time},
    rights::Right,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{Ledger, ParkedRecord, ParkedSequence};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct List {
    #[serde(flatten)]
    selection: Selection,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
struct One {
    id: String,
    #[serde(default)]
    reason: String,
}

/// Blocked records that are listed by name; the rest is counted.
const BLOCKED_SHOWN: usize = 20;

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let List { selection, page } = typed(input)?;
    let (letters, next) = page::of_letters(session, &selection, &page).await?;
    let rows: Vec<Value> = letters.iter().map(crate::letters::Seen::summary).collect();
    Ok(json!({ "letters": rows, "next": next }))
}

pub(super) async fn show(session: &Session<'_>, input: Value) -> Result<Value> {
    let One { id, .. } = typed(input)?;
    let id: LetterId = id.parse()?;
    let found = Found::read(session, &id).await?;
    let body = match session.caller.may(Right::DlqPayloadRead, &id.service) {
        true => shown_body(&found, session.app.decoder().parked(&found.record).await),
        false => json!({ "hidden": format!("needs the right {}", Right::DlqPayloadRead) }),
    };
    let mut answer = found.about();
    let outlooks = super::rules::outlooks(session, [id.service.as_str()].into()).await?;
    let cause = crate::letters::fingerprint(&id.service, &found.record).map(|cause| (id.service.clone(), cause));
    let is_open = found.state() == State::Open;
    answer["now"] = json!(cause.and_then(|cause| outlooks.get(&cause)).filter(|_| is_open));
    answer["body"] = body;
    if session.caller.may(Right::DlqPayloadRead, &id.service) {
        answer["headers"] = headers(&found.record.headers);
    }
    Ok(json!({ "letter": answer }))
}

pub(super) async fn unmasked(session: &Session<'_>, input: Value) -> Result<Value> {
    let One { id, reason } = typed(input)?;
    let id: LetterId = id.parse()?;
    let found = Found::read(session, &id).await?;
    // On the record before it is seen.
    let audit = session.audit("letter.unmask", &id.to_string(), &reason);
    found.ledger.append_audit(&audit).await?;
    let mut answer = found.about();
    answer["headers"] = headers(&found.record.headers);
    let bytes = |part: &Option<bytes::Bytes>| part.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
    answer["raw"] = json!({ "key": bytes(&found.record.key), "value": bytes(&found.record.value), "enc": "base64" });
    answer["body"] = match session.app.decoder().parked(&found.record).await {
        Body::Read(body) => json!({ "decoded": body, "masked": false }),
        Body::Unreadable(failure) => json!({ "unreadable": failure.to_string(), "code": failure.code }),
    };
    Ok(json!({ "letter": answer }))
}

fn shown_body(found: &Found, body: Body) -> Value {
    match body {
        Body::Read(body) => json!({ "decoded": mask::masked(&found.record.topic, &body), "masked": true,
            "at_risk": at_risk(&body) }),
        Body::Unreadable(failure) => json!({ "unreadable": failure.to_string(), "code": failure.code }),
    }
}

/// A letter with its sequence.
pub(super) struct Found {
    pub id: LetterId,
    pub ledger: std::sync::Arc<dyn Ledger>,
    pub record: ParkedRecord,
    sequence: Option<ParkedSequence>,
    behind: Vec<ParkedRecord>,
}

impl Found {
    pub async fn read(session: &Session<'_>, id: &LetterId) -> Result<Self> {
        let ledger = session.ledger(&id.service).await?;
        let record = record(&*ledger, id).await?;
        let sequences = ledger.sequences(Some(id.slice)).await?;
        let sequence = sequences.into_iter().find(|sequence| sequence.sequence == id.sequence);
        let behind = match record.fate.state.is_alive() {
            true => ledger.parked_page(id.slice, &id.sequence, id.no.saturating_add(1), BLOCKED_SHOWN + 1).await?,
            false => Vec::new(),
        };
        Ok(Self { id: id.clone(), ledger, record, sequence, behind })
    }

    fn state(&self) -> State {
        let retries = self.sequence.as_ref().is_some_and(|sequence| sequence.next_attempt_ms.is_some());
        State::of(&self.record, retries)
    }

    fn about(&self) -> Value {
        let mut answer = summary(&self.id.service, &self.record, self.state());
        let code = self.record.fate.failure.as_ref().map(|failure| failure.code.to_string());
        answer["explain"] = json!(code.as_deref().and_then(failure::explain));
        let sequence = self.sequence.as_ref();
        answer["attempts_detail"] = json!({
            "attempts": self.record.fate.attempts,
            "refusals": self.record.fate.refusals,
            "next_attempt": sequence.and_then(|sequence| sequence.next_attempt_ms).and_then(time),
            "done": self.record.fate.receipts,
            "unknown": self.record.fate.unknown,
        });
        answer["blocked"] = self.blocked();
        answer["trace"] = json!(self.record.headers.text("traceparent"));
        answer["next"] = json!(self.next_commands());
        answer
    }

    fn blocked(&self) -> Value {
        let first = self.sequence.as_ref().map_or(0, |sequence| sequence.head_no);
        let depth = self.sequence.as_ref().map_or(0, |sequence| sequence.depth);
        let shown = self.behind.iter().take(BLOCKED_SHOWN);
        let shown: Vec<Value> = shown
            .map(|record| {
                json!({ "id": LetterId::of(&self.id.service, record).to_string(), "topic": record.topic,
                "subject": record.headers.text("ce_subject"), "event_id": record.headers.text("ce_id") })
            })
            .collect();
        json!({ "behind": shown, "more": self.behind.len() > BLOCKED_SHOWN, "records_of_sequence": depth,
            "is_head": self.record.no == first })
    }

    fn next_commands(&self) -> Vec<String> {
        let id = &self.id;
        let code = self.record.fate.failure.as_ref().map(|failure| format!("throughline explain {}", failure.code));
        let mut commands: Vec<String> = code.into_iter().collect();
        if let Some(event) = self.record.headers.text("ce_id") {
            commands.push(format!("throughline trace {event}"));
        }
        match self.state() {
            State::Open => commands.extend([
                format!("throughline dlq retry --id {id} --reason \"…\""),
                format!("throughline dlq edit {id} --set FIELD=VALUE --reason \"…\""),
                format!("throughline dlq discard --id {id} --reason \"…\""),
            ]),
            State::Blocked => commands.push(format!("throughline dlq ls --sequence {}", id.sequence)),
            State::Waiting | State::Ended => {}
        }
        commands
    }
}

/// The row of a letter.
pub(super) async fn record(ledger: &dyn Ledger, id: &LetterId) -> Result<ParkedRecord> {
    ledger.parked_record(&id.row()).await?.ok_or_else(|| {
        Error::not_found(format!("there is no letter {id}")).hint("`throughline dlq ls --all --state all` shows all")
    })
}
