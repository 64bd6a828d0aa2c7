//! Real invoices of a retailer as events of the wire contract, by fixed rules, so that totals can be compared.
//!
//! * A document is all lines of one number, in file order. `C…` is a credit note, `A…` a ledger adjustment (skipped), all others
//!   are invoices; a document whose lines all have price 0 is a stock adjustment (skipped).
//! * The account is the customer, or `walk-in:<Country>`. Its first document is preceded by its one, open-ended contract.
//! * A line is quantity × price rounded half up to pence; lines are summed. A credit note's amounts are positive credits.
//! * A credit note refers to the account's latest earlier invoice that has each of its stock codes in at least the quantity
//!   credited; where there is none, it stands on the account.
//! * Source and id come from the file alone: publishing a file twice changes nothing.
//! * A document with a line that cannot be read is refused as a whole: half an invoice is a wrong invoice.

mod documents;
mod rows;
mod shape;
mod summary;

pub use documents::{Document, Documents};
pub use rows::{BadRow, Row, Rows};
pub use summary::Summary;

use documents::Item;
use events::{Envelope, Event, EventSet, topics};
use rust_decimal::Decimal;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    path::Path,
    sync::Arc,
};

/// `ce_source` of all events.
pub const SOURCE: &str = "urn:uci:online-retail";
const CURRENCY: &str = "GBP";

/// Why something of the file is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Line of the file, from 1, counting the heading.
    pub file_line: u64,
    /// The document that is left out; `None` where the line names none.
    pub document: Option<String>,
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.document {
            Some(document) => write!(f, "line {}: {}; document {document} is left out", self.file_line, self.reason),
            None => write!(f, "line {}: {}; the line is left out", self.file_line, self.reason),
        }
    }
}

/// An event of the file, ready to publish with its account as key.
pub type Published = (Envelope, Event);

/// Translates a file, document by document, in file order. In memory are the open documents and, for credit notes, what each
/// account bought.
pub struct Events {
    documents: Documents,
    contracts: HashSet<String>,
    bought: HashMap<String, Vec<Arc<Purchase>>>,
    ready: VecDeque<Published>,
    summary: Summary,
}

/// An earlier invoice, as far as credit notes need it.
struct Purchase {
    number: String,
    issue_on: jiff::civil::Date,
    quantities: HashMap<String, i64>,
}

impl Events {
    /// Opens a file, plain CSV or `.xz`.
    ///
    /// # Errors
    /// If it cannot be read, or its heading lacks a column.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            documents: Documents::open(path)?,
            contracts: HashSet::new(),
            bought: HashMap::new(),
            ready: VecDeque::new(),
            summary: Summary::default(),
        })
    }

    /// Documents in the file, of every kind.
    #[must_use]
    pub fn document_count(&self) -> usize {
        self.documents.document_count()
    }

    /// What was translated so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    fn document(&mut self, document: &Document) -> Result<(), Refusal> {
        if let Some(bad) = document.bad_rows.first() {
            return Err(refusal(document, bad.file_line, bad.reason.clone()));
        }
        let Some(first) = document.rows.first() else { return Ok(()) };
        if document.number.starts_with('A') {
            self.summary.skipped_adjustments += 1;
            return Ok(());
        }
        if document.rows.iter().all(|row| row.unit_price.is_zero()) {
            self.summary.skipped_stock_adjustments += 1;
            return Ok(());
        }
        let account = account_of(first);
        let event = self.translate(document, &account)?;
        if self.contracts.insert(account.clone()) {
            self.contract(&account, first);
        }
        self.summary.count(&account, &event);
        self.ready.push_back(enveloped(document.number.clone(), event));
        Ok(())
    }

    fn translate(&mut self, document: &Document, account: &str) -> Result<Event, Refusal> {
        let is_credit = document.number.starts_with('C');
        let lines = shape::lines(&document.rows, is_credit)
            .map_err(|(row, reason)| refusal(document, row.file_line, reason))?;
        let first = &document.rows[0];
        let event: Event = if is_credit {
            let corrected = self.corrected(account, &document.rows);
            shape::credit_note(&document.number, account, first, lines, corrected.as_deref()).into()
        } else {
            shape::invoice(&document.number, account, first, lines).into()
        };
        event.check().map_err(|failure| refusal(document, first.file_line, failure.to_string()))?;
        if !is_credit {
            self.remember(account, document, first);
        }
        Ok(event)
    }

    fn contract(&mut self, account: &str, first: &Row) {
        let event: Event = shape::contract(account, first).into();
        self.summary.contracts += 1;
        self.ready.push_back(enveloped(format!("contract-{account}"), event));
    }

    fn remember(&mut self, account: &str, document: &Document, first: &Row) {
        let purchase = Purchase {
            number: document.number.clone(),
            issue_on: first.issued.date(),
            quantities: quantities(&document.rows, 1),
        };
        self.bought.entry(account.to_owned()).or_default().push(Arc::new(purchase));
    }

    /// The latest earlier invoice that a credit note can be a correction of.
    fn corrected(&self, account: &str, rows: &[Row]) -> Option<Arc<Purchase>> {
        let credited = quantities(rows, -1);
        let covers = |purchase: &Purchase| {
            credited
                .iter()
                .all(|(code, credited)| purchase.quantities.get(code).is_some_and(|bought| bought >= credited))
        };
        self.bought.get(account)?.iter().rev().find(|purchase| covers(purchase)).cloned()
    }
}

impl Iterator for Events {
    /// The outer error ends the translation: the file itself cannot be read on.
    type Item = anyhow::Result<Result<Published, Refusal>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(Ok(event)));
            }
            let refused = match self.documents.next()? {
                Err(error) => return Some(Err(error)),
                Ok(Item::Stray(bad)) => Err(Refusal { file_line: bad.file_line, document: None, reason: bad.reason }),
                Ok(Item::Document(document)) => self.document(&document),
            };
            if let Err(refusal) = refused {
                self.summary.refused += 1;
                return Some(Ok(Err(refusal)));
            }
        }
    }
}

fn refusal(document: &Document, file_line: u64, reason: String) -> Refusal {
    Refusal { file_line, document: Some(document.number.clone()), reason }
}

fn account_of(row: &Row) -> String {
    if row.customer_id.is_empty() { format!("walk-in:{}", row.country) } else { row.customer_id.clone() }
}

/// How much of each stock code a document moves, times `sign`.
fn quantities(rows: &[Row], sign: i64) -> HashMap<String, i64> {
    let mut quantities = HashMap::with_capacity(rows.len());
    for row in rows {
        *quantities.entry(row.stock_code.clone()).or_default() += row.quantity * sign;
    }
    quantities
}

fn enveloped(id: String, event: Event) -> Published {
    let envelope = Envelope {
        id,
        source: SOURCE.to_owned(),
        event_type: topics::event_type(event.topic()),
        time_ms: event.effective_at().as_millisecond(),
        subject: Some(event.subject().to_owned()),
        correlation_id: Some(format!("contract-{}", event.account_id())),
        sequence: event.entity_version().map(|version| format!("{version:010}").into()),
        ..Envelope::default()
    };
    (envelope, event)
}

/// Quantity × price, rounded half up to pence.
fn pence(quantity: i64, unit_price: Decimal) -> Result<i64, String> {
    events::money::line_amount_minor(Decimal::from(quantity), unit_price, CURRENCY).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
