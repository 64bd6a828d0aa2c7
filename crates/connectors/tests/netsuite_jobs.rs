//! Collections written by asynchronous jobs, and what an administrator can do to us meanwhile.

mod common;

use common::{Erp, cause, customer, failure, header, invoice, order};
use connectors::{
    AcceptOrder as _, Cause, ChargeUsage as _, CreateCustomer as _, NewCharge, PostInvoice as _, Reference, Span,
};
use failure::Class;
use jiff::civil::date;
use rust_decimal::Decimal;
use serde_json::json;

fn charges(order: &str, count: usize) -> Vec<(Cause, NewCharge)> {
    let charge = |n: usize| NewCharge {
        charge_id: format!("C-1/api/USE/2026-02/{n}"),
        header: header(),
        order: order.to_owned(),
        item: Reference::ExternalId("USAGE".into()),
        quantity: Decimal::ONE,
        amount_minor: 100,
        delivered: Span { start_on: date(2026, 2, 1), end_on: date(2026, 3, 1) },
        description: "usage".into(),
    };
    (0..count).map(|n| (cause(&format!("E-{n}")), charge(n))).collect()
}

async fn with_order() -> (Erp, String) {
    let erp = Erp::start().await.with_customer().await;
    let order = erp.netsuite.accept_order(&cause("E-order"), &order()).await.expect("an order");
    (erp, order.id)
}

#[tokio::test]
async fn a_collection_holds_at_most_a_hundred_records_and_each_has_its_own_answer() {
    let (erp, order) = with_order().await;
    let mut all = charges(&order, 150);
    all[7].1.item = Reference::ExternalId("NO-SUCH-ITEM".into());
    let answers = erp.netsuite.charge_many(&all).await;
    assert_eq!(erp.requests("POST /services/rest/record/v1/charge").await, 2);
    assert_eq!((answers.len(), erp.effects("charge").await.len()), (150, 149));
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(recorded) => assert!(!recorded.existed && !recorded.id.is_empty()),
            Err(error) => assert_eq!((n, failure::Failure::from(error).code.as_ref()), (7, "ITEM_UNKNOWN")),
        }
    }
}

#[tokio::test]
async fn a_repeated_key_leads_to_the_first_job_and_nothing_is_made_twice() {
    let (erp, order) = with_order().await;
    let all = charges(&order, 3);
    let first: Vec<_> =
        erp.netsuite.charge_many(&all).await.into_iter().map(|answer| answer.expect("made").id).collect();
    let again: Vec<_> =
        erp.netsuite.charge_many(&all).await.into_iter().map(|answer| answer.expect("made").id).collect();
    assert_eq!(first, again);
    assert_eq!(erp.effects("charge").await.len(), 3);
}

#[tokio::test]
async fn what_a_job_refused_and_people_mended_is_not_refused_for_ever_by_its_key() {
    let (erp, order) = with_order().await;
    let mut all = charges(&order, 3);
    all[1].1.item = Reference::ExternalId("NO-SUCH-ITEM".into());
    let first = erp.netsuite.charge_many(&all).await;
    assert_eq!(first.iter().filter(|answer| answer.is_ok()).count(), 2);
    let again = erp.netsuite.charge_many(&charges(&order, 3)).await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(erp.effects("charge").await.len(), 3);
}

#[tokio::test]
async fn a_job_survives_our_restart_and_a_key_that_is_forgotten() {
    let (erp, order) = with_order().await;
    let all = charges(&order, 3);
    erp.fault(
        json!({"method": "POST", "path": "/services/rest/record/v1/charge", "nth": 1, "drop_after_commit": true}),
    );
    let lost = erp.netsuite.charge_many(&all).await;
    assert!(lost.into_iter().all(|answer| failure(answer).class == Class::Unknown), "sent, and nobody knows");
    // Whoever goes on after us sends the same records under the same key, or finds them where the key is forgotten.
    for forgotten in [false, true] {
        if forgotten {
            erp.post_admin("settings", json!({"idempotency_seconds": 1})).await;
            erp.post_admin("clock", json!({"advance_ms": 10_000})).await;
        }
        let answers = erp.netsuite.charge_many(&all).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!(erp.effects("charge").await.len(), 3);
}

#[tokio::test]
async fn a_job_that_takes_its_time_is_waited_for() {
    let (erp, order) = with_order().await;
    erp.post_admin("settings", json!({"async_ms": 200})).await;
    let answers = erp.netsuite.charge_many(&charges(&order, 2)).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn an_expired_certificate_waits_for_its_successor_and_is_no_ones_fault() {
    let erp = Erp::start().await;
    let expired = json!({"throughline-dev-certificate": "2020-01-01T00:00:00Z"});
    erp.post_admin("settings", json!({"certificates_expire": expired})).await;
    let refused = failure(erp.netsuite.create_customer(&cause("E-1"), &customer()).await);
    assert_eq!((refused.class, refused.code.as_ref()), (Class::Dependency, "AUTH_FAILED"));
    assert!(refused.reason.contains("expired"), "{refused}");
    erp.post_admin("settings", json!({"certificates_expire": {}})).await;
    let goes_on = async {
        while erp.netsuite.create_customer(&cause("E-1"), &customer()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), goes_on).await.expect("goes on by itself");
}

#[tokio::test]
async fn a_field_that_a_form_makes_mandatory_is_for_master_data() {
    let erp = Erp::start().await.with_customer().await;
    erp.post_admin("settings", json!({"required_fields": {"invoice": ["otherRefNum"]}})).await;
    let refused = failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await);
    assert_eq!((refused.code.as_ref(), refused.field.as_deref()), ("REFUSED_BY_ERP", Some("otherRefNum")));
    let ordered = connectors::NewInvoice { purchase_order: Some("PO 7".into()), ..invoice("INV-1") };
    erp.netsuite.post_invoice(&cause("E-1"), &ordered).await.expect("now it is there");
}
