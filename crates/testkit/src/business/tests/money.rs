//! Tax, usage and what goes back.

use super::*;
use events::common::TaxLine;

#[test]
fn refunds_and_disputes_of_every_kind_occur_and_never_exceed_what_was_paid() {
    let (records, expected) = all(&Options::new(5, 500).over_months(14));
    let mut left: HashMap<&str, i64> = HashMap::new();
    let mut kinds = BTreeSet::new();
    for (_, _, event) in events(&records) {
        let (payment, amount, kind) = match event {
            Event::PaymentReceived(paid) => {
                left.insert(&paid.payment_id, paid.amount_minor);
                continue;
            }
            Event::PaymentRefunded(refund) => (&refund.payment_id, refund.amount_minor, refund.reason.code.clone()),
            Event::PaymentDisputed(dispute) if dispute.status == DisputeStatus::Lost => {
                (&dispute.payment_id, dispute.amount_minor, dispute.status.to_string())
            }
            Event::PaymentDisputed(dispute) => (&dispute.payment_id, 0, dispute.status.to_string()),
            _ => continue,
        };
        let left = left.get_mut(payment.as_str()).expect("it was received before");
        *left -= amount;
        assert!(*left >= 0, "more of {payment} goes back than came");
        kinds.insert(kind);
    }
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    assert_eq!(kinds, ["credited", "lost", "opened", "overpaid", "paid_in_error", "under_review", "won"]);
    assert!(expected.effects.values().any(|effects| effects.disputed_minor > 0), "some are not decided yet");
}

#[test]
fn a_change_of_a_tax_rate_shows_on_the_first_invoice_of_its_day() {
    let start = jiff::civil::date(2020, 4, 1);
    let (records, _) = all(&Options { start, ..Options::new(8, 400).over_months(12) });
    let mut rates = BTreeSet::new();
    for invoice in invoices(&records) {
        let is_german = |tax: &&TaxLine| tax.jurisdiction.as_deref() == Some("DE") && tax.category_code == "S";
        for tax in invoice.tax_breakdown.iter().filter(is_german) {
            let in_between = ("2020-07-01".."2021-01-01").contains(&&*invoice.issue_on.to_string());
            let expected = if in_between { 16 } else { 19 };
            assert_eq!(tax.rate_percent, expected.into(), "{}", invoice.issue_on);
            rates.insert(expected);
        }
    }
    assert_eq!(rates.len(), 2);
}

#[test]
fn a_credit_note_has_the_tax_of_the_invoice_that_it_corrects() {
    let start = jiff::civil::date(2020, 4, 1);
    let (records, _) = all(&Options { start, ..Options::new(8, 400).over_months(12) });
    let taxes: HashMap<_, _> =
        invoices(&records).map(|invoice| (invoice.invoice_id.as_str(), rates(&invoice.tax_breakdown))).collect();
    let mut across = 0;
    for (_, _, event) in events(&records) {
        let Event::CreditNoteIssued(note) = event else { continue };
        let Some(corrected) = &note.preceding_invoice else { continue };
        assert_eq!(rates(&note.tax_breakdown), taxes[corrected.invoice_id.as_str()]);
        across += u32::from(!note.tax_breakdown.is_empty());
    }
    assert!(across > 10, "{across} credit notes with tax");
}

fn rates(taxes: &[TaxLine]) -> Vec<String> {
    taxes.iter().map(|tax| format!("{} {}", tax.category_code, tax.rate_percent)).collect()
}

#[test]
fn taxes_of_every_category_occur_and_those_without_tax_say_why() {
    let (records, _) = all(&Options::new(8, 600));
    let mut seen = BTreeMap::new();
    for tax in invoices(&records).flat_map(|invoice| &invoice.tax_breakdown) {
        assert_eq!(tax.rate_percent.is_zero(), tax.exemption_reason.is_some(), "{tax:?}");
        assert!(tax.rate_percent.is_zero() || tax.tax_minor > 0);
        *seen.entry(tax.category_code.as_str()).or_insert(0) += 1;
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["AE", "E", "O", "S"]);
}

#[test]
fn late_usage_and_corrections_hold_for_a_period_that_was_billed_before() {
    let (records, expected) = all(&Options::new(8, 400).over_months(10));
    let mut batches: HashMap<&str, (i64, &events::common::Period)> = HashMap::new();
    let mut rated: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut late, mut corrections) = (0, 0);
    for (_, envelope, event) in events(&records) {
        let Event::UsageRated(usage) = event else { continue };
        let recorded = usage.recorded_at.to_zoned(jiff::tz::TimeZone::UTC).date();
        assert!(recorded >= usage.period.end_on, "{} is measured before its end", envelope.id);
        if usage.late_arriving {
            late += 1;
            assert!(recorded > usage.period.end_on && usage.effective_at < usage.recorded_at);
        }
        let replaced = usage.corrects_usage_batch_id.as_deref().map(|id| batches.remove(id).expect("once"));
        if let Some((_, period)) = replaced {
            corrections += 1;
            assert_eq!(period, &usage.period);
        }
        *rated.entry(&usage.currency).or_default() += usage.amount_minor - replaced.map_or(0, |(amount, _)| amount);
        batches.insert(&usage.usage_batch_id, (usage.amount_minor, &usage.period));
    }
    assert!(late > 20 && corrections > 20, "{late} late, {corrections} corrections");
    rated.retain(|_, amount| *amount != 0);
    let told = expected.effects.iter().map(|(currency, effects)| (currency.as_str(), effects.rated_minor));
    assert_eq!(rated, told.filter(|(_, amount)| *amount != 0).collect());
}
