//! Who buys, for how long, and how that changes.

use super::*;
use events::common::{AmendmentType, CancellationMode};

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
