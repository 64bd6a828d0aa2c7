//! What the stand-in holds, and how a change of it becomes true: written to the log first, then applied.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::replay::{Answers, Kept};
use crate::{
    Error,
    books::effects::{Effect, EffectLog, Operation},
    clock::timestamp,
    state::Tokens,
    wal::Wal,
};

/// One resource.
#[derive(Clone, Debug)]
pub struct Record {
    /// The system's own number of it.
    pub number: u64,
    pub body: Value,
    /// What reads show until this time, where the last change is not visible yet; `None`: nothing.
    hidden: Option<(i64, Option<Value>)>,
}

impl Record {
    /// The body as reads see it at `now_ms`.
    pub fn seen(&self, now_ms: i64) -> Option<&Value> {
        match &self.hidden {
            Some((until, before)) if now_ms < *until => before.as_ref(),
            Some(_) | None => Some(&self.body),
        }
    }
}

/// One committed write of one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Write {
    pub object: String,
    pub id: String,
    pub account: String,
    pub body: Value,
    pub event_id: Option<String>,
    pub correlation_id: Option<String>,
    /// Virtual time from which reads show it.
    pub visible_ms: Option<i64>,
    /// The request's key, what it asked for, and what it was answered.
    pub answered: Option<Answered>,
    /// Our id of it in the effect log, where it is neither its own nor in `externalId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Nobody asked for it: it is no effect of anybody's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_silent: bool,
}

/// The answer to a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub key: String,
    /// Method, path and body of the request.
    pub request: String,
    pub status: u16,
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Write { at: i64, write: Box<Write> },
    Clock { offset_ms: i64 },
    Kept(Kept),
}

/// Everything that lasts, its log, and the tokens, which do not outlive the process.
#[derive(Debug)]
pub struct State {
    records: BTreeMap<(String, String), Record>,
    answered: HashMap<String, (Answered, Value)>,
    kept: Answers,
    pub effects: EffectLog,
    pub tokens: Tokens,
    offset_ms: i64,
    log: Log,
}

#[derive(Debug)]
enum Log {
    Memory,
    Disk(Wal),
    Closed,
}

impl State {
    /// The state kept in `directory`, or an empty one.
    ///
    /// # Errors
    /// The folder or the log in it cannot be used.
    pub fn open(directory: Option<&Path>) -> Result<Self, Error> {
        let mut state = Self {
            records: BTreeMap::new(),
            answered: HashMap::new(),
            kept: Answers::new(),
            effects: EffectLog::default(),
            tokens: Tokens::default(),
            offset_ms: 0,
            log: Log::Memory,
        };
        if let Some(directory) = directory {
            let wal = Wal::open(directory, &mut |entry: Entry| {
                state.apply(entry);
                Ok(())
            })?;
            state.log = Log::Disk(wal);
        }
        Ok(state)
    }

    pub fn get(&self, object: &str, id: &str) -> Option<&Record> {
        self.records.get(&(object.to_owned(), id.to_owned()))
    }

    /// Resources of a kind by id.
    pub fn of<'a>(&'a self, object: &'a str) -> impl Iterator<Item = (&'a str, &'a Record)> {
        self.records.iter().filter(move |((kind, _), _)| kind == object).map(|((_, id), record)| (&**id, record))
    }

    pub fn next_number(&self) -> u64 {
        self.records.len() as u64 + 1
    }

    /// What a request with this key was answered before.
    pub fn answered(&self, key: &str) -> Option<&(Answered, Value)> {
        self.answered.get(key)
    }

    /// The answer that was kept under a key.
    pub fn replay(&self, key: &str) -> Option<&Kept> {
        self.kept.get(key)
    }

    /// Keeps an answer under its key.
    ///
    /// # Errors
    /// As [`State::write`].
    pub fn keep(&mut self, kept: Kept) -> Result<(), Error> {
        self.commit(Entry::Kept(kept))
    }

    /// Writes it to the log, then makes it true.
    ///
    /// # Errors
    /// The log cannot be written (nothing is changed then), or the stand-in was stopped.
    pub fn write(&mut self, at: i64, write: Write) -> Result<(), Error> {
        self.commit(Entry::Write { at, write: Box::new(write) })
    }

    /// Keeps the virtual clock.
    ///
    /// # Errors
    /// As [`State::write`].
    pub fn set_clock(&mut self, offset_ms: i64) -> Result<(), Error> {
        self.commit(Entry::Clock { offset_ms })
    }

    fn commit(&mut self, entry: Entry) -> Result<(), Error> {
        match &mut self.log {
            Log::Memory => {}
            Log::Disk(wal) => wal.append(&entry)?,
            Log::Closed => return Err(Error::Stopped),
        }
        self.apply(entry);
        Ok(())
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Write { at, write } => self.take(at, *write),
            Entry::Clock { offset_ms } => self.offset_ms = offset_ms,
            Entry::Kept(kept) => {
                self.kept.insert(kept.key.clone(), kept);
            }
        }
    }

    fn take(&mut self, at: i64, write: Write) {
        let number = self.next_number();
        let key = (write.object.clone(), write.id.clone());
        let before = self.records.get(&key).map(|record| (record.number, record.body.clone()));
        let operation = if before.is_some() { Operation::Update } else { Operation::Create };
        let number = before.as_ref().map_or(number, |(number, _)| *number);
        let hidden = write.visible_ms.map(|until| (until, before.map(|(_, body)| body)));
        if let Some(answered) = write.answered {
            self.answered.insert(answered.key.clone(), (answered, write.body.clone()));
        }
        let external_id = write.external_id.unwrap_or_else(|| external_id(&write.id, &write.body).to_owned());
        self.records.insert(key, Record { number, body: write.body, hidden });
        if write.is_silent {
            return;
        }
        let object = kind(&write.object);
        self.effects.push(&Effect {
            seq: self.effects.next_seq(),
            at: timestamp(at),
            operation,
            object,
            external_id: Some(&external_id),
            internal_id: number,
            event_id: write.event_id.as_deref(),
            correlation_id: write.correlation_id.as_deref(),
            account_id: Some(&write.account),
            amount_minor: None,
            currency: None,
        });
    }

    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// The log cannot be cleared.
    pub fn reset(&mut self) -> Result<(), Error> {
        if let Log::Disk(wal) = &mut self.log {
            wal.clear()?;
        }
        self.records.clear();
        self.answered.clear();
        self.kept.clear();
        self.effects = EffectLog::default();
        self.tokens = Tokens::default();
        self.offset_ms = 0;
        Ok(())
    }

    /// Syncs and closes the log. From now on every commit is refused.
    ///
    /// # Errors
    /// The disk refuses the sync.
    pub fn close(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.log, Log::Closed) {
            Log::Disk(wal) => wal.sync(),
            Log::Memory | Log::Closed => Ok(()),
        }
    }
}

/// The writer's id of a resource, where it is not that of its address.
fn external_id<'a>(id: &'a str, body: &'a Value) -> &'a str {
    body["externalId"].as_str().unwrap_or(id)
}

/// The effect log's word for a kind of resource.
fn kind(object: &str) -> &'static str {
    match object {
        "tenant" => "tenant",
        "entitlement" => "entitlement",
        "user" => "user",
        "group" => "group",
        "customer" => "customer",
        "product" => "product",
        "price" => "price",
        "meter" => "meter",
        "subscription_schedule" => "subscription_schedule",
        "invoice" => "invoice",
        "transaction" => "transaction",
        _ => "resource",
    }
}
