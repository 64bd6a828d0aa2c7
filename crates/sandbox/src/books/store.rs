//! Committed records, and what follows from them: balances, open amounts, indexes, the effect log.
//!
//! [`Store::apply`] is the only way in. It is deterministic, so replaying the changes of the log rebuilds the same books.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    effects::{Effect, EffectLog, Operation},
    kind::Kind,
    money::Currency,
    searched::Searched,
    seed::{CustomFields, Period},
};
use crate::clock::timestamp;

/// What a record is worth and belongs to; computed once when it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
}

/// The money side of a transaction. Amounts are minor units of `currency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Internal id of the customer.
    pub customer: u64,
    pub date: Date,
    pub currency: Box<str>,
    pub exponent: u32,
    pub total: i64,
    pub tax: i64,
    /// What this credit memo or payment settles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied: Vec<Application>,
}

/// A part of a credit memo or payment that settles an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Internal id of the invoice.
    pub invoice: u64,
    /// Taken from this document.
    pub amount: i64,
    /// Early-payment discount that settles the invoice too, at nobody's cost but ours.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount: i64,
}

fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

impl Application {
    /// What the invoice has less open.
    pub fn settles(self) -> i64 {
        self.amount + self.discount
    }
}

impl Document {
    /// Σ of what has been taken from this document.
    pub fn applied_total(&self) -> i64 {
        self.applied.iter().map(|application| application.amount).sum()
    }
}

/// A change that passed every rule.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Put(Put),
    Delete { kind: Kind, id: u64 },
}

/// The whole new state of one record.
#[derive(Debug, Serialize, Deserialize)]
pub struct Put {
    pub kind: Kind,
    pub id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Box<str>>,
    /// `tranId` of a transaction, `entityId` of a customer: unique per type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Box<str>>,
    pub head: Head,
    /// Normalised fields without what the system computes.
    pub body: Box<RawValue>,
}

/// A committed record.
#[derive(Debug)]
pub struct Record {
    pub external_id: Option<Box<str>>,
    pub number: Option<Box<str>>,
    pub head: Head,
    pub body: Box<RawValue>,
    pub created_ms: i64,
    pub modified_ms: i64,
    /// Virtual time before which reads do not see the record (a fault rule's eventual visibility).
    pub visible_from_ms: i64,
    /// What credit memos and payments have settled of this invoice, or refunds of this payment or credit memo, in minor units.
    pub settled: i64,
}

impl Record {
    /// What is still open: of an invoice what is owed, of a credit memo or payment what is not applied yet.
    pub fn open(&self, kind: Kind) -> i64 {
        match (&self.head.document, kind) {
            (Some(document), Kind::Invoice) => document.total - self.settled,
            (Some(document), Kind::CreditMemo | Kind::CustomerPayment) => {
                document.total - document.applied_total() - self.settled
            }
            _ => 0,
        }
    }
}

/// All records of one type with their unique names.
#[derive(Debug, Default)]
pub struct Table {
    pub rows: BTreeMap<u64, Record>,
    pub external: HashMap<Box<str>, u64>,
    pub numbers: HashMap<Box<str>, u64>,
    pub searched: Searched,
}

/// First internal id given to what is created over the API; seeded records have smaller ones.
const FIRST_ID: u64 = 1_000;

/// The books.
#[derive(Debug)]
pub struct Store {
    tables: BTreeMap<Kind, Table>,
    next_id: u64,
    pub effects: EffectLog,
    pub currencies: BTreeMap<u64, Currency>,
    pub periods: BTreeMap<Date, Period>,
    /// Item families: SKU prefix and internal id.
    pub families: Vec<(Box<str>, u64)>,
    /// External ids of customers on credit hold, also of customers that do not exist yet.
    pub holds: HashSet<Box<str>>,
    pub custom_fields: CustomFields,
    standings: HashMap<u64, Standing>,
}

/// How a customer stands.
#[derive(Debug, Default)]
pub struct Standing {
    /// Transactions of any type.
    pub documents: u64,
    /// By currency, in minor units: Σ invoices − Σ credit memos − Σ payments − Σ discounts.
    pub balances: BTreeMap<Box<str>, i64>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            tables: Kind::ALL.into_iter().map(|kind| (kind, Table::default())).collect(),
            next_id: FIRST_ID,
            effects: EffectLog::default(),
            currencies: BTreeMap::new(),
            periods: BTreeMap::new(),
            families: Vec::new(),
            holds: HashSet::new(),
            custom_fields: CustomFields::default(),
            standings: HashMap::new(),
        }
    }
}

impl Store {
    /// The records of `kind`.
    pub fn table(&self, kind: Kind) -> &Table {
        self.tables.get(&kind).expect("the constructor makes a table for every kind")
    }

    pub(super) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        self.tables.get_mut(&kind).expect("the constructor makes a table for every kind")
    }

    /// The record with this internal id.
    pub fn get(&self, kind: Kind, id: u64) -> Option<&Record> {
        self.table(kind).rows.get(&id)
    }

    /// Internal id of the record with this external id, whether reads see it yet or not.
    pub fn by_external(&self, kind: Kind, external_id: &str) -> Option<u64> {
        self.table(kind).external.get(external_id).copied()
    }

    /// The internal id the next new record gets.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Makes a record invisible to reads until `until_ms` of virtual time.
    pub fn hide(&mut self, kind: Kind, id: u64, until_ms: i64) {
        if let Some(record) = self.table_mut(kind).rows.get_mut(&id) {
            record.visible_from_ms = until_ms;
        }
    }

    /// How a customer stands; `None` before its first transaction.
    pub fn standing(&self, customer: u64) -> Option<&Standing> {
        self.standings.get(&customer)
    }

    /// Commits a change made at virtual time `at_ms`. `silent` leaves no effect (seed and administrators).
    pub fn apply(&mut self, change: Change, at_ms: i64, silent: bool) {
        match change {
            Change::Put(put) => self.put(put, at_ms, silent),
            Change::Delete { kind, id } => self.delete(kind, id, at_ms, silent),
        }
    }

    fn put(&mut self, put: Put, at_ms: i64, silent: bool) {
        let Put { kind, id, external_id, number, head, body } = put;
        self.next_id = self.next_id.max(id + 1);
        let old = self.remove(kind, id);
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let record = Record {
            external_id,
            number,
            head,
            body,
            created_ms: old.as_ref().map_or(at_ms, |old| old.created_ms),
            modified_ms: at_ms,
            visible_from_ms: old.as_ref().map_or(i64::MIN, |old| old.visible_from_ms),
            settled: old.as_ref().map_or(0, |old| old.settled),
        };
        self.account_for(kind, &record, 1);
        if !silent {
            self.log(operation, kind, id, &record, at_ms);
        }
        let table = self.table_mut(kind);
        if let Some(external_id) = &record.external_id {
            table.external.insert(external_id.clone(), id);
        }
        if let Some(number) = &record.number {
            table.numbers.insert(number.clone(), id);
        }
        table.searched.add(kind, id, &record);
        table.rows.insert(id, record);
    }

    fn delete(&mut self, kind: Kind, id: u64, at_ms: i64, silent: bool) {
        if let Some(old) = self.remove(kind, id)
            && !silent
        {
            self.log(Operation::Delete, kind, id, &old, at_ms);
        }
    }

    /// Takes a record out with everything it contributed.
    fn remove(&mut self, kind: Kind, id: u64) -> Option<Record> {
        let table = self.table_mut(kind);
        let old = table.rows.remove(&id)?;
        if let Some(external_id) = &old.external_id {
            table.external.remove(external_id);
        }
        if let Some(number) = &old.number {
            table.numbers.remove(number);
        }
        table.searched.remove(kind, id, &old);
        self.account_for(kind, &old, -1);
        Some(old)
    }

    /// Adds (`sign` 1) or takes back (−1) what a transaction does to invoices and to its customer's balance.
    fn account_for(&mut self, kind: Kind, record: &Record, sign: i64) {
        let Some(document) = &record.head.document else { return };
        let mut discounts = 0;
        for application in &document.applied {
            discounts += application.discount;
            let settles: &[Kind] = match kind {
                Kind::CustomerRefund => &[Kind::CustomerPayment, Kind::CreditMemo],
                _ => &[Kind::Invoice],
            };
            for settled in settles {
                if let Some(record) = self.table_mut(*settled).rows.get_mut(&application.invoice) {
                    record.settled += sign * application.settles();
                }
            }
        }
        let standing = self.standings.entry(document.customer).or_default();
        standing.documents = standing.documents.saturating_add_signed(sign);
        if kind.is_receivable() {
            let owed = match kind {
                Kind::Invoice | Kind::CustomerRefund => document.total,
                _ => -document.total - discounts,
            };
            *standing.balances.entry(document.currency.clone()).or_default() += sign * owed;
        }
    }

    fn log(&mut self, operation: Operation, kind: Kind, id: u64, record: &Record, at_ms: i64) {
        let head = &record.head;
        let effect = Effect {
            seq: self.effects.next_seq(),
            at: timestamp(at_ms),
            operation,
            object: kind.name(),
            external_id: record.external_id.as_deref(),
            internal_id: id,
            event_id: head.event_id.as_deref(),
            correlation_id: head.correlation_id.as_deref(),
            account_id: head.account_id.as_deref(),
            amount_minor: head.document.as_ref().map(|document| document.total),
            currency: head.document.as_ref().map(|document| &*document.currency),
        };
        self.effects.push(&effect);
    }
}
