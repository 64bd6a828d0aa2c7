//! Every code an operator can meet, with what it means and what to do: the source of `throughline explain`
//! and of `docs/errors.md`.

use crate::Class;

/// The runbook entry of one code.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Explanation {
    pub code: &'static str,
    pub class: Class,
    /// What happened, in one sentence.
    pub meaning: &'static str,
    /// What to check and do.
    pub action: &'static str,
}

const fn entry(code: &'static str, class: Class, meaning: &'static str, action: &'static str) -> Explanation {
    Explanation { code, class, meaning, action }
}

/// Looks a code up, in any letter case.
#[must_use]
pub fn explain(code: &str) -> Option<&'static Explanation> {
    CODES.iter().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

/// All codes, grouped by class.
pub const CODES: &[Explanation] = &[
    // What is refused to jobs and records that come back.
    entry(
        "REPLAY_LOOP",
        Class::Contract,
        "A record came back by the replay topic, and failed, as often as is allowed.",
        "Mend the cause first; then retry its letter with a job, which has no such limit.",
    ),
    entry(
        "REPLAY_ORIGIN_UNKNOWN",
        Class::Contract,
        "A record of the replay topic does not say which input topic of the service it came from, or names another.",
        "Copy it with its headers (`dlq.original.topic`, or those of Spring, Connect, Streams, share groups, SmallRye).",
    ),
    entry(
        "REPLAY_WRONG_PARTITION",
        Class::Contract,
        "A record of the replay topic does not lie in the partition of its key.",
        "Copy it with its key and let the producer choose the partition (murmur2, as Java's clients do).",
    ),
    entry(
        "EDIT_MOVES_SEQUENCE",
        Class::Contract,
        "The edited event belongs to another sequence than the original: it would lose its place.",
        "Edit what is wrong and leave what orders the event; discard it and have it published anew otherwise.",
    ),
    entry(
        "RESTORE_TOO_LATE",
        Class::Contract,
        "A later event of the sequence may have taken effect since the letter was discarded.",
        "Have its publisher send what is still wanted as a new event.",
    ),
    // Poison: nobody can read the record.
    entry(
        "BYTES_NOT_AVRO",
        Class::Poison,
        "The value is not Avro in Confluent framing.",
        "Fix the publisher's serializer: 0x00, a 4-byte schema id, then the datum (docs/publish.md).",
    ),
    entry(
        "DATUM_TRUNCATED",
        Class::Poison,
        "The value ends before the datum does, or goes on after it.",
        "Fix the publisher; the letter holds the bytes as they came.",
    ),
    entry(
        "ALLOCATION_LIMIT",
        Class::Poison,
        "A length or count inside the datum asks for more memory than any real event needs.",
        "Treat as hostile or corrupt; ask the publisher.",
    ),
    entry(
        "SCHEMA_ID_UNKNOWN",
        Class::Poison,
        "A healthy registry does not know the schema id, even after the grace time.",
        "Register the schema, then redrive; or fix the publisher's registry address.",
    ),
    entry(
        "TOO_LARGE",
        Class::Poison,
        "The record is larger than the limit for decoding.",
        "Send large documents by reference; the limit is `max_record_bytes`.",
    ),
    entry(
        "HEADER_MISSING",
        Class::Poison,
        "A CloudEvents header that identifies the event is missing.",
        "Send ce_specversion, ce_id, ce_source, ce_type and ce_time (docs/publish.md).",
    ),
    entry(
        "HEADER_INVALID",
        Class::Poison,
        "A header is not UTF-8, or has a value that its attribute does not allow.",
        "Fix the publisher (docs/publish.md).",
    ),
    entry(
        "KEY_MISSING",
        Class::Poison,
        "The record has no key, or one that is not UTF-8.",
        "Set the key to the account id in plain UTF-8.",
    ),
    entry(
        "NULL_VALUE",
        Class::Poison,
        "A fact topic carries a record without a value.",
        "Facts are never deleted; publish a correcting event instead.",
    ),
    entry(
        "JSON_INVALID",
        Class::Poison,
        "A structured-mode event is not valid JSON for its type.",
        "Fix the publisher; `throughline publish` shows the field.",
    ),
    // Contract: readable, but against the rules.
    entry(
        "SCHEMA_INCOMPATIBLE",
        Class::Contract,
        "The writer's schema cannot be read as this topic's event.",
        "Use a schema of subject <topic>-value; check with `throughline schemas check`.",
    ),
    entry(
        "WRONG_SUBJECT",
        Class::Contract,
        "The schema id belongs to another topic's subject.",
        "Publish with the schema of this topic.",
    ),
    entry(
        "TYPE_MISMATCH",
        Class::Contract,
        "ce_type does not name the event of this topic.",
        "Publish to the topic of the type.",
    ),
    entry(
        "KEY_MISMATCH",
        Class::Contract,
        "The record key is not the account id in the payload.",
        "Key every commercial event by its account_id, or order is lost.",
    ),
    entry("CURRENCY_UNKNOWN", Class::Contract, "The currency is not an active ISO 4217 code.", "Fix the publisher."),
    entry(
        "SUM_MISMATCH",
        Class::Contract,
        "The lines do not add up to the total.",
        "Fix the publisher: each line is rounded, then summed.",
    ),
    entry(
        "FIELD_INVALID",
        Class::Contract,
        "A field breaks a rule of its type.",
        "See the field and reason of the letter.",
    ),
    entry(
        "STALE_VERSION",
        Class::Contract,
        "A newer or equal version of this subject was already applied under another event id.",
        "Find out why the publisher used a version twice; never redrive blindly.",
    ),
    entry(
        "VERSION_GAP",
        Class::NotYet,
        "An earlier version of this subject has not arrived yet.",
        "Waits by itself; if it stays, the publisher lost an event.",
    ),
    entry(
        "CONTRACT_UNKNOWN",
        Class::Contract,
        "An amendment is asked of a contract that came of no deal.",
        "The publisher tells it as contract.amended, or names the contract of a deal.",
    ),
    entry(
        "EVENT_CONFLICT",
        Class::Contract,
        "The same event id came again with other bytes.",
        "The first one counts. Ask the publisher for a new event with a new id.",
    ),
    entry(
        "EVENT_ID_REUSED",
        Class::Contract,
        "An event id was used for two different events.",
        "Ids must be unique per source.",
    ),
    // Not yet.
    entry(
        "DEAL_UNKNOWN",
        Class::NotYet,
        "An answer or a decision is about a deal that was not seen yet.",
        "Nothing; it goes on when the deal comes. If it waits long, ask why the CRM never published it.",
    ),
    entry(
        "ORDER_NOT_REQUESTED",
        Class::NotYet,
        "An order is to be taken back that was not asked for yet.",
        "Nothing; it goes on when the order comes. If it waits long, ask why order-flow never sent it.",
    ),
    entry(
        "CONTRACT_NOT_ACTIVE",
        Class::NotYet,
        "The contract this event belongs to is not known yet.",
        "Waits for contract.activated and resolves by itself.",
    ),
    entry(
        "USAGE_NOT_RATED",
        Class::NotYet,
        "The usage batch that this one replaces is not there yet.",
        "Waits for its usage.rated and resolves by itself; if it stays, ask the publisher for the batch.",
    ),
    entry(
        "INVOICE_NOT_POSTED",
        Class::NotYet,
        "The invoice this event refers to is not posted yet.",
        "Waits for invoice.posted and resolves by itself.",
    ),
    entry(
        "CUSTOMER_NOT_CREATED",
        Class::NotYet,
        "The outside system does not have the customer yet.",
        "Waits for contract.activated and resolves by itself.",
    ),
    entry(
        "AWAITED_TOO_LONG",
        Class::Contract,
        "What the event waited for did not arrive in time.",
        "Find the missing event at its publisher, then redrive.",
    ),
    // Business.
    entry(
        "PERIOD_CLOSED",
        Class::Business,
        "The accounting period of the document is closed.",
        "Finance reopens the period or decides on another date; then retry.",
    ),
    entry(
        "ORDER_IN_FORCE",
        Class::Business,
        "An order is to be taken back, but its contract is active already.",
        "Cancel the contract where it is billed; discard the request.",
    ),
    entry(
        "ITEM_UNMAPPED",
        Class::Business,
        "A product has no item in the mapping.",
        "Add it to deploy/policies/erp-mapping.yaml; then retry.",
    ),
    entry(
        "ENTITY_UNMAPPED",
        Class::Business,
        "A selling entity has no subsidiary in the mapping.",
        "Add it to deploy/policies/erp-mapping.yaml; then retry.",
    ),
    entry(
        "CURRENCY_UNMAPPED",
        Class::Business,
        "A currency has no counterpart in the mapping.",
        "Add it to deploy/policies/erp-mapping.yaml; then retry.",
    ),
    entry(
        "TERMS_UNMAPPED",
        Class::Business,
        "Payment terms have no counterpart in the mapping.",
        "Add them to deploy/policies/erp-mapping.yaml; then retry.",
    ),
    entry(
        "BILLING_PLAN_INVALID",
        Class::Business,
        "The lines and the billing schedule of an order make no plan that a billing system can carry out.",
        "See the field in the reason: mend the deal (reopen it), or reject the case and bill by hand.",
    ),
    entry(
        "CREDIT_HOLD",
        Class::Business,
        "The customer is on credit hold in the ERP.",
        "Credit control releases the hold; then retry.",
    ),
    entry(
        "ITEM_UNKNOWN",
        Class::Business,
        "The ERP does not know the item that the mapping names.",
        "Create the item or mend the mapping; then retry.",
    ),
    entry(
        "REFERENCE_UNKNOWN",
        Class::Business,
        "The ERP does not know a record that the request refers to.",
        "Mend the master data; then retry.",
    ),
    entry(
        "PERIOD_DIFFERS",
        Class::Business,
        "The posting period is not the month of the document's date.",
        "Finance decides in which period the document belongs; the publisher sends it so.",
    ),
    entry(
        "CURRENCY_DIFFERS",
        Class::Business,
        "A payment or credit is in another currency than the invoice it settles.",
        "Finance decides how it is to be settled.",
    ),
    entry(
        "DOCUMENT_NUMBER_TAKEN",
        Class::Business,
        "Another document in the ERP already has this number.",
        "Finance decides which one is right.",
    ),
    entry(
        "REFUSED_BY_ERP",
        Class::Business,
        "The ERP refused the content of the request.",
        "See the field and the vendor's own words in the reason.",
    ),
    entry(
        "REFUSED_BY_CRM",
        Class::Business,
        "The CRM refused the content of the request: a validation rule, a required field, a picklist.",
        "See the field and the vendor's own words in the reason; mend the rule or the data, then retry.",
    ),
    entry(
        "ACCOUNT_NOT_IN_CRM",
        Class::Business,
        "The CRM does not have the account, although it was there before.",
        "Find out who deleted or merged it; restore it with its id of ours, then retry.",
    ),
    entry(
        "CRM_DUPLICATE",
        Class::Business,
        "The CRM has several records under one id of ours, or a rule of its own calls the record a duplicate.",
        "Merge the records, then retry.",
    ),
    entry(
        "PRODUCT_UNMAPPED",
        Class::Business,
        "The catalogue of entitlements does not know a product that was sold.",
        "Master data adds the product to deploy/policies/provisioning.yaml, restarts the service, then retries.",
    ),
    entry(
        "FEATURE_UNKNOWN",
        Class::Business,
        "A feature is asked for that the catalogue or the product platform does not know.",
        "Master data adds the feature in both, or billing corrects the contract; then retry.",
    ),
    entry(
        "ENTITLEMENT_LIMIT",
        Class::Business,
        "The product platform gives a tenant no more entitlements.",
        "Revenue operations have the tenant's limit raised, then retry.",
    ),
    entry(
        "REFUSED_BY_PRODUCT",
        Class::Business,
        "The product platform refused the content of the request.",
        "See the field and the platform's own words in the reason.",
    ),
    entry(
        "REFUSED_BY_IDENTITY",
        Class::Business,
        "The identity platform refused the content of the request.",
        "See the field and the platform's own words in the reason.",
    ),
    entry(
        "IDENTITY_DUPLICATE",
        Class::Business,
        "Another user of the identity platform has the name, or several have one id of ours.",
        "Master data decides which user is the tenant's administrator, mends the others, then retries.",
    ),
    entry(
        "REFUSED_BY_BILLING",
        Class::Business,
        "The billing system refused the content of the request: a currency, an amount, a customer, a phase.",
        "See the field and the vendor's own words in the reason; mend the deal or the customer, then retry.",
    ),
    entry(
        "BILLING_DUPLICATE",
        Class::Business,
        "The billing system has several customers or schedules under one id of ours.",
        "Finance decides which one bills and ends the others, then retries.",
    ),
    entry(
        "BILLING_OVER",
        Class::Business,
        "A change reaches a billing schedule that is over.",
        "Revenue operations decide which came first, the end or the change.",
    ),
    entry(
        "TAX_ADDRESS_INVALID",
        Class::Business,
        "The tax engine finds no jurisdiction for the address.",
        "Master data corrects the address of delivery, then retries.",
    ),
    entry(
        "TAX_NEXUS_UNKNOWN",
        Class::Business,
        "The tax engine does not know where the seller has to declare tax: the company or the jurisdiction is not set up there.",
        "Tax sets up the company and where it has nexus, then retries.",
    ),
    entry(
        "TAX_DOCUMENT_CLOSED",
        Class::Business,
        "A document whose tax is committed, locked or void cannot be determined again.",
        "Tax decides: adjust the document by hand, or void it; then retry.",
    ),
    entry(
        "REFUSED_BY_TAX",
        Class::Business,
        "The tax engine refused the content of the request.",
        "See the field and the vendor's own words in the reason.",
    ),
    entry(
        "FIELD_PROTECTED",
        Class::Business,
        "The change touches a field that the ERP owns.",
        "The owner decides; upstream must not send it.",
    ),
    entry(
        "ORDER_LINE_DIFFERS",
        Class::Business,
        "An amendment starts from another state of a line than the ERP's order has.",
        "Finance compares the diff in the reason and mends the order or the contract; then retry.",
    ),
    entry(
        "ORDER_CLOSED",
        Class::Business,
        "A change reaches a contract whose order is closed.",
        "Sales operations decide which came first, the end or the change.",
    ),
    entry(
        "RENEWAL_ACCEPTED",
        Class::Business,
        "A renewal is declined after the contract was renewed.",
        "Billing operations ask the customer; to take the renewal back, cancel the contract, then give this event up.",
    ),
    entry(
        "REVENUE_PLAN_DIFFERS",
        Class::Business,
        "The prices allocated to performance obligations do not come to the transaction price, or a method is not known.",
        "Revenue accounting mends the plan in the contract; the publisher sends it again.",
    ),
    entry(
        "CUSTOMER_DUPLICATE",
        Class::Business,
        "The ERP has a customer with the same tax id or name under another id.",
        "Master data decides: link the existing customer by our external id, or release the new one; then retry.",
    ),
    entry(
        "INVOICE_POSTED",
        Class::Business,
        "An invoice that is posted was voided upstream. Posted documents are never deleted.",
        "Finance issues a credit note; then discard this record.",
    ),
    entry(
        "AMOUNT_EXCEEDS_OPEN",
        Class::Business,
        "More is written off or paid back than is open.",
        "Finance compares the amounts in the reason: a payment or credit may have crossed it.",
    ),
    entry(
        "CREDIT_NOTE_NOT_ISSUED",
        Class::NotYet,
        "A refund arrived before the credit note that it pays out.",
        "Nothing to do: it is applied once the credit note is there.",
    ),
    // Dependency.
    entry(
        "REGISTRY_UNAVAILABLE",
        Class::Dependency,
        "The schema registry does not answer, or answers with an error.",
        "Nothing is lost: the service waits. Check the registry.",
    ),
    entry(
        "LEDGER_UNAVAILABLE",
        Class::Dependency,
        "The ledger's database does not answer.",
        "Nothing is lost: the service waits. Check the database.",
    ),
    entry(
        "BROKER_UNAVAILABLE",
        Class::Dependency,
        "The Kafka broker does not answer.",
        "Nothing is lost: the service waits. Check the broker.",
    ),
    entry(
        "ERP_UNAVAILABLE",
        Class::Dependency,
        "The ERP refused the connection or answered with a server error before any change.",
        "Nothing is lost: the service waits. Check the vendor's status page.",
    ),
    entry(
        "CRM_UNAVAILABLE",
        Class::Dependency,
        "The CRM refused the connection, answered with a server error before any change, or held a lock on the record.",
        "Nothing is lost: the service waits. Check the vendor's status page.",
    ),
    entry(
        "PRODUCT_UNAVAILABLE",
        Class::Dependency,
        "The product platform cannot be reached or says that it is not available.",
        "Nothing: the service waits and goes on by itself. See the platform's status page if it lasts.",
    ),
    entry(
        "IDENTITY_UNAVAILABLE",
        Class::Dependency,
        "The identity platform cannot be reached or says that it is not available.",
        "Nothing: the service waits and goes on by itself. See the platform's status page if it lasts.",
    ),
    entry(
        "BILLING_UNAVAILABLE",
        Class::Dependency,
        "The billing system cannot be reached or says that it is not available.",
        "Nothing: the service waits and goes on by itself. See the vendor's status page if it lasts.",
    ),
    entry(
        "TAX_UNAVAILABLE",
        Class::Dependency,
        "The tax engine cannot be reached or says that it is not available.",
        "Nothing: the service waits and goes on by itself. See the vendor's status page if it lasts.",
    ),
    entry(
        "RATE_LIMITED",
        Class::Dependency,
        "The remote account's limit is reached.",
        "The service slows down by itself; ask for a higher limit if it persists.",
    ),
    entry(
        "AUTH_FAILED",
        Class::Dependency,
        "The outside system refused our credentials.",
        "Check the certificate, its mapping and its expiry; rotate without restart.",
    ),
    entry(
        "DEAD_LETTER_UNAVAILABLE",
        Class::Dependency,
        "The dead-letter topic does not accept records.",
        "The slice waits; nothing is skipped. Check the topic and the rights on it.",
    ),
    // Unknown.
    entry(
        "OUTCOME_UNKNOWN",
        Class::Unknown,
        "A call was sent and no answer came.",
        "The service looks up by external id before any second call.",
    ),
    entry(
        "STILL_UNKNOWN",
        Class::Unknown,
        "Look-ups could not tell whether the call took effect.",
        "Look in the outside system by external id, then resolve the letter.",
    ),
    // Bug.
    entry(
        "PANIC",
        Class::Bug,
        "Our own code panicked on this record.",
        "Report with the letter; redrive after the fix is deployed.",
    ),
    entry(
        "INVARIANT_BROKEN",
        Class::Bug,
        "A rule that must always hold did not.",
        "Report with the letter; redrive after the fix is deployed.",
    ),
    entry(
        "REQUEST_INVALID",
        Class::Bug,
        "The outside system says that our request is malformed.",
        "Report: the connector is wrong. Redrive after the fix.",
    ),
    // Slices that stop.
    entry(
        "TOPIC_RECREATED",
        Class::Bug,
        "The topic is not the one the ledger's position was taken from.",
        "`throughline slice accept` sets the new start, on the record; then `throughline slice resume`.",
    ),
    entry(
        "POSITION_BEYOND_END",
        Class::Bug,
        "The topic ends before the ledger's position: it was truncated or recreated.",
        "`throughline slice accept` sets the new start, on the record; then `throughline slice resume`.",
    ),
    entry(
        "POSITION_BELOW_START",
        Class::Bug,
        "Retention removed records that were never read.",
        "`throughline slice accept` records the loss and sets the new start; then `throughline slice resume`.",
    ),
    entry(
        "TOO_MANY_DEAD_LETTERS",
        Class::Bug,
        "Too many records in a row became dead letters.",
        "Mend the cause, then `throughline slice resume`.",
    ),
    entry(
        "NOT_COPARTITIONED",
        Class::Bug,
        "The input topics do not have the same number of partitions.",
        "`throughline topics apply --dry-run` shows the difference.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_upper_case_with_an_action_each() {
        let mut seen = BTreeSet::new();
        for entry in CODES {
            assert!(seen.insert(entry.code), "{} twice", entry.code);
            assert!(
                entry.code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                entry.code
            );
            assert!(entry.meaning.ends_with('.') && entry.action.ends_with('.'), "{}", entry.code);
        }
    }

    #[test]
    fn a_code_is_found_in_any_letter_case() {
        assert_eq!(explain("period_closed").map(|entry| entry.class), Some(Class::Business));
        assert!(explain("NO_SUCH_CODE").is_none());
    }
}
