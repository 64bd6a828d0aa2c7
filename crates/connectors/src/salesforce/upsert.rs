//! Upsert by external id, one or many, and what is asked of the organisation before and after.

use super::{
    MOST_RECORDS, SYSTEM, Salesforce,
    answer::{Access, Complaint, Verdict, of_record},
    body::{self, Body},
    call::{Call, read},
    external_id::external_id,
    object_and_field,
};
use crate::{AccountShown, Answers, Batch, Cause, CrmObject, Error, Recorded, error::queue};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One record on its way.
struct Wanted<'a> {
    cause: &'a Cause,
    external_id: String,
    body: Body,
}

/// What became of a record.
#[derive(Debug, Deserialize)]
struct Saved {
    #[serde(default)]
    id: Option<String>,
    success: bool,
    #[serde(default)]
    errors: Vec<Complaint>,
    #[serde(default)]
    created: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Collection {
    all_or_none: bool,
    records: Vec<Body>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    done: bool,
    #[serde(default)]
    next_records_url: Option<String>,
    records: Vec<AccountRow>,
}

#[derive(Debug, Deserialize)]
struct AccountRow {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "TL_Account_Id__c")]
    external_id: String,
}

/// A query travels in the address; Salesforce takes 16 KiB of it, and escapes make it longer.
const MOST_QUERY_BYTES: usize = 4_000;

impl Salesforce {
    /// Sends what is to be shown, in calls of at most 200.
    pub(super) async fn upsert_all<T: Sync>(
        &self,
        object: CrmObject,
        batch: Batch<'_, T>,
        ours: impl Fn(&T) -> String,
        body: impl Fn(&Cause, &T) -> Body,
    ) -> Answers {
        let wanted = |(cause, shown): &'_ (Cause, &T)| (external_id(&ours(shown)), body(cause, shown));
        let bodies: Vec<(String, Body)> = batch.iter().map(wanted).collect();
        let causes = batch.iter().map(|(cause, _)| cause);
        let mut wanted = causes.zip(bodies).map(|(cause, (external_id, body))| Wanted { cause, external_id, body });
        let mut answers = Vec::with_capacity(batch.len());
        loop {
            let mut chunk: Vec<Wanted<'_>> = wanted.by_ref().take(MOST_RECORDS).collect();
            match chunk.len() {
                0 => return answers,
                1 => {
                    for one in chunk.drain(..) {
                        answers.push(self.upsert(object, one).await);
                    }
                }
                _ => answers.extend(self.upsert_many(object, chunk).await),
            }
        }
    }

    async fn upsert(&self, object: CrmObject, wanted: Wanted<'_>) -> Result<Recorded, Error> {
        let (name, field) = object_and_field(object);
        let call = Call {
            access: Access::Write,
            method: Method::PATCH,
            url: self.url(&["sobjects", name, field, &wanted.external_id]),
            body: Some(json(&wanted.body)?),
        };
        let answer = self.call(wanted.cause, &call).await?;
        // 204 has no body and says no id, and so is an update.
        if answer.status.as_u16() == 204 {
            return Ok(recorded(wanted.external_id, None, true));
        }
        let saved: Saved = read(Access::Write, &answer)?;
        if saved.success {
            Ok(recorded(wanted.external_id, saved.id, !saved.created))
        } else {
            Err(of_record(&saved.errors))
        }
    }

    /// Each record fails or succeeds on its own.
    async fn upsert_many(&self, object: CrmObject, chunk: Vec<Wanted<'_>>) -> Answers {
        let Some(cause) = chunk.first().map(|wanted| wanted.cause) else { return Vec::new() };
        let (name, field) = object_and_field(object);
        let (ids, records): (Vec<String>, Vec<Body>) = chunk
            .into_iter()
            .map(|wanted| {
                let body = wanted.body.in_collection(name, field, &wanted.external_id);
                (wanted.external_id, body)
            })
            .unzip();
        let saved = match self.send_collection(cause, (name, field), records).await {
            Ok(saved) => saved,
            Err(error) => return ids.iter().map(|_| Err(error.clone())).collect(),
        };
        if saved.len() != ids.len() {
            let reason = format!("{} answers to {} records", saved.len(), ids.len());
            let unknown = Error::OutcomeUnknown { system: SYSTEM, reason };
            return ids.iter().map(|_| Err(unknown.clone())).collect();
        }
        let one = |(id, saved): (String, Saved)| {
            if saved.success { Ok(recorded(id, saved.id, !saved.created)) } else { Err(of_record(&saved.errors)) }
        };
        ids.into_iter().zip(saved).map(one).collect()
    }

    async fn send_collection(
        &self,
        cause: &Cause,
        (name, field): (&'static str, &'static str),
        records: Vec<Body>,
    ) -> Result<Vec<Saved>, Error> {
        let call = Call {
            access: Access::Write,
            method: Method::PATCH,
            url: self.url(&["composite", "sobjects", name, field]),
            body: Some(json(&Collection { all_or_none: false, records })?),
        };
        read(Access::Write, &self.call(cause, &call).await?)
    }

    /// Asks which accounts are there, and makes the others.
    pub(super) async fn ensure(&self, accounts: Batch<'_, AccountShown>) -> Answers {
        let mut known = HashMap::new();
        for chunk in chunks(accounts) {
            match self.accounts(chunk).await {
                Ok(found) => known.extend(found),
                Err(error) => return accounts.iter().map(|_| Err(error.clone())).collect(),
            }
        }
        let place = |account: &AccountShown| known.get(&external_id(&account.account_id).to_lowercase());
        let missing: Vec<_> = accounts.iter().filter(|(_, account)| place(account).is_none()).cloned().collect();
        let made = self.upsert_all(CrmObject::Account, &missing, |of| of.account_id.clone(), body::account).await;
        let mut made = made.into_iter();
        let answer = |(_, account): &(Cause, &AccountShown)| match place(account) {
            Some(ids) if ids.len() > 1 => Err(several(account)),
            Some(ids) => Ok(recorded(external_id(&account.account_id), ids.first().cloned(), true)),
            // One was made for each that was not there, in order.
            None => made.next().unwrap_or_else(|| Err(several(account))),
        };
        accounts.iter().map(answer).collect()
    }

    /// Ids of accounts by external id in lower case, which is how Salesforce compares them.
    async fn accounts(&self, accounts: Batch<'_, AccountShown>) -> Result<HashMap<String, Vec<String>>, Error> {
        let Some((cause, _)) = accounts.first() else { return Ok(HashMap::new()) };
        let ids: Vec<String> = accounts.iter().map(|(_, account)| quoted(&external_id(&account.account_id))).collect();
        let (name, field) = object_and_field(CrmObject::Account);
        let query = format!("SELECT Id, {field} FROM {name} WHERE {field} IN ({}) ORDER BY Id", ids.join(", "));
        let mut url = self.url(&["query"]);
        url.query_pairs_mut().append_pair("q", &query);
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        loop {
            let call = Call { access: Access::Read, method: Method::GET, url, body: None };
            let page: Page = read(Access::Read, &self.call(cause, &call).await?)?;
            for row in page.records {
                found.entry(row.external_id.to_lowercase()).or_default().push(row.id);
            }
            match page.next_records_url {
                Some(next) if !page.done => {
                    let unreadable = |error: url::ParseError| Error::Unavailable {
                        system: SYSTEM,
                        reason: format!("the address of the next page: {error}"),
                        retry_after: None,
                    };
                    url = self.data.join(&next).map_err(unreadable)?;
                }
                Some(_) | None => return Ok(found),
            }
        }
    }

    pub(super) async fn find(&self, cause: &Cause, object: CrmObject, ours: &str) -> Result<Option<Recorded>, Error> {
        let (name, field) = object_and_field(object);
        let external_id = external_id(ours);
        let url = self.url(&["sobjects", name, field, &external_id]);
        let call = Call { access: Access::Read, method: Method::GET, url, body: None };
        let answer = match self.call(cause, &call).await {
            Ok(answer) => answer,
            Err(Verdict::NotThere) => return Ok(None),
            Err(verdict) => return Err(verdict.into()),
        };
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "Id")]
            id: String,
            #[serde(rename = "TL_Event_Id__c", default)]
            event_id: Option<String>,
        }
        let row: Row = read(Access::Read, &answer)?;
        let is_ours = object == CrmObject::Account || row.event_id.as_deref() == Some(&cause.event_id);
        Ok(is_ours.then(|| recorded(external_id, Some(row.id), true)))
    }
}

/// Parts whose ids fit into the address of a query.
fn chunks<'a>(mut accounts: Batch<'a, AccountShown>) -> Vec<Batch<'a, AccountShown>> {
    let mut chunks = Vec::new();
    while !accounts.is_empty() {
        let mut bytes = 0;
        let fits = |(_, account): &&(Cause, &AccountShown)| {
            bytes += account.account_id.len() + 24;
            bytes <= MOST_QUERY_BYTES
        };
        let many = accounts.iter().take(MOST_RECORDS).take_while(fits).count().max(1);
        let (chunk, rest) = accounts.split_at(many);
        chunks.push(chunk);
        accounts = rest;
    }
    chunks
}

fn json(body: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(body).map_err(|error| Error::Malformed {
        system: SYSTEM,
        field: None,
        reason: error.to_string(),
    })
}

/// A SOQL text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The same for the call that wrote the record and for every look-up of it, whichever of them knows Salesforce's own id.
fn recorded(external_id: String, id: Option<String>, existed: bool) -> Recorded {
    Recorded { id: id.unwrap_or_default(), external_id, number: None, existed, redated: None }
}

fn several(account: &AccountShown) -> Error {
    Error::Refused {
        code: "CRM_DUPLICATE",
        queue: queue::REVENUE_OPERATIONS,
        field: Some("TL_Account_Id__c".into()),
        reason: format!("several accounts have the id `{}`", account.account_id),
    }
}
