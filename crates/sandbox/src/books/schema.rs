//! Which fields each record type has, and of what type: the base of property-name and property-value validation.

use super::kind::Kind;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    Text,
    Number,
    Bool,
    /// `YYYY-MM-DD`.
    Date,
    /// A reference to a record: `{"id": …}` or `{"externalId": …}`.
    Ref(Kind),
    /// A value of a fixed list: `{"id": …}` or the bare id.
    Choice,
    /// A nested object that is stored as it is (addresses).
    Object,
    /// A sublist: `{"items": [ … ]}`.
    List(&'static [Field]),
    /// Computed by the system: accepted and ignored.
    ReadOnly,
}

/// One field of a record type or sublist.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub ty: Type,
}

const fn f(name: &'static str, ty: Type) -> Field {
    Field { name, ty }
}

use Type::{Bool, Choice, Date, List, Number, Object, ReadOnly, Ref, Text};

const CUSTOMER: &[Field] = &[
    f("entityId", Text),
    f("companyName", Text),
    f("legalName", Text),
    f("isPerson", Bool),
    f("firstName", Text),
    f("lastName", Text),
    f("email", Text),
    f("phone", Text),
    f("url", Text),
    f("comments", Text),
    f("accountNumber", Text),
    f("vatRegNumber", Text),
    f("subsidiary", Ref(Kind::Subsidiary)),
    f("currency", Ref(Kind::Currency)),
    f("terms", Ref(Kind::Term)),
    f("parent", Ref(Kind::Customer)),
    f("receivablesAccount", Ref(Kind::Account)),
    f("isInactive", Bool),
    f("creditHoldOverride", Choice),
    f("creditLimit", Number),
    f("category", Choice),
    f("language", Choice),
    f("entityStatus", Choice),
    f("emailPreference", Choice),
    f("customForm", Choice),
    f("defaultAddress", ReadOnly),
    f("balance", ReadOnly),
    f("currencyList", List(&[f("currency", Ref(Kind::Currency))])),
    f("subsidiaryList", List(&[f("subsidiary", Ref(Kind::Subsidiary))])),
    f(
        "addressBook",
        List(&[
            f("label", Text),
            f("defaultBilling", Bool),
            f("defaultShipping", Bool),
            f("isResidential", Bool),
            f("addressBookAddress", Object),
        ]),
    ),
];

const LINE: &[Field] = &[
    f("line", Number),
    f("item", Ref(Kind::ServiceSaleItem)),
    f("description", Text),
    f("quantity", Number),
    f("rate", Number),
    f("amount", Number),
    f("price", Choice),
    f("units", Choice),
    f("isClosed", Bool),
    f("taxCode", Ref(Kind::SalesTaxItem)),
    f("taxRate1", Number),
    f("tax1Amt", Number),
    f("grossAmt", Number),
    f("taxDetailsReference", Text),
    f("department", Ref(Kind::Department)),
    f("class", Ref(Kind::Classification)),
    f("location", Ref(Kind::Location)),
    f("revRecStartDate", Date),
    f("revRecEndDate", Date),
    f("revenueRecognitionRule", Choice),
];

const TAX_DETAIL: &[Field] = &[
    f("taxDetailsReference", Text),
    f("lineNumber", Number),
    f("taxType", Choice),
    f("taxCode", Ref(Kind::SalesTaxItem)),
    f("taxBasis", Number),
    f("taxRate", Number),
    f("taxAmount", Number),
];

const APPLY: &[Field] = &[
    f("apply", Bool),
    f("doc", Ref(Kind::Invoice)),
    f("amount", Number),
    f("disc", Number),
    f("line", Number),
    f("due", ReadOnly),
    f("total", ReadOnly),
    f("refNum", ReadOnly),
    f("type", ReadOnly),
];

/// Fields of every transaction.
const TRANSACTION: &[Field] = &[
    f("tranId", Text),
    f("tranDate", Date),
    f("subsidiary", Ref(Kind::Subsidiary)),
    f("currency", Ref(Kind::Currency)),
    f("exchangeRate", Number),
    f("postingPeriod", Ref(Kind::AccountingPeriod)),
    f("memo", Text),
    f("department", Ref(Kind::Department)),
    f("class", Ref(Kind::Classification)),
    f("location", Ref(Kind::Location)),
    f("customForm", Choice),
    f("source", ReadOnly),
    f("status", ReadOnly),
];

/// Fields of documents with lines: orders, invoices, credit memos.
const DOCUMENT: &[Field] = &[
    f("entity", Ref(Kind::Customer)),
    f("terms", Ref(Kind::Term)),
    f("dueDate", Date),
    f("startDate", Date),
    f("endDate", Date),
    f("otherRefNum", Text),
    f("email", Text),
    f("message", Text),
    f("billingAddress", Object),
    f("orderStatus", Choice),
    f("approvalStatus", Choice),
    f("toBeEmailed", Bool),
    f("toBePrinted", Bool),
    f("account", Ref(Kind::Account)),
    f("taxDetailsOverride", Bool),
    f("taxDetails", List(TAX_DETAIL)),
    // Computed by the system; a caller that sends them has them checked against the lines.
    f("subTotal", Number),
    f("taxTotal", Number),
    f("total", Number),
    f("autoApply", Bool),
    f("amountRemaining", ReadOnly),
    f("amountPaid", ReadOnly),
    f("unapplied", ReadOnly),
    f("applied", ReadOnly),
    f("item", List(LINE)),
];

const PAYMENT: &[Field] = &[
    f("customer", Ref(Kind::Customer)),
    f("payment", Number),
    f("paymentMethod", Choice),
    f("paymentOption", Choice),
    f("checkNum", Text),
    f("account", Ref(Kind::Account)),
    f("arAcct", Ref(Kind::Account)),
    f("undepFunds", Bool),
    f("autoApply", Bool),
    f("applied", ReadOnly),
    f("unapplied", ReadOnly),
    f("total", ReadOnly),
    f("apply", List(APPLY)),
];

const REFUND: &[Field] = &[
    f("customer", Ref(Kind::Customer)),
    f("amount", Number),
    f("paymentMethod", Choice),
    f("account", Ref(Kind::Account)),
    f("arAcct", Ref(Kind::Account)),
    f("apply", List(REFUNDED)),
];

/// What a refund gives back: `doc` is the internal id of a payment or a credit memo.
const REFUNDED: &[Field] = &[f("apply", Bool), f("doc", Choice), f("amount", Number)];

const JOURNAL: &[Field] = &[
    f("approved", Bool),
    f("reversalDate", Date),
    f(
        "line",
        List(&[
            f("line", Number),
            f("account", Ref(Kind::Account)),
            f("debit", Number),
            f("credit", Number),
            f("memo", Text),
            f("entity", Ref(Kind::Customer)),
            f("department", Ref(Kind::Department)),
            f("class", Ref(Kind::Classification)),
            f("location", Ref(Kind::Location)),
        ]),
    ),
];

const ARRANGEMENT: &[Field] = &[
    f("entity", Ref(Kind::Customer)),
    f(
        "revenueElement",
        List(&[
            f("description", Text),
            f("allocationAmount", Number),
            f("calculatedFairValueAmount", Number),
            f("revenueRecognitionRule", Choice),
            f("revRecStartDate", Date),
            f("revRecEndDate", Date),
            f("deferralAccount", Ref(Kind::Account)),
            f("recognitionAccount", Ref(Kind::Account)),
            f("holdRevRec", Bool),
        ]),
    ),
    f("revenuePlan", List(&[f("plannedPeriod", Text), f("amount", Number)])),
];

const CHARGE: &[Field] = &[
    f("billTo", Ref(Kind::Customer)),
    f("salesOrder", Ref(Kind::SalesOrder)),
    f("saleItem", Ref(Kind::ServiceSaleItem)),
    f("chargeDate", Date),
    f("serviceStartDate", Date),
    f("serviceEndDate", Date),
    f("quantity", Number),
    f("rate", Number),
    f("amount", Number),
    f("description", Text),
    f("chargeType", Choice),
    f("stage", Choice),
];

/// Fields every record answers with; a caller that sends them back is not refused.
const COMMON: &[Field] = &[
    f("externalId", Text),
    f("id", ReadOnly),
    f("links", ReadOnly),
    f("refName", ReadOnly),
    f("createdDate", ReadOnly),
    f("lastModifiedDate", ReadOnly),
];

/// The field `name` of `kind`, custom fields aside.
pub fn field(kind: Kind, name: &str) -> Option<Field> {
    groups(kind).iter().flat_map(|group| group.iter()).chain(extra(kind)).find(|field| field.name == name).copied()
}

fn groups(kind: Kind) -> &'static [&'static [Field]] {
    match kind {
        Kind::Customer => &[COMMON, CUSTOMER],
        Kind::SalesOrder => &[COMMON, TRANSACTION, DOCUMENT],
        Kind::Invoice | Kind::CreditMemo => &[COMMON, TRANSACTION, DOCUMENT],
        Kind::CustomerPayment => &[COMMON, TRANSACTION, PAYMENT],
        Kind::CustomerRefund => &[COMMON, TRANSACTION, REFUND],
        Kind::JournalEntry => &[COMMON, TRANSACTION, JOURNAL],
        Kind::RevenueArrangement => &[COMMON, TRANSACTION, ARRANGEMENT],
        Kind::Charge => &[COMMON, TRANSACTION, CHARGE],
        _ => &[COMMON],
    }
}

fn extra(kind: Kind) -> &'static [Field] {
    const INVOICE: &[Field] = &[f("createdFrom", Ref(Kind::SalesOrder))];
    const CREDIT_MEMO: &[Field] = &[f("createdFrom", Ref(Kind::Invoice)), f("apply", List(APPLY))];
    match kind {
        Kind::Invoice => INVOICE,
        Kind::CreditMemo => CREDIT_MEMO,
        _ => &[],
    }
}
