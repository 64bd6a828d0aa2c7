//! Programs of others judge what we send and what our stand-ins answer: Stripe's own mock, which holds each request against Stripe's OpenAPI file;
//! a linter and a schema-driven tester for the entitlement API; the schemas of RFC 7643 for SCIM.
//!
//! `make setup` installs them. A judge that is not there fails its test: silence would look like a pass.

mod judge;
mod stand_in;

use connectors::{
    AdminGroup, AdminUser, AtEnd, BillingCharge, BillingCustomer, BillingInterval, BillingItem, BillingPhase,
    BillingPlan, BillingTier, CancelSchedule as _, ChangeSchedule as _, CreateSchedule as _,
    EnsureBillingCustomer as _, FindBilling as _, IsoCurrency, OneOff, ScheduleEnd, ScheduleRef, TierMode,
    scim::{group_body, user_body},
    stripe::{Stripe, VERSION},
};
use jiff::{ToSpan as _, civil::Date};
use judge::{StripeMock, bearer, python, workspace};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use stand_in::{StandIn, cause};

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn customer() -> BillingCustomer {
    BillingCustomer {
        account_id: "A-1".into(),
        legal_entity_id: "LE-UK".into(),
        currency: "GBP".into(),
        name: "Example Ltd".into(),
        email: Some("billing@example.com".into()),
        locale: Some("en-GB".into()),
    }
}

fn item(line: &str, charge: BillingCharge) -> BillingItem {
    BillingItem {
        line_id: line.into(),
        product_id: "SUB-PLATFORM".into(),
        every: BillingInterval { months: 1 },
        charge,
    }
}

/// Everything that a plan can say.
fn plan(customer: String) -> BillingPlan {
    let (start, end) = (today(), today().checked_add(12.months()).expect("a date"));
    let tier = |up_to: Option<i64>| BillingTier {
        up_to: up_to.map(Decimal::from),
        unit_price: Decimal::new(5, 3),
        flat_minor: 100,
    };
    let usage = BillingCharge::Metered {
        meter: "api_calls".into(),
        included: Decimal::from(100),
        tiers: vec![tier(Some(1_000)), tier(None)],
        mode: TierMode::Graduated,
    };
    let fixed = BillingCharge::Fixed { quantity: Decimal::from(4), amount_minor: 40_000 };
    BillingPlan {
        contract_id: "C-1".into(),
        account_id: "A-1".into(),
        legal_entity_id: "LE-UK".into(),
        customer,
        currency: IsoCurrency { code: "GBP".into(), exponent: 2 },
        zone: "Europe/London".into(),
        phases: vec![BillingPhase {
            start_on: start,
            end_on: end,
            items: vec![item("L-1", fixed), item("L-2", usage)],
            once: vec![OneOff { line_id: "L-3".into(), product_id: "SVC ONBOARDING".into(), amount_minor: 150_000 }],
        }],
        at_end: AtEnd::Renews,
        net_days: 30,
        revision: 1,
    }
}

#[tokio::test]
async fn stripes_own_mock_accepts_every_request() {
    let mock = StripeMock::start().await;
    let stripe = Stripe::try_new(mock.access()).expect("good options");
    let by = cause("e-1");
    let made = stripe.ensure_customer(&by, &customer()).await.expect("a customer is accepted");
    stripe.find_customer(&by, &customer()).await.expect("a look-up is accepted");
    let mut plan = plan(made.id);
    let made = stripe.create_schedule(&by, "k-1", &plan).await.expect("a schedule is accepted");
    assert_eq!(stripe.find_schedule(&by, &plan).await, Ok(None), "the mock keeps nothing");
    let schedule = ScheduleRef { schedule_id: made.schedule_id, contract_id: "C-1".into(), account_id: "A-1".into() };
    plan.revision = 2;
    stripe.change_schedule(&by, "k-2", &schedule, &plan).await.expect("a change is accepted");
    let end = |end_on| ScheduleEnd {
        schedule: schedule.clone(),
        end_on,
        zone: "Europe/London".into(),
        reason: "the customer left".into(),
        revision: 3,
    };
    let later = today().checked_add(6.months()).expect("a date");
    stripe.cancel_schedule(&by, "k-3", &end(Some(later))).await.expect("an end is accepted");
    stripe.cancel_schedule(&by, "k-4", &end(None)).await.expect("an end at once is accepted");

    // The judge must be able to refuse, or its silence says nothing.
    let wrong = reqwest::Client::new().post(format!("{}/v1/customers", mock.url)).bearer_auth("sk_test_123");
    let refused = wrong.header("stripe-version", VERSION).body("no_such_parameter=1").send().await.expect("an answer");
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn the_entitlement_api_is_as_its_file_says() {
    let file = workspace().join("docs/openapi/entitlement.yaml");
    python(&["-m", "openapi_spec_validator"], |command| command.arg(&file), None);
    let config = sandbox::entitlement::Config {
        settings: sandbox::entitlement::Settings { concurrency_limit: 100, ..Default::default() },
        ..Default::default()
    };
    let at = StandIn::new(sandbox::entitlement::start(config).await.expect("a stand-in"));
    let token = bearer(&at).await;
    let settings = workspace().join("tests/judges/schemathesis.toml");
    let run = ["-m", "schemathesis.cli", "--config-file"];
    let phases = ["run", "--no-color", "--phases", "examples,coverage,fuzzing,stateful"];
    let url = at.sandbox.url();
    // It keeps what it finds where it runs.
    let folder = tempfile::tempdir().expect("a folder");
    let tested = tokio::task::spawn_blocking(move || {
        python(
            &run,
            |command| {
                command.current_dir(folder.path()).arg(&settings).args(phases).arg(&file).args([
                    "--url",
                    &url,
                    "-H",
                    &format!("Authorization: Bearer {token}"),
                ]);
                command.args(["--max-examples", "15", "--generation-deterministic"])
            },
            None,
        )
    });
    let report = tested.await.expect("it ran");
    assert!(report.contains("Tested: 5"), "all five operations are tested:\n{report}");
}

#[tokio::test]
async fn scim_messages_follow_the_schemas_of_rfc_7643() {
    let at = StandIn::new(sandbox::scim::start(sandbox::scim::Config::default()).await.expect("a stand-in"));
    let token = bearer(&at).await;
    let http = reqwest::Client::new();
    let mut messages = Vec::new();
    let mut keep = |kind: &str, context: &str, message: &Value| {
        messages.push(json!({ "kind": kind, "context": context, "message": message }).to_string());
    };
    let user = user_body(&AdminUser {
        user_id: "A-1/admin".into(),
        account_id: "A-1".into(),
        email: "jane@example.com".into(),
        display_name: "Jane Roe".into(),
        locale: Some("en-GB".into()),
    });
    let send = async |path: &str, body: Option<&Value>| -> Value {
        let url = format!("{}/scim/v2/{path}", at.sandbox.url());
        let request = match body {
            Some(body) => http.post(url).header("content-type", "application/scim+json").body(body.to_string()),
            None => http.get(url),
        };
        let answer = request.bearer_auth(&token).send().await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("text")).expect("JSON")
    };
    keep("User", "RESOURCE_CREATION_REQUEST", &user);
    let made = send("Users", Some(&user)).await;
    keep("User", "RESOURCE_CREATION_RESPONSE", &made);
    let id = made["id"].as_str().expect("an id");
    let group = AdminGroup { group_id: "A-1/admins".into(), account_id: "A-1".into(), member_id: "A-1/admin".into() };
    let group = group_body(&group, id);
    keep("Group", "RESOURCE_CREATION_REQUEST", &group);
    keep("Group", "RESOURCE_CREATION_RESPONSE", &send("Groups", Some(&group)).await);
    keep("User", "RESOURCE_QUERY_RESPONSE", &send(&format!("Users/{id}"), None).await);
    let filter = "Users?filter=externalId%20eq%20%22A-1%2Fadmin%22";
    keep("List", "RESOURCE_QUERY_RESPONSE", &send(filter, None).await);
    keep("Error", "DEFAULT", &send("Users", Some(&user)).await);
    keep("Error", "DEFAULT", &send("Users/nobody", None).await);
    let script = workspace().join("tests/judges/scim.py");
    let report = python(&[], |command| command.arg(&script), Some(messages.join("\n")));
    assert!(report.contains("8 messages checked, 0 wrong"), "{report}");
}
