//! What goes wrong in the books of others, each as a test of what data teams see.

mod common;

use common::Service;
use events::{
    AnalyticsAccountBalance, AnalyticsInvoiceLine, AnalyticsPayment, ContractActivated, ContractAmended,
    ContractCancelled, CreditNoteIssued, Dataset, EventSet as _, InvoiceMarkedUncollectible, InvoicePosted,
    InvoiceVoided, PaymentDisputed, PaymentReceived, PaymentRefunded, SubscriptionRenewalAccepted, UsageRated,
    common::*,
    topics::{self, ANALYTICS_ACCOUNT_BALANCE, ANALYTICS_SUBSCRIPTION, Family, of_family},
};
use jiff::civil::{Date, date};
use rust_decimal::Decimal;

const DAY: Date = date(2026, 2, 1);

fn text(text: &str) -> String {
    text.to_owned()
}

fn reason(code: &str) -> Reason {
    Reason { code: text(code), text: None }
}

fn invoice(id: &str, currency: &str, nets: &[i64]) -> InvoicePosted {
    let lines = nets.iter().enumerate().map(|(index, net_minor)| LineItem {
        line_id: index.to_string(),
        product_id: text("SEAT"),
        quantity: Decimal::ONE,
        net_minor: *net_minor,
        ..LineItem::default()
    });
    let net: i64 = nets.iter().sum();
    InvoicePosted {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        invoice_id: text(id),
        invoice_number: text(id),
        issue_on: DAY,
        timezone: text("Europe/London"),
        currency: text(currency),
        lines: lines.collect(),
        totals: Totals {
            line_net_minor: net,
            tax_exclusive_minor: net,
            tax_inclusive_minor: net,
            payable_minor: net,
            ..Totals::default()
        },
        ..InvoicePosted::default()
    }
}

fn credit(id: &str, net: i64) -> CreditNoteIssued {
    let InvoicePosted { lines, totals, .. } = invoice(id, "GBP", &[net]);
    CreditNoteIssued {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        credit_note_id: text(id),
        credit_note_number: text(id),
        reason: reason("goodwill"),
        issue_on: DAY,
        timezone: text("Europe/London"),
        currency: text("GBP"),
        lines,
        totals,
        ..CreditNoteIssued::default()
    }
}

fn payment(id: &str, allocations: &[(&str, i64)], unapplied_minor: i64) -> PaymentReceived {
    let allocations = allocations.iter().map(|(invoice, amount_minor)| PaymentAllocation {
        invoice_id: text(invoice),
        amount_minor: *amount_minor,
        ..PaymentAllocation::default()
    });
    let allocations: Vec<_> = allocations.collect();
    PaymentReceived {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        payment_id: text(id),
        amount_minor: allocations.iter().map(|part| part.amount_minor).sum::<i64>() + unapplied_minor,
        currency: text("GBP"),
        received_on: DAY,
        timezone: text("Europe/London"),
        allocations,
        unapplied_minor,
        ..PaymentReceived::default()
    }
}

fn line(id: &str, amount_minor: i64) -> ContractLine {
    ContractLine {
        contract_line_id: text(id),
        product_id: text("SEAT"),
        charge_type: ChargeType::Recurring,
        amount_minor,
        ..ContractLine::default()
    }
}

fn activated(timezone: &str, lines: Vec<ContractLine>) -> ContractActivated {
    ContractActivated {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        contract_id: text("C-1"),
        customer: Customer { legal_name: "Ada Ltd".into(), currency: text("GBP"), ..Customer::default() },
        currency: text("GBP"),
        term: Term {
            start_on: date(2026, 1, 1),
            end_on: Some(date(2027, 1, 1)),
            timezone: text(timezone),
            ..Term::default()
        },
        billing_schedule: Some(BillingSchedule {
            frequency: BillingFrequency::Monthly,
            anchor_day: 1,
            timezone: text(timezone),
            ..BillingSchedule::default()
        }),
        lines,
        ..ContractActivated::default()
    }
}

fn amended(version: i64, amendment_type: AmendmentType) -> ContractAmended {
    ContractAmended {
        account_id: text("A-1"),
        entity_version: version,
        effective_at: "2026-03-01T12:00:00Z".parse().expect("a time"),
        legal_entity_id: text("UK"),
        contract_id: text("C-1"),
        amendment_id: format!("AM-{version}"),
        sequence_no: 1,
        amendment_type,
        currency: text("GBP"),
        ..ContractAmended::default()
    }
}

fn cancelled(version: i64, mode: CancellationMode, cancel_on: Date) -> ContractCancelled {
    ContractCancelled {
        account_id: text("A-1"),
        entity_version: version,
        effective_at: "2026-04-01T12:00:00Z".parse().expect("a time"),
        legal_entity_id: text("UK"),
        contract_id: text("C-1"),
        mode,
        cancel_on,
        timezone: text("Europe/London"),
        reason: reason("not_renewed"),
        currency: text("GBP"),
        ..ContractCancelled::default()
    }
}

trait Told {
    fn lines(&self) -> Vec<&AnalyticsInvoiceLine>;
    fn payments(&self) -> Vec<&AnalyticsPayment>;
    fn moved(&self) -> Vec<(MrrChange, i64, Date)>;
    fn balance(&self) -> AnalyticsAccountBalance;
}

impl Told for Service {
    fn lines(&self) -> Vec<&AnalyticsInvoiceLine> {
        let picked = self.rows().filter_map(|row| match row {
            Dataset::AnalyticsInvoiceLine(row) => Some(&**row),
            _ => None,
        });
        picked.collect()
    }

    fn payments(&self) -> Vec<&AnalyticsPayment> {
        let picked = self.rows().filter_map(|row| match row {
            Dataset::AnalyticsPayment(row) => Some(&**row),
            _ => None,
        });
        picked.collect()
    }

    fn moved(&self) -> Vec<(MrrChange, i64, Date)> {
        let picked = self.rows().filter_map(|row| match row {
            Dataset::AnalyticsMrrMovement(row) => Some((row.movement, row.delta_mrr_minor, row.effective_on)),
            _ => None,
        });
        picked.collect()
    }

    fn balance(&self) -> AnalyticsAccountBalance {
        match self.states(ANALYTICS_ACCOUNT_BALANCE).values().next() {
            Some(Dataset::AnalyticsAccountBalance(state)) => (**state).clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn told(events: impl IntoIterator<Item = events::Event>) -> Service {
    let mut service = Service::new();
    events.into_iter().for_each(|event| service.event(event).expect("accepted"));
    service
}

#[test]
fn what_is_stated_for_the_whole_document_has_rows_of_its_own_and_lines_stay_as_printed() {
    let mut event = invoice("I-1", "GBP", &[1_000, 500]);
    event.totals = Totals {
        line_net_minor: 1_500,
        allowance_minor: 100,
        charge_minor: 20,
        tax_exclusive_minor: 1_420,
        tax_minor: 284,
        tax_inclusive_minor: 1_704,
        prepaid_minor: 700,
        rounding_minor: -4,
        payable_minor: 1_000,
    };
    event.tax_breakdown = vec![TaxLine { category_code: text("S"), tax_minor: 284, ..TaxLine::default() }];
    let service = told([event.into()]);
    let rows = service.lines();
    let kinds: Vec<_> = rows.iter().map(|row| (row.line_kind, row.gross_minor)).collect();
    let expected = [
        (LineKind::Line, 1_000),
        (LineKind::Line, 500),
        (LineKind::Allowance, -100),
        (LineKind::Charge, 20),
        (LineKind::Tax, 284),
        (LineKind::Prepaid, -700),
        (LineKind::Rounding, -4),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(rows.iter().map(|row| row.net_minor).sum::<i64>(), 1_420);
    assert_eq!(rows.iter().map(|row| row.tax_minor).sum::<i64>(), 284);
    assert_eq!(rows.iter().map(|row| row.gross_minor).sum::<i64>(), 1_000);
    assert_eq!(service.balance().balance_minor, 1_000);
}

#[test]
fn amounts_stay_minor_units_whatever_decimals_a_currency_has() {
    for currency in ["JPY", "GBP", "KWD"] {
        let service = told([invoice("I-1", currency, &[12_345]).into()]);
        assert_eq!((service.lines()[0].net_minor, service.lines()[0].currency.as_str()), (12_345, currency));
    }
}

#[test]
fn a_posted_invoice_is_never_edited_and_a_void_is_a_row_of_its_own() {
    let mut service = told([invoice("I-1", "GBP", &[700, 300]).into()]);
    let again = InvoicePosted { entity_version: 2, ..invoice("I-1", "GBP", &[900]) };
    assert_eq!(service.event(again).expect_err("never edited").code, "FIELD_INVALID");
    let void = InvoiceVoided {
        account_id: text("A-1"),
        entity_version: 2,
        legal_entity_id: text("UK"),
        invoice_id: text("I-1"),
        voided_on: date(2026, 2, 3),
        timezone: text("Europe/London"),
        reason: reason("wrong_customer"),
        currency: text("GBP"),
        payable_minor: 1_000,
        ..InvoiceVoided::default()
    };
    let other = InvoiceVoided { payable_minor: 999, ..void.clone() };
    assert_eq!(service.event(other).expect_err("of another amount").code, "SUM_MISMATCH");
    service.event(void).expect("accepted");
    let rows = service.lines();
    let last = rows.last().expect("a row");
    assert_eq!((last.document_kind, last.gross_minor, last.booked_on), (DocumentKind::Void, -1_000, date(2026, 2, 3)));
    assert_eq!(rows.len(), 3, "the rows of the invoice stay");
    assert_eq!(service.balance().balance_minor, 0);
}

#[test]
fn a_draft_that_is_voided_before_it_was_posted_leaves_no_row_and_is_never_posted() {
    let void = InvoiceVoided {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        invoice_id: text("I-1"),
        voided_on: date(2026, 2, 3),
        timezone: text("Europe/London"),
        reason: reason("wrong_quantity"),
        currency: text("GBP"),
        payable_minor: 1_000,
        ..InvoiceVoided::default()
    };
    let mut service = told([void.into()]);
    assert!(service.lines().is_empty());
    let late = InvoicePosted { entity_version: 2, ..invoice("I-1", "GBP", &[1_000]) };
    assert_eq!(service.event(late).expect_err("voided for good").code, "FIELD_INVALID");
    let stale = invoice("I-1", "GBP", &[1_000]);
    assert_eq!(service.event(stale).expect_err("voided for good").code, "STALE_VERSION");
}

#[test]
fn a_payment_and_a_credit_before_their_invoice_end_in_the_same_balance() {
    let early = told([payment("P-1", &[("I-1", 600)], 0).into(), credit("N-1", 400).into()]);
    assert_eq!(early.balance().balance_minor, -1_000, "negative for a while");
    let late =
        [payment("P-1", &[("I-1", 600)], 0).into(), credit("N-1", 400).into(), invoice("I-1", "GBP", &[1_000]).into()];
    let mut backwards = late.clone();
    backwards.reverse();
    assert_eq!(told(late).balance(), told(backwards).balance());
}

#[test]
fn one_payment_of_many_invoices_with_too_much_has_a_row_for_each_part() {
    let mut event = payment("P-1", &[("I-1", 600), ("I-2", 300)], 50);
    event.allocations[1].discount_minor = 20;
    event.allocations[1].write_off_minor = 1;
    event.fees_minor = 9;
    let service = told([invoice("I-1", "GBP", &[600]).into(), invoice("I-2", "GBP", &[321]).into(), event.into()]);
    let parts: Vec<_> = service
        .payments()
        .iter()
        .map(|row| (row.invoice_id.as_deref(), row.amount_minor, row.settled_minor, row.fees_minor))
        .collect();
    assert_eq!(parts, [(Some("I-1"), 600, 600, 9), (Some("I-2"), 300, 321, 0), (None, 50, 50, 0)]);
    let balance = service.balance();
    assert_eq!((balance.balance_minor, balance.discount_minor, balance.written_off_minor), (-50, 20, 1));
}

#[test]
fn refunds_lost_disputes_and_write_offs_reach_the_balance_and_open_disputes_do_not() {
    let mut service = told([invoice("I-1", "GBP", &[1_000]).into(), payment("P-1", &[("I-1", 1_000)], 0).into()]);
    let refund = PaymentRefunded {
        account_id: text("A-1"),
        entity_version: 2,
        legal_entity_id: text("UK"),
        payment_id: text("P-1"),
        refund_id: text("R-1"),
        amount_minor: 100,
        currency: text("GBP"),
        refunded_on: DAY,
        timezone: text("Europe/London"),
        ..PaymentRefunded::default()
    };
    service.event(refund).expect("accepted");
    for (version, status, owed) in [(3, DisputeStatus::Opened, 100), (4, DisputeStatus::Lost, 1_000)] {
        let dispute = PaymentDisputed {
            account_id: text("A-1"),
            entity_version: version,
            legal_entity_id: text("UK"),
            payment_id: text("P-1"),
            dispute_id: text("D-1"),
            status,
            amount_minor: 900,
            currency: text("GBP"),
            disputed_on: DAY,
            timezone: text("Europe/London"),
            ..PaymentDisputed::default()
        };
        service.event(dispute).expect("accepted");
        assert_eq!(service.balance().balance_minor, owed, "{status:?}");
    }
    let write_off = InvoiceMarkedUncollectible {
        account_id: text("A-1"),
        entity_version: 2,
        legal_entity_id: text("UK"),
        invoice_id: text("I-1"),
        marked_on: DAY,
        timezone: text("Europe/London"),
        reason: reason("bankrupt"),
        currency: text("GBP"),
        write_off_minor: 1_000,
        ..InvoiceMarkedUncollectible::default()
    };
    service.event(write_off).expect("accepted");
    assert_eq!(service.balance().balance_minor, 0);
    assert_eq!(service.payments().iter().map(|row| row.amount_minor).sum::<i64>(), 0, "all the money went back");
}

#[test]
fn a_corrected_batch_of_usage_is_taken_back_by_a_row_and_waits_for_what_it_corrects() {
    let batch = |id: &str, corrects: Option<&str>, amount_minor| UsageRated {
        account_id: text("A-1"),
        entity_version: 1,
        legal_entity_id: text("UK"),
        usage_batch_id: text(id),
        contract_id: text("C-1"),
        period: Period::new(date(2026, 1, 1), date(2026, 2, 1), "Europe/London"),
        quantity: Decimal::from(amount_minor),
        amount_minor,
        currency: text("GBP"),
        corrects_usage_batch_id: corrects.map(text),
        ..UsageRated::default()
    };
    let mut service = Service::new();
    let failure = service.event(batch("U-2", Some("U-1"), 70)).expect_err("U-1 is not there");
    assert_eq!((failure.code.as_ref(), failure.awaits.as_deref()), ("USAGE_NOT_RATED", Some("U-1")));
    service.event(batch("U-1", None, 100)).expect("accepted");
    service.event(batch("U-2", Some("U-1"), 70)).expect("accepted");
    let rows: Vec<_> = service
        .rows()
        .filter_map(|row| match row {
            Dataset::AnalyticsUsage(row) => Some((row.usage_batch_id.as_str(), row.entry, row.amount_minor)),
            _ => None,
        })
        .collect();
    let expected =
        [("U-1", UsageEntry::Rated, 100), ("U-1", UsageEntry::Reversed, -100), ("U-2", UsageEntry::Rated, 70)];
    assert_eq!(rows, expected);
    assert_eq!(service.event(batch("U-3", Some("U-1"), 1)).expect_err("twice").code, "FIELD_INVALID");
}

#[test]
fn a_change_on_new_years_morning_in_sydney_counts_from_that_day() {
    let mut change = amended(2, AmendmentType::Quantity);
    change.effective_at = "2026-12-31T14:00:00Z".parse().expect("a time");
    change.changes =
        vec![LineChange { contract_line_id: text("L1"), before: Some(line("L1", 100)), after: Some(line("L1", 150)) }];
    let service = told([activated("Australia/Sydney", vec![line("L1", 100)]).into(), change.into()]);
    assert_eq!(service.moved()[1], (MrrChange::Expansion, 50, date(2027, 1, 1)));
}

#[test]
fn a_pause_is_churn_and_what_follows_it_is_a_reactivation() {
    let service = told([
        activated("Europe/London", vec![line("L1", 100)]).into(),
        amended(2, AmendmentType::Suspend).into(),
        amended(3, AmendmentType::Resume).into(),
    ]);
    let march = date(2026, 3, 1);
    let expected = [
        (MrrChange::New, 100, date(2026, 1, 1)),
        (MrrChange::Churn, -100, march),
        (MrrChange::Reactivation, 100, march),
    ];
    assert_eq!(service.moved(), expected);
}

#[test]
fn a_subscription_is_deleted_on_the_day_of_its_end_and_not_when_notice_is_given() {
    let end = date(2027, 1, 1);
    let mut service = told([
        activated("Europe/London", vec![line("L1", 100), line("L2", 30)]).into(),
        cancelled(2, CancellationMode::EndOfTerm, end).into(),
    ]);
    assert_eq!(service.states(ANALYTICS_SUBSCRIPTION).len(), 2);
    assert_eq!(service.moved().last(), Some(&(MrrChange::Churn, -130, end)));
    service.let_time_pass();
    assert!(service.states(ANALYTICS_SUBSCRIPTION).is_empty());
    let at_once = told([
        activated("Europe/London", vec![line("L1", 100)]).into(),
        cancelled(2, CancellationMode::Immediate, date(2026, 4, 1)).into(),
    ]);
    assert!(at_once.states(ANALYTICS_SUBSCRIPTION).is_empty() && at_once.timers.is_empty());
}

#[test]
fn a_renewal_after_notice_keeps_the_subscription() {
    let end = date(2027, 1, 1);
    let renewal = SubscriptionRenewalAccepted {
        account_id: text("A-1"),
        entity_version: 3,
        legal_entity_id: text("UK"),
        renewal_id: text("R-1"),
        contract_id: text("C-1"),
        renewed_term: Term {
            start_on: end,
            end_on: Some(date(2028, 1, 1)),
            timezone: text("Europe/London"),
            ..Term::default()
        },
        currency: text("GBP"),
        lines_after: vec![line("L1", 110)],
        ..SubscriptionRenewalAccepted::default()
    };
    let mut service = told([
        activated("Europe/London", vec![line("L1", 100)]).into(),
        cancelled(2, CancellationMode::EndOfTerm, end).into(),
        renewal.into(),
    ]);
    service.let_time_pass();
    assert_eq!(service.states(ANALYTICS_SUBSCRIPTION).len(), 1);
    assert_eq!(service.moved().iter().map(|(_, delta, _)| delta).sum::<i64>(), 110);
}

#[test]
fn an_amendment_before_its_activation_waits_for_it() {
    let failure = Service::new().event(amended(2, AmendmentType::Quantity)).expect_err("too early");
    assert_eq!((failure.code.as_ref(), failure.awaits.as_deref()), ("VERSION_GAP", Some("C-1")));
}

/// What the pages for data teams show can be read as what it claims to be.
#[test]
fn the_examples_of_the_guides_are_rows_of_their_topics() {
    for subject in of_family(Family::Analytics) {
        let folder = subject.topic.trim_end_matches(".v1");
        let path = format!("{}/../../schemas/{folder}/guide.json", env!("CARGO_MANIFEST_DIR"));
        let guide: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).expect("a guide")).expect("JSON");
        let row = Dataset::decode_json(subject.topic, &guide["example"]).expect("a row");
        row.check().unwrap_or_else(|failure| panic!("{}: {failure}", subject.topic));
        assert_eq!(topics::find(row.topic()).map(|found| found.topic), Some(subject.topic));
    }
}
