//! Our requests in SuiteTalk's words. Numbers are written digit by digit from decimals, never through binary floats.
//!
//! Tax is booked as it was computed upstream (SuiteTax override): each line carries a `taxDetailsReference`, and `taxDetails` holds
//! the amounts. `autoApply` is off, because what a credit or payment leaves over belongs on the account, not on an invoice of
//! NetSuite's choice.

use super::{external_id::Scheme, period::Dated};
use crate::capability::{
    Application, Cause, ContactChange, Currency, CustomerScope, Dimensions, Header, Line, NewCreditMemo, NewCustomer,
    NewInvoice, NewOrder, NewPayment, Object, OrderChange, Reference, Span,
};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// NetSuite's limit for `companyName`, in characters: a longer one is refused.
const MAX_COMPANY_NAME: usize = 83;
/// NetSuite's limit for `memo`, in characters.
const MAX_MEMO: usize = 999;

/// A JSON number with exactly these digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) Decimal);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A reference to another record.
#[derive(Debug, Serialize)]
pub(super) enum Ref {
    #[serde(rename = "id")]
    Id(String),
    #[serde(rename = "externalId")]
    ExternalId(String),
}

impl Ref {
    pub(super) fn new(reference: &Reference) -> Self {
        match reference {
            Reference::Id(id) => Self::Id(id.clone()),
            Reference::ExternalId(id) => Self::ExternalId(id.clone()),
        }
    }

    fn optional(reference: Option<&Reference>) -> Option<Self> {
        reference.map(Self::new)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Sublist<T> {
    pub(super) items: Vec<T>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Customer {
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_person: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsidiary: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(rename = "custentity_tl_event_id", skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    #[serde(rename = "custentity_tl_correlation_id", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(rename = "custentity_tl_account_id", skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(rename = "custentity_tl_match_name", skip_serializing_if = "Option::is_none")]
    match_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vat_reg_number: Option<String>,
}

impl Customer {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, customer: &NewCustomer) -> Self {
        Self {
            external_id: Some(scheme.external_id(Object::Customer, &customer.account_id)),
            is_person: Some(false),
            company_name: Some(cut(&customer.name, MAX_COMPANY_NAME)),
            subsidiary: Some(Ref::new(&customer.subsidiary)),
            currency: Some(Ref::new(&customer.currency.reference)),
            terms: Ref::optional(customer.terms.as_ref()),
            email: customer.contact.email.clone(),
            phone: customer.contact.phone.clone(),
            event_id: Some(cause.event_id.clone()),
            correlation_id: cause.correlation_id.clone(),
            account_id: Some(customer.account_id.clone()),
            match_name: customer.is_searched.then(|| match_name(&customer.name)),
            vat_reg_number: customer.tax_id.clone(),
        }
    }

    /// Only what the ERP does not own, and which event brought it.
    pub(super) fn contact(cause: &Cause, change: &ContactChange) -> Self {
        Self {
            external_id: None,
            is_person: None,
            company_name: None,
            subsidiary: None,
            currency: None,
            terms: None,
            email: change.contact.email.clone(),
            phone: change.contact.phone.clone(),
            event_id: Some(cause.event_id.clone()),
            correlation_id: None,
            account_id: None,
            match_name: None,
            vat_reg_number: None,
        }
    }
}

/// Subsidiary and currency that a customer gets besides its own. Both lists are merged by what they name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scope {
    subsidiary_list: Sublist<InSubsidiary>,
    currency_list: Sublist<InCurrency>,
    #[serde(rename = "custentity_tl_event_id")]
    event_id: String,
}

#[derive(Debug, Serialize)]
struct InSubsidiary {
    subsidiary: Ref,
}

#[derive(Debug, Serialize)]
struct InCurrency {
    currency: Ref,
}

impl Scope {
    pub(super) fn new(cause: &Cause, scope: &CustomerScope) -> Self {
        Self {
            subsidiary_list: Sublist { items: vec![InSubsidiary { subsidiary: Ref::new(&scope.subsidiary) }] },
            currency_list: Sublist { items: vec![InCurrency { currency: Ref::new(&scope.currency) }] },
            event_id: cause.event_id.clone(),
        }
    }
}

/// The state of an order after a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderState {
    start_date: Date,
    /// Cleared where the term has no end.
    end_date: Option<Date>,
    memo: String,
    item: Sublist<Item>,
    #[serde(rename = "custbody_tl_cancellation", skip_serializing_if = "Option::is_none")]
    cancellation: Option<String>,
    #[serde(rename = "custbody_tl_event_id")]
    event_id: String,
    #[serde(rename = "custbody_tl_correlation_id", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
}

impl OrderState {
    pub(super) fn new(cause: &Cause, change: &OrderChange) -> Self {
        let end_date = change.end_on.and_then(|end_on| last_day(Span { start_on: change.start_on, end_on }));
        Self {
            start_date: change.start_on,
            end_date,
            memo: cut(&change.memo, MAX_MEMO),
            item: Sublist { items: change.lines.iter().map(|line| Item::new(line, &change.currency)).collect() },
            cancellation: change.cancellation.clone(),
            event_id: cause.event_id.clone(),
            correlation_id: cause.correlation_id.clone(),
        }
    }
}

/// Marks that every transaction of ours carries.
#[derive(Debug, Serialize)]
pub(super) struct Marks {
    #[serde(rename = "custbody_tl_event_id")]
    event_id: String,
    #[serde(rename = "custbody_tl_correlation_id", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(rename = "custbody_tl_account_id")]
    account_id: String,
    #[serde(rename = "custbody_tl_contract_id", skip_serializing_if = "Option::is_none")]
    contract_id: Option<String>,
    #[serde(rename = "custbody_tl_original_date", skip_serializing_if = "Option::is_none")]
    pub(super) original_date: Option<Date>,
    #[serde(rename = "custbody_tl_redate_rule", skip_serializing_if = "Option::is_none")]
    pub(super) redate_rule: Option<&'static str>,
    #[serde(flatten)]
    foreign: Option<Foreign>,
}

/// Another currency's amount, as it was stated.
#[derive(Debug, Serialize)]
struct Foreign {
    #[serde(rename = "custbody_tl_functional_currency")]
    currency: String,
    #[serde(rename = "custbody_tl_functional_total")]
    amount: Number,
    #[serde(rename = "custbody_tl_fx_rate", skip_serializing_if = "Option::is_none")]
    rate: Option<Number>,
    #[serde(rename = "custbody_tl_fx_date", skip_serializing_if = "Option::is_none")]
    rate_on: Option<Date>,
    #[serde(rename = "custbody_tl_fx_source")]
    source: String,
}

impl Foreign {
    fn new(stated: &crate::capability::Foreign) -> Self {
        Self {
            currency: stated.currency.clone(),
            amount: Number(stated.amount),
            rate: stated.rate.map(|rate| Number(rate.normalize())),
            rate_on: stated.rate_on,
            source: stated.source.clone(),
        }
    }
}

impl Marks {
    pub(super) fn new(cause: &Cause, header: &Header) -> Self {
        Self {
            event_id: cause.event_id.clone(),
            correlation_id: cause.correlation_id.clone(),
            account_id: header.account_id.clone(),
            contract_id: header.contract_id.clone(),
            original_date: None,
            redate_rule: None,
            foreign: header.foreign.as_ref().map(Foreign::new),
        }
    }
}

/// An order, an invoice or a credit memo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transaction {
    external_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tran_id: Option<String>,
    entity: Ref,
    subsidiary: Ref,
    currency: Ref,
    tran_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_ref_num: Option<String>,
    memo: String,
    item: Sublist<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_details_override: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_details: Option<Sublist<TaxDetail>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_apply: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<Sublist<Apply>>,
    #[serde(flatten)]
    marks: Marks,
}

impl Transaction {
    fn new(scheme: &Scheme, cause: &Cause, external_id: String, header: &Header, lines: &[Line]) -> Self {
        let currency = &header.currency;
        let details: Vec<_> = lines.iter().flat_map(|line| tax_details(line, currency)).collect();
        Self {
            external_id,
            tran_id: None,
            entity: Ref::ExternalId(scheme.external_id(Object::Customer, &header.account_id)),
            subsidiary: Ref::new(&header.subsidiary),
            currency: Ref::new(&currency.reference),
            tran_date: header.dated,
            due_date: None,
            start_date: None,
            end_date: None,
            terms: None,
            other_ref_num: None,
            memo: cut(&header.memo, MAX_MEMO),
            item: Sublist { items: lines.iter().map(|line| Item::new(line, currency)).collect() },
            tax_details_override: Some(true),
            tax_details: (!details.is_empty()).then_some(Sublist { items: details }),
            auto_apply: None,
            apply: None,
            marks: Marks::new(cause, header),
        }
    }

    pub(super) fn order(scheme: &Scheme, cause: &Cause, order: &NewOrder) -> Self {
        let external_id = scheme.external_id(Object::Order, &order.order_id());
        Self {
            start_date: Some(order.start_on),
            end_date: order.end_on.and_then(|end_on| last_day(Span { start_on: order.start_on, end_on })),
            terms: Ref::optional(order.terms.as_ref()),
            other_ref_num: order.purchase_order.clone(),
            // An order books nothing: its tax is NetSuite's own estimate.
            tax_details_override: None,
            ..Self::new(scheme, cause, external_id, &order.header, &order.lines)
        }
    }

    pub(super) fn invoice(scheme: &Scheme, cause: &Cause, invoice: &NewInvoice) -> Self {
        let external_id = scheme.external_id(Object::Invoice, &invoice.invoice_id);
        Self {
            tran_id: Some(invoice.number.clone()),
            due_date: invoice.due_on,
            terms: Ref::optional(invoice.terms.as_ref()),
            other_ref_num: invoice.purchase_order.clone(),
            ..Self::new(scheme, cause, external_id, &invoice.header, &invoice.lines)
        }
    }

    pub(super) fn credit_memo(scheme: &Scheme, cause: &Cause, memo: &NewCreditMemo) -> Self {
        let external_id = scheme.external_id(Object::CreditMemo, &memo.credit_note_id);
        Self {
            tran_id: Some(memo.number.clone()),
            auto_apply: Some(false),
            apply: apply(&memo.applications, &memo.header.currency),
            ..Self::new(scheme, cause, external_id, &memo.header, &memo.lines)
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    item: Ref,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    quantity: Number,
    rate: Number,
    amount: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<Ref>,
    #[serde(rename = "class", skip_serializing_if = "Option::is_none")]
    class: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_details_reference: Option<String>,
    #[serde(rename = "custcol_tl_line_id")]
    line_id: String,
    #[serde(rename = "custcol_tl_period_start", skip_serializing_if = "Option::is_none")]
    period_start: Option<Date>,
    #[serde(rename = "custcol_tl_period_end", skip_serializing_if = "Option::is_none")]
    period_end: Option<Date>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_closed: bool,
}

impl Item {
    fn new(line: &Line, currency: &Currency) -> Self {
        let Dimensions { department, class, location } = &line.dimensions;
        Self {
            item: Ref::new(&line.item),
            description: line.description.as_ref().map(|text| cut(text, MAX_MEMO)),
            quantity: Number(line.quantity.normalize()),
            rate: Number(line.unit_price.normalize()),
            amount: Number(currency.amount(line.amount_minor)),
            department: Ref::optional(department.as_ref()),
            class: Ref::optional(class.as_ref()),
            location: Ref::optional(location.as_ref()),
            tax_details_reference: (!line.taxes.is_empty()).then(|| line.line_id.clone()),
            line_id: line.line_id.clone(),
            period_start: line.delivered.map(|span| span.start_on),
            period_end: line.delivered.and_then(last_day),
            is_closed: line.is_closed,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaxDetail {
    tax_details_reference: String,
    tax_code: Ref,
    tax_rate: Number,
    tax_basis: Number,
    tax_amount: Number,
}

fn tax_details(line: &Line, currency: &Currency) -> Vec<TaxDetail> {
    let detail = |tax: &crate::capability::Tax| TaxDetail {
        tax_details_reference: line.line_id.clone(),
        tax_code: Ref::new(&tax.code),
        tax_rate: Number(tax.rate_percent.normalize()),
        tax_basis: Number(currency.amount(tax.basis_minor)),
        tax_amount: Number(currency.amount(tax.amount_minor)),
    };
    line.taxes.iter().map(detail).collect()
}

#[derive(Debug, Serialize)]
pub(super) struct Apply {
    doc: Ref,
    apply: bool,
    amount: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    disc: Option<Number>,
}

pub(super) fn apply(applications: &[Application], currency: &Currency) -> Option<Sublist<Apply>> {
    let one = |application: &Application| Apply {
        doc: Ref::Id(application.invoice.clone()),
        apply: true,
        amount: Number(currency.amount(application.amount_minor)),
        disc: (application.discount_minor != 0).then(|| Number(currency.amount(application.discount_minor))),
    };
    (!applications.is_empty()).then(|| Sublist { items: applications.iter().map(one).collect() })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomerPayment {
    external_id: String,
    customer: Ref,
    subsidiary: Ref,
    currency: Ref,
    tran_date: Date,
    payment: Number,
    memo: String,
    auto_apply: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<Sublist<Apply>>,
    #[serde(flatten)]
    marks: Marks,
}

impl CustomerPayment {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, payment: &NewPayment) -> Self {
        let header = &payment.header;
        Self {
            external_id: scheme.external_id(Object::Payment, &payment.payment_id),
            customer: Ref::ExternalId(scheme.external_id(Object::Customer, &header.account_id)),
            subsidiary: Ref::new(&header.subsidiary),
            currency: Ref::new(&header.currency.reference),
            tran_date: header.dated,
            payment: Number(header.currency.amount(payment.amount_minor)),
            memo: cut(&header.memo, MAX_MEMO),
            auto_apply: false,
            apply: apply(&payment.applications, &header.currency),
            marks: Marks::new(cause, header),
        }
    }
}

/// NetSuite's end dates are the last day, ours the day after it. A span without a day ends where it starts.
pub(super) fn last_day(span: Span) -> Option<Date> {
    span.end_on.yesterday().ok().map(|last| last.max(span.start_on))
}

/// A name as it is compared: letters and digits in lower case, without the words for a legal form.
pub(super) fn match_name(name: &str) -> String {
    const FORMS: [&str; 16] = [
        "inc", "ltd", "limited", "llc", "llp", "plc", "gmbh", "ag", "kg", "sa", "sas", "srl", "bv", "kk", "co", "corp",
    ];
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty() && !FORMS.contains(word));
    let joined = words.collect::<Vec<_>>().join(" ");
    cut(if joined.is_empty() { &lower } else { &joined }, 300)
}

pub(super) fn cut(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}

impl Dated for Transaction {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String) {
        (&mut self.tran_date, &mut self.marks, &mut self.memo)
    }
}

impl Dated for CustomerPayment {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String) {
        (&mut self.tran_date, &mut self.marks, &mut self.memo)
    }
}
