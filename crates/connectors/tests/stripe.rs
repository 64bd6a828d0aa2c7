//! The Stripe connector against its stand-in: one customer, one schedule, whatever gets lost on the way.

mod stand_in;

use connectors::{
    AtEnd, BillingCharge, BillingCustomer, BillingInterval, BillingItem, BillingPhase, BillingPlan, BillingTier,
    CancelSchedule as _, ChangeSchedule as _, CreateSchedule as _, EnsureBillingCustomer as _, FindBilling as _,
    IsoCurrency, OneOff, ScheduleEnd, ScheduleRef, Scheduled, TierMode, stripe::Stripe,
};
use failure::Class;
use jiff::{ToSpan as _, civil::Date};
use rust_decimal::Decimal;
use sandbox::stripe as vendor;
use serde_json::{Value, json};
use stand_in::{StandIn, cause, failed};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const CUSTOMERS: &str = "POST /v1/customers";
const SCHEDULES: &str = "POST /v1/subscription_schedules";

struct Billing {
    at: StandIn,
    stripe: Stripe,
}

impl Billing {
    async fn start() -> Self {
        Self::with(vendor::Settings::default()).await
    }

    async fn with(settings: vendor::Settings) -> Self {
        let config = vendor::Config { settings, ..vendor::Config::default() };
        let at = StandIn::new(vendor::start(config).await.expect("a stand-in on a free port"));
        let stripe = Stripe::try_new(at.access()).expect("good options");
        Self { at, stripe }
    }

    async fn customer(&self) -> String {
        self.stripe.ensure_customer(&cause("e-customer"), &customer()).await.expect("a customer").id
    }

    async fn plan(&self) -> BillingPlan {
        plan(self.customer().await)
    }

    /// A schedule that runs since today.
    async fn running(&self) -> (BillingPlan, ScheduleRef) {
        let plan = self.plan().await;
        let made = self.create(&plan).await;
        assert!(made.subscription_id.is_some(), "{made:?}");
        (plan, reference(&made))
    }

    async fn create(&self, plan: &BillingPlan) -> Scheduled {
        self.stripe.create_schedule(&cause("e-plan"), "contract/C-1/schedule", plan).await.expect("a schedule")
    }

    /// Amounts of all invoices' lines, oldest first, with whether each is a proration.
    async fn lines(&self) -> Vec<(i64, bool)> {
        // Time is looked at when a request comes.
        self.stripe.find_customer(&cause("e-look"), &customer()).await.expect("an answer");
        let mut invoices = self.at.records("invoice").await;
        invoices.sort_by_key(|invoice| invoice["id"].as_str().map(str::to_owned));
        let lines =
            invoices.iter().flat_map(|invoice| invoice["lines"]["data"].as_array().cloned().unwrap_or_default());
        let is_proration = |line: &Value| line["parent"]["subscription_item_details"]["proration"] == true;
        lines.map(|line| (line["amount"].as_i64().expect("an amount"), is_proration(&line))).collect()
    }
}

fn reference(made: &Scheduled) -> ScheduleRef {
    ScheduleRef { schedule_id: made.schedule_id.clone(), contract_id: "C-1".into(), account_id: "A-1".into() }
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

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn fixed(line: &str, amount_minor: i64, months: u32) -> BillingItem {
    BillingItem {
        line_id: line.into(),
        product_id: "SUB-PLATFORM".into(),
        every: BillingInterval { months },
        charge: BillingCharge::Fixed { quantity: Decimal::from(4), amount_minor },
    }
}

fn metered() -> BillingItem {
    let tier = |up_to: Option<i64>, cents: i64| BillingTier {
        up_to: up_to.map(Decimal::from),
        unit_price: Decimal::new(cents, 2),
        flat_minor: 0,
    };
    BillingItem {
        line_id: "L-use".into(),
        product_id: "USE-API".into(),
        every: BillingInterval { months: 1 },
        charge: BillingCharge::Metered {
            meter: "api_calls".into(),
            included: Decimal::from(100),
            tiers: vec![tier(Some(200), 5), tier(None, 2)],
            mode: TierMode::Graduated,
        },
    }
}

/// A ramp: three months at 400.00, then until the year is over at 800.00, and 1 500.00 once.
fn plan(customer: String) -> BillingPlan {
    let (start, ramp) = (today(), today().checked_add(3.months()).expect("a date"));
    let end = start.checked_add(12.months()).expect("a date");
    let once = OneOff { line_id: "L-svc".into(), product_id: "SVC-ONBOARDING".into(), amount_minor: 150_000 };
    BillingPlan {
        contract_id: "C-1".into(),
        account_id: "A-1".into(),
        legal_entity_id: "LE-UK".into(),
        customer,
        currency: IsoCurrency { code: "GBP".into(), exponent: 2 },
        zone: "UTC".into(),
        phases: vec![
            BillingPhase { start_on: start, end_on: ramp, items: vec![fixed("L-1", 40_000, 1)], once: vec![once] },
            BillingPhase { start_on: ramp, end_on: end, items: vec![fixed("L-1", 80_000, 1)], once: Vec::new() },
        ],
        at_end: AtEnd::Ends,
        net_days: 30,
        revision: 1,
    }
}

#[tokio::test]
async fn a_ramp_bills_each_phase_at_its_price_and_what_is_billed_once_once() {
    let billing = Billing::start().await;
    let (plan, _) = billing.running().await;
    assert_eq!(billing.lines().await, [(150_000, false), (40_000, false)]);
    billing.at.advance(DAY * 370).await;
    let lines: Vec<i64> = billing.lines().await.into_iter().map(|(amount, _)| amount).collect();
    let expected: Vec<i64> = [150_000].into_iter().chain([40_000; 3]).chain([80_000; 9]).collect();
    assert_eq!(lines, expected, "twelve months, and nothing after them");
    let [schedule] = &billing.at.records("subscription_schedule").await[..] else { panic!("one schedule") };
    assert_eq!(schedule["status"], "completed");
    let found = billing.stripe.find_schedule(&cause("e-look"), &plan).await.expect("an answer");
    assert_eq!(found.expect("a schedule that is over is there").revision, 1);
}

#[tokio::test]
async fn usage_is_billed_beyond_what_is_included_by_its_tiers() {
    let billing = Billing::start().await;
    let mut plan = billing.plan().await;
    plan.phases[0].items.push(metered());
    plan.phases[0].once.clear();
    billing.create(&plan).await;
    let url = format!("{}/v1/billing/meter_events", billing.at.sandbox.url());
    let key = std::fs::read_to_string(billing.at.key_file()).expect("a key");
    let form = format!("event_name=api_calls&payload[stripe_customer_id]={}&payload[value]=300", plan.customer);
    let sent = reqwest::Client::new().post(url).bearer_auth(key.trim()).body(form).send().await.expect("an answer");
    assert_eq!(sent.status(), 200);
    billing.at.advance(DAY * 32).await;
    // 100 are included, 100 cost 0.05 and 100 cost 0.02.
    assert_eq!(billing.lines().await, [(40_000, false), (700, false), (40_000, false)]);
}

#[tokio::test]
async fn an_answer_that_got_lost_makes_neither_customer_nor_schedule_twice() {
    let billing = Billing::start().await;
    billing.at.fault(json!({ "method": "POST", "path": "/v1/customers", "drop_after_commit": true, "times": 1 }));
    let lost = billing.stripe.ensure_customer(&cause("e-customer"), &customer()).await;
    assert_eq!(failed(lost).0, Class::Unknown);
    let found = billing.stripe.find_customer(&cause("e-customer"), &customer()).await.expect("an answer");
    let plan = plan(found.expect("the customer that was made").id);
    billing.at.fault(
        json!({ "path": "/v1/subscription_schedules", "method": "POST", "drop_after_commit": true, "times": 1 }),
    );
    let lost = billing.stripe.create_schedule(&cause("e-plan"), "k", &plan).await;
    assert_eq!(failed(lost).0, Class::Unknown);
    let found = billing.stripe.find_schedule(&cause("e-plan"), &plan).await.expect("an answer").expect("it was made");
    let again = billing.stripe.create_schedule(&cause("e-plan"), "k", &plan).await.expect("the same schedule");
    assert_eq!((again.schedule_id, again.existed), (found.schedule_id, true));
    let made = |id: &str, event: &str| vec![("create".to_owned(), id.to_owned(), event.to_owned())];
    assert_eq!(billing.at.effects("customer").await, made("A-1/LE-UK/gbp", "e-customer"));
    assert_eq!(billing.at.effects("subscription_schedule").await, made("C-1", "e-plan"));
}

#[tokio::test]
async fn a_customer_that_the_search_does_not_show_yet_is_not_made_again() {
    let billing = Billing::start().await;
    let nobody = BillingCustomer { email: None, ..customer() };
    billing.at.fault(json!({ "method": "POST", "path": "/v1/customers", "visibility_ms": 60_000, "times": 1 }));
    let first = billing.stripe.ensure_customer(&cause("e-1"), &nobody).await.expect("made");
    assert_eq!(billing.stripe.find_customer(&cause("e-1"), &nobody).await, Ok(None), "the search is behind");
    let again = billing.stripe.ensure_customer(&cause("e-1"), &nobody).await.expect("the same");
    assert_eq!(again.id, first.id, "the key answers what it answered first");
    let other = BillingCustomer { name: "Example Limited".into(), ..nobody.clone() };
    let behind = billing.stripe.ensure_customer(&cause("e-2"), &other).await;
    assert_eq!(failed(behind), (Class::Dependency, "BILLING_UNAVAILABLE".into()), "the key says that there is one");
    billing.at.advance(Duration::from_secs(61)).await;
    let found = billing.stripe.ensure_customer(&cause("e-2"), &other).await.expect("found");
    assert_eq!((found.id, found.existed), (first.id, true));
    assert_eq!(billing.at.records("customer").await.len(), 1);
}

#[tokio::test]
async fn a_failure_that_is_remembered_under_a_key_does_not_block_and_does_not_double() {
    for after_commit in [true, false] {
        let billing = Billing::start().await;
        let plan = billing.plan().await;
        let rule = json!({ "method": "POST", "path": "/v1/subscription_schedules", "status": 500, "after_commit": true, "times": 1 });
        if after_commit {
            billing.at.fault(rule);
        } else {
            // Nothing is made, and the failure is remembered all the same.
            billing
                .at
                .fault(json!({ "method": "POST", "path": "/v1/subscription_schedules", "status": 500, "times": 1 }));
        }
        let failed_first = billing.stripe.create_schedule(&cause("e-plan"), "k", &plan).await;
        assert_eq!(failed(failed_first).0, Class::Unknown);
        let again = billing.stripe.create_schedule(&cause("e-plan"), "k", &plan).await.expect("one schedule");
        assert_eq!(again.existed, after_commit);
        assert_eq!(billing.at.effects("subscription_schedule").await.len(), 1);
    }
}

#[tokio::test]
async fn the_key_holds_while_the_first_request_runs_and_until_a_day_is_over() {
    let billing = Billing::start().await;
    let send = |key: &'static str, form: &'static str| {
        let url = format!("{}/v1/customers", billing.at.sandbox.url());
        let secret = std::fs::read_to_string(billing.at.key_file()).expect("a key");
        let request = reqwest::Client::new().post(url).bearer_auth(secret.trim().to_owned());
        request.header("idempotency-key", key).body(form).send()
    };
    billing.at.fault(json!({ "body_contains": "slow", "delay_ms": 1_000 }));
    let committed = async {
        while billing.at.records("customer").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let committed = tokio::time::timeout(Duration::from_secs(30), committed);
    let (slow, busy) = tokio::join!(send("k-1", "name=slow"), async {
        committed.await.expect("the slow request commits before its answer is out");
        send("k-1", "name=slow-again").await
    });
    assert_eq!((slow.expect("an answer").status().as_u16(), busy.expect("an answer").status().as_u16()), (200, 409));
    let again = send("k-1", "name=slow").await.expect("an answer");
    assert_eq!(again.headers().get("idempotent-replayed").map(|value| value.as_bytes()), Some(&b"true"[..]));
    assert_eq!(send("k-1", "name=other").await.expect("an answer").status(), 400);
    billing.at.advance(DAY + Duration::from_secs(1)).await;
    assert_eq!(send("k-1", "name=other").await.expect("an answer").status(), 200, "it is a new request then");
    assert_eq!(billing.at.records("customer").await.len(), 2);
}

#[tokio::test]
async fn a_change_bills_the_difference_of_the_running_period_and_takes_effect_once() {
    let billing = Billing::start().await;
    let (mut plan, schedule) = billing.running().await;
    billing.at.advance(DAY * 10).await;
    plan.revision = 2;
    plan.phases[0].items = vec![fixed("L-1", 60_000, 1)];
    billing.at.fault(
        json!({ "method": "POST", "path": "/v1/subscription_schedules/*", "drop_after_commit": true, "times": 1 }),
    );
    let lost = billing.stripe.change_schedule(&cause("e-change"), "k-2", &schedule, &plan).await;
    assert_eq!(failed(lost).0, Class::Unknown);
    let again = billing.stripe.change_schedule(&cause("e-change"), "k-2", &schedule, &plan).await.expect("changed");
    assert_eq!((again.revision, again.existed), (2, true));
    let lines = billing.lines().await;
    let [_, (40_000, false), (credit, true), (debit, true)] = lines[..] else { panic!("{lines:?}") };
    assert!(credit < 0 && debit > 0 && (debit + credit - 20_000 * 20 / 30).abs() < 2_000, "{credit} {debit}");
    let older = BillingPlan { revision: 1, ..plan };
    let older = billing.stripe.change_schedule(&cause("e-late"), "k-1", &schedule, &older).await;
    assert!(older.expect("nothing to do").existed, "what comes late changes nothing");
    assert_eq!(billing.at.effects("subscription_schedule").await.len(), 2);
}

#[tokio::test]
async fn billing_stops_on_the_day_or_at_once_and_stopping_twice_changes_nothing() {
    let billing = Billing::start().await;
    let (_, schedule) = billing.running().await;
    let end_on = today().checked_add(2.months()).expect("a date");
    let end = ScheduleEnd {
        schedule: schedule.clone(),
        end_on: Some(end_on),
        zone: "UTC".into(),
        reason: "the customer left".into(),
        revision: 2,
    };
    let ended = billing.stripe.cancel_schedule(&cause("e-end"), "k-end", &end).await.expect("ends later");
    assert!(!ended.existed);
    assert!(billing.stripe.cancel_schedule(&cause("e-end"), "k-end", &end).await.expect("the same").existed);
    billing.at.advance(DAY * 370).await;
    let lines: Vec<i64> = billing.lines().await.into_iter().map(|(amount, _)| amount).collect();
    assert_eq!(lines, [150_000, 40_000, 40_000], "what was billed once is not billed again by the change");

    let other = Billing::start().await;
    let (_, schedule) = other.running().await;
    let at_once = ScheduleEnd { schedule, end_on: None, ..end };
    assert_eq!(other.stripe.find_end(&cause("e-end"), &at_once).await, Ok(None));
    other.stripe.cancel_schedule(&cause("e-end"), "k-end", &at_once).await.expect("over");
    assert!(other.stripe.find_end(&cause("e-end"), &at_once).await.expect("an answer").is_some());
    other.at.advance(DAY * 370).await;
    let lines = other.lines().await;
    let [(150_000, false), (40_000, false), (credit, true)] = lines[..] else { panic!("{lines:?}") };
    assert!((-40_000..=-38_000).contains(&credit), "what is left of the month comes back: {credit}");
    let effects = other.at.effects("subscription_schedule").await;
    assert_eq!(effects.len(), 2, "{effects:?}");
}

#[tokio::test]
async fn what_cannot_be_billed_is_refused_with_the_line_before_anything_is_sent() {
    let billing = Billing::start().await;
    let plan = billing.plan().await;
    let refused = async |plan: BillingPlan| {
        let ended = billing.stripe.create_schedule(&cause("e-plan"), "k", &plan).await;
        assert_eq!(failed(ended.clone()), (Class::Business, "REFUSED_BY_BILLING".into()));
        ended.expect_err("refused").to_string()
    };
    let gap = {
        let mut plan = plan.clone();
        plan.phases[1].start_on = plan.phases[1].start_on.tomorrow().expect("a date");
        plan
    };
    assert!(refused(gap).await.contains("not where the one before ends"));
    let backwards = {
        let mut plan = plan.clone();
        plan.phases[0].end_on = plan.phases[0].start_on;
        plan
    };
    assert!(refused(backwards).await.contains("ends on"));
    let dinar = BillingPlan { currency: IsoCurrency { code: "KWD".into(), exponent: 3 }, ..plan.clone() };
    let dinar = {
        let mut plan = dinar;
        plan.phases[0].items = vec![fixed("L-1", 40_001, 1)];
        plan
    };
    assert!(refused(dinar).await.contains("steps of 10 in KWD"));
    let zone = BillingPlan { zone: "Nowhere/Else".into(), ..plan };
    refused(zone).await;
    assert_eq!(billing.at.requests(SCHEDULES).await, 0);
}

#[tokio::test]
async fn a_customer_has_one_currency_and_stripe_says_so() {
    let billing = Billing::start().await;
    let (plan, _) = billing.running().await;
    let euros =
        BillingPlan { contract_id: "C-2".into(), currency: IsoCurrency { code: "EUR".into(), exponent: 2 }, ..plan };
    let refused = billing.stripe.create_schedule(&cause("e-plan"), "k-2", &euros).await;
    assert_eq!(failed(refused), (Class::Business, "REFUSED_BY_BILLING".into()));
}

#[tokio::test]
async fn limits_and_outages_wait_and_change_nothing() {
    let billing = Billing::with(vendor::Settings { endpoint_per_second: 1, ..vendor::Settings::default() }).await;
    let mut limited = None;
    for number in 0..50 {
        let customer = BillingCustomer { account_id: format!("A-{number}"), ..customer() };
        if let Err(error) = billing.stripe.ensure_customer(&cause("e"), &customer).await {
            limited = Some(Err::<(), _>(error));
            break;
        }
    }
    assert_eq!(
        failed(limited.expect("no endpoint takes so many in a second")),
        (Class::Dependency, "RATE_LIMITED".into())
    );

    let billing = Billing::start().await;
    for (status, code) in [(503, "OUTCOME_UNKNOWN"), (429, "RATE_LIMITED"), (424, "BILLING_UNAVAILABLE")] {
        billing.at.fault(json!({ "method": "POST", "path": "/v1/customers", "status": status, "times": 1 }));
        let ended = billing.stripe.ensure_customer(&cause("e"), &customer()).await;
        assert_eq!(failed(ended).1, code, "{status}");
    }
    assert!(billing.at.records("customer").await.is_empty());
    billing.at.fault(json!({ "method": "POST", "path": "/v1/customers", "broken_json": true, "times": 1 }));
    let broken = billing.stripe.ensure_customer(&cause("e"), &customer()).await;
    assert_eq!(failed(broken).0, Class::Unknown);
    assert!(billing.stripe.find_customer(&cause("e"), &customer()).await.expect("an answer").is_some());
    assert_eq!(billing.at.requests(CUSTOMERS).await, 4);
}

#[tokio::test]
async fn a_key_is_rotated_by_replacing_its_file() {
    let billing = Billing::start().await;
    let file = billing.at.key_file();
    let good = std::fs::read_to_string(&file).expect("a key");
    std::fs::write(&file, "sk_test_old").expect("written");
    let refused = billing.stripe.ensure_customer(&cause("e"), &customer()).await;
    assert_eq!(failed(refused), (Class::Dependency, "AUTH_FAILED".into()));
    std::fs::write(&file, good).expect("written");
    billing.stripe.ensure_customer(&cause("e"), &customer()).await.expect("the new key is read");
}

#[tokio::test]
async fn schedules_are_found_on_any_page() {
    let billing = Billing::start().await;
    let mut plan = billing.plan().await;
    billing.create(&plan).await;
    for number in 0..120 {
        plan.contract_id = format!("C-more-{number}");
        billing.stripe.create_schedule(&cause("e"), &plan.contract_id, &plan).await.expect("a schedule");
    }
    plan.contract_id = "C-1".into();
    assert!(billing.stripe.find_schedule(&cause("e"), &plan).await.expect("an answer").is_some());
}

#[tokio::test]
async fn webhooks_are_signed_and_may_come_twice_and_in_any_order() {
    let billing = Billing::start().await;
    billing.running().await;
    let ids = |sent: &Value| -> Vec<String> {
        let deliveries = sent["deliveries"].as_array().expect("deliveries");
        let read =
            |delivery: &Value| serde_json::from_str::<Value>(delivery["body"].as_str().expect("text")).expect("JSON");
        deliveries.iter().map(|delivery| read(delivery)["id"].as_str().expect("an id").to_owned()).collect()
    };
    let in_order = billing.at.admin("webhooks").await;
    let shuffled = billing.at.admin("webhooks?shuffle=3&times=2").await;
    let (once, mut twice) = (ids(&in_order), ids(&shuffled));
    assert_eq!(twice.len(), once.len() * 2);
    assert_ne!(twice[..once.len()], once[..]);
    twice.sort();
    twice.dedup();
    assert_eq!(twice, {
        let mut once = once;
        once.sort();
        once
    });
    let signature = in_order["deliveries"][0]["headers"]["Stripe-Signature"].as_str().expect("a signature");
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
}
