//! Changing a record that exists: once for each event, and never over a change that we have not seen.
//!
//! The record says which event wrote it last, so a look before the write answers whether an earlier call of ours took effect; and the
//! state that was seen travels with the write, so that of two calls of one event only the first takes effect.

use super::{
    NetSuite, SYSTEM,
    answer::{Access, Verdict},
    call::Call,
    create::{AFTER_CHANGE, Wanted, encode},
    find::read,
};
use crate::{Cause, CustomerScope, Error, Object, Recorded, Reference};
use reqwest::Method;
use serde::{Deserialize, Serialize};

/// A change, and the state that it is a change of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen<'a, B> {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_date: Option<&'a str>,
    #[serde(flatten)]
    body: &'a B,
}

impl NetSuite {
    /// `PATCH` that replaces the sublists in `replace`: without that their lines would be appended.
    pub(super) async fn change<B: Serialize + Sync>(
        &self,
        cause: &Cause,
        object: Object,
        ours: &str,
        replace: &str,
        body: &B,
    ) -> Result<Recorded, Error> {
        let mut delays = AFTER_CHANGE.delays(cause.event_id.len() as u64);
        loop {
            let Some(found) = self.by_external_id(cause, object, ours).await? else {
                let reason = format!("{} `{ours}` that we made cannot be seen", object.as_str());
                return Err(Error::Unavailable { system: SYSTEM, reason, retry_after: None });
            };
            if found.was_changed_by(cause) {
                return Ok(found.into_recorded());
            }
            let mut url = self.record_url(object, ours)?;
            url.query_pairs_mut().append_pair("replace", replace);
            let body = encode(&Seen { last_modified_date: found.last_modified.as_deref(), body })?;
            let call = Call { access: Access::Write, method: Method::PATCH, url, body: Some(body) };
            match (self.call(cause, &call).await, delays.next()) {
                (Ok(_), _) => return Ok(Recorded { existed: false, ..found.into_recorded() }),
                (Err(Verdict::Changed(_)), Some(delay)) => tokio::time::sleep(delay).await,
                (Err(verdict), _) => return Err(verdict.into()),
            }
        }
    }

    /// The customer, if both the subsidiary and the currency are among its own.
    pub(super) async fn enabled(&self, cause: &Cause, scope: &CustomerScope) -> Result<Option<Recorded>, Error> {
        let mut url = self.record_url(Object::Customer, &scope.account_id)?;
        url.query_pairs_mut().append_pair("expandSubResources", "true");
        let call = Call { access: Access::Read, method: Method::GET, url, body: None };
        let answer = match self.call(cause, &call).await {
            Ok(answer) => answer,
            Err(Verdict::Nonexistent) => return Ok(None),
            Err(verdict) => return Err(verdict.into()),
        };
        let customer: Enabled = read(&answer)?;
        if !customer.has(scope) {
            return Ok(None);
        }
        let wanted = Wanted { object: Object::Customer, ours: &scope.account_id, number: None };
        self.find_made(cause, wanted).await
    }

    async fn find_made(&self, cause: &Cause, wanted: Wanted<'_>) -> Result<Option<Recorded>, Error> {
        let found = self.by_external_id(cause, wanted.object, wanted.ours).await?;
        Ok(found.map(super::find::Found::into_recorded))
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Enabled {
    subsidiary: Named,
    currency: Named,
    subsidiary_list: Listed,
    currency_list: Listed,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Listed {
    items: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    subsidiary: Named,
    currency: Named,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    id: String,
    ref_name: String,
}

impl Named {
    fn is(&self, wanted: &Reference) -> bool {
        match wanted {
            Reference::Id(id) => self.id == *id,
            Reference::ExternalId(name) => self.ref_name == *name,
        }
    }
}

impl Enabled {
    fn has(&self, scope: &CustomerScope) -> bool {
        let subsidiary = self.subsidiary.is(&scope.subsidiary)
            || self.subsidiary_list.items.iter().any(|entry| entry.subsidiary.is(&scope.subsidiary));
        let currency = self.currency.is(&scope.currency)
            || self.currency_list.items.iter().any(|entry| entry.currency.is(&scope.currency));
        subsidiary && currency
    }
}
