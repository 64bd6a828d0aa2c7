//! What the demo leaves for people: an invoice whose period was closed before it came, a product that no mapping knows, a record
//! that breaks the wire contract, and one that nobody can read.

use super::chunks;
use crate::{
    commands::verify,
    exit::{Result, Trouble},
    output::Output,
    stack::Stack as Known,
};
use events::Event;
use kafka::Producer;
use std::{collections::BTreeSet, time::Duration};
use testkit::business::{Faults, Generated, Item, Options, stream};

/// Accounts whose invoices come late, and accounts with faults: the more, the longer the demo takes.
const LATE: u32 = 2;
const FLAWED: u32 = 12;

/// Publishes all of it; answers how many records that are, and the month that is closed now.
pub(super) async fn leave(
    known: &Known,
    producer: &Producer,
    all: &[::verify::Sources],
    seed: u64,
    patience: Duration,
    output: &Output,
) -> Result<(u64, String)> {
    let schemas = crate::commands::publish::schema_ids(known).await?;
    let faults = Faults { poison: 0.02, contract_errors: 0.25, business_errors: 0.5, ..Faults::NONE };
    let flawed = generated(&Options::new(seed.wrapping_add(1), FLAWED).over_months(2).with_faults(faults))?;
    let (before, after, month) = split(generated(&Options::new(seed.wrapping_add(2), LATE).over_months(2))?);
    let count = flawed.len() + before.len() + after.len();
    for chunk in chunks(flawed.into_iter().chain(before).collect(), 500) {
        super::send(producer, chunk, &schemas).await?;
    }
    // What is under way must not meet the closed period as well.
    verify::wait(all, patience, output).await?;
    close(known, &month).await?;
    output.note(format!("finance closed {month} in the ERP; {} late events of that month come now", after.len()));
    for chunk in chunks(after, 500) {
        super::send(producer, chunk, &schemas).await?;
    }
    Ok((count as u64, month))
}

fn generated(options: &Options) -> Result<Vec<Generated>> {
    let stream = stream(options).map_err(|bad| Trouble::usage(bad.to_string()))?;
    Ok(stream.collect())
}

/// The first invoice of each account, and all of that account after it, come later; the month is that of the first one.
fn split(events: Vec<Generated>) -> (Vec<Generated>, Vec<Generated>, String) {
    let (mut late, mut month) = (BTreeSet::new(), None);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for event in events {
        if let Item::Event { event: Event::InvoicePosted(invoice), .. } = &event.item {
            late.insert(event.key.clone());
            month.get_or_insert_with(|| invoice.issue_on.strftime("%Y-%m").to_string());
        }
        let side = if late.contains(&event.key) { &mut after } else { &mut before };
        side.push(event);
    }
    (before, after, month.unwrap_or_default())
}

/// Closes an accounting period of the ERP's stand-in.
async fn close(known: &Known, month: &str) -> Result<()> {
    let Some(erp) = &known.parts().erp else { return Ok(()) };
    let failed = |error: reqwest::Error| Trouble::unavailable("SANDBOX_UNAVAILABLE", error.to_string());
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let url = format!("{erp}/__admin/periods/{month}");
    let answer = client.post(url).json(&serde_json::json!({ "closed": true })).send().await.map_err(failed)?;
    answer.error_for_status().map(|_| ()).map_err(failed)
}
