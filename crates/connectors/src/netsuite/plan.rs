//! What is not an order, an invoice or money yet: revenue arrangements and usage to be billed, in SuiteTalk's words.

use super::{
    body::{Marks, Number, Ref, Sublist, cut, last_day},
    external_id::Scheme,
};
use crate::capability::{Cause, Currency, Header, NewCharge, Object, RevenueElement, RevenuePlan, Span};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;

const MAX_TEXT: usize = 999;

/// A revenue arrangement: its elements are the performance obligations, its plan what each month recognises.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arrangement {
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsidiary: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Ref>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tran_date: Option<Date>,
    memo: String,
    revenue_element: Sublist<Element>,
    revenue_plan: Sublist<Planned>,
    #[serde(flatten)]
    marks: Marks,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(rename = "custcol_tl_line_id")]
    element_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    allocation_amount: Number,
    calculated_fair_value_amount: Number,
    revenue_recognition_rule: String,
    rev_rec_start_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_rec_end_date: Option<Date>,
    deferral_account: Ref,
    recognition_account: Ref,
    hold_rev_rec: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned {
    #[serde(rename = "custcol_tl_line_id")]
    element_id: String,
    planned_period: String,
    amount: Number,
}

impl Arrangement {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, plan: &RevenuePlan) -> Self {
        let Header { account_id, subsidiary, currency, dated, .. } = &plan.header;
        Self {
            external_id: Some(scheme.external_id(Object::RevenuePlan, &plan.contract_id)),
            entity: Some(Ref::ExternalId(scheme.external_id(Object::Customer, account_id))),
            subsidiary: Some(Ref::new(subsidiary)),
            currency: Some(Ref::new(&currency.reference)),
            tran_date: Some(*dated),
            ..Self::change(cause, plan)
        }
    }

    /// Only what an amendment may change.
    pub(super) fn change(cause: &Cause, plan: &RevenuePlan) -> Self {
        let currency = &plan.header.currency;
        Self {
            external_id: None,
            entity: None,
            subsidiary: None,
            currency: None,
            tran_date: None,
            memo: cut(&plan.header.memo, MAX_TEXT),
            revenue_element: Sublist { items: plan.elements.iter().map(|of| Element::new(of, currency)).collect() },
            revenue_plan: Sublist { items: plan.elements.iter().flat_map(|of| planned(of, currency)).collect() },
            marks: Marks::new(cause, &plan.header),
        }
    }
}

impl Element {
    fn new(element: &RevenueElement, currency: &Currency) -> Self {
        let span = element.end_on.map(|end_on| Span { start_on: element.start_on, end_on });
        Self {
            element_id: element.element_id.clone(),
            description: element.description.as_ref().map(|text| cut(text, MAX_TEXT)),
            allocation_amount: Number(currency.amount(element.allocated_minor)),
            calculated_fair_value_amount: Number(currency.amount(element.standalone_minor)),
            revenue_recognition_rule: element.rule.clone(),
            rev_rec_start_date: element.start_on,
            rev_rec_end_date: span.and_then(last_day),
            deferral_account: Ref::new(&element.deferred_account),
            recognition_account: Ref::new(&element.recognised_account),
            hold_rev_rec: element.on_hold,
        }
    }
}

fn planned<'a>(element: &'a RevenueElement, currency: &'a Currency) -> impl Iterator<Item = Planned> + 'a {
    element.schedule.iter().map(|slot| Planned {
        element_id: element.element_id.clone(),
        planned_period: slot.period.clone(),
        amount: Number(currency.amount(slot.amount_minor)),
    })
}

/// Usage that waits to be billed. It posts nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Charge {
    external_id: String,
    bill_to: Ref,
    sales_order: Ref,
    subsidiary: Ref,
    currency: Ref,
    charge_date: Date,
    sale_item: Ref,
    quantity: Number,
    amount: Number,
    description: String,
    service_start_date: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_end_date: Option<Date>,
    charge_type: &'static str,
    stage: &'static str,
    #[serde(flatten)]
    marks: Marks,
}

impl Charge {
    pub(super) fn new(scheme: &Scheme, cause: &Cause, charge: &NewCharge) -> Self {
        let Header { account_id, subsidiary, currency, dated, .. } = &charge.header;
        Self {
            external_id: scheme.external_id(Object::Charge, &charge.charge_id),
            bill_to: Ref::ExternalId(scheme.external_id(Object::Customer, account_id)),
            sales_order: Ref::Id(charge.order.clone()),
            subsidiary: Ref::new(subsidiary),
            currency: Ref::new(&currency.reference),
            charge_date: *dated,
            sale_item: Ref::new(&charge.item),
            quantity: Number(Decimal::normalize(&charge.quantity)),
            amount: Number(currency.amount(charge.amount_minor)),
            description: cut(&charge.description, MAX_TEXT),
            service_start_date: charge.delivered.start_on,
            service_end_date: last_day(charge.delivered),
            charge_type: "usage",
            stage: "HOLD_FOR_BILLING",
            marks: Marks::new(cause, &charge.header),
        }
    }
}
