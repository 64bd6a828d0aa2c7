//! Many records in one request: a collection of at most 100 that NetSuite writes by an asynchronous job.
//!
//! The idempotency key follows from what is written, so a request that is repeated, by us or by whoever took over after a crash, leads to
//! the same job: NetSuite answers 400 `IDEMPOTENCY_ERROR` with its `Location`, and that is success. Records have external ids besides,
//! so that a key that NetSuite no longer remembers makes nothing twice either.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict, verdict},
    call::Call,
    create::Wanted,
    find::read,
    record_type,
};
use crate::{Cause, Error, Object, Recorded, http::Answer};
use failure::RetryPolicy;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// NetSuite's limit of records in one collection.
pub(super) const MAX_RECORDS: usize = 100;
/// How often a job is looked at before its outcome counts as unknown: about a minute and a half.
const POLL: RetryPolicy = RetryPolicy::new(Duration::from_millis(50), Duration::from_secs(5), Some(24));

/// One record of a collection.
pub(super) struct Member<'a, B> {
    pub(super) cause: &'a Cause,
    pub(super) ours: &'a str,
    pub(super) body: B,
}

#[derive(Serialize)]
struct Collection<'a, B> {
    items: Vec<&'a B>,
}

#[derive(Deserialize)]
struct Job {
    completed: bool,
}

#[derive(Deserialize)]
struct Results {
    items: Vec<TaskResult>,
}

#[derive(Deserialize)]
struct TaskResult {
    status: u16,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    error: serde_json::Value,
}

/// What became of a job.
struct Done {
    results: Vec<TaskResult>,
    /// The job is that of an earlier request.
    is_repeated: bool,
}

impl NetSuite {
    /// Writes at most [`MAX_RECORDS`] records of one kind; one answer each, in order.
    pub(super) async fn create_many<B: Serialize + Sync>(
        &self,
        object: Object,
        members: &[Member<'_, B>],
    ) -> Vec<Result<Recorded, Error>> {
        match self.run_job(object, members).await {
            Ok(done) if done.results.len() == members.len() => {
                let mut answers = Vec::with_capacity(members.len());
                for (member, result) in members.iter().zip(done.results) {
                    answers.push(self.member(object, member, result, done.is_repeated).await);
                }
                answers
            }
            Ok(Done { results, .. }) => {
                let reason = format!("{} results for {} records", results.len(), members.len());
                members.iter().map(|_| Err(unknown(reason.clone()))).collect()
            }
            Err(error) => members.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn run_job<B: Serialize + Sync>(&self, object: Object, members: &[Member<'_, B>]) -> Result<Done, Error> {
        let Some(first) = members.first() else { return Ok(Done { results: Vec::new(), is_repeated: false }) };
        let url = self.url(&format!("record/v1/{}", record_type(object)))?;
        let body = super::create::encode(&Collection { items: members.iter().map(|member| &member.body).collect() })?;
        let job = Some(key(object, members.iter().map(|member| member.ours)));
        let call = Call { access: Access::Write, method: Method::POST, url, body: Some(body), job };
        let answer = self.call(first.cause, &call).await.map_err(Error::from)?;
        let is_repeated = answer.status == StatusCode::BAD_REQUEST;
        let id = answer.location.as_deref().and_then(last_segment).map(str::to_owned);
        let id = id.ok_or_else(|| unknown("a job was accepted without saying which".into()))?;
        self.wait_for(first.cause, &id).await?;
        // From here on the records are written or refused: a result that cannot be read leaves them unknown, not undone.
        let results = self.read_job(first.cause, &format!("async/v1/job/{id}/task/1/result")).await;
        let results: Results = results.map_err(|error| unknown(format!("job {id}: {error}")))?;
        Ok(Done { results: results.items, is_repeated })
    }

    async fn wait_for(&self, cause: &Cause, id: &str) -> Result<(), Error> {
        let mut delays = POLL.delays(id.len() as u64);
        loop {
            let job: Result<Job, Error> = self.read_job(cause, &format!("async/v1/job/{id}")).await;
            match (job, delays.next()) {
                (Ok(Job { completed: true }), _) => return Ok(()),
                (_, Some(delay)) => tokio::time::sleep(delay).await,
                (Ok(Job { completed: false }), None) => return Err(unknown(format!("job {id} is not done yet"))),
                (Err(error), None) => return Err(unknown(format!("job {id}: {error}"))),
            }
        }
    }

    async fn read_job<T: serde::de::DeserializeOwned>(&self, cause: &Cause, path: &str) -> Result<T, Error> {
        let call = Call { access: Access::Read, method: Method::GET, url: self.url(path)?, body: None, job: None };
        read(&self.call(cause, &call).await.map_err(Error::from)?)
    }

    async fn member<B: Serialize + Sync>(
        &self,
        object: Object,
        member: &Member<'_, B>,
        result: TaskResult,
        is_repeated: bool,
    ) -> Result<Recorded, Error> {
        let wanted = Wanted { object, ours: member.ours, number: None };
        let status = StatusCode::from_u16(result.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&result.error).unwrap_or_default();
        let answer = Answer {
            status,
            location: result.location,
            retry_after: None,
            headers: Default::default(),
            body,
            is_whole: true,
        };
        if status.is_success() {
            return self.recorded(member.cause, wanted, &answer).await;
        }
        if is_repeated {
            // A refusal of an earlier time, which would stand for as long as the key is remembered: what was refused then may be mended.
            return self.create(member.cause, wanted, &member.body).await;
        }
        match verdict(Access::Write, &answer) {
            Verdict::Duplicate { field, reason } => {
                self.duplicate(member.cause, wanted, field.as_deref(), reason).await
            }
            verdict => Err(verdict.into()),
        }
    }
}

fn unknown(reason: String) -> Error {
    Error::OutcomeUnknown { system: SYSTEM, reason }
}

fn last_segment(location: &str) -> Option<&str> {
    location.trim_end_matches('/').rsplit('/').next().filter(|id| !id.is_empty())
}

/// A UUID of the records' own ids: the same records have the same key, whoever sends them.
fn key<'a>(object: Object, ours: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(object.as_str()).chain(ours) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    // Version 8, bits of our own making.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_records_have_the_same_key_and_no_others() {
        let of = |ids: &[&str]| key(Object::Charge, ids.iter().copied());
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_eq!(of(&["a"]).len(), 36);
    }
}
