//! Set-up data: what an administrator configured before the first request.
//!
//! The standard set is `seed.json` of this crate; its `_about` explains the fields. `POST /__admin/seed` takes the same
//! shape and adds to what is there, replacing records with the same internal id.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::to_raw_value};

use super::{
    kind::Kind,
    money::Currency,
    store::{Change, Head, Put, Store},
};
use crate::{Error, clock::month_end};

/// The set-up of an account, or an addition to one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Seed {
    #[serde(rename = "_about", skip_serializing)]
    about: Option<String>,
    pub subsidiaries: Vec<Entry>,
    pub currencies: Vec<Entry>,
    pub terms: Vec<Entry>,
    pub items: Vec<Entry>,
    pub accounts: Vec<Entry>,
    pub departments: Vec<Entry>,
    pub classes: Vec<Entry>,
    pub locations: Vec<Entry>,
    pub tax_codes: Vec<Entry>,
    pub periods: Option<Periods>,
    /// External ids of customers on credit hold.
    pub credit_hold: Vec<String>,
    pub custom_fields: CustomFields,
}

/// One set-up record: its internal id, and its other fields as they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// First and last month (`YYYY-MM`, inclusive) with an open accounting period.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Periods {
    from: String,
    to: String,
}

/// Declared custom fields; a name ending in `*` declares a prefix.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct CustomFields {
    entity: Vec<String>,
    body: Vec<String>,
    column: Vec<String>,
}

impl CustomFields {
    /// Whether a custom field of this name was declared.
    pub fn declares(&self, name: &str) -> bool {
        let declared = match name.split_once('_') {
            Some(("custentity", _)) => &self.entity,
            Some(("custbody", _)) => &self.body,
            Some(("custcol", _)) => &self.column,
            _ => return false,
        };
        declared.iter().any(|field| matches(field, name))
    }

    fn extend(&mut self, more: CustomFields) {
        self.entity.extend(more.entity);
        self.body.extend(more.body);
        self.column.extend(more.column);
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// An accounting period of one month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Period {
    pub id: u64,
    pub end: Date,
    /// Nothing may be posted any more.
    pub closed: bool,
    /// Receivables may not be posted any more.
    pub locked: bool,
}

impl Seed {
    /// The set-up every sandbox starts with.
    pub fn standard() -> Seed {
        serde_json::from_str(include_str!("../../seed.json")).expect("the crate's own seed.json is checked by a test")
    }

    /// Adds this set-up to the books.
    ///
    /// # Errors
    /// An id that is no number, a currency without code or exponent, a month that is none.
    pub fn load(self, store: &mut Store, at_ms: i64) -> Result<(), Error> {
        let groups = [
            (Kind::Currency, self.currencies),
            (Kind::Subsidiary, self.subsidiaries),
            (Kind::Term, self.terms),
            (Kind::ServiceSaleItem, self.items),
            (Kind::Account, self.accounts),
            (Kind::Department, self.departments),
            (Kind::Classification, self.classes),
            (Kind::Location, self.locations),
            (Kind::SalesTaxItem, self.tax_codes),
        ];
        for (kind, entries) in groups {
            for entry in entries {
                load_entry(store, kind, entry, at_ms)?;
            }
        }
        if let Some(periods) = self.periods {
            load_periods(store, &periods, at_ms)?;
        }
        store.holds.extend(self.credit_hold.into_iter().map(String::into_boxed_str));
        store.custom_fields.extend(self.custom_fields);
        Ok(())
    }
}

fn load_entry(store: &mut Store, kind: Kind, entry: Entry, at_ms: i64) -> Result<(), Error> {
    let invalid = |problem: &str| Error::Seed(format!("{} {}: {problem}", kind.name(), entry.id));
    let id: u64 = entry.id.parse().map_err(|_| invalid("its id must be a number"))?;
    let mut external_id = entry.external_id.clone();
    match kind {
        Kind::Currency => {
            let code = entry.fields.get("symbol").and_then(Value::as_str).ok_or_else(|| invalid("has no symbol"))?;
            let exponent = entry.fields.get("exponent").and_then(Value::as_u64).filter(|exponent| *exponent <= 4);
            let exponent = exponent.ok_or_else(|| invalid("needs an exponent from 0 to 4"))? as u32;
            store.currencies.insert(id, Currency { code: code.into(), exponent });
            external_id.get_or_insert_with(|| code.to_owned());
        }
        Kind::ServiceSaleItem => {
            if let Some(prefix) = external_id.as_deref().and_then(|external_id| external_id.strip_suffix('*')) {
                store.families.retain(|(_, family)| *family != id);
                store.families.push((prefix.into(), id));
            }
        }
        _ => {}
    }
    put(store, kind, id, external_id, entry.fields, at_ms);
    Ok(())
}

fn load_periods(store: &mut Store, periods: &Periods, at_ms: i64) -> Result<(), Error> {
    let month = |text: &str| -> Result<Date, Error> {
        format!("{text}-01").parse().map_err(|_| Error::Seed(format!("periods: {text} is no month (YYYY-MM)")))
    };
    let (mut start, last) = (month(&periods.from)?, month(&periods.to)?);
    let mut id = store.periods.values().map(|period| period.id).max().unwrap_or(0);
    while start <= last {
        let end = month_end(start);
        if !store.periods.contains_key(&start) {
            id += 1;
            save_period(store, start, Period { id, end, closed: false, locked: false }, at_ms);
        }
        start = end.tomorrow().map_err(|_| Error::Seed("periods: the range ends beyond the calendar".to_owned()))?;
    }
    Ok(())
}

/// Writes an accounting period with its record.
pub fn save_period(store: &mut Store, start: Date, period: Period, at_ms: i64) {
    let fields = serde_json::json!({
        "periodName": start.strftime("%b %Y").to_string(),
        "startDate": start, "endDate": period.end,
        "closed": period.closed, "arLocked": period.locked, "allLocked": period.closed,
        "isYear": false, "isQuarter": false, "isAdjust": false,
    });
    let external_id = start.strftime("%Y-%m").to_string();
    let id = period.id;
    store.periods.insert(start, period);
    if let Value::Object(fields) = fields {
        put(store, Kind::AccountingPeriod, id, Some(external_id), fields, at_ms);
    }
}

fn put(store: &mut Store, kind: Kind, id: u64, external_id: Option<String>, fields: Map<String, Value>, at_ms: i64) {
    let body = to_raw_value(&fields).expect("a JSON object always serialises");
    let external_id = external_id.map(String::into_boxed_str);
    store.apply(Change::Put(Put { kind, id, external_id, number: None, head: Head::default(), body }), at_ms, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_seed_loads() {
        let mut store = Store::default();
        Seed::standard().load(&mut store, 0).unwrap();
        assert_eq!(store.table(Kind::Subsidiary).rows.len(), 4);
        assert_eq!(store.periods.len(), 19 * 12);
        assert_eq!(
            store.by_external(Kind::Currency, "JPY").and_then(|id| store.currencies.get(&id)).unwrap().exponent,
            0
        );
        assert!(store.custom_fields.declares("custbody_tl_event_id"));
        assert!(!store.custom_fields.declares("custbody_tl_evnet_id"));
    }
}
