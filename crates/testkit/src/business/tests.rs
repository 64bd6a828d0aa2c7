use super::*;
use events::{
    PayloadHash,
    common::{AmendmentType, CancellationMode, ChargeType, DisputeStatus, TaxLine},
    topics::{Family, of_family},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

fn all(options: &Options) -> (Vec<Generated>, Expectations) {
    let mut stream = stream(options).expect("good options").counting_accounts();
    let records: Vec<_> = stream.by_ref().collect();
    let expectations = stream.expectations().clone();
    (records, expectations)
}

fn bytes(generated: &Generated) -> Vec<u8> {
    match &generated.item {
        Item::Event { event, .. } => event.encode_avro(),
        Item::Raw { value, .. } => value.clone().unwrap_or_default(),
    }
}

fn events(records: &[Generated]) -> impl Iterator<Item = (&Generated, &Envelope, &Event)> {
    records.iter().filter_map(|generated| match &generated.item {
        Item::Event { envelope, event } => Some((generated, envelope, event)),
        Item::Raw { .. } => None,
    })
}

fn repeated(fate: Fate) -> bool {
    matches!(fate, Fate::Duplicate | Fate::Conflict)
}

/// Versions of each subject must come as 1, 2, 3, … of its first appearances, sorted by version.
fn assert_gapless(records: &[Generated]) {
    let mut versions: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for (generated, _, event) in events(records) {
        if !repeated(generated.fate) {
            let version = event.entity_version().expect("all have one");
            assert!(
                versions.entry(event.subject()).or_default().insert(version),
                "{} has {version} twice",
                event.subject()
            );
        }
    }
    for (subject, versions) in versions {
        let count = versions.len() as i64;
        assert!(versions.iter().copied().eq(1..=count), "{subject}: {versions:?}");
    }
}

/// What is applied to an invoice never exceeds what it asks for, and everything referred to exists.
fn assert_consistent(records: &[Generated]) {
    let mut contracts = BTreeSet::new();
    let mut open: HashMap<&str, i64> = HashMap::new();
    for (generated, _, event) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        match event {
            Event::ContractActivated(contract) => assert!(contracts.insert(&contract.contract_id)),
            Event::InvoicePosted(invoice) => {
                assert!(open.insert(&invoice.invoice_id, invoice.totals.payable_minor).is_none());
            }
            _ => assert!(!matches!(generated.fate, Fate::Refused(_))),
        }
    }
    for (_, _, event) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        match event {
            Event::InvoicePosted(invoice) => {
                assert!(contracts.contains(invoice.contract_id.as_ref().expect("has one")))
            }
            Event::CreditNoteIssued(note) => {
                if let Some(invoice) = &note.preceding_invoice {
                    let applied = note.application.as_ref().expect("stated").to_invoice_minor;
                    *open.get_mut(invoice.invoice_id.as_str()).expect("exists") -= applied;
                }
            }
            Event::PaymentReceived(payment) => {
                for allocation in &payment.allocations {
                    *open.get_mut(allocation.invoice_id.as_str()).expect("exists") -= allocation.amount_minor;
                }
            }
            Event::PaymentFailed(payment) => assert!(open.contains_key(payment.invoice_id.as_str())),
            Event::InvoiceMarkedUncollectible(off) => {
                *open.get_mut(off.invoice_id.as_str()).expect("exists") -= off.write_off_minor;
            }
            Event::InvoiceVoided(draft) => assert!(!open.contains_key(draft.invoice_id.as_str()), "never posted"),
            _ => {}
        }
    }
    assert!(open.values().all(|left| *left >= 0), "an invoice is settled beyond what it asks for");
}

fn faults() -> impl Strategy<Value = Faults> {
    (0.0..0.3f64, 0.0..0.3f64, 0.0..0.5f64, 0.0..0.1f64, 0.0..0.3f64).prop_map(
        |(duplicates, disorder, cross_topic_disorder, poison, errors)| Faults {
            duplicates,
            disorder,
            cross_topic_disorder,
            poison,
            contract_errors: errors,
            business_errors: errors,
            conflicts: errors,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_options_give_the_same_bytes(seed: u64, faults in faults()) {
        let options = Options::new(seed, 30).with_faults(faults);
        let (once, again) = (all(&options), all(&options));
        prop_assert_eq!(once.1, again.1);
        prop_assert!(once.0.iter().map(bytes).eq(again.0.iter().map(bytes)));
        prop_assert!(once.0 == again.0);
    }

    #[test]
    fn a_business_without_faults_keeps_every_rule_of_the_wire(seed: u64, months in 1..24u32) {
        let (records, expected) = all(&Options::new(seed, 40).over_months(months));
        assert_gapless(&records);
        assert_consistent(&records);
        let mut last = i64::MIN;
        for (_, envelope, event) in events(&records) {
            prop_assert_eq!(event.check(), Ok(()));
            prop_assert!(envelope.time_ms >= last, "times fall");
            last = envelope.time_ms;
            prop_assert_eq!(envelope.subject.as_deref(), Some(event.subject()));
            prop_assert_eq!(event.recorded_at().as_millisecond(), envelope.time_ms);
            prop_assert!(event.effective_at() <= event.recorded_at());
        }
        prop_assert_eq!(expected.refused_count() + expected.duplicates, 0);
        prop_assert_eq!(expected.records, expected.event_count());
    }

    #[test]
    fn faults_change_the_order_and_add_records_but_lose_nothing(seed: u64, faults in faults()) {
        let endings = Faults { contract_errors: faults.contract_errors, business_errors: faults.business_errors,
            conflicts: faults.conflicts, ..Faults::NONE };
        let (calm, expected_calm) = all(&Options::new(seed, 40).with_faults(endings));
        let (wild, expected) = all(&Options::new(seed, 40).with_faults(faults));
        assert_gapless(&wild);
        assert_consistent(&wild);
        prop_assert_eq!(&expected.effects, &expected_calm.effects);
        prop_assert_eq!(&expected.accounts, &expected_calm.accounts);
        prop_assert_eq!(&expected.events, &expected_calm.events);
        let ids = |records: &[Generated]| events(records).map(|(_, envelope, _)| envelope.id.clone()).collect::<BTreeSet<_>>();
        prop_assert_eq!(ids(&calm), ids(&wild));
        prop_assert_eq!(order_in_topics(&calm), order_in_topics(&wild));
    }

    #[test]
    fn a_repetition_has_the_same_bytes_and_a_conflict_has_not(seed: u64, faults in faults()) {
        let (records, expected) = all(&Options::new(seed, 40).with_faults(faults));
        let mut first: HashMap<&str, (PayloadHash, &'static str)> = HashMap::new();
        let (mut duplicates, mut conflicts) = (0, 0);
        for (generated, envelope, _) in events(&records) {
            let hash = PayloadHash::of(Some(generated.key.as_bytes()), Some(&bytes(generated)));
            match first.get(envelope.id.as_str()) {
                None => { first.insert(&envelope.id, (hash, generated.topic)); }
                Some(seen) if *seen == (hash, generated.topic) => duplicates += 1,
                Some(_) => conflicts += 1,
            }
        }
        prop_assert_eq!((duplicates, conflicts), (expected.duplicates, expected.conflicts));
    }

    #[test]
    fn what_is_wrong_is_the_last_of_its_account_and_fails_its_check(seed: u64) {
        let faults = Faults { contract_errors: 0.4, business_errors: 0.4, ..Faults::NONE };
        let (records, expected) = all(&Options::new(seed, 40).with_faults(faults));
        let mut refused = BTreeSet::new();
        for (generated, _, event) in events(&records) {
            prop_assert!(!refused.contains(&generated.key), "{} goes on after its last", generated.key);
            match generated.fate {
                Fate::Refused(Class::Contract) => prop_assert_eq!(event.check().expect_err("wrong").code, "SUM_MISMATCH"),
                _ => prop_assert_eq!(event.check(), Ok(())),
            }
            if matches!(generated.fate, Fate::Refused(_)) {
                refused.insert(generated.key.clone());
            }
        }
        prop_assert_eq!(refused.len() as u64, expected.refused_count());
    }
}

/// First appearances of each key in each topic, in order.
fn order_in_topics(records: &[Generated]) -> BTreeMap<(String, &'static str), Vec<String>> {
    let mut order: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (generated, envelope, _) in events(records).filter(|(generated, ..)| !repeated(generated.fate)) {
        order.entry((generated.key.clone(), generated.topic)).or_default().push(envelope.id.clone());
    }
    order
}

#[test]
fn every_event_type_currency_and_kind_of_payment_occurs() {
    let (records, expected) = all(&Options::new(1, 400).over_months(12));
    for subject in of_family(Family::Commercial) {
        assert!(expected.events.contains_key(subject.topic), "{} never occurs", subject.topic);
    }
    let currencies: Vec<_> = expected.effects.keys().map(String::as_str).collect();
    assert_eq!(currencies, ["EUR", "GBP", "JPY", "KWD", "USD"]);
    let payments = || {
        events(&records).filter_map(|(_, _, event)| match event {
            Event::PaymentReceived(payment) => Some(payment),
            _ => None,
        })
    };
    assert!(payments().any(|payment| payment.unapplied_minor > 0), "no over-payment");
    assert!(payments().any(|payment| payment.allocations.len() > 1), "no payment for several invoices");
    assert!(payments().any(|payment| payment.entity_version > 1), "no payment after a failed attempt");
}

#[test]
fn unit_prices_have_no_more_decimals_than_the_currency_except_for_usage() {
    let (records, _) = all(&Options::new(2, 300));
    for (_, _, event) in events(&records) {
        let Event::InvoicePosted(invoice) = event else { continue };
        let exponent = events::currency::exponent(&invoice.currency).expect("active");
        for line in &invoice.lines {
            let amount = events::money::line_amount_minor(line.quantity, line.unit_price, &invoice.currency);
            assert_eq!(amount, Ok(line.net_minor), "{}", invoice.invoice_id);
            let recurring = line.charge_type == ChargeType::Recurring;
            assert!(!recurring || line.unit_price.scale() <= exponent, "{} {}", line.unit_price, invoice.currency);
        }
    }
}

#[test]
fn the_number_of_events_can_be_given() {
    for faults in [Faults::NONE, Faults::realistic()] {
        let (_, expected) = all(&Options::of_events(5, 20_000).with_faults(faults));
        assert_eq!(expected.event_count(), 20_000);
    }
}

#[test]
fn contracts_come_after_their_invoices_when_topics_are_out_of_order() {
    let faults = Faults { cross_topic_disorder: 1.0, ..Faults::NONE };
    let (records, _) = all(&Options::new(4, 50).with_faults(faults));
    let mut known = BTreeSet::new();
    let mut early = 0;
    for (_, _, event) in events(&records) {
        match event {
            Event::ContractActivated(contract) => {
                known.insert(contract.contract_id.clone());
            }
            Event::InvoicePosted(invoice) if !known.contains(invoice.contract_id.as_ref().expect("has one")) => {
                early += 1
            }
            _ => {}
        }
    }
    assert!(early > 20, "only {early} invoices before their contracts");
}

#[test]
fn a_few_accounts_show_every_kind_of_event_of_a_business() {
    let options = Options::new(3, 300).over_months(12);
    let (all, _) = all(&options);
    let few = covering(&options).expect("good options");
    let topics = |records: &[Generated]| records.iter().map(|generated| generated.topic).collect::<BTreeSet<_>>();
    assert_eq!(topics(&few), topics(&all));
    assert!(few.len() * 4 < all.len(), "{} of {}", few.len(), all.len());
    assert!(few.iter().all(|generated| all.contains(generated)), "whole lives, unchanged");
}

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

fn invoices(records: &[Generated]) -> impl Iterator<Item = &events::InvoicePosted> {
    events(records).filter_map(|(_, _, event)| match event {
        Event::InvoicePosted(invoice) => Some(&**invoice),
        _ => None,
    })
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
fn some_accounts_buy_from_two_entities_in_two_currencies_and_are_one_customer() {
    let (records, _) = all(&Options::new(8, 400));
    let mut sellers: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut customers = BTreeMap::new();
    for (_, _, event) in events(&records) {
        let Event::ContractActivated(contract) = event else { continue };
        let seller = (contract.legal_entity_id.as_str(), contract.currency.as_str());
        sellers.entry(&contract.account_id).or_default().insert(seller);
        let customer = customers.entry(&contract.account_id).or_insert(&contract.customer);
        assert_eq!(*customer, &contract.customer, "one customer, whoever sells to it");
    }
    assert!(sellers.values().filter(|sellers| sellers.len() > 1).count() >= 5);
    for (_, _, event) in events(&records) {
        let Event::PaymentReceived(payment) = event else { continue };
        let seller = (payment.legal_entity_id.as_str(), payment.currency.as_str());
        assert!(sellers[payment.account_id.as_str()].contains(&seller));
    }
}

#[test]
fn periods_are_half_open_follow_on_each_other_and_come_back_to_the_last_day_after_february() {
    let (records, _) = all(&Options { start: jiff::civil::date(2023, 11, 1), ..Options::new(8, 400).over_months(8) });
    let mut last: HashMap<&str, jiff::civil::Date> = HashMap::new();
    let mut days: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let suspended: BTreeSet<&str> =
        amendments(&records, AmendmentType::Suspend).map(|event| &*event.contract_id).collect();
    let is_regular = |invoice: &&events::InvoicePosted| {
        invoice.lines.iter().any(|line| line.charge_type == ChargeType::Recurring)
            && !suspended.contains(invoice.contract_id.as_deref().expect("has one"))
    };
    for invoice in invoices(&records).filter(is_regular) {
        let contract = invoice.contract_id.as_deref().expect("has one");
        let Some(period) = &invoice.period else { continue };
        if let Some(end) = last.insert(contract, period.end_on) {
            assert_eq!(end, period.start_on, "{contract}: the day after the last one is the first of the next");
        }
        days.entry(contract).or_default().push(period.start_on.to_string());
    }
    let anchored = ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"];
    let comes_back = |days: &Vec<String>| days.iter().map(String::as_str).take(5).eq(anchored);
    assert!(days.values().any(comes_back), "nobody pays from the last day of December on");
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

fn amendments(records: &[Generated], kind: AmendmentType) -> impl Iterator<Item = &events::ContractAmended> {
    events(records).filter_map(move |(_, _, event)| match event {
        Event::ContractAmended(amended) if amended.amendment_type == kind => Some(&**amended),
        _ => None,
    })
}

#[test]
fn contracts_change_in_every_way_and_some_changes_hold_since_before_they_are_known() {
    let (records, _) = all(&Options::new(8, 1_000).over_months(14));
    for kind in [
        AmendmentType::Add,
        AmendmentType::Remove,
        AmendmentType::Quantity,
        AmendmentType::Price,
        AmendmentType::PlanChange,
        AmendmentType::TermExtension,
        AmendmentType::Suspend,
        AmendmentType::Resume,
    ] {
        assert!(amendments(&records, kind).count() >= 5, "{kind} hardly occurs");
    }
    let is_smaller = |event: &events::ContractAmended| event.delta_mrr_minor < 0;
    assert!(amendments(&records, AmendmentType::Quantity).any(is_smaller), "no downgrade");
    let late: Vec<_> = amendments(&records, AmendmentType::Quantity)
        .filter(|event| event.effective_at < event.recorded_at)
        .map(|event| event.revenue_modification)
        .collect();
    assert!(late.len() > 10 && late.iter().collect::<Vec<_>>().windows(2).any(|pair| pair[0] != pair[1]), "{late:?}");
}

/// Every line as the last event about it left it.
#[test]
fn an_amendment_starts_from_the_lines_as_they_are() {
    let (records, _) = all(&Options::new(9, 500).over_months(14));
    let mut lines = BTreeMap::new();
    for (_, _, event) in events(&records) {
        match event {
            Event::ContractActivated(event) => {
                lines.extend(event.lines.iter().map(|line| (line.contract_line_id.clone(), line.clone())));
            }
            Event::SubscriptionRenewalAccepted(event) => {
                for before in &event.lines_before {
                    assert_eq!(lines.remove(&before.contract_line_id).as_ref(), Some(before));
                }
                lines.extend(event.lines_after.iter().map(|line| (line.contract_line_id.clone(), line.clone())));
            }
            Event::ContractAmended(event) => {
                for change in &event.changes {
                    assert_eq!(lines.remove(&change.contract_line_id), change.before, "{}", event.amendment_id);
                    lines.extend(change.after.iter().map(|line| (line.contract_line_id.clone(), line.clone())));
                }
            }
            _ => {}
        }
    }
}

/// Without credits for what was wrong, an annual contract that runs its whole term bills what it is worth.
#[test]
fn what_an_annual_contract_bills_over_its_term_is_its_value_with_all_its_steps_and_changes() {
    let (records, _) = all(&Options::new(10, 1_500).over_months(30));
    let mut contracts: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    for (_, _, event) in events(&records) {
        match event {
            Event::ContractActivated(event) if !event.revenue_plan.is_empty() => {
                let value = event.total_contract_value_minor.expect("stated");
                contracts.insert(&event.contract_id, (value, 0));
            }
            Event::ContractAmended(event) => {
                let Some(contract) = contracts.get_mut(event.contract_id.as_str()) else { continue };
                contract.0 += event.delta_tcv_minor;
            }
            Event::InvoicePosted(event) => {
                let Some(contract) = contracts.get_mut(event.contract_id.as_deref().unwrap_or_default()) else {
                    continue;
                };
                contract.1 += event.lines.iter().map(|line| line.net_minor).sum::<i64>();
            }
            Event::CreditNoteIssued(event) if event.reason.code == "not_served" => {
                let Some(contract) = contracts.get_mut(event.contract_id.as_deref().unwrap_or_default()) else {
                    continue;
                };
                contract.1 -= event.lines.iter().map(|line| line.net_minor).sum::<i64>();
            }
            Event::ContractCancelled(event) if event.mode == CancellationMode::EndOfTerm => {
                ended.insert(event.contract_id.as_str());
            }
            Event::SubscriptionRenewalAccepted(event) => {
                contracts.remove(event.contract_id.as_str());
            }
            _ => {}
        }
    }
    contracts.retain(|id, _| ended.contains(id));
    assert!(contracts.len() > 20, "{} contracts", contracts.len());
    for (contract, (value, billed)) in contracts {
        assert_eq!(billed, value, "{contract}");
    }
}
