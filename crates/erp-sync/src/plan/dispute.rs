//! `payment.disputed`: while a bank decides, what is in dispute stands on an account of its own; a lost dispute opens the invoice again and the
//! money goes back.

use super::{
    Decision, Place,
    pay_back::{Taken, received},
    same_currency,
    write_off::exceeds,
};
use crate::{
    document::{Dispute, ErpDocument, Known, Payment, key, kind},
    effect::ErpEffect,
    mapping::Mapping,
};
use connectors::{Header, JournalLine, NewJournal, NewRefund, Reference};
use events::{PaymentDisputed, common::DisputeStatus};
use failure::Failure;
use ledger::DocumentKey;

const NOTHING_MOVES: &str = "this step of the dispute moves no money";

/// # Errors
/// A version out of order, a payment that was not received, an account that the mapping lacks, more than the payment has.
pub fn plan(mapping: &Mapping, known: Known<'_>, event: &PaymentDisputed) -> Result<Decision, Failure> {
    let before = received(known, &event.payment_id, event.entity_version)?;
    same_currency("currency", &event.payment_id, &before.currency, &event.currency)?;
    if event.amount_minor > before.amount_minor {
        let (disputed, paid) = (event.amount_minor, before.amount_minor);
        let reason = format!("{disputed} of payment `{}` is disputed, {paid} was paid", event.payment_id);
        return Err(exceeds(reason).at_field("amount_minor"));
    }
    let mut payment = Payment { entity_version: event.entity_version, ..before.clone() };
    let place = Place::find(mapping, &event.legal_entity_id, &event.currency)?;
    let open = payment.disputes.get(&event.dispute_id).filter(|dispute| !dispute.is_decided).map(|of| of.amount_minor);
    let decision = match (event.status, open) {
        (DisputeStatus::Opened | DisputeStatus::UnderReview, None) => {
            let dispute = Dispute { amount_minor: event.amount_minor, is_decided: false };
            payment.disputes.insert(event.dispute_id.clone(), dispute);
            let journal = moved(mapping, &place, event, event.amount_minor)?;
            Decision::new().effect(ErpEffect::PostJournal { journal, version: event.entity_version })
        }
        (DisputeStatus::Won, Some(amount)) => {
            decided(&mut payment, event);
            moved_back(mapping, &place, event, amount)?
        }
        (DisputeStatus::Lost, open) => {
            decided(&mut payment, event);
            let (decision, after) = lost(mapping, &place, known, event, open, payment)?;
            payment = after;
            decision
        }
        (DisputeStatus::Opened | DisputeStatus::UnderReview, Some(_))
        | (DisputeStatus::Won, None)
        | (DisputeStatus::Unknown, _) => Decision::skip(NOTHING_MOVES),
    };
    Ok(decision.put(kind::PAYMENT, &event.payment_id, ErpDocument::Payment(payment)))
}

fn decided(payment: &mut Payment, event: &PaymentDisputed) {
    if let Some(dispute) = payment.disputes.get_mut(&event.dispute_id) {
        dispute.is_decided = true;
    }
}

fn header(place: &Place<'_>, event: &PaymentDisputed) -> Header {
    let memo = format!("Dispute {} of payment {}: {}", event.dispute_id, event.payment_id, event.status);
    place.header(&event.account_id, None, event.disputed_on, memo)
}

/// Our ids of the entry that a dispute makes, and of the one that takes it back.
pub(crate) fn journal_id(dispute_id: &str, is_reversal: bool) -> String {
    if is_reversal { format!("{dispute_id}/reversal") } else { dispute_id.to_owned() }
}

fn accounts(mapping: &Mapping) -> Result<(Reference, Reference), Failure> {
    let posting = &mapping.posting;
    let disputed = mapping.account("posting.disputed_account", None, posting.disputed_account.as_ref())?;
    Ok((disputed, mapping.account("posting.receivable_account", None, posting.receivable_account.as_ref())?))
}

fn moved(mapping: &Mapping, place: &Place<'_>, event: &PaymentDisputed, amount: i64) -> Result<NewJournal, Failure> {
    let (disputed, receivable) = accounts(mapping)?;
    Ok(NewJournal {
        journal_id: journal_id(&event.dispute_id, false),
        header: header(place, event),
        lines: vec![
            JournalLine { account: disputed, debit_minor: amount, credit_minor: 0 },
            JournalLine { account: receivable, debit_minor: 0, credit_minor: amount },
        ],
        reversal_of: None,
    })
}

fn moved_back(mapping: &Mapping, place: &Place<'_>, event: &PaymentDisputed, amount: i64) -> Result<Decision, Failure> {
    let mut journal = moved(mapping, place, event, amount)?;
    for line in &mut journal.lines {
        (line.debit_minor, line.credit_minor) = (line.credit_minor, line.debit_minor);
    }
    journal.journal_id = journal_id(&event.dispute_id, true);
    journal.reversal_of = Some(journal_id(&event.dispute_id, false));
    Ok(Decision::new().effect(ErpEffect::PostJournal { journal, version: event.entity_version }))
}

fn lost(
    mapping: &Mapping,
    place: &Place<'_>,
    known: Known<'_>,
    event: &PaymentDisputed,
    open: Option<i64>,
    payment: Payment,
) -> Result<(Decision, Payment), Failure> {
    let taken = Taken {
        payment_id: &event.payment_id,
        invoice_id: event.invoice_id.as_deref(),
        amount_minor: event.amount_minor,
        version: event.entity_version,
    };
    let (freed, payment) = taken.free(place, known, payment)?;
    let mut decision = match open {
        Some(amount) => moved_back(mapping, place, event, amount)?,
        None => Decision::new(),
    };
    decision.effects.extend(freed.effects);
    decision.documents.extend(freed.documents);
    let refund = NewRefund {
        refund_id: format!("dispute/{}", event.dispute_id),
        header: header(place, event),
        amount_minor: event.amount_minor,
        out_of: super::erp_id("payment", &event.payment_id, payment.erp.as_ref())?.to_owned(),
    };
    let payment = Payment { unapplied_minor: payment.unapplied_minor - event.amount_minor, ..payment };
    Ok((decision.effect(ErpEffect::Refund { refund, version: event.entity_version }), payment))
}

/// The documents that the plan looks at.
#[must_use]
pub fn reads(event: &PaymentDisputed) -> Vec<DocumentKey> {
    let mut keys = vec![key(kind::PAYMENT, &event.payment_id)];
    keys.extend(event.invoice_id.iter().map(|id| key(kind::INVOICE, id)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{State, activated, disputed, invoiced, kept, mapping, paid};
    use consumer::Effect as _;

    fn with(more: &[events::Event]) -> State {
        let mut events = vec![
            activated("A-1", "C-1").into(),
            invoiced("A-1", "INV-1", &[1000]).into(),
            paid("A-1", "P-1", &[("INV-1", 1200)], 0).into(),
        ];
        events.extend_from_slice(more);
        kept(&mapping(), &events)
    }

    fn effects(state: &State, event: &PaymentDisputed) -> Vec<String> {
        let decision = plan(&mapping(), Known(&state.documents()), event).expect("a plan");
        decision.effects.iter().map(ErpEffect::key).collect()
    }

    #[test]
    fn a_dispute_stands_on_an_account_of_its_own_until_it_is_decided() {
        let opened = disputed("P-1", "D-1", 2, DisputeStatus::Opened, 500);
        assert_eq!(effects(&with(&[]), &opened), ["journal:D-1:v2:create"]);
        let state = with(&[opened.into()]);
        assert!(effects(&state, &disputed("P-1", "D-1", 3, DisputeStatus::UnderReview, 500)).is_empty());
        assert_eq!(
            effects(&state, &disputed("P-1", "D-1", 3, DisputeStatus::Won, 500)),
            ["journal:D-1/reversal:v3:create"]
        );
    }

    #[test]
    fn a_dispute_of_more_than_was_paid_or_in_another_currency_is_for_finance() {
        let state = with(&[]);
        let refused = |change: fn(&mut PaymentDisputed)| {
            let mut event = disputed("P-1", "D-1", 2, DisputeStatus::Opened, 1_200);
            change(&mut event);
            plan(&mapping(), Known(&state.documents()), &event).err().expect("refused").code
        };
        assert_eq!(refused(|event| event.amount_minor = 1_201), "AMOUNT_EXCEEDS_OPEN");
        assert_eq!(refused(|event| event.currency = "EUR".into()), "CURRENCY_DIFFERS");
    }

    #[test]
    fn a_lost_dispute_opens_the_invoice_again_and_the_money_goes_back() {
        let opened = disputed("P-1", "D-1", 2, DisputeStatus::Opened, 500);
        let lost = disputed("P-1", "D-1", 3, DisputeStatus::Lost, 500);
        let keys = effects(&with(&[opened.clone().into()]), &lost);
        let expected = ["journal:D-1/reversal:v3:create", "payment:P-1:v3:change", "refund:dispute/D-1:v3:create"];
        assert_eq!(keys, expected);
        let state = with(&[opened.into(), lost.into()]);
        let documents = state.documents();
        assert_eq!(Known(&documents).invoice("INV-1").map(|invoice| invoice.open_minor), Some(500));
        assert!(Known(&documents).payment("P-1").is_some_and(|payment| payment.disputes["D-1"].is_decided));
    }
}
