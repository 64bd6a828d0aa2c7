//! Changing what exists, and what is not an invoice: orders, revenue plans, charges, refunds, journals, closed periods, duplicates.

mod common;

use common::{ACCOUNT, Erp, cause, customer, failure, header, invoice, line, order, payment, pounds};
use connectors::{
    AcceptOrder as _, Application, ApplyPayment as _, ChangeOrder as _, ChargeUsage as _, CreateCustomer as _,
    CustomerScope, EnableCustomer as _, FindByExternalId as _, Foreign, Header, JournalLine, Line, NewCharge,
    NewCustomer, NewJournal, NewRefund, Object, OrderChange, PayBack as _, PaymentChange, PlanRevenue as _,
    PostInvoice as _, PostJournal as _, Recognition, Reference, RevenueElement, RevenuePlan, Span,
};
use failure::Class;
use jiff::civil::date;
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn by_name(id: &str) -> Reference {
    Reference::ExternalId(id.into())
}

fn change(amount_minor: i64) -> OrderChange {
    OrderChange {
        order_id: "C-1".into(),
        account_id: ACCOUNT.into(),
        currency: pounds(),
        start_on: date(2026, 2, 1),
        end_on: Some(date(2027, 2, 1)),
        lines: vec![Line { taxes: Vec::new(), is_closed: true, ..line(1, amount_minor, 0) }],
        memo: "amended".into(),
        cancellation: None,
    }
}

fn plan(allocated_minor: i64) -> RevenuePlan {
    let slot = |period: &str, amount_minor| Recognition { period: period.into(), amount_minor };
    RevenuePlan {
        contract_id: "C-1".into(),
        header: header(),
        elements: vec![RevenueElement {
            element_id: "PO-1".into(),
            description: Some("Platform".into()),
            standalone_minor: allocated_minor,
            allocated_minor,
            rule: "straight_line_daily".into(),
            start_on: date(2026, 2, 1),
            end_on: Some(date(2026, 4, 1)),
            deferred_account: by_name("2400"),
            recognised_account: by_name("4000"),
            on_hold: false,
            schedule: vec![
                slot("2026-02", allocated_minor / 2),
                slot("2026-03", allocated_minor - allocated_minor / 2),
            ],
        }],
    }
}

async fn record(erp: &Erp, kind: &str) -> Value {
    let state: Value = serde_json::from_str(&erp.admin("state?records=true").await).expect("JSON");
    state["records"][kind].as_array().and_then(|all| all.last()).cloned().unwrap_or_else(|| panic!("{kind}: {state}"))
}

#[tokio::test]
async fn a_change_replaces_the_lines_instead_of_appending_to_them() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.accept_order(&cause("E-1"), &order()).await.expect("an order");
    for (event, amount) in [("E-2", 1200), ("E-3", 1300)] {
        erp.netsuite.change_order(&cause(event), &change(amount)).await.expect("a change");
    }
    let effects = erp.effects("salesOrder").await;
    assert_eq!(
        effects.iter().map(|effect| effect["amount_minor"].as_i64()).collect::<Vec<_>>(),
        [Some(1000), Some(1200), Some(1300)]
    );
    let order = record(&erp, "salesOrder").await;
    let lines = order["item"]["items"].as_array().expect("lines");
    assert!(lines.len() == 1 && lines[0]["isClosed"] == true, "{order}");
}

#[tokio::test]
async fn a_change_takes_effect_once_for_each_event_whatever_becomes_of_the_answer() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.accept_order(&cause("E-1"), &order()).await.expect("an order");
    erp.fault(json!({"method": "PATCH", "path": "/services/rest/record/v1/salesOrder/*", "nth": 1, "drop_after_commit": true}));
    let lost = failure(erp.netsuite.change_order(&cause("E-2"), &change(1200)).await);
    assert_eq!(lost.class, Class::Unknown);
    let found = erp.netsuite.find_changed(&cause("E-2"), Object::Order, "C-1").await.expect("an answer");
    assert!(found.is_some(), "the record says which event wrote it last");
    assert!(erp.netsuite.find_changed(&cause("E-9"), Object::Order, "C-1").await.expect("an answer").is_none());
    assert!(erp.netsuite.change_order(&cause("E-2"), &change(1200)).await.expect("done before").existed);
    assert_eq!(erp.effects("salesOrder").await.len(), 2);
}

#[tokio::test]
async fn of_two_late_calls_of_one_event_only_the_first_changes_the_order() {
    let erp = Erp::start().await.with_customer().await;
    erp.netsuite.accept_order(&cause("E-1"), &order()).await.expect("an order");
    let route = "/services/rest/record/v1/salesOrder/*";
    erp.fault(json!({"method": "PATCH", "path": route, "nth": 1, "late_commit_ms": 60_000}));
    let lost = failure(erp.netsuite.change_order(&cause("E-2"), &change(1200)).await);
    assert_eq!(lost.class, Class::Unknown);
    erp.netsuite.change_order(&cause("E-2"), &change(1200)).await.expect("the first was not there yet");
    erp.post_admin("clock", json!({"advance_ms": 120_000})).await;
    erp.netsuite.find_changed(&cause("E-2"), Object::Order, "C-1").await.expect("an answer");
    assert_eq!(
        erp.effects("salesOrder").await.len(),
        2,
        "what was seen travels with the write, so the late one is refused"
    );
}

#[tokio::test]
async fn a_revenue_plan_is_made_once_and_then_changed_as_a_whole() {
    let erp = Erp::start().await.with_customer().await;
    let made = erp.netsuite.plan_revenue(&cause("E-1"), &plan(1_001)).await.expect("a plan");
    assert!(erp.netsuite.plan_revenue(&cause("E-1"), &plan(1_001)).await.expect("the same").existed);
    let changed = erp.netsuite.change_revenue(&cause("E-2"), &plan(2_002)).await.expect("a change");
    assert_eq!(changed.id, made.id);
    let effects = erp.effects("revenueArrangement").await;
    assert_eq!(
        effects.iter().map(|effect| effect["amount_minor"].as_i64()).collect::<Vec<_>>(),
        [Some(1_001), Some(2_002)]
    );
    let arrangement = record(&erp, "revenueArrangement").await;
    assert_eq!(arrangement["revenuePlan"]["items"].as_array().map(Vec::len), Some(2), "{arrangement}");
    assert_eq!(
        arrangement["revenueElement"]["items"][0]["revRecEndDate"], "2026-03-31",
        "NetSuite's end is the last day"
    );
}

#[tokio::test]
async fn usage_is_held_for_billing_with_its_order_and_posts_nothing() {
    let erp = Erp::start().await.with_customer().await;
    let order = erp.netsuite.accept_order(&cause("E-1"), &order()).await.expect("an order");
    erp.post_admin("periods/2026-02", json!({"closed": true})).await;
    let charge = NewCharge {
        charge_id: "C-1/api_calls/USE-API/2026-02/1".into(),
        header: header(),
        order: order.id,
        item: by_name("USAGE"),
        quantity: Decimal::new(1_234_567, 3),
        amount_minor: -250,
        delivered: Span { start_on: date(2026, 2, 1), end_on: date(2026, 3, 1) },
        description: "usage".into(),
    };
    erp.netsuite.charge_usage(&cause("E-2"), &charge).await.expect("a correction below zero, in a closed period");
    let made = record(&erp, "charge").await;
    assert_eq!((&made["stage"]["id"], &made["serviceEndDate"]), (&json!("HOLD_FOR_BILLING"), &json!("2026-02-28")));
    assert_eq!(erp.effects("charge").await[0]["amount_minor"], -250);
}

#[tokio::test]
async fn a_customer_is_enabled_before_it_is_sold_to_elsewhere() {
    let erp = Erp::start().await.with_customer().await;
    let mut abroad = invoice("INV-1");
    abroad.header.subsidiary = by_name("DE");
    abroad.header.currency.reference = by_name("EUR");
    assert_eq!(failure(erp.netsuite.post_invoice(&cause("E-1"), &abroad).await).class, Class::Business);
    let scope = CustomerScope { account_id: ACCOUNT.into(), subsidiary: by_name("DE"), currency: by_name("EUR") };
    assert_eq!(erp.netsuite.find_enabled(&cause("E-1"), &scope).await, Ok(None));
    erp.netsuite.enable_customer(&cause("E-1"), &scope).await.expect("enabled");
    assert!(erp.netsuite.find_enabled(&cause("E-1"), &scope).await.expect("an answer").is_some());
    erp.netsuite.post_invoice(&cause("E-1"), &abroad).await.expect("now it can be invoiced there");
    erp.netsuite.post_invoice(&cause("E-2"), &invoice("INV-2")).await.expect("and still at home");
}

#[tokio::test]
async fn a_closed_period_is_re_dated_only_where_that_is_allowed_and_never_silently() {
    let erp = Erp::start().await.with_customer().await;
    for (period, how) in [("2026-02", json!({"closed": true})), ("2026-03", json!({"locked": true}))] {
        erp.post_admin(&format!("periods/{period}"), how).await;
    }
    assert_eq!(failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await).code, "PERIOD_CLOSED");
    let mut allowed = invoice("INV-1");
    allowed.header.may_redate = true;
    let made = erp.netsuite.post_invoice(&cause("E-1"), &allowed).await.expect("booked in the next open period");
    assert_eq!(made.redated, Some(date(2026, 4, 1)), "March is locked");
    let found = erp.netsuite.find(&cause("E-1"), Object::Invoice, "INV-1").await.expect("an answer").expect("found");
    assert_eq!(found.redated, made.redated, "the look-up says the same as the call");
    let record = record(&erp, "invoice").await;
    assert_eq!(
        (&record["tranDate"], &record["custbody_tl_original_date"]),
        (&json!("2026-04-01"), &json!("2026-02-01"))
    );
    assert_eq!(record["custbody_tl_redate_rule"], "next_open_period");
    assert!(
        record["memo"].as_str().is_some_and(|memo| memo.contains("dated 2026-02-01, booked 2026-04-01")),
        "{record}"
    );
}

#[tokio::test]
async fn a_closed_period_is_recognised_in_any_language_and_nothing_else_is_taken_for_one() {
    let erp = Erp::start().await.with_customer().await;
    let said = json!({"o:errorDetails": [{"detail": "Die Periode ist abgeschlossen.", "o:errorCode": "USER_ERROR"}]});
    let rule =
        json!({"method": "POST", "path": "/services/rest/record/v1/invoice", "status": 400, "body": said.to_string()});
    erp.fault(rule);
    let open = failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await);
    assert_eq!(open.code, "REFUSED_BY_ERP", "whatever it says, the period is open");
    erp.post_admin("periods/2026-02", json!({"closed": true})).await;
    let closed = failure(erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await);
    assert_eq!((closed.code.as_ref(), closed.owner.as_deref()), ("PERIOD_CLOSED", Some("finance")));
}

#[tokio::test]
async fn a_customer_under_another_id_is_for_master_data_and_no_name_is_shown() {
    let erp = Erp::start().await;
    let first = NewCustomer {
        name: "Example & Söhne GmbH".into(),
        tax_id: Some("DE123".into()),
        is_searched: true,
        ..customer()
    };
    erp.netsuite.create_customer(&cause("E-1"), &first).await.expect("the first");
    assert!(erp.netsuite.create_customer(&cause("E-1"), &first).await.expect("ours is no duplicate").existed);
    for (name, tax_id) in [("EXAMPLE SÖHNE", None), ("Another Name", Some("DE123"))] {
        let second = NewCustomer {
            account_id: "A-2".into(),
            name: name.into(),
            tax_id: tax_id.map(Into::into),
            ..first.clone()
        };
        let refused = failure(erp.netsuite.create_customer(&cause("E-2"), &second).await);
        assert_eq!((refused.code.as_ref(), refused.owner.as_deref()), ("CUSTOMER_DUPLICATE", Some("master-data")));
        assert!(refused.reason.contains("tl-customer-walk-in") && !refused.reason.contains("DE123"), "{refused}");
    }
    let third = NewCustomer { account_id: "A-3".into(), name: "Third".into(), tax_id: None, ..first };
    erp.netsuite.create_customer(&cause("E-3"), &third).await.expect("nobody has its name");
}

#[tokio::test]
async fn money_goes_back_only_out_of_what_is_left_over() {
    let erp = Erp::start().await.with_customer().await;
    let posted = erp.netsuite.post_invoice(&cause("E-1"), &invoice("INV-1")).await.expect("an invoice");
    let applied = |amount_minor| vec![Application { invoice: posted.id.clone(), amount_minor, discount_minor: 0 }];
    let paid = connectors::NewPayment { applications: applied(1_120), ..payment("P-1", 1_120) };
    let paid = erp.netsuite.apply_payment(&cause("E-2"), &paid).await.expect("a payment");
    let refund = NewRefund { refund_id: "R-1".into(), header: header(), amount_minor: 400, out_of: paid.id };
    assert_eq!(failure(erp.netsuite.refund(&cause("E-3"), &refund).await).class, Class::Business);
    let change = PaymentChange {
        payment_id: "P-1".into(),
        account_id: ACCOUNT.into(),
        currency: pounds(),
        applications: applied(720),
    };
    erp.netsuite.change_payment(&cause("E-3"), &change).await.expect("settles less");
    erp.netsuite.refund(&cause("E-3"), &refund).await.expect("a refund");
    let state: Value = serde_json::from_str(&erp.admin("state").await).expect("JSON");
    let open = |object: &str| state["totals"][object]["open_minor"]["GBP"].as_i64();
    assert_eq!((open("invoice"), open("customerPayment")), (Some(400), Some(0)));
}

#[tokio::test]
async fn a_journal_balances_and_a_stated_rate_is_carried_as_it_is() {
    let erp = Erp::start().await.with_customer().await;
    let line =
        |account: &str, debit_minor, credit_minor| JournalLine { account: by_name(account), debit_minor, credit_minor };
    let journal = |lines| NewJournal { journal_id: "D-1".into(), header: header(), lines, reversal_of: None };
    let wrong = journal(vec![line("1150", 500, 0), line("1100", 0, 499)]);
    assert_eq!(failure(erp.netsuite.post_journal(&cause("E-1"), &wrong).await).class, Class::Business);
    let right = journal(vec![line("1150", 500, 0), line("1100", 0, 500)]);
    erp.netsuite.post_journal(&cause("E-1"), &right).await.expect("a journal");
    assert_eq!(erp.effects("journalEntry").await[0]["amount_minor"], 500);

    let foreign = Foreign {
        currency: "EUR".into(),
        amount: Decimal::new(58_123, 2),
        rate: Some("1.162460".parse().expect("a rate")),
        rate_on: Some(date(2026, 1, 30)),
        source: "settlement".into(),
    };
    let paid = connectors::NewPayment { header: Header { foreign: Some(foreign), ..header() }, ..payment("P-1", 500) };
    erp.netsuite.apply_payment(&cause("E-2"), &paid).await.expect("a payment");
    let record = record(&erp, "customerPayment").await;
    assert_eq!(record["custbody_tl_functional_total"].to_string(), "581.23");
    assert_eq!(
        (&record["custbody_tl_fx_rate"].to_string()[..], &record["custbody_tl_fx_date"]),
        ("1.16246", &json!("2026-01-30"))
    );
}
