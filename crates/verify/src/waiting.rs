//! What a service has added up and not sent yet, as its own documents say.

use crate::Error;
use ledger::{DocumentFilter, Ledger};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The parts of erp-sync's usage document that count.
#[derive(Deserialize)]
struct Usage {
    currency: String,
    months: BTreeMap<String, Month>,
}

#[derive(Deserialize)]
struct Month {
    amount_minor: i64,
}

/// Σ by object and currency.
pub async fn read(ledger: &dyn Ledger) -> Result<BTreeMap<(String, String), i128>, Error> {
    let filter = DocumentFilter { kind: Some("usage".to_owned()), limit: usize::MAX >> 1, ..DocumentFilter::default() };
    let mut waiting: BTreeMap<(String, String), i128> = BTreeMap::new();
    for row in ledger.documents(&filter).await? {
        let usage: Usage = serde_json::from_str(&row.body)
            .map_err(|error| Error::Outside(format!("document {}: {error}", row.key.key)))?;
        let sum: i128 = usage.months.values().map(|month| i128::from(month.amount_minor)).sum();
        *waiting.entry(("charge".to_owned(), usage.currency)).or_default() += sum;
    }
    Ok(waiting)
}
