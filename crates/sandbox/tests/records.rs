//! Records: statuses, bodies and rules of create, update, upsert, delete, transform.

mod common;

use common::{customer, invoice, payment, start};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_created_record_is_answered_with_204_and_its_location_and_can_be_read() {
    let erp = start().await;
    let answer =
        erp.post("/customer", json!({ "externalId": "ACC-1", "companyName": "A", "subsidiary": { "id": "2" } })).await;
    let id = answer.id();
    assert_eq!(answer.header("location"), format!("{}/services/rest/record/v1/customer/{id}", erp.sandbox.url()));
    assert_eq!(answer.body, Value::from(""));
    let read = erp.get(&format!("/customer/{id}")).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("content-type"), "application/vnd.oracle.resource+json; type=singular");
    assert_eq!(read.body["externalId"], "ACC-1");
    assert_eq!(read.body["currency"]["refName"], "GBP", "the subsidiary's currency is the default");
    assert_eq!(erp.get("/customer/eid:ACC-1").await.body["id"], id.as_str());
    assert_eq!(erp.get("/customer/eid:ACC-2").await.error(), (404, "NONEXISTENT_ID", ""));
}

#[tokio::test]
async fn an_upsert_makes_the_record_once_and_never_says_which_it_did() {
    let erp = start().await;
    let first = erp.put("/customer/eid:ACC-1", customer("ACC-1")).await;
    let second = erp.put("/customer/eid:ACC-1", json!({ "phone": "123456" })).await;
    assert_eq!((first.status, second.status), (204, 204));
    assert_eq!(first.id(), second.id());
    let read = erp.get("/customer/eid:ACC-1").await.body;
    assert_eq!((&read["phone"], &read["companyName"]), (&json!("123456"), &json!("Company ACC-1")));
    let by_internal_id = erp.put(&format!("/customer/{}", first.id()), customer("ACC-1")).await;
    assert_eq!(by_internal_id.error().1, "INVALID_PARAMETER");
}

#[tokio::test]
async fn external_ids_with_spaces_and_slashes_survive_the_path() {
    let erp = start().await;
    let id =
        erp.put("/customer/eid:walk-in:United%20Kingdom%2FWales", customer("walk-in:United Kingdom/Wales")).await.id();
    assert_eq!(erp.get(&format!("/customer/{id}")).await.body["externalId"], "walk-in:United Kingdom/Wales");
}

#[tokio::test]
async fn an_external_id_is_unique_within_its_type() {
    let erp = start().await;
    erp.customer("X").await;
    let again =
        erp.post("/customer", json!({ "externalId": "X", "companyName": "B", "subsidiary": { "id": 2 } })).await;
    assert_eq!(again.error(), (400, "DUP_ENTITY", "externalId"));
    erp.invoice("X", "X").await;
    let mut twin = invoice("X", "other-number");
    twin["externalId"] = json!("X");
    assert_eq!(erp.post("/invoice", twin).await.error(), (400, "DUP_RCRD", "externalId"));
}

#[tokio::test]
async fn a_document_number_is_unique_within_its_type() {
    let erp = start().await;
    erp.customer("A").await;
    erp.invoice("A", "INV-1").await;
    let twin = erp.put("/invoice/eid:INV-2", invoice("A", "INV-1")).await;
    assert_eq!(twin.error(), (400, "DUP_RCRD", "tranId"));
}

#[tokio::test]
async fn unknown_fields_vanish_by_default_and_are_refused_when_names_are_checked() {
    let erp = start().await;
    let mut body = customer("A");
    body["compnyName"] = json!("typo");
    let strict = erp.put("/customer/eid:A", body.clone()).await;
    assert_eq!(strict.error(), (400, "INVALID_CONTENT", "compnyName"));
    let url = format!("{}/services/rest/record/v1/customer/eid:A", erp.sandbox.url());
    let lax = common::send(erp.http.put(url).bearer_auth(&erp.token).json(&body)).await.expect("an answer");
    assert_eq!(lax.status, 204);
    assert!(erp.get("/customer/eid:A").await.body.get("compnyName").is_none());
    let url = format!("{}/services/rest/record/v1/customer/eid:A", erp.sandbox.url());
    let wrong =
        erp.http.put(url).bearer_auth(&erp.token).header("X-NetSuite-PropertyNameValidation", "Sometimes").json(&body);
    assert_eq!(common::send(wrong).await.expect("an answer").error().1, "INVALID_HEADER");
}

#[tokio::test]
async fn values_of_the_wrong_type_and_undeclared_custom_fields_are_refused_with_their_path() {
    let erp = start().await;
    erp.customer("A").await;
    for (field, value) in [
        ("tranDate", json!("15/03/2024")),
        ("memo", json!(5)),
        ("toBeEmailed", json!("yes")),
        ("billingAddress", json!("street")),
        ("custbody_tl_evnet_id", json!("typo")),
    ] {
        let mut body = invoice("A", "INV-1");
        body[field] = value;
        assert_eq!(erp.put("/invoice/eid:INV-1", body).await.error(), (400, "INVALID_CONTENT", field));
    }
    let mut body = invoice("A", "INV-1");
    body["item"]["items"][0]["quantity"] = json!("many");
    assert_eq!(erp.put("/invoice/eid:INV-1", body).await.error(), (400, "INVALID_CONTENT", "item.items[0].quantity"));
    let broken = erp.request(Method::PUT, "/record/v1/invoice/eid:INV-1").body("{\"entity\":");
    assert_eq!(common::send(broken).await.expect("an answer").error().1, "INVALID_CONTENT");
    assert_eq!(erp.state().await["effects"], 1, "only the customer was written");
}

#[tokio::test]
async fn references_to_nothing_are_refused_with_the_field() {
    let erp = start().await;
    erp.customer("A").await;
    let cases = [
        ("/item/items/0/item", json!({ "externalId": "NO-SUCH-SKU" }), "item.items[0].item"),
        ("/entity", json!({ "externalId": "nobody" }), "entity"),
        ("/terms", json!({ "externalId": "NET1000" }), "terms"),
        ("/subsidiary", json!({ "id": "99" }), "subsidiary"),
        ("/taxDetails/items/0/taxCode", json!({ "externalId": "??" }), "taxDetails.items[0].taxCode"),
    ];
    for (pointer, value, path) in cases {
        let mut body = invoice("A", "INV-1");
        body["terms"] = Value::Null;
        body["subsidiary"] = Value::Null;
        *body.pointer_mut(pointer).expect("the field is there") = value;
        assert_eq!(erp.put("/invoice/eid:INV-1", body).await.error(), (400, "INVALID_KEY_OR_REF", path));
    }
}

#[tokio::test]
async fn required_fields_are_named() {
    let erp = start().await;
    let no_name = erp.put("/customer/eid:A", json!({ "subsidiary": { "id": "2" } })).await;
    assert_eq!(no_name.error(), (400, "MISSING_REQD_FIELD", "companyName"));
    let no_subsidiary = erp.put("/customer/eid:A", json!({ "companyName": "A" })).await;
    assert_eq!(no_subsidiary.error(), (400, "MISSING_REQD_FIELD", "subsidiary"));
    erp.customer("A").await;
    assert_eq!(erp.post("/invoice", json!({})).await.error(), (400, "MISSING_REQD_FIELD", "entity"));
    let no_lines = erp.post("/invoice", json!({ "entity": { "externalId": "A" } })).await;
    assert_eq!(no_lines.error(), (400, "USER_ERROR", "item"));
    let no_amount =
        json!({ "entity": { "externalId": "A" }, "item": { "items": [{ "item": { "externalId": "RETAIL" } }] } });
    assert_eq!(erp.post("/invoice", no_amount).await.error(), (400, "MISSING_REQD_FIELD", "item.items[0].amount"));
    let no_payment = erp.post("/customerPayment", json!({ "customer": { "externalId": "A" } })).await;
    assert_eq!(no_payment.error(), (400, "MISSING_REQD_FIELD", "payment"));
}

#[tokio::test]
async fn lines_are_appended_unless_the_caller_asks_to_replace_them() {
    let erp = start().await;
    erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    erp.put("/invoice/eid:INV-1", json!({ "item": invoice("A", "INV-1")["item"] })).await.id();
    assert_eq!(erp.get(&format!("/invoice/{id}")).await.body["total"], 220);
    erp.put("/invoice/eid:INV-1?replace=item", json!({ "item": invoice("A", "INV-1")["item"] })).await.id();
    let read = erp.get(&format!("/invoice/{id}?expandSubResources=true")).await.body;
    assert_eq!((&read["total"], &read["taxTotal"], &read["subTotal"]), (&json!(120), &json!(20), &json!(100)));
    assert_eq!(read["item"]["items"].as_array().map(Vec::len), Some(1));
    let folded = erp.get(&format!("/invoice/{id}")).await.body;
    assert!(folded["item"]["links"].is_array() && folded["item"].get("items").is_none());
    assert_eq!(erp.get(&format!("/invoice/{id}/item")).await.body["totalResults"], 1);
}

#[tokio::test]
async fn amounts_are_exact_and_sums_that_are_not_the_lines_are_refused() {
    let erp = start().await;
    erp.customer("A").await;
    let mut body = invoice("A", "INV-1");
    body["total"] = json!(120.01);
    assert_eq!(erp.put("/invoice/eid:INV-1", body.clone()).await.error(), (400, "USER_ERROR", "total"));
    body["total"] = json!(120.00);
    erp.put("/invoice/eid:INV-1", body).await.id();
    let mut fine = invoice("A", "INV-2");
    fine["item"]["items"][0]["amount"] = json!(100.005);
    let refused = erp.put("/invoice/eid:INV-2", fine).await;
    assert_eq!(refused.error(), (400, "USER_ERROR", "item.items[0].amount"));
    let mut negative = invoice("A", "INV-3");
    negative["item"]["items"][0]["amount"] = json!(-100);
    assert_eq!(erp.put("/invoice/eid:INV-3", negative).await.error(), (400, "USER_ERROR", "total"));
    let mut computed = invoice("A", "INV-4");
    computed["item"]["items"][0] = json!({ "item": { "externalId": "RETAIL" }, "quantity": 3, "rate": 0.125 });
    erp.put("/invoice/eid:INV-4", computed).await.id();
    assert_eq!(erp.get("/invoice/eid:INV-4").await.body["subTotal"], 0.38, "0.375 rounds half up");
    let mut text = invoice("A", "INV-5");
    text["item"]["items"][0]["amount"] = json!("9007199254740.93");
    erp.put("/invoice/eid:INV-5", text).await.id();
    let effects = erp.effects_from(1).await;
    assert_eq!(effects.last().expect("an effect")["amount_minor"], 900_719_925_476_093_i64, "with 20.00 tax");
}

#[tokio::test]
async fn yen_have_no_decimals_and_dinars_three() {
    let erp = start().await;
    for (account, subsidiary, currency, amount, minor) in
        [("J", "JP", "JPY", 1_050.0, 1_050), ("K", "UK", "KWD", 1.234, 1_234)]
    {
        let mut buyer = customer(account);
        buyer["subsidiary"] = json!({ "externalId": subsidiary });
        buyer["currency"] = json!({ "externalId": currency });
        erp.put(&format!("/customer/eid:{account}"), buyer).await.id();
        let body = json!({
            "entity": { "externalId": account }, "item": { "items": [{ "item": { "externalId": "RETAIL" }, "amount": amount }] },
        });
        erp.put(&format!("/invoice/eid:{account}"), body).await.id();
        let effects = erp.effects_from(1).await;
        let effect = effects.last().expect("an effect");
        assert_eq!((&effect["amount_minor"], &effect["currency"]), (&json!(minor), &json!(currency)));
    }
    let half_yen = json!({
        "entity": { "externalId": "J" }, "item": { "items": [{ "item": { "externalId": "RETAIL" }, "amount": 10.5 }] },
    });
    assert_eq!(erp.post("/invoice", half_yen).await.error(), (400, "USER_ERROR", "item.items[0].amount"));
}

#[tokio::test]
async fn a_customer_buys_only_where_it_is_enabled() {
    let erp = start().await;
    erp.customer("A").await;
    let mut elsewhere = invoice("A", "INV-1");
    elsewhere["subsidiary"] = json!({ "externalId": "US" });
    assert_eq!(
        erp.put("/invoice/eid:INV-1", elsewhere.clone()).await.error(),
        (400, "INVALID_KEY_OR_REF", "subsidiary")
    );
    let mut foreign = invoice("A", "INV-1");
    foreign["currency"] = json!({ "externalId": "USD" });
    assert_eq!(erp.put("/invoice/eid:INV-1", foreign.clone()).await.error(), (400, "INVALID_KEY_OR_REF", "currency"));
    let enable = json!({
        "subsidiaryList": { "items": [{ "subsidiary": { "externalId": "US" } }] },
        "currencyList": { "items": [{ "currency": { "externalId": "USD" } }] },
    });
    erp.put("/customer/eid:A", enable).await.id();
    foreign["subsidiary"] = elsewhere["subsidiary"].clone();
    erp.put("/invoice/eid:INV-1", foreign).await.id();
    let moved = erp.put("/customer/eid:A", json!({ "currency": { "externalId": "EUR" } })).await;
    assert_eq!(moved.error(), (400, "USER_ERROR", "currency"));
}

#[tokio::test]
async fn a_customer_on_credit_hold_gets_no_orders_and_invoices_but_pays() {
    let erp = start().await;
    erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    erp.admin(Method::POST, "/holds/A", json!({})).await;
    let refused = erp.put("/invoice/eid:INV-2", invoice("A", "INV-2")).await;
    assert_eq!(refused.error(), (400, "USER_ERROR", "entity"));
    assert!(refused.detail().contains("credit hold"));
    let order = json!({ "entity": { "externalId": "A" }, "item": invoice("A", "O")["item"] });
    assert_eq!(erp.put("/salesOrder/eid:O", order).await.error(), (400, "USER_ERROR", "entity"));
    erp.post("/customerPayment", payment("A", 20.0, Some((&id, 20.0)))).await.id();
    erp.admin(Method::DELETE, "/holds/A", json!({})).await;
    erp.put("/invoice/eid:INV-2", invoice("A", "INV-2")).await.id();
    erp.put("/customer/eid:A", json!({ "creditHoldOverride": { "id": "ON" } })).await.id();
    assert_eq!(erp.put("/invoice/eid:INV-3", invoice("A", "INV-3")).await.error().1, "USER_ERROR");
}

#[tokio::test]
async fn closed_and_locked_periods_refuse_postings_by_date_but_not_orders() {
    let erp = start().await;
    erp.customer("A").await;
    erp.invoice("A", "INV-1").await;
    erp.admin(Method::POST, "/periods/2024-03", json!({ "closed": true })).await;
    let refused = erp.put("/invoice/eid:INV-2", invoice("A", "INV-2")).await;
    assert_eq!(refused.error(), (400, "USER_ERROR", "tranDate"));
    assert!(refused.detail().contains("closed"), "{}", refused.detail());
    let moved_out = erp.put("/invoice/eid:INV-1", json!({ "tranDate": "2024-04-01" })).await;
    assert_eq!(moved_out.error(), (400, "USER_ERROR", "tranDate"), "what is posted in a closed period stays there");
    assert_eq!(erp.delete("/invoice/eid:INV-1").await.error(), (400, "USER_ERROR", "tranDate"));
    let mut order =
        json!({ "entity": { "externalId": "A" }, "item": invoice("A", "O")["item"], "tranDate": "2024-03-15" });
    erp.put("/salesOrder/eid:O", order.clone()).await.id();
    erp.admin(Method::POST, "/periods/2024-03", json!({ "closed": false, "locked": true })).await;
    let locked = erp.put("/invoice/eid:INV-2", invoice("A", "INV-2")).await;
    assert!(locked.detail().contains("locked"), "{}", locked.detail());
    erp.admin(Method::POST, "/periods/2024-03", json!({ "locked": false })).await;
    erp.put("/invoice/eid:INV-2", invoice("A", "INV-2")).await.id();
    order["tranDate"] = json!("1999-01-01");
    assert_eq!(erp.put("/invoice/eid:INV-3", order).await.error(), (400, "USER_ERROR", "tranDate"));
    let found = erp.sql("SELECT id, closed, arlocked FROM accountingperiod WHERE startdate <= TO_DATE('2024-03-15','YYYY-MM-DD') AND enddate >= TO_DATE('2024-03-15','YYYY-MM-DD')").await;
    assert_eq!(found.body["items"][0]["closed"], "F");
}

#[tokio::test]
async fn credit_memos_and_payments_settle_at_most_what_is_open() {
    let erp = start().await;
    let buyer = erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    let mut memo = invoice("A", "CM-1");
    memo["item"]["items"][0]["amount"] = json!(30);
    memo["taxDetailsOverride"] = json!(false);
    memo["apply"] = json!({ "items": [{ "doc": { "id": id }, "apply": true, "amount": 30 }] });
    erp.put("/creditMemo/eid:CM-1", memo).await.id();
    erp.post("/customerPayment", payment("A", 50.0, Some((&id, 50.0)))).await.id();
    let open = erp.get("/invoice/eid:INV-1").await.body;
    assert_eq!(
        (&open["amountRemaining"], &open["amountPaid"], &open["status"]["id"]),
        (&json!(40), &json!(80), &json!("Open"))
    );
    let too_much = erp.post("/customerPayment", payment("A", 100.0, Some((&id, 40.01)))).await;
    assert_eq!(too_much.error(), (400, "USER_ERROR", "apply.items[0].amount"));
    let over = erp.post("/customerPayment", payment("A", 100.0, Some((&id, 40.0)))).await.id();
    let read = erp.get(&format!("/customerPayment/{over}")).await.body;
    assert_eq!(
        (&read["applied"], &read["unapplied"]),
        (&json!(40), &json!(60)),
        "an over-payment stays on the account"
    );
    assert_eq!(erp.get("/invoice/eid:INV-1").await.body["status"]["id"], "Paid In Full");
    assert_eq!(erp.get(&format!("/customer/{buyer}")).await.body["balance"], -60);
    assert_eq!(erp.delete("/invoice/eid:INV-1").await.error().1, "USER_ERROR", "it has been paid");
    erp.delete(&format!("/customerPayment/{over}")).await;
    assert_eq!(erp.get("/invoice/eid:INV-1").await.body["amountRemaining"], 40, "a deleted payment gives back");
}

#[tokio::test]
async fn applications_are_the_customers_own_and_may_be_repeated_by_an_upsert() {
    let erp = start().await;
    erp.customer("A").await;
    erp.customer("B").await;
    let foreign = erp.invoice("B", "INV-B").await;
    let refused = erp.post("/customerPayment", payment("A", 10.0, Some((&foreign, 10.0)))).await;
    assert_eq!(refused.error(), (400, "USER_ERROR", "apply.items[0].doc"));
    let own = erp.invoice("A", "INV-A").await;
    for _ in 0..2 {
        erp.put("/customerPayment/eid:P", payment("A", 120.0, Some((&own, 120.0)))).await.id();
    }
    assert_eq!(erp.get("/invoice/eid:INV-A").await.body["amountRemaining"], 0);
    let open = erp.invoice("A", "INV-C").await;
    let mut twice = payment("A", 20.0, Some((&open, 10.0)));
    let line = twice["apply"]["items"][0].clone();
    twice["apply"]["items"] = json!([line, line]);
    assert_eq!(erp.post("/customerPayment", twice).await.error().1, "DUPLICATE_KEYS");
}

#[tokio::test]
async fn a_discount_settles_the_invoice_without_using_up_the_payment() {
    let erp = start().await;
    let buyer = erp.customer("A").await;
    let id = erp.invoice("A", "INV-1").await;
    let mut body = payment("A", 118.0, Some((&id, 118.0)));
    body["apply"]["items"][0]["disc"] = json!(2);
    let paid = erp.post("/customerPayment", body).await.id();
    assert_eq!(erp.get("/invoice/eid:INV-1").await.body["amountRemaining"], 0);
    assert_eq!(erp.get(&format!("/customerPayment/{paid}")).await.body["unapplied"], 0);
    assert_eq!(erp.get(&format!("/customer/{buyer}")).await.body["balance"], 0);
}

#[tokio::test]
async fn an_order_is_transformed_into_invoices_and_those_into_a_payment_and_a_credit_memo() {
    let erp = start().await;
    erp.customer("A").await;
    let order = json!({ "entity": { "externalId": "A" }, "item": invoice("A", "O")["item"], "terms": { "externalId": "NET30" } });
    let order = erp.put("/salesOrder/eid:O", order).await.id();
    let made = erp
        .post(
            &format!("/salesOrder/{order}/!transform/invoice"),
            json!({ "externalId": "INV-1", "tranDate": "2024-03-15" }),
        )
        .await;
    assert!(made.header("location").contains("/invoice/"));
    let read = erp.get("/invoice/eid:INV-1").await.body;
    assert_eq!((&read["createdFrom"]["id"], &read["dueDate"]), (&json!(order), &json!("2024-04-14")));
    erp.post("/invoice/eid:INV-1/!transform/customerPayment", json!({ "externalId": "P" })).await.id();
    assert_eq!(erp.get("/invoice/eid:INV-1").await.body["amountRemaining"], 0);
    let second = json!({ "externalId": "INV-2", "tranDate": "2024-03-16", "tranId": "INV-2" });
    erp.post(&format!("/salesOrder/{order}/!transform/invoice"), second).await.id();
    erp.post("/invoice/eid:INV-2/!transform/creditMemo", json!({ "externalId": "CM" })).await.id();
    let credited = erp.get("/creditMemo/eid:CM").await.body;
    assert_eq!(credited["total"], erp.get("/invoice/eid:INV-2").await.body["total"]);
    assert_eq!(erp.get("/invoice/eid:INV-2").await.body["amountRemaining"], 0, "it is set against its invoice");
    let wrong = erp.post(&format!("/salesOrder/{order}/!transform/customer"), json!({})).await;
    assert_eq!(wrong.error().1, "INVALID_CONTENT");
}

#[tokio::test]
async fn a_write_over_a_state_that_has_changed_is_refused() {
    let erp = start().await;
    let id = erp.customer("A").await;
    let seen = erp.get(&format!("/customer/{id}")).await.body["lastModifiedDate"].clone();
    erp.patch(&format!("/customer/{id}"), json!({ "lastModifiedDate": seen, "phone": "1111111" })).await.id();
    let stale = json!({ "lastModifiedDate": "2001-01-01T00:00:00Z", "phone": "2222222" });
    assert_eq!(erp.patch(&format!("/customer/{id}"), stale).await.error(), (400, "RCRD_HAS_BEEN_CHANGED", ""));
    assert_eq!(erp.get(&format!("/customer/{id}")).await.body["phone"], "1111111");
}

#[tokio::test]
async fn set_up_records_are_read_only_and_unknown_types_are_not_found() {
    let erp = start().await;
    assert_eq!(erp.post("/subsidiary", json!({})).await.error().0, 403);
    assert_eq!(erp.post("/purchaseOrder", json!({})).await.error(), (404, "NOT_FOUND", ""));
    assert_eq!(erp.get("/serviceSaleItem/eid:SUB-ANYTHING").await.status, 200);
    assert_eq!(erp.get("/serviceSaleItem/eid:NO-SUCH").await.error().1, "NONEXISTENT_ID");
    let answer = erp.patch("/customer", json!({})).await;
    assert_eq!(answer.error().1, "METHOD_NOT_ALLOWED");
}
