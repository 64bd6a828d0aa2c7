//! Money that goes back, and journal entries, in SuiteTalk's words.

use super::{
    body::{Apply, Marks, Number, Ref, Sublist, apply, cut},
    external_id::Scheme,
    period::Dated,
};
use crate::capability::{Cause, Currency, JournalLine, NewJournal, NewRefund, Object, PaymentChange};
use jiff::civil::Date;
use serde::Serialize;

const MAX_MEMO: usize = 999;

/// What a payment settles after a change.
#[derive(Debug, Serialize)]
pub(super) struct Settled {
    apply: Sublist<Apply>,
    #[serde(rename = "custbody_tl_event_id")]
    event_id: String,
    #[serde(rename = "custbody_tl_correlation_id", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
}

impl Settled {
    pub(super) fn new(cause: &Cause, change: &PaymentChange) -> Self {
        Self {
            apply: apply(&change.applications, &change.currency).unwrap_or(Sublist { items: Vec::new() }),
            event_id: cause.event_id.clone(),
            correlation_id: cause.correlation_id.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refund {
    external_id: String,
    customer: Ref,
    subsidiary: Ref,
    currency: Ref,
    tran_date: Date,
    amount: Number,
    memo: String,
    apply: Sublist<PaidOut>,
    #[serde(flatten)]
    marks: Marks,
}

#[derive(Debug, Serialize)]
struct PaidOut {
    doc: Ref,
    apply: bool,
    amount: Number,
}

impl Refund {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, refund: &NewRefund) -> Self {
        let header = &refund.header;
        let amount = || Number(header.currency.amount(refund.amount_minor));
        let paid_out = PaidOut { doc: Ref::Id(refund.out_of.clone()), apply: true, amount: amount() };
        Self {
            external_id: scheme.external_id(Object::Refund, &refund.refund_id),
            customer: Ref::ExternalId(scheme.external_id(Object::Customer, &header.account_id)),
            subsidiary: Ref::new(&header.subsidiary),
            currency: Ref::new(&header.currency.reference),
            tran_date: header.dated,
            amount: amount(),
            memo: cut(&header.memo, MAX_MEMO),
            apply: Sublist { items: vec![paid_out] },
            marks: Marks::new(cause, header),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Journal {
    external_id: String,
    subsidiary: Ref,
    currency: Ref,
    tran_date: Date,
    memo: String,
    line: Sublist<Entry>,
    #[serde(rename = "custbody_tl_reversal_of", skip_serializing_if = "Option::is_none")]
    reversal_of: Option<String>,
    #[serde(flatten)]
    marks: Marks,
}

#[derive(Debug, Serialize)]
struct Entry {
    account: Ref,
    #[serde(skip_serializing_if = "Option::is_none")]
    debit: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<Number>,
}

impl Journal {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, journal: &NewJournal) -> Self {
        let header = &journal.header;
        Self {
            external_id: scheme.external_id(Object::Journal, &journal.journal_id),
            subsidiary: Ref::new(&header.subsidiary),
            currency: Ref::new(&header.currency.reference),
            tran_date: header.dated,
            memo: cut(&header.memo, MAX_MEMO),
            line: Sublist { items: journal.lines.iter().map(|line| entry(line, &header.currency)).collect() },
            reversal_of: journal.reversal_of.as_ref().map(|id| scheme.external_id(Object::Journal, id)),
            marks: Marks::new(cause, header),
        }
    }
}

fn entry(line: &JournalLine, currency: &Currency) -> Entry {
    let side = |minor: i64| (minor != 0).then(|| Number(currency.amount(minor)));
    Entry { account: Ref::new(&line.account), debit: side(line.debit_minor), credit: side(line.credit_minor) }
}

impl Dated for Refund {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String) {
        (&mut self.tran_date, &mut self.marks, &mut self.memo)
    }
}

impl Dated for Journal {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String) {
        (&mut self.tran_date, &mut self.marks, &mut self.memo)
    }
}
