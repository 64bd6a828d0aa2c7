//! What the organisation holds, and how a change of it becomes true: written to the log first, then applied.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::Path,
};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{ids, schema};
use crate::{
    Error,
    books::effects::{Effect, EffectLog, Operation},
    clock::timestamp,
    state::Tokens,
    wal::Wal,
};

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    Text(String),
    Number(Decimal),
    Checked(bool),
}

pub type Fields = BTreeMap<String, Stored>;

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// 18 characters.
    pub id: String,
    pub external_id: String,
    /// External id of the account it belongs to.
    pub account: String,
    pub fields: Fields,
    /// What reads show until this time, where the last change is not visible yet; `None`: nothing.
    hidden: Option<(i64, Option<Fields>)>,
}

impl Record {
    /// The fields as reads see them at `now_ms`.
    pub fn seen(&self, now_ms: i64) -> Option<&Fields> {
        match &self.hidden {
            Some((until, before)) if now_ms < *until => before.as_ref(),
            Some(_) | None => Some(&self.fields),
        }
    }
}

/// One committed write of one record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Write {
    pub object: String,
    pub external_id: String,
    pub account: String,
    /// Those that the write names; the others stay. `None` clears.
    pub fields: BTreeMap<String, Option<Stored>>,
    /// `Sforce-Call-Options: client=…` of the request.
    pub client: Option<String>,
    /// Virtual time from which reads show it.
    pub visible_ms: Option<i64>,
    /// Make a further record, although the external id is there: as where the field is not unique.
    #[serde(default)]
    pub is_second: bool,
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Writes of one request, all or nothing, at virtual time `at`.
    Writes {
        at: i64,
        writes: Vec<Write>,
    },
    Clock {
        offset_ms: i64,
    },
}

/// A change event, as the platform's change data capture words it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeEvent {
    pub entity_name: &'static str,
    pub record_ids: [String; 1],
    pub change_type: &'static str,
    pub change_origin: String,
    pub transaction_key: String,
    pub sequence_number: usize,
    pub commit_timestamp: i64,
    pub changed_fields: Vec<String>,
}

const CHANGES_KEPT: usize = 10_000;

/// Everything that lasts.
#[derive(Debug, Default)]
pub struct Store {
    records: Vec<Record>,
    /// (object, external id in lower case) → records; more than one where somebody made a second.
    by_external_id: HashMap<(&'static str, String), Vec<usize>>,
    by_id: HashMap<String, usize>,
    objects: Vec<&'static schema::Object>,
    pub effects: EffectLog,
    pub changes: VecDeque<ChangeEvent>,
    transactions: u64,
}

impl Store {
    /// The records under an external id, in whose letters case does not count.
    pub fn find(&self, object: &schema::Object, external_id: &str) -> Vec<&Record> {
        let found = self.by_external_id.get(&(object.name, external_id.to_lowercase()));
        found.into_iter().flatten().map(|at| &self.records[*at]).collect()
    }

    pub fn by_id(&self, object: &schema::Object, id: &str) -> Option<&Record> {
        let at = *self.by_id.get(&ids::normal(id)?)?;
        (self.objects[at].name == object.name).then(|| &self.records[at])
    }

    /// The records of an object, oldest first.
    pub fn of(&self, object: &'static schema::Object) -> impl Iterator<Item = &Record> {
        let is_of = move |(at, _): &(usize, &Record)| self.objects[*at].name == object.name;
        self.records.iter().enumerate().filter(is_of).map(|(_, record)| record)
    }

    fn apply(&mut self, at: i64, writes: Vec<Write>) {
        self.transactions += 1;
        for (number, write) in writes.into_iter().enumerate() {
            self.write(at, number, write);
        }
    }

    fn write(&mut self, at: i64, number: usize, write: Write) {
        let Some(object) = schema::object(&write.object) else { return };
        let key = (object.name, write.external_id.to_lowercase());
        let there = self.by_external_id.get(&key).and_then(|found| found.first().copied()).filter(|_| !write.is_second);
        let changed: Vec<String> = write.fields.keys().cloned().collect();
        let (place, operation) = match there {
            Some(place) => (place, Operation::Update),
            None => (self.add(object, key, &write), Operation::Create),
        };
        let record = &mut self.records[place];
        let before = (operation == Operation::Update).then(|| record.fields.clone());
        record.account.clone_from(&write.account);
        for (name, value) in write.fields {
            match value {
                Some(value) => record.fields.insert(name, value),
                None => record.fields.remove(&name),
            };
        }
        record.hidden = write.visible_ms.map(|until| (until, before));
        self.tell(at, (number, place), operation, changed, write.client);
    }

    fn add(&mut self, object: &'static schema::Object, key: (&'static str, String), write: &Write) -> usize {
        let place = self.records.len();
        let id = ids::id(object.prefix, place as u64 + 1);
        self.by_id.insert(id.clone(), place);
        self.by_external_id.entry(key).or_default().push(place);
        self.objects.push(object);
        let (external_id, account) = (write.external_id.clone(), write.account.clone());
        self.records.push(Record { id, external_id, account, fields: Fields::new(), hidden: None });
        place
    }

    /// The effect log's line and the change event of one write.
    fn tell(
        &mut self,
        at: i64,
        (number, place): (usize, usize),
        operation: Operation,
        changed_fields: Vec<String>,
        client: Option<String>,
    ) {
        let (record, object) = (&self.records[place], self.objects[place]);
        let text = |name: &str| match record.fields.get(name) {
            Some(Stored::Text(text)) => Some(text.as_str()),
            Some(Stored::Number(_) | Stored::Checked(_)) | None => None,
        };
        self.effects.push(&Effect {
            seq: self.effects.next_seq(),
            at: timestamp(at),
            operation,
            object: object.name,
            external_id: Some(&record.external_id),
            internal_id: place as u64 + 1,
            event_id: text(schema::EVENT_ID.name),
            correlation_id: text(schema::CORRELATION_ID.name),
            account_id: Some(&record.account),
            amount_minor: None,
            currency: text("CurrencyIsoCode"),
        });
        let change_origin = match client {
            Some(client) => format!("com/salesforce/api/rest/{};client={client}", &schema::VERSION[1..]),
            None => format!("com/salesforce/api/rest/{}", &schema::VERSION[1..]),
        };
        if self.changes.len() == CHANGES_KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(ChangeEvent {
            entity_name: object.name,
            record_ids: [record.id.clone()],
            change_type: if operation == Operation::Create { "CREATE" } else { "UPDATE" },
            change_origin,
            transaction_key: format!("{:08x}-tl", self.transactions),
            sequence_number: number + 1,
            commit_timestamp: at,
            changed_fields,
        });
    }
}

/// The store with its log, and what does not outlive the process.
#[derive(Debug)]
pub struct State {
    pub store: Store,
    pub tokens: Tokens,
    pub quota: super::limits::Quota,
    /// External ids of accounts whose rows somebody holds.
    pub locked: BTreeSet<String>,
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
    pub fn open(directory: Option<&Path>) -> Result<State, Error> {
        let mut state = State {
            store: Store::default(),
            tokens: Tokens::default(),
            quota: super::limits::Quota::default(),
            locked: BTreeSet::new(),
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

    /// Writes an entry to the log, then makes it true.
    ///
    /// # Errors
    /// The log cannot be written (nothing is changed then), or the stand-in was stopped.
    pub fn commit(&mut self, entry: Entry) -> Result<(), Error> {
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
            Entry::Writes { at, writes } => self.store.apply(at, writes),
            Entry::Clock { offset_ms } => self.offset_ms = offset_ms,
        }
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
        self.store = Store::default();
        self.tokens = Tokens::default();
        self.quota = super::limits::Quota::default();
        self.locked.clear();
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
