//! Reads and limits against the vendor's reference: SuiteQL in pages, governance limits, the certificate's end, and the headers
//! without which NetSuite lets mistakes pass.

mod common;

use axum::{Router, http::HeaderMap, http::StatusCode, response::IntoResponse as _, routing::any};
use common::{Erp, cause, customer, failure, invoice, order};
use connectors::{
    AcceptOrder as _, CreateCustomer as _, Erp as _, FindByExternalId as _, NewCustomer, Object, PostInvoice as _,
    UpdateContact as _,
    netsuite::{Bounds, NetSuite},
};
use failure::Class;
use sandbox::Settings;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// As many customers of one tax id, none of them ours to link.
async fn twins(erp: &Erp, count: usize) {
    for n in 0..count {
        let twin = NewCustomer {
            account_id: format!("other-{n}"),
            name: format!("Other {n}"),
            tax_id: Some("GB123".into()),
            ..customer()
        };
        erp.netsuite.create_customer(&cause(&format!("E-{n}")), &twin).await.expect("a customer");
    }
}

async fn searched(erp: &Erp) -> failure::Failure {
    let new = NewCustomer {
        account_id: "new".into(),
        name: "New".into(),
        tax_id: Some("GB123".into()),
        is_searched: true,
        ..customer()
    };
    failure(erp.netsuite.create_customer(&cause("E-new"), &new).await)
}

fn pages(page_rows: usize, query_rows: usize) -> Bounds {
    Bounds { page_rows, query_rows, ..Bounds::default() }
}

#[tokio::test]
async fn a_query_is_read_page_by_page_until_no_more_rows_follow() {
    let erp = Erp::with(Settings::default(), |options| options.bounds = pages(2, 100)).await;
    twins(&erp, 7).await;
    let before = erp.requests("POST /services/rest/query").await;
    let refused = searched(&erp).await;
    assert_eq!((refused.class, refused.code.as_ref()), (Class::Business, "CUSTOMER_DUPLICATE"));
    assert!(refused.reason.contains("and 2 more"), "five are named, the rest is counted: {refused}");
    // Four pages of the tax id, one each of the two names.
    assert_eq!(erp.requests("POST /services/rest/query").await - before, 6);
}

#[tokio::test]
async fn more_rows_than_a_query_gives_are_an_error_that_says_so_and_no_shorter_list() {
    let settings = Settings { query_rows: 4, ..Settings::default() };
    let erp = Erp::with(settings, |options| options.bounds = pages(2, 4)).await;
    twins(&erp, 5).await;
    let refused = searched(&erp).await;
    assert_eq!(refused.code.as_ref(), "REFUSED_BY_ERP");
    assert!(refused.reason.contains("at most 4 rows") && !refused.reason.contains("GB123"), "{refused}");
}

#[tokio::test]
async fn the_accounts_own_limit_bounds_the_calls_at_once() {
    let settings = Settings { concurrency_limit: 3, ..Settings::default() };
    let erp = Erp::with(settings, |options| options.concurrency = 8).await;
    assert_eq!(erp.netsuite.concurrency(), 8, "nobody asked yet");
    erp.netsuite.keep_to_account_limits().await;
    assert_eq!(erp.netsuite.concurrency(), 3);
}

#[tokio::test]
async fn who_is_no_administrator_keeps_the_configured_limit() {
    let settings = Settings { concurrency_limit: 3, is_administrator: false, ..Settings::default() };
    let erp = Erp::with(settings, |options| options.concurrency = 8).await;
    erp.netsuite.keep_to_account_limits().await;
    assert_eq!(erp.netsuite.concurrency(), 8);
    erp.netsuite.create_customer(&cause("E-1"), &customer()).await.expect("rights for records are other rights");
}

#[tokio::test]
async fn a_refused_token_names_the_certificate_its_end_and_what_to_do() {
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificate.pem");
    let erp = Erp::with(Settings::default(), |options| options.credentials.certificate_file = Some(ours)).await;
    let over = json!({"throughline-dev-certificate": "2020-01-01T00:00:00Z"});
    erp.post_admin("settings", json!({"certificates_expire": over})).await;
    let refused = failure(erp.netsuite.create_customer(&cause("E-1"), &customer()).await);
    assert_eq!((refused.class, refused.code.as_ref()), (Class::Dependency, "AUTH_FAILED"));
    for said in ["invalid_grant", "`throughline-dev-certificate`", "2027-11-23", "map a new certificate"] {
        assert!(refused.reason.contains(said), "`{said}` is not in: {refused}");
    }
}

/// What a server saw of every request that is not for a token.
async fn listening() -> (NetSuite, Arc<Mutex<Vec<(String, HeaderMap)>>>, tempfile::TempDir) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let answer = any(move |request: axum::extract::Request| {
        let notes = notes.clone();
        async move {
            let path = request.uri().path().to_owned();
            if path.ends_with("/token") {
                return axum::Json(json!({"access_token": "t", "expires_in": "3600"})).into_response();
            }
            notes.lock().expect("notes").push((format!("{} {path}", request.method()), request.headers().clone()));
            let known = [("location", "/services/rest/record/v1/any/7")];
            match request.method().as_str() {
                "GET" => (StatusCode::NOT_FOUND, "{}").into_response(),
                _ => (StatusCode::NO_CONTENT, known).into_response(),
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback_service(answer)).await });
    let folder = tempfile::tempdir().expect("a folder");
    let erp = Erp::start().await;
    let key = erp.sandbox.credentials().save(folder.path()).expect("credentials");
    (NetSuite::try_new(common::options(url, &key)).expect("good options"), seen, folder)
}

#[tokio::test]
async fn every_call_asks_for_mistyped_fields_to_be_errors() {
    let (netsuite, seen, _folder) = listening().await;
    netsuite.create_customer(&cause("E-1"), &customer()).await.expect("made");
    netsuite.accept_order(&cause("E-2"), &order()).await.expect("made");
    netsuite.post_invoice(&cause("E-3"), &invoice("INV-1")).await.expect("made");
    let change = connectors::ContactChange { account_id: common::ACCOUNT.into(), contact: customer().contact };
    netsuite.update_contact(&cause("E-4"), &change).await.expect("changed");
    let _ = netsuite.find(&cause("E-5"), Object::Invoice, "INV-1").await;
    let seen = seen.lock().expect("notes");
    assert!(seen.len() >= 5, "{seen:?}");
    for (request, headers) in seen.iter() {
        let asked = headers.get("x-netsuite-propertynamevalidation").and_then(|value| value.to_str().ok());
        assert_eq!(asked, Some("Error"), "{request}");
    }
}
