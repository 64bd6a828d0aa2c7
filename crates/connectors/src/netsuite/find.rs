//! Looking records up. `None` is said only on NetSuite's own word that there is none.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict},
    call::Call,
    record_type,
    suiteql::literal,
};
use crate::{Cause, Contact, Error, Object, Recorded, http::Answer};
use jiff::civil::Date;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

/// A record as NetSuite has it, as far as it says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) external_id: String,
    number: Option<String>,
    event_id: Option<String>,
    pub(super) last_modified: Option<String>,
    tran_date: Option<Date>,
    original_date: Option<Date>,
    contact: Contact,
}

impl Found {
    /// Whether the event behind `cause` was the last of ours to write it.
    pub(super) fn was_changed_by(&self, cause: &Cause) -> bool {
        self.event_id.as_deref() == Some(&cause.event_id)
    }

    pub(super) fn into_recorded(self) -> Recorded {
        let redated = self.original_date.and(self.tran_date);
        Recorded { id: self.id, external_id: self.external_id, number: self.number, existed: true, redated }
    }

    /// Whether every field that `wanted` sets is set so.
    pub(super) fn has(&self, wanted: &Contact) -> bool {
        let same = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        same(&wanted.email, &self.contact.email) && same(&wanted.phone, &self.contact.phone)
    }

    /// The record as ours, if the event behind `cause` made it.
    pub(super) fn made_by(self, cause: &Cause, object: Object) -> Result<Recorded, Error> {
        let is_ours = object == Object::Customer || self.was_changed_by(cause);
        if !is_ours {
            let maker = self.event_id.as_deref().unwrap_or("somebody else");
            let reason = format!(
                "{} {} in {SYSTEM} has our external id `{}` but was made by {maker}",
                record_type(object),
                self.id,
                self.external_id
            );
            return Err(Error::Taken { field: "externalId", reason });
        }
        Ok(self.into_recorded())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    id: Id,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    tran_id: Option<String>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    last_modified_date: Option<String>,
    #[serde(default)]
    tran_date: Option<Date>,
    #[serde(rename = "custbody_tl_original_date", default)]
    original_date: Option<Date>,
    #[serde(rename = "custbody_tl_event_id", default)]
    body_event_id: Option<String>,
    #[serde(rename = "custentity_tl_event_id", default)]
    entity_event_id: Option<String>,
    #[serde(flatten)]
    contact: Contact,
}

/// NetSuite writes ids as text, and now and then as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Text(id) => id,
            Self::Number(id) => id.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct Row {
    id: Id,
    #[serde(default)]
    externalid: Option<String>,
    #[serde(default)]
    tranid: Option<String>,
    #[serde(default)]
    custbody_tl_event_id: Option<String>,
    #[serde(default)]
    trandate: Option<Date>,
    #[serde(default)]
    custbody_tl_original_date: Option<Date>,
}

impl NetSuite {
    pub(super) fn record_url(&self, object: Object, ours: &str) -> Result<Url, Error> {
        let external_id = self.scheme.external_id(object, ours);
        self.url(&format!("record/v1/{}/eid:{external_id}", record_type(object)))
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.rest.join(path).map_err(|error| Error::Malformed {
            system: SYSTEM,
            field: None,
            reason: format!("no address: {error}"),
        })
    }

    pub(super) async fn by_external_id(
        &self,
        cause: &Cause,
        object: Object,
        ours: &str,
    ) -> Result<Option<Found>, Error> {
        let url = self.record_url(object, ours)?;
        let call = Call { access: Access::Read, method: Method::GET, url, body: None, job: None };
        let answer = match self.call(cause, &call).await {
            Ok(answer) => answer,
            Err(Verdict::Nonexistent) => return Ok(None),
            Err(verdict) => return Err(verdict.into()),
        };
        let record: Record = read(&answer)?;
        Ok(Some(Found {
            id: record.id.into_text(),
            external_id: record.external_id.unwrap_or_else(|| self.scheme.external_id(object, ours)),
            number: record.tran_id.or(record.entity_id),
            event_id: record.body_event_id.or(record.entity_event_id),
            last_modified: record.last_modified_date,
            tran_date: record.tran_date,
            original_date: record.original_date,
            contact: record.contact,
        }))
    }

    /// The transaction that has this number, whoever made it.
    pub(super) async fn by_number(&self, cause: &Cause, object: Object, number: &str) -> Result<Option<Found>, Error> {
        let Some(code) = transaction_code(object) else { return Ok(None) };
        let query = format!(
            "SELECT id, externalid, tranid, trandate, custbody_tl_event_id, custbody_tl_original_date FROM transaction WHERE type = '{code}' AND tranid = {}",
            literal(number)
        );
        let row: Option<Row> = self.select_first(cause, &query).await?;
        Ok(row.map(|row| Found {
            id: row.id.into_text(),
            external_id: row.externalid.unwrap_or_default(),
            number: row.tranid,
            event_id: row.custbody_tl_event_id,
            last_modified: None,
            tran_date: row.trandate,
            original_date: row.custbody_tl_original_date,
            contact: Contact::default(),
        }))
    }
}

/// `transaction.type` in SuiteQL; only documents that have numbers of ours are asked for.
const fn transaction_code(object: Object) -> Option<&'static str> {
    match object {
        Object::Invoice => Some("CustInvc"),
        Object::CreditMemo => Some("CustCred"),
        Object::Customer
        | Object::Order
        | Object::Payment
        | Object::RevenuePlan
        | Object::Charge
        | Object::Refund
        | Object::Journal => None,
    }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    let unreadable = |reason: String| Error::Unavailable { system: SYSTEM, reason, retry_after: None };
    if !answer.is_whole {
        return Err(unreadable("the answer was cut short or is longer than the limit".into()));
    }
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(format!("the answer cannot be read: {error}")))
}
