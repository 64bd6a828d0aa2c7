//! Objects and fields that the stand-in has, and what the integration's user may do with them.

/// The API version it speaks.
pub const VERSION: &str = "v66.0";

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Longest text in characters.
    Text(usize),
    Date,
    DateTime,
    /// Digits behind the point.
    Number(u32),
    Checkbox,
    Picklist(&'static [&'static str]),
    /// Any ISO 4217 code.
    Currency,
    /// The id of an account; over `relation` its external id.
    Account {
        relation: &'static str,
    },
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub ty: Type,
    pub is_required: bool,
}

/// One object.
#[derive(Debug)]
pub struct Object {
    pub name: &'static str,
    /// The first three characters of its ids.
    pub prefix: &'static str,
    /// The custom field by which we find our records.
    pub external_id: &'static str,
    pub fields: &'static [Field],
    /// Whether the integration's user may write it.
    pub is_granted: bool,
}

const fn field(name: &'static str, ty: Type) -> Field {
    Field { name, ty, is_required: false }
}

const fn required(name: &'static str, ty: Type) -> Field {
    Field { name, ty, is_required: true }
}

/// Written with every record: the event behind it, and the flow that belongs to.
pub const EVENT_ID: Field = field("TL_Event_Id__c", Type::Text(255));
pub const CORRELATION_ID: Field = field("TL_Correlation_Id__c", Type::Text(255));

const CONTRACT_STATUS: Type = Type::Picklist(&["Active", "Suspended", "Ending", "Cancelled"]);

const ACCOUNT: Object = Object {
    name: "Account",
    prefix: "001",
    external_id: "TL_Account_Id__c",
    fields: &[required("Name", Type::Text(255)), EVENT_ID, CORRELATION_ID],
    is_granted: true,
};

const CONTRACT: Object = Object {
    name: "Contract",
    prefix: "800",
    external_id: "TL_Contract_Id__c",
    fields: &[
        required("AccountId", Type::Account { relation: "Account" }),
        field("StartDate", Type::Date),
        field("CurrencyIsoCode", Type::Currency),
        field("TL_Status__c", CONTRACT_STATUS),
        field("TL_End_Date__c", Type::Date),
        field("TL_Cancel_Date__c", Type::Date),
        field("TL_Auto_Renews__c", Type::Checkbox),
        field("TL_Contract_Value__c", Type::Number(4)),
        EVENT_ID,
        CORRELATION_ID,
    ],
    is_granted: true,
};

const OPPORTUNITY: Object = Object {
    name: "Opportunity",
    prefix: "006",
    external_id: "TL_Renewal_Id__c",
    fields: &[
        required("AccountId", Type::Account { relation: "Account" }),
        required("Name", Type::Text(120)),
        required("StageName", Type::Picklist(&["Prospecting", "Negotiation/Review", "Closed Won", "Closed Lost"])),
        required("CloseDate", Type::Date),
        field("Type", Type::Picklist(&["New Business", "Expansion", "Renewal"])),
        field("Amount", Type::Number(4)),
        field("CurrencyIsoCode", Type::Currency),
        field("TL_Contract_Id__c", Type::Text(255)),
        field("TL_Term_Start__c", Type::Date),
        field("TL_Term_End__c", Type::Date),
        EVENT_ID,
        CORRELATION_ID,
    ],
    is_granted: true,
};

const TASK: Object = Object {
    name: "Task",
    prefix: "00T",
    external_id: "TL_Task_Id__c",
    fields: &[
        field("WhatId", Type::Account { relation: "What" }),
        required("Subject", Type::Text(255)),
        required("Status", Type::Picklist(&["Not Started", "In Progress", "Completed"])),
        required("Priority", Type::Picklist(&["High", "Normal", "Low"])),
        field("ActivityDate", Type::Date),
        field("Description", Type::Text(32_000)),
        field("CurrencyIsoCode", Type::Currency),
        field("TL_Amount__c", Type::Number(4)),
        field("TL_Invoice_Id__c", Type::Text(255)),
        field("TL_Dunning_Step__c", Type::Number(0)),
        field("TL_Opportunity_Id__c", Type::Text(255)),
        field("TL_Case_End__c", Type::Text(255)),
        EVENT_ID,
        CORRELATION_ID,
    ],
    is_granted: true,
};

const RECEIVABLE: Object = Object {
    name: "TL_Receivable__c",
    prefix: "a01",
    external_id: "TL_Receivable_Id__c",
    fields: &[
        required("TL_Account__c", Type::Account { relation: "TL_Account__r" }),
        required("CurrencyIsoCode", Type::Currency),
        field("TL_Balance__c", Type::Number(4)),
        field("TL_Open__c", Type::Number(4)),
        field("TL_Open_Invoices__c", Type::Number(0)),
        field("TL_Oldest_Due_Date__c", Type::Date),
        field("TL_Last_Payment__c", Type::Number(4)),
        field("TL_Last_Payment_Date__c", Type::Date),
        EVENT_ID,
        CORRELATION_ID,
    ],
    is_granted: true,
};

const USAGE: Object = Object {
    name: "TL_Usage__c",
    prefix: "a02",
    external_id: "TL_Usage_Id__c",
    fields: &[
        required("TL_Account__c", Type::Account { relation: "TL_Account__r" }),
        field("TL_Contract_Id__c", Type::Text(255)),
        field("TL_Meter__c", Type::Text(255)),
        field("TL_Unit__c", Type::Text(80)),
        field("TL_Period_Start__c", Type::Date),
        field("TL_Period_End__c", Type::Date),
        field("TL_Observed__c", Type::Number(6)),
        field("TL_Threshold__c", Type::Number(6)),
        field("TL_Threshold_Type__c", Type::Picklist(&["Absolute", "Percent", "Spend", "Unknown"])),
        field("TL_Action__c", Type::Picklist(&["Notify", "Invoice", "Throttle", "Unknown"])),
        field("TL_First_Crossed__c", Type::DateTime),
        EVENT_ID,
        CORRELATION_ID,
    ],
    is_granted: true,
};

/// Objects that hold finance. They are there, and the integration's user has no rights on them: a CRM posts nothing.
pub const FINANCE_OBJECTS: [&str; 5] = ["Invoice", "CreditMemo", "Payment", "Refund", "FinanceTransaction"];

const fn finance(name: &'static str, prefix: &'static str) -> Object {
    let external_id = "TL_External_Id__c";
    Object { name, prefix, external_id, fields: &[EVENT_ID, CORRELATION_ID], is_granted: false }
}

static OBJECTS: [Object; 11] = [
    ACCOUNT,
    CONTRACT,
    OPPORTUNITY,
    TASK,
    RECEIVABLE,
    USAGE,
    finance("Invoice", "3tt"),
    finance("CreditMemo", "50g"),
    finance("Payment", "0aQ"),
    finance("Refund", "9V6"),
    finance("FinanceTransaction", "0dd"),
];

/// All objects, those without rights too.
pub fn all() -> &'static [Object] {
    &OBJECTS
}

/// An object by its name, in any case.
pub fn object(name: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.name.eq_ignore_ascii_case(name))
}

impl Object {
    /// A field by its API name, in any case.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The field that holds the account, by the name of the relation.
    pub fn relation(&self, name: &str) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|field| matches!(field.ty, Type::Account { relation } if relation.eq_ignore_ascii_case(name)))
    }
}
