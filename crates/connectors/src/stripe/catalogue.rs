//! What a schedule refers to: products, meters, and prices of what is metered. Each is made under a name that Stripe itself keeps unique,
//! so that making it twice makes one, whoever comes first.

use super::{
    Stripe,
    answer::{failure, problem, read},
    call::Listed,
    form::Form,
    money,
};
use crate::{BillingInterval, BillingTier, Cause, Error, IsoCurrency, TierMode};
use rust_decimal::Decimal;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// More names than this are not remembered; what is forgotten is asked for again.
const MOST_KNOWN: usize = 10_000;

/// Stripe's ids of what is known to be there, by our names.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, String>>);

impl Known {
    fn get(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn keep(&self, name: String, id: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name, id.to_owned());
    }
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Meter {
    id: String,
    event_name: String,
}

impl Listed for Meter {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct Price {
    id: String,
    #[serde(default)]
    lookup_key: Option<String>,
}

impl Listed for Price {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A price of usage.
pub(super) struct Metered<'a> {
    pub(super) product_id: &'a str,
    pub(super) currency: &'a IsoCurrency,
    pub(super) every: BillingInterval,
    pub(super) meter: &'a str,
    pub(super) included: Decimal,
    pub(super) tiers: &'a [BillingTier],
    pub(super) mode: TierMode,
}

impl Stripe {
    /// The product's id there.
    pub(super) async fn product(&self, cause: &Cause, product_id: &str) -> Result<String, Error> {
        let id = product_name(product_id);
        let name = format!("product/{id}");
        if self.known.get(&name).is_some() {
            return Ok(id);
        }
        let mut form = Form::default();
        form.add("id", &id);
        form.add("name", product_id);
        let answer = self.post(cause, self.client.url(&["v1", "products"]), &form).await?;
        if answer.status.as_u16() != 200 && !problem(&answer).is_there() {
            return Err(failure(true, &answer));
        }
        self.known.keep(name, &id);
        Ok(id)
    }

    async fn meter(&self, cause: &Cause, event_name: &str) -> Result<String, Error> {
        let name = format!("meter/{event_name}");
        if let Some(id) = self.known.get(&name) {
            return Ok(id);
        }
        let id = match self.meter_found(cause, event_name).await? {
            Some(id) => id,
            None => self.make_meter(cause, event_name).await?,
        };
        self.known.keep(name, &id);
        Ok(id)
    }

    async fn make_meter(&self, cause: &Cause, event_name: &str) -> Result<String, Error> {
        let mut form = Form::default();
        form.add("display_name", event_name);
        form.add("event_name", event_name);
        form.add("default_aggregation[formula]", "sum");
        let answer = self.post(cause, self.client.url(&["v1", "billing", "meters"]), &form).await?;
        if answer.status.as_u16() == 200 {
            return read::<Id>(true, &answer).map(|meter| meter.id);
        }
        // Somebody made it meanwhile.
        if let (400, Some(id)) = (answer.status.as_u16(), self.meter_found(cause, event_name).await?) {
            return Ok(id);
        }
        Err(failure(true, &answer))
    }

    async fn meter_found(&self, cause: &Cause, event_name: &str) -> Result<Option<String>, Error> {
        let mut url = self.client.url(&["v1", "billing", "meters"]);
        url.query_pairs_mut().append_pair("status", "active");
        let found = self.list::<Meter>(cause, url, |meter| meter.event_name == event_name).await?;
        Ok(found.into_iter().next().map(|meter| meter.id))
    }

    /// The price's id there. Prices never change, so one that says the same is used again.
    pub(super) async fn price(&self, cause: &Cause, price: &Metered<'_>) -> Result<String, Error> {
        let mut form = Form::default();
        form.add("product", self.product(cause, price.product_id).await?);
        form.add("currency", price.currency.code.to_lowercase());
        form.within("recurring", recurring(price.every));
        form.add("recurring[usage_type]", "metered");
        form.add("recurring[meter]", self.meter(cause, price.meter).await?);
        form.add("billing_scheme", "tiered");
        let mode = match price.mode {
            TierMode::Graduated => "graduated",
            TierMode::Volume => "volume",
        };
        form.add("tiers_mode", mode);
        tiers(&mut form, price)?;
        let name = lookup_key(&form);
        form.add("lookup_key", &name);
        if let Some(id) = self.known.get(&name) {
            return Ok(id);
        }
        let id = match self.price_found(cause, &name).await? {
            Some(id) => id,
            None => self.make_price(cause, &name, &form).await?,
        };
        self.known.keep(name, &id);
        Ok(id)
    }

    async fn make_price(&self, cause: &Cause, name: &str, form: &Form) -> Result<String, Error> {
        let answer = self.post(cause, self.client.url(&["v1", "prices"]), form).await?;
        if answer.status.as_u16() == 200 {
            return read::<Id>(true, &answer).map(|price| price.id);
        }
        if problem(&answer).is_about("lookup_key")
            && let Some(id) = self.price_found(cause, name).await?
        {
            return Ok(id);
        }
        Err(failure(true, &answer))
    }

    async fn price_found(&self, cause: &Cause, name: &str) -> Result<Option<String>, Error> {
        let mut url = self.client.url(&["v1", "prices"]);
        url.query_pairs_mut().append_pair("lookup_keys[0]", name);
        let found = self.list::<Price>(cause, url, |price| price.lookup_key.as_deref() == Some(name)).await?;
        Ok(found.into_iter().next().map(|price| price.id))
    }
}

pub(super) fn recurring(every: BillingInterval) -> Form {
    let (interval, count) = match every.months {
        months if months % 12 == 0 => ("year", months / 12),
        months => ("month", months),
    };
    let mut form = Form::default();
    form.add("interval", interval);
    form.add("interval_count", count);
    form
}

/// What is included is a first tier that costs nothing; the others count from the first unit on, so they stay as they are.
fn tiers(form: &mut Form, price: &Metered<'_>) -> Result<(), Error> {
    let mut at = 0;
    let mut tier = |up_to: String, unit: Decimal, flat: Decimal| {
        form.add(format!("tiers[{at}][up_to]"), up_to);
        form.add(format!("tiers[{at}][unit_amount_decimal]"), unit);
        if !flat.is_zero() {
            form.add(format!("tiers[{at}][flat_amount_decimal]"), flat);
        }
        at += 1;
    };
    if price.included > Decimal::ZERO {
        tier(price.included.normalize().to_string(), Decimal::ZERO, Decimal::ZERO);
    }
    for (number, given) in price.tiers.iter().enumerate() {
        if given.up_to.is_some_and(|end| end <= price.included) {
            continue;
        }
        let field = format!("tiers[{number}]");
        let unit = money::unit(&field, price.currency, given.unit_price)?;
        let flat = money::whole(&field, price.currency, given.flat_minor)?;
        tier(given.up_to.map_or_else(|| "inf".to_owned(), |end| end.normalize().to_string()), unit, flat);
    }
    Ok(())
}

/// What a price says, as a name.
fn lookup_key(form: &Form) -> String {
    let digest = Sha256::digest(form.encoded().as_bytes());
    let hex: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("tl_{hex}")
}

/// Our id where Stripe can have it as its own, else a digest of it.
fn product_name(product_id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if product_id.len() <= 100 && !product_id.is_empty() && product_id.chars().all(is_plain) {
        return product_id.to_owned();
    }
    let digest = Sha256::digest(product_id.as_bytes());
    let hex: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    format!("tl_{hex}")
}
