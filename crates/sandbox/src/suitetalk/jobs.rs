//! Asynchronous requests: `Prefer: respond-async`, jobs to poll, batches, idempotency keys.
//!
//! The work is done when the request arrives; the job shows it as pending until the configured time has passed.

use std::collections::HashMap;

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Manner, RESOURCE, errors, records};
use crate::{
    app::App,
    books::{
        kind::Kind,
        refusal::{At, Code, Refusal},
    },
    call::{Call, Reply},
    wal::Entry,
};

/// Records one batch may hold.
const MAX_BATCH: usize = 100;
const KEY_HEADER: &str = "X-NetSuite-Idempotency-Key";

/// An asynchronous request with what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Box<str>>,
    submitted_ms: i64,
    /// Virtual time from which it shows as completed.
    completed_ms: i64,
    is_batch: bool,
    results: Vec<TaskResult>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TaskResult {
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// All jobs since the last reset.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: HashMap<u64, Job>,
    keys: HashMap<Box<str>, u64>,
}

impl Jobs {
    /// Takes a finished job in.
    pub fn add(&mut self, job: Job) {
        if let Some(key) = &job.key {
            self.keys.insert(key.clone(), job.id);
        }
        self.jobs.insert(job.id, job);
    }

    /// The job submitted under `key` at `oldest_ms` or later.
    fn under_key(&self, key: &str, oldest_ms: i64) -> Option<u64> {
        let job = self.jobs.get(self.keys.get(key)?)?;
        (job.submitted_ms >= oldest_ms).then_some(job.id)
    }

    /// Number of jobs.
    pub fn count(&self) -> usize {
        self.jobs.len()
    }
}

/// Accepts an asynchronous write: 202 with the job's `Location`; 400 with the first job's for a repeated key.
pub fn submit(app: &App, call: &Call, manner: Manner, kind: Kind, rest: &[&str]) -> Result<Reply, Refusal> {
    let key = call.header(KEY_HEADER);
    if key.is_some_and(|key| uuid::Uuid::parse_str(key).is_err()) {
        let detail = "The idempotency key must be a UUID.".to_owned();
        return Err(Refusal { code: Code::InvalidHeader, detail, at: At::Header(KEY_HEADER) });
    }
    // One submission at a time, so that of two with one key the second finds the first.
    let _turn = app.submissions();
    let submitted_ms = app.clock.now_ms();
    let remembered = app.settings().idempotency_seconds.map(|seconds| seconds.saturating_mul(1_000));
    let oldest_ms = remembered.map_or(i64::MIN, |remembered| submitted_ms.saturating_sub_unsigned(remembered));
    if let Some(first) = key.and_then(|key| app.state().jobs.under_key(key, oldest_ms)) {
        let detail = "A request with this idempotency key was submitted before; its job is at Location.";
        let refusal = Refusal { code: Code::IdempotencyError, detail: detail.to_owned(), at: At::Header(KEY_HEADER) };
        return Ok(errors::reply(&refusal).located(&location(app, first)));
    }
    let bodies = bodies(call)?;
    let results = bodies.items.iter().map(|body| run(app, call, manner, kind, rest, body)).collect();
    let mut state = app.state();
    let id = state.jobs.jobs.keys().max().map_or(1, |newest| newest + 1);
    let completed_ms = submitted_ms.saturating_add_unsigned(app.settings().async_ms);
    let job = Job { id, key: key.map(Box::from), submitted_ms, completed_ms, is_batch: bodies.is_batch, results };
    state.commit(Entry::Job(job)).map_err(|error| records::failed(&error))?;
    Ok(Reply::empty(202)
        .with(HeaderName::from_static("preference-applied"), HeaderValue::from_static("respond-async"))
        .located(&location(app, id)))
}

struct Bodies {
    items: Vec<Vec<u8>>,
    is_batch: bool,
}

fn bodies(call: &Call) -> Result<Bodies, Refusal> {
    let is_batch = call.header("content-type").is_some_and(|content| content.contains("type=collection"));
    if !is_batch {
        return Ok(Bodies { items: vec![call.body.to_vec()], is_batch });
    }
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::new(Code::InvalidContent, format!("Invalid JSON in the request body: {error}")))?;
    let items = body.get("items").and_then(Value::as_array).ok_or_else(|| Refusal::missing("items"))?;
    if items.is_empty() || items.len() > MAX_BATCH {
        let detail = format!("A batch holds 1 to {MAX_BATCH} records, not {}.", items.len());
        return Err(Refusal::field(Code::InvalidContent, "items", detail));
    }
    Ok(Bodies { items: items.iter().map(|item| item.to_string().into_bytes()).collect(), is_batch })
}

fn run(app: &App, call: &Call, manner: Manner, kind: Kind, rest: &[&str], body: &[u8]) -> TaskResult {
    match records::write(app, call, manner, kind, rest, body) {
        Ok(reply) => TaskResult { status: reply.status, location: reply.location().map(str::to_owned), error: None },
        Err(refusal) => {
            let status = refusal.code.status();
            TaskResult { status, location: None, error: Some(errors::body(&refusal, status)) }
        }
    }
}

fn location(app: &App, id: u64) -> String {
    format!("{}/services/rest/async/v1/job/{id}", app.base_url())
}

/// `GET …/job/{id}`, `…/task`, `…/task/{n}`, `…/task/{n}/result`.
pub fn poll(app: &App, id: &str, rest: &[&str]) -> Result<Reply, Refusal> {
    let now = app.clock.now_ms();
    let state = app.state();
    let unknown = || Refusal {
        code: Code::NonexistentId,
        detail: format!("The job {id} does not exist."),
        at: At::Url(id.to_owned()),
    };
    let job = id.parse().ok().and_then(|id: u64| state.jobs.jobs.get(&id)).ok_or_else(unknown)?;
    let completed = job.completed_ms <= now;
    let own = location(app, job.id);
    let link = |href: String| json!({ "links": [{ "rel": "self", "href": href }] });
    let body = match rest {
        [] => json!({
            "links": [{ "rel": "self", "href": own }],
            "id": job.id.to_string(), "completed": completed, "progress": progress(job, completed),
            "task": link(format!("{own}/task")),
        }),
        ["task"] => {
            json!({ "items": [link(format!("{own}/task/1"))], "totalResults": 1, "count": 1, "hasMore": false })
        }
        ["task", "1"] => json!({
            "id": "1", "completed": completed, "progress": progress(job, completed),
            "result": link(format!("{own}/task/1/result")),
        }),
        ["task", "1", "result"] if completed => return Ok(result(job)),
        _ => return Err(unknown()),
    };
    Ok(Reply::json(200, RESOURCE, &body))
}

fn progress(job: &Job, completed: bool) -> &'static str {
    match completed {
        false => "pending",
        true if job.results.iter().any(|result| result.error.is_some()) => "failed",
        true => "succeeded",
    }
}

/// A single request's result is the answer a synchronous one would have had; a batch lists one result a record.
fn result(job: &Job) -> Reply {
    match job.results.as_slice() {
        [one] if !job.is_batch => {
            let reply = match &one.error {
                Some(error) => Reply::json(one.status, errors::ERROR, error),
                None => Reply::empty(one.status),
            };
            one.location.as_deref().map_or(reply.clone(), |location| reply.located(location))
        }
        results => Reply::json(200, RESOURCE, &json!({ "items": results })),
    }
}
