//! A record's fields as text, under SuiteQL's lower-case names: what lists filter by and SuiteQL selects.

use serde_json::Value;

use crate::{
    books::{body::Fields, kind::Kind, money, render, store::Record, write::stored_fields},
    clock::timestamp,
};

/// One record as a row. Stored fields are read only when a column asks for one.
pub struct Row<'a> {
    pub kind: Kind,
    pub id: u64,
    pub record: &'a Record,
    stored: Option<Fields>,
}

impl<'a> Row<'a> {
    pub fn new(kind: Kind, id: u64, record: &'a Record) -> Self {
        Self { kind, id, record, stored: None }
    }

    /// The column's text; booleans are `T` and `F`, references their internal id, dates `YYYY-MM-DD`.
    pub fn text(&mut self, column: &str) -> Option<String> {
        let column = column.to_ascii_lowercase();
        self.computed(&column).unwrap_or_else(|| self.stored_text(&column))
    }

    /// `None`: not a computed column. `Some(None)`: one without a value.
    fn computed(&self, column: &str) -> Option<Option<String>> {
        let record = self.record;
        let document = record.head.document.as_ref();
        let amount = |minor: fn(&Record, Kind) -> i64| {
            document.map(|document| money::major(minor(record, self.kind), document.exponent).normalize().to_string())
        };
        Some(match column {
            "id" => Some(self.id.to_string()),
            "externalid" => record.external_id.as_deref().map(str::to_owned),
            "tranid" | "entityid" | "itemid" => {
                record.number.as_deref().or(record.external_id.as_deref()).map(str::to_owned)
            }
            "type" => self.kind.transaction_code().map(str::to_owned).or_else(|| Some(self.kind.name().to_owned())),
            "recordtype" => Some(self.kind.name().to_ascii_lowercase()),
            "lastmodifieddate" => Some(timestamp(record.modified_ms).to_string()),
            "createddate" => Some(timestamp(record.created_ms).to_string()),
            "total" | "foreigntotal" => amount(|record, _| record.head.document.as_ref().map_or(0, |of| of.total)),
            "taxtotal" => amount(|record, _| record.head.document.as_ref().map_or(0, |of| of.tax)),
            "amountremaining" | "foreignamountunpaid" | "unapplied" => amount(Record::open),
            "amountpaid" | "foreignamountpaid" => amount(|record, _| record.settled),
            "entity" | "customer" => document.map(|document| document.customer.to_string()),
            "status" if document.is_some() => Some(render::status(self.kind, record.open(self.kind)).to_owned()),
            _ => return None,
        })
    }

    fn stored_text(&mut self, column: &str) -> Option<String> {
        let fields = self.stored.get_or_insert_with(|| stored_fields(self.record));
        let value = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value)?;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(if *flag { "T" } else { "F" }.to_owned()),
            Value::Object(object) => object.get("id").and_then(Value::as_str).map(str::to_owned),
            Value::Null | Value::Array(_) => None,
        }
    }

    /// Names of all columns that have a value, for `SELECT *`.
    pub fn names(&mut self) -> Vec<String> {
        let stored = self.stored.get_or_insert_with(|| stored_fields(self.record));
        let mut names: Vec<String> = stored
            .iter()
            .filter(|(_, value)| value.get("items").is_none())
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.extend(["id", "externalid", "lastmodifieddate", "createddate"].map(str::to_owned));
        if self.kind.is_transaction() {
            let computed = ["type", "tranid", "entity", "foreigntotal", "foreignamountunpaid", "status"];
            names.extend(computed.map(str::to_owned));
        }
        names.sort();
        names.dedup();
        names
    }
}

/// Compares as numbers where both are, else as text (which orders ISO dates).
pub fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |text: &str| text.parse::<rust_decimal::Decimal>().ok();
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}
