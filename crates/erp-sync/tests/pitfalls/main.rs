//! What goes wrong in other people's integrations of billing with an ERP, each as a test against the stand-in's books. The number is
//! that of the list of pitfalls that this suite was built against.
//!
//! | | pitfall | test |
//! |---|---|---|
//! | 1 | exponent by currency | `money::exponents_of_0_2_and_3_decimals_reach_the_books_to_the_unit` |
//! | 2 | rounding | `money::each_line_is_rounded_and_the_total_is_their_sum_with_rounding_as_a_line` |
//! | 3 | tax in the accounting currency | `money::tax_in_the_authoritys_currency_travels_beside_the_tax_and_is_not_computed` |
//! | 4 | tax changes between order and invoice | `money::tax_is_that_of_the_invoice_also_where_the_nexus_changed_since_the_order`, `money::one_document_has_taxed_lines_and_lines_under_reverse_charge` |
//! | 5 | foreign currency | `money::a_stated_rate_is_kept_with_its_date_and_nothing_is_recomputed` |
//! | 6 | date or instant | `time::a_contract_from_new_years_morning_in_sydney_is_ordered_in_january` |
//! | 7 | half-open or inclusive, month ends | `time::a_term_ends_on_its_last_day_in_the_erp_and_a_month_end_anchor_comes_back` |
//! | 8 | effective or recorded | `time::a_back_dated_amendment_changes_no_month_before_the_one_it_was_recorded_in` |
//! | 9 | leap day, own calendars | `time::a_leap_day_is_a_day_of_revenue`, `time::the_next_open_period_is_the_erps_own_and_not_a_month_we_computed` |
//! | 10 | edited or deleted posted invoices | `lifecycle::a_posted_invoice_is_neither_edited_nor_voided` |
//! | 11 | closed and locked periods | `time::a_closed_period_is_a_case_for_finance_or_moved_by_a_rule_that_the_record_states` |
//! | 12 | proration | `money::prorated_lines_are_booked_as_they_were_computed` |
//! | 13 | multi-entity | `lifecycle::one_customer_of_two_entities_is_enabled_before_each_of_its_orders` |
//! | 14 | merged customers, foreign external ids | `lifecycle::a_customer_under_somebody_elses_id_is_for_master_data_and_made_no_second_time` |
//! | 15 | races | `lifecycle::an_amendment_waits_for_its_activation_and_a_renewal_after_the_end_is_for_people` |
//! | 16 | the order made, the rest not | `lifecycle::what_failed_after_the_order_goes_forward_and_never_orders_twice` |
//! | 17 | partial and over-payments, refunds, disputes | `lifecycle::one_payment_of_two_invoices_with_too_much_a_refund_and_a_dispute_add_up` |
//! | 18 | usage corrections | `lifecycle::usage_that_is_corrected_after_it_was_charged_is_charged_by_the_difference_only` |
//! | 19 | revenue | `money::a_bundle_is_allocated_by_selling_price_and_lines_carry_their_service_period` |
//! | 20 | test and live mixed, refreshed sandboxes | `lifecycle::an_account_that_forgot_our_certificate_books_nothing_and_loses_nothing`, `lifecycle::two_environments_in_one_account_never_touch_each_others_records` |

#[path = "../common/mod.rs"]
mod common;
mod facts;
mod lifecycle;
mod money;
mod time;

use common::Service;
use events::{Envelope, Event, EventSet as _};
use failure::Failure;
use serde_json::{Value, json};

/// A service, its ERP, and events one after another.
struct Books {
    service: Service,
    told: u32,
}

impl Books {
    async fn open() -> Self {
        Self { service: Service::start().await, told: 0 }
    }

    async fn with(mapping: &str) -> Self {
        Self { service: Service::with_mapping(mapping).await, told: 0 }
    }

    /// Whether the event had an effect, or the verdict on it.
    async fn tell(&mut self, event: impl Into<Event>) -> Result<bool, Failure> {
        let event = event.into();
        self.told += 1;
        self.service.take(&envelope(self.told, &event), &event).await
    }

    /// Tells what was told last once more, as a retry does.
    async fn again(&mut self, event: impl Into<Event>) -> Result<bool, Failure> {
        let event = event.into();
        self.service.take(&envelope(self.told, &event), &event).await
    }

    /// The clock says that it is this day.
    async fn due(&mut self, day: jiff::civil::Date) {
        self.service.due(facts::noon(day).as_millisecond()).await;
    }

    /// The records of a kind, oldest first.
    async fn records(&self, kind: &str) -> Vec<Value> {
        let state = self.service.admin("state?records=true").await;
        state["records"][kind].as_array().cloned().unwrap_or_default()
    }

    async fn only(&self, kind: &str) -> Value {
        let records = self.records(kind).await;
        let [record] = records.as_slice() else { panic!("one {kind}: {records:#?}") };
        record.clone()
    }

    async fn count(&self, kind: &str) -> usize {
        self.records(kind).await.len()
    }

    /// Amount of all records of a kind in minor units of a currency, as the ERP adds it up.
    async fn total(&self, kind: &str, currency: &str) -> i64 {
        self.service.admin("state").await["totals"][kind]["amount_minor"][currency].as_i64().unwrap_or_default()
    }

    async fn close(&self, month: &str) {
        self.service.post_admin(&format!("periods/{month}"), json!({"closed": true})).await;
    }
}

fn envelope(number: u32, event: &Event) -> Envelope {
    Envelope {
        id: format!("E-{number}"),
        source: "urn:test".into(),
        event_type: events::topics::event_type(event.topic()),
        time_ms: i64::from(number),
        subject: Some(event.subject().to_owned()),
        correlation_id: None,
        causation_id: None,
        sequence: None,
        dataschema: None,
        change_origin: None,
        traceparent: None,
    }
}
