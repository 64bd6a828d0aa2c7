//! Objects in the stand-in's state: made, changed, told about as events.

use serde_json::{Value, json};

use crate::{
    call::Reply,
    clock::timestamp,
    rest::{Asked, State, Write},
};

/// What of a write goes into the effect log.
#[derive(Clone, Copy, Debug)]
pub enum Logged<'a> {
    /// Under our id of it, as the writer's.
    Effect(&'a str),
    /// As what the catalogue got, without a writer.
    Catalogue,
    /// Stripe did it by itself.
    No,
}

/// The state of one request: everything it writes happens at one time.
pub struct Store<'a> {
    pub state: &'a mut State,
    pub now_ms: i64,
    visible_ms: Option<i64>,
    event_id: Option<String>,
    correlation_id: Option<String>,
}

/// Seconds of a virtual time.
pub fn seconds(ms: i64) -> i64 {
    timestamp(ms).as_second()
}

impl<'a> Store<'a> {
    pub fn new(state: &'a mut State, asked: &Asked) -> Self {
        Self {
            state,
            now_ms: asked.now_ms,
            visible_ms: asked.visible_ms,
            event_id: asked.event_id.clone(),
            correlation_id: asked.correlation_id.clone(),
        }
    }

    /// What nobody asked for.
    pub fn by_itself(state: &'a mut State, now_ms: i64) -> Self {
        Self { state, now_ms, visible_ms: None, event_id: None, correlation_id: None }
    }

    pub fn now(&self) -> i64 {
        seconds(self.now_ms)
    }

    /// An id that none has yet.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{:014}", self.state.next_number())
    }

    pub fn get(&self, object: &str, id: &str) -> Option<&Value> {
        self.state.get(object, id).map(|record| &record.body)
    }

    /// Objects of a kind, newest first, as lists have them.
    pub fn newest<'s>(&'s self, object: &'s str) -> Vec<&'s Value> {
        let mut all: Vec<_> = self.state.of(object).map(|(_, record)| (record.number, &record.body)).collect();
        all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        all.into_iter().map(|(_, body)| body).collect()
    }

    /// Writes an object, and tells of it as an event where `event` names one.
    pub fn put(&mut self, object: &str, body: &Value, logged: Logged<'_>, event: Option<&str>) -> Result<(), Reply> {
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        let account = body["metadata"]["tl_account_id"].as_str().unwrap_or_default().to_owned();
        let (external_id, is_theirs) = match logged {
            Logged::Effect(ours) => (Some(ours.to_owned()), true),
            Logged::Catalogue | Logged::No => (None, false),
        };
        let write = Write {
            object: object.to_owned(),
            id,
            account,
            body: body.clone(),
            event_id: self.event_id.clone().filter(|_| is_theirs),
            correlation_id: self.correlation_id.clone().filter(|_| is_theirs),
            visible_ms: self.visible_ms,
            answered: None,
            external_id,
            is_silent: matches!(logged, Logged::No),
        };
        self.write(write)?;
        event.map_or(Ok(()), |event| self.tell(event, body))
    }

    fn write(&mut self, write: Write) -> Result<(), Reply> {
        let at = self.now_ms;
        self.state.write(at, write).map_err(|error| super::refusal::problem(503, "UNAVAILABLE", &error.to_string()))
    }

    fn tell(&mut self, kind: &str, object: &Value) -> Result<(), Reply> {
        let id = self.id("evt");
        let body = json!({
            "id": id, "object": "event", "api_version": super::VERSION, "created": self.now(), "livemode": false,
            "pending_webhooks": 1, "type": kind, "data": { "object": shown(object) },
            "request": { "id": null, "idempotency_key": null },
        });
        self.put("event", &body, Logged::No, None)
    }
}

/// An object as the API shows it: without what the stand-in notes for itself.
pub fn shown(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("_");
    }
    body
}
