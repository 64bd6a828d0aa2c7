//! analytics-feed under one schedule, and what a reader of its topics adds up.

use crate::totals::Totals;
use analytics_feed::{AnalyticsFeed, Pseudonyms, Writer};
use events::{
    Dataset, Event, EventSet as _, WriterSchema,
    common::{DocumentKind, PaymentEntry},
};
use std::collections::BTreeMap;
use testkit::simulation::{Case, Observed, Options, SimEvent, World};

pub fn run(events: Vec<SimEvent<Event>>, seed: u64) -> Result<Observed, String> {
    let masks = Pseudonyms::try_new(&"0123456789abcdef0123456789abcdef".to_owned().into(), 1).expect("a good key");
    let events = events.into_iter().map(SimEvent::among).collect();
    let case = Case::new(AnalyticsFeed::new(masks, Writer::numbered()), events);
    World::new(&case, Options::stormy(seed), seed).run().map(|(observed, _)| observed)
}

/// Rows as any reader decodes them; of a compacted topic the newest of each key.
fn rows(observed: &Observed) -> impl Iterator<Item = Dataset> {
    let mut facts = Vec::new();
    let mut states = BTreeMap::new();
    for record in &observed.told {
        // Dead letters are of no schema.
        let Some(schema) = WriterSchema::own(&record.topic) else { continue };
        let row = record
            .value
            .as_ref()
            .map(|value| Dataset::decode_avro(&record.topic, &schema, &value[5..]).expect("readable"));
        match row {
            Some(row @ Dataset::AnalyticsAccountBalance(_)) => drop(states.insert(record.key.clone(), row)),
            Some(row) => facts.push(row),
            None => {}
        }
    }
    facts.into_iter().chain(states.into_values())
}

pub fn totals(observed: &Observed) -> Totals {
    let mut totals = Totals::default();
    for row in rows(observed) {
        match row {
            Dataset::AnalyticsInvoiceLine(row) => {
                let sums = totals.of(&row.currency);
                match row.document_kind {
                    DocumentKind::CreditNote => sums.credited -= row.gross_minor,
                    _ => sums.invoiced += row.gross_minor,
                }
            }
            Dataset::AnalyticsPayment(row) => {
                let sums = totals.of(&row.currency);
                match row.entry {
                    PaymentEntry::Received => sums.paid += row.amount_minor,
                    PaymentEntry::Refunded | PaymentEntry::Disputed => sums.paid_back -= row.amount_minor,
                    PaymentEntry::WrittenOff => sums.written_off += row.write_off_minor,
                    _ => {}
                }
            }
            Dataset::AnalyticsUsage(row) => totals.of(&row.currency).rated += row.amount_minor,
            Dataset::AnalyticsAccountBalance(row) => totals.of(&row.currency).receivable += row.balance_minor,
            _ => {}
        }
    }
    totals.moved()
}
