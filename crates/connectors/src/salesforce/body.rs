//! What is shown, in Salesforce's words: whole states, with dates and amounts as exact text.

use super::external_id::external_id;
use crate::Cause;
use crate::crm::{
    AccountShown, CaseReason, CollectionTask, ContractShown, ContractShownStatus, DealCase, ReceivableShown,
    RenewalShown, RenewalStage, UsageShown,
};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// Members of a record, in order.
#[derive(Debug)]
pub(super) struct Body(Vec<(&'static str, Box<RawValue>)>);

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Body {
    /// With the marks that every record of ours has: the event behind it and its flow.
    fn new(cause: &Cause) -> Self {
        Self(Vec::new())
            .put("TL_Event_Id__c", &cut(&cause.event_id, 255))
            .put("TL_Correlation_Id__c", &cause.correlation_id.as_deref().map(|id| cut(id, 255)))
    }

    fn put(self, name: &'static str, value: &impl Serialize) -> Self {
        let value = serde_json::value::to_raw_value(value).expect("texts, dates and flags become JSON");
        self.raw(name, value)
    }

    fn raw(mut self, name: &'static str, value: Box<RawValue>) -> Self {
        self.0.push((name, value));
        self
    }

    /// A JSON number with exactly these digits; nothing clears the field.
    fn number(self, name: &'static str, value: Option<Decimal>) -> Self {
        let text = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        let value = RawValue::from_string(text).expect("a decimal is a JSON number");
        self.raw(name, value)
    }

    /// The account, by our id of it. `relation` is the name of the relation; that of a task may lead to other objects, too.
    fn account(self, relation: &'static str, account_id: &str) -> Self {
        #[derive(Serialize)]
        struct Attributes {
            r#type: &'static str,
        }
        #[derive(Serialize)]
        struct Related {
            #[serde(skip_serializing_if = "Option::is_none")]
            attributes: Option<Attributes>,
            #[serde(rename = "TL_Account_Id__c")]
            account: String,
        }
        let attributes = (relation == "What").then_some(Attributes { r#type: "Account" });
        self.put(relation, &Related { attributes, account: external_id(account_id) })
    }

    /// The same record in a collection: with its type and its external id.
    pub(super) fn in_collection(mut self, object: &'static str, field: &'static str, external_id: &str) -> Self {
        let rest = std::mem::take(&mut self.0);
        let mut body = self.put("attributes", &serde_json::json!({ "type": object })).put(field, &external_id);
        body.0.extend(rest);
        body
    }
}

pub(super) fn account(cause: &Cause, account: &AccountShown) -> Body {
    Body::new(cause).put("Name", &cut(&account.name, 255))
}

pub(super) fn contract(cause: &Cause, contract: &ContractShown) -> Body {
    let status = match contract.status {
        ContractShownStatus::Active => "Active",
        ContractShownStatus::Suspended => "Suspended",
        ContractShownStatus::Ending => "Ending",
        ContractShownStatus::Cancelled => "Cancelled",
    };
    Body::new(cause)
        .account("Account", &contract.account_id)
        .put("StartDate", &contract.start_on)
        .put("CurrencyIsoCode", &contract.currency.code)
        .put("TL_Status__c", &status)
        .put("TL_End_Date__c", &last_day(contract.end_on))
        .put("TL_Cancel_Date__c", &contract.cancelled_on)
        .put("TL_Auto_Renews__c", &contract.auto_renews)
        .number("TL_Contract_Value__c", contract.value_minor.map(|minor| contract.currency.amount(minor)))
}

pub(super) fn receivable(cause: &Cause, receivable: &ReceivableShown) -> Body {
    let amount = |minor| Some(receivable.currency.amount(minor));
    let payment = receivable.last_payment.as_ref();
    Body::new(cause)
        .account("TL_Account__r", &receivable.account_id)
        .put("CurrencyIsoCode", &receivable.currency.code)
        .number("TL_Balance__c", amount(receivable.balance_minor))
        .number("TL_Open__c", amount(receivable.open_minor))
        .put("TL_Open_Invoices__c", &receivable.open_invoices)
        .put("TL_Oldest_Due_Date__c", &receivable.oldest_due_on)
        .number("TL_Last_Payment__c", payment.and_then(|payment| amount(payment.amount_minor)))
        .put("TL_Last_Payment_Date__c", &payment.map(|payment| payment.received_on))
}

pub(super) fn usage(cause: &Cause, usage: &UsageShown) -> Body {
    let threshold_type = match usage.threshold_type.as_str() {
        "absolute" => "Absolute",
        "percent" => "Percent",
        "spend" => "Spend",
        _ => "Unknown",
    };
    let action = match usage.action.as_str() {
        "notify" => "Notify",
        "invoice" => "Invoice",
        "throttle" => "Throttle",
        _ => "Unknown",
    };
    Body::new(cause)
        .account("TL_Account__r", &usage.account_id)
        .put("TL_Contract_Id__c", &cut(&usage.contract_id, 255))
        .put("TL_Meter__c", &cut(&usage.meter, 255))
        .put("TL_Unit__c", &usage.unit.as_deref().map(|unit| cut(unit, 80)))
        .put("TL_Period_Start__c", &usage.period_start_on)
        .put("TL_Period_End__c", &last_day(Some(usage.period_end_on)))
        .number("TL_Observed__c", Some(usage.observed.round_dp(6)))
        .number("TL_Threshold__c", Some(usage.threshold.round_dp(6)))
        .put("TL_Threshold_Type__c", &threshold_type)
        .put("TL_Action__c", &action)
        .put("TL_First_Crossed__c", &usage.first_crossed_at)
}

pub(super) fn task(cause: &Cause, task: &CollectionTask) -> Body {
    let amount = task.currency.amount(task.amount_minor);
    let subject = format!("Collect {amount} {} of invoice {}", task.currency.code, task.invoice_id);
    let next = match task.next_attempt_on {
        Some(day) => format!("Collecting is tried again by itself on {day}."),
        None => "Collecting is not tried again by itself.".to_owned(),
    };
    let about = format!("Dunning step {}: the payment failed ({}). {next}", task.dunning_step, task.failure_code);
    Body::new(cause)
        .account("What", &task.account_id)
        .put("Subject", &cut(&subject, 255))
        .put("Status", &"Not Started")
        .put("Priority", if task.next_attempt_on.is_some() { &"Normal" } else { &"High" })
        .put("ActivityDate", &task.next_attempt_on)
        .put("Description", &cut(&about, 32_000))
        .put("CurrencyIsoCode", &task.currency.code)
        .number("TL_Amount__c", Some(amount))
        .put("TL_Invoice_Id__c", &cut(&task.invoice_id, 255))
        .put("TL_Dunning_Step__c", &task.dunning_step)
}

pub(super) fn case(cause: &Cause, case: &DealCase) -> Body {
    let amount = case.currency.amount(case.amount_minor);
    let what = case.end.as_deref().map_or("cannot go on by itself".to_owned(), |end| format!("went on: {end}"));
    let subject = format!("Deal {} {what} ({amount} {})", case.opportunity_id, case.currency.code);
    let reason = |reason: &CaseReason| format!("{} ({}): {}", reason.code, reason.owner, reason.message);
    let reasons: Vec<String> = case.reasons.iter().map(reason).collect();
    let about = format!("Case {}.\n{}", case.case_id, reasons.join("\n"));
    let body = Body::new(cause);
    let body = if case.has_account { body.account("What", &case.account_id) } else { body };
    body.put("Subject", &cut(&subject, 255))
        .put("Status", if case.end.is_some() { &"Completed" } else { &"Not Started" })
        .put("Priority", &"High")
        .put("Description", &cut(&about, 32_000))
        .put("CurrencyIsoCode", &case.currency.code)
        .number("TL_Amount__c", Some(amount))
        .put("TL_Opportunity_Id__c", &cut(&case.opportunity_id, 255))
        .put("TL_Case_End__c", &case.end.as_deref().map(|end| cut(end, 255)))
}

pub(super) fn renewal(cause: &Cause, renewal: &RenewalShown) -> Body {
    let stage = match renewal.stage {
        RenewalStage::Due => "Prospecting",
        RenewalStage::Won => "Closed Won",
        RenewalStage::Lost => "Closed Lost",
    };
    Body::new(cause)
        .account("Account", &renewal.account_id)
        .put("Name", &cut(&format!("Renewal of {}", renewal.contract_id), 120))
        .put("StageName", &stage)
        .put("CloseDate", &renewal.accepted_on)
        .put("Type", &"Renewal")
        .number("Amount", renewal.value_minor.map(|minor| renewal.currency.amount(minor)))
        .put("CurrencyIsoCode", &renewal.currency.code)
        .put("TL_Contract_Id__c", &cut(&renewal.contract_id, 255))
        .put("TL_Term_Start__c", &renewal.term_start_on)
        .put("TL_Term_End__c", &last_day(renewal.term_end_on))
}

/// Ends are inclusive there and exclusive here.
fn last_day(end_on: Option<Date>) -> Option<Date> {
    end_on.and_then(|end_on| end_on.yesterday().ok())
}

/// Whole characters only.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IsoCurrency;
    use jiff::civil::date;

    #[test]
    fn amounts_keep_every_digit_and_terms_end_on_their_last_day() {
        let contract = ContractShown {
            contract_id: "c-1".into(),
            account_id: "a-1".into(),
            status: ContractShownStatus::Active,
            currency: IsoCurrency { code: "CLF".into(), exponent: 4 },
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            auto_renews: true,
            value_minor: Some(i64::MAX),
            cancelled_on: None,
        };
        let body = serde_json::to_string(&self::contract(&Cause::default(), &contract)).expect("JSON");
        assert!(body.contains(r#""TL_Contract_Value__c":922337203685477.5807"#), "{body}");
        assert!(body.contains(r#""TL_End_Date__c":"2026-12-31""#), "{body}");
        assert!(body.contains(r#""TL_Cancel_Date__c":null"#), "what is not there any more is cleared: {body}");
        assert!(body.contains(r#""Account":{"TL_Account_Id__c":"a-1"}"#), "{body}");
    }
}
