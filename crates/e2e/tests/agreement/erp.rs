//! erp-sync under one schedule, and what the outside system's own log and the service's documents say in the end.

use crate::totals::Totals;
use connectors::{Currency, Line, Reference};
use erp_sync::{ErpSync, Mapping, document::ErpDocument, effect::ErpEffect};
use events::Event;
use testkit::simulation::{Case, Observed, Options, SimEvent, World};

pub fn run(events: Vec<SimEvent<Event>>, seed: u64) -> Result<Observed, String> {
    let mapping = Mapping::parse(include_str!("../../../../deploy/policies/erp-mapping.yaml")).expect("a good mapping");
    let events = events.into_iter().map(SimEvent::among).collect();
    let case = Case::new(ErpSync::new(mapping), events);
    World::new(&case, Options::stormy(seed), seed).run().map(|(observed, _)| observed)
}

/// Every change that took effect in the ERP, in its order.
pub fn effects(observed: &Observed) -> impl Iterator<Item = ErpEffect> {
    observed.effects.iter().map(|effect| serde_json::from_str(&effect.payload).expect("effects are plain data"))
}

pub fn documents(observed: &Observed) -> impl Iterator<Item = (&str, ErpDocument)> {
    let document = |body: &str| serde_json::from_str(body).expect("documents are plain data");
    observed.documents.iter().map(move |(key, body)| (key.key.as_str(), document(body)))
}

pub fn code(currency: &Currency) -> &str {
    match &currency.reference {
        Reference::ExternalId(code) | Reference::Id(code) => code,
    }
}

fn gross(lines: &[Line]) -> i64 {
    let tax = |line: &Line| line.taxes.iter().map(|tax| tax.amount_minor).sum::<i64>();
    lines.iter().map(|line| line.amount_minor + tax(line)).sum()
}

/// What was made comes from the effects, what is open from the documents.
pub fn totals(observed: &Observed) -> Totals {
    let mut totals = Totals::default();
    for effect in effects(observed) {
        match effect {
            ErpEffect::PostInvoice { invoice, .. } => {
                totals.of(code(&invoice.header.currency)).invoiced += gross(&invoice.lines);
            }
            ErpEffect::IssueCreditMemo { credit_memo, .. } => {
                let sums = totals.of(code(&credit_memo.header.currency));
                let amount = gross(&credit_memo.lines);
                let is_loss = credit_memo.credit_note_id.starts_with("write-off/");
                *(if is_loss { &mut sums.written_off } else { &mut sums.credited }) += amount;
            }
            ErpEffect::ApplyPayment { payment, .. } => {
                totals.of(code(&payment.header.currency)).paid += payment.amount_minor;
            }
            ErpEffect::Refund { refund, .. } => {
                totals.of(code(&refund.header.currency)).paid_back += refund.amount_minor;
            }
            ErpEffect::ChargeUsage { charge } => totals.of(code(&charge.header.currency)).rated += charge.amount_minor,
            _ => {}
        }
    }
    for (_, document) in documents(observed) {
        match document {
            ErpDocument::Invoice(invoice) => totals.of(&invoice.currency).receivable += invoice.open_minor,
            ErpDocument::CreditNote(note) => totals.of(&note.currency).receivable -= note.unapplied_minor,
            ErpDocument::Payment(payment) => totals.of(&payment.currency).receivable -= payment.unapplied_minor,
            ErpDocument::Usage(usage) => totals.of(&usage.currency).rated += usage.waiting_minor(),
            _ => {}
        }
    }
    totals.moved()
}
