//! The outside systems' own logs of what took effect.

use crate::Error;
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// One committed effect.
#[derive(Debug, Clone, Deserialize)]
pub struct Effect {
    pub seq: u64,
    /// Which of the outside systems; each has an order of its own.
    #[serde(skip)]
    pub system: usize,
    pub operation: String,
    pub object: String,
    pub external_id: Option<String>,
    pub event_id: Option<String>,
    pub amount_minor: Option<i64>,
    pub currency: Option<String>,
}

/// Reads the logs of all of them.
pub async fn read_all(urls: &[String]) -> Result<Vec<Effect>, Error> {
    let mut all = Vec::new();
    for (system, url) in urls.iter().enumerate() {
        all.extend(read(url).await?.into_iter().map(|effect| Effect { system, ..effect }));
    }
    Ok(all)
}

async fn text(url: &str, what: &str) -> Result<String, Error> {
    let outside = |error: reqwest::Error| Error::Outside(error.to_string());
    let answer = reqwest::get(format!("{url}/__admin/{what}")).await.map_err(outside)?;
    answer.error_for_status().map_err(outside)?.text().await.map_err(outside)
}

/// What a sandbox holds now, by kind.
async fn records<T: DeserializeOwned>(url: &str) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct State<T> {
        records: T,
    }
    let text = text(url, "state?records=true").await?;
    let state: State<T> = serde_json::from_str(&text).map_err(|error| Error::Outside(error.to_string()))?;
    Ok(state.records)
}

async fn read(url: &str) -> Result<Vec<Effect>, Error> {
    let text = text(url, "effects").await?;
    let parse = |line: &str| {
        let effect: Effect = serde_json::from_str(line).map_err(|error| Error::Outside(format!("{error}: {line}")))?;
        Ok(Effect { event_id: effect.event_id.map(original), ..effect })
    };
    text.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

/// What the CRM's sandbox shows to be owed: Σ of balances by currency, in major units.
pub async fn owed(url: &str) -> Result<BTreeMap<String, Decimal>, Error> {
    let records: BTreeMap<String, Vec<serde_json::Value>> = records(url).await?;
    let mut owed = BTreeMap::new();
    for row in records.get("TL_Receivable__c").into_iter().flatten() {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let balance: Decimal = text("TL_Balance__c")
            .parse()
            .map_err(|error| Error::Outside(format!("{}: {error}", text("TL_Receivable_Id__c"))))?;
        *owed.entry(text("CurrencyIsoCode").to_owned()).or_default() += balance;
    }
    Ok(owed)
}

/// An entitlement as the product platform has it, or as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Standing {
    pub revision: i64,
    pub status: String,
}

/// What the product platform's sandbox lets customers use, by entitlement.
pub async fn access(url: &str) -> Result<BTreeMap<String, Standing>, Error> {
    #[derive(Deserialize)]
    struct Records {
        entitlement: Vec<Entitlement>,
    }
    #[derive(Deserialize)]
    struct Entitlement {
        entitlement_id: String,
        #[serde(flatten)]
        standing: Standing,
    }
    let records: Records = records(url).await?;
    Ok(records.entitlement.into_iter().map(|one| (one.entitlement_id, one.standing)).collect())
}

/// A document of the tax engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taxed {
    code: String,
    /// Our id of it, where its code cannot be that.
    #[serde(default)]
    description: Option<String>,
    /// `Saved`, `Committed` or `Cancelled`.
    pub status: String,
    pub currency_code: String,
    /// In major units.
    pub total_tax: serde_json::Number,
}

impl Taxed {
    fn document(&self) -> String {
        self.description.as_ref().unwrap_or(&self.code).clone()
    }
}

/// What carries orders to cash outside: tax documents by order or renewal, and by contract the state of what bills it.
#[derive(Debug, Clone, Default)]
pub struct Course {
    pub taxes: BTreeMap<String, Taxed>,
    pub schedules: BTreeMap<String, String>,
}

/// What tax engine and billing system hold.
pub async fn course(billing: &str, tax: &str) -> Result<Course, Error> {
    #[derive(Deserialize)]
    struct Billing {
        #[serde(default)]
        subscription_schedule: Vec<Schedule>,
    }
    #[derive(Deserialize)]
    struct Schedule {
        status: String,
        metadata: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct Tax {
        #[serde(default)]
        transaction: Vec<Taxed>,
    }
    let (billing, tax): (Billing, Tax) = (records(billing).await?, records(tax).await?);
    let contract = |mut schedule: Schedule| Some((schedule.metadata.remove("tl_contract_id")?, schedule.status));
    Ok(Course {
        taxes: tax.transaction.into_iter().map(|taxed| (taxed.document(), taxed)).collect(),
        schedules: billing.subscription_schedule.into_iter().filter_map(contract).collect(),
    })
}

/// The event that an edited one stands in for: what people put in its place is `<id>#edit-<number>` outside.
fn original(id: String) -> String {
    let is_edit = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match id.rsplit_once("#edit-") {
        Some((original, number)) if is_edit(number) => original.to_owned(),
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effect_of_an_edited_event_belongs_to_the_event_that_was_published() {
        for (id, expected) in
            [("e-1#edit-2", "e-1"), ("e-1", "e-1"), ("e-1#edit-", "e-1#edit-"), ("e#edit-x", "e#edit-x")]
        {
            assert_eq!(original(id.to_owned()), expected);
        }
    }
}
