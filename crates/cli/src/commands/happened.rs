//! What a generated business did, told to people: how often what happened, and what of it is money.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use testkit::business::{Effects, Expectations};

/// Different events by type, such as `payment.refunded`.
pub(crate) fn kinds(expected: &Expectations) -> BTreeMap<String, u64> {
    let kind = |topic: &str| topic.rsplit_once(".v").map_or(topic, |(kind, _)| kind).to_owned();
    expected.events.iter().map(|(topic, count)| (kind(topic), *count)).collect()
}

/// By currency, in minor units: what was billed, what came in, and what is owed in the end.
pub(crate) fn money(expected: &Expectations) -> BTreeMap<String, Map<String, Value>> {
    let sums =
        |effects: &Effects| columns(effects).into_iter().map(|(name, sum)| (name.to_owned(), json!(sum))).collect();
    expected.effects.iter().map(|(currency, effects)| (currency.clone(), sums(effects))).collect()
}

fn columns(effects: &Effects) -> [(&'static str, i64); 7] {
    [
        ("billed_minor", effects.invoiced_minor),
        ("credited_minor", effects.credited_minor),
        ("paid_minor", effects.paid_minor),
        ("paid_back_minor", effects.refunded_minor + effects.charged_back_minor),
        ("in_dispute_minor", effects.disputed_minor),
        ("written_off_minor", effects.written_off_minor),
        ("owed_minor", effects.receivable_minor()),
    ]
}

/// Both, in lines.
pub(crate) fn told(expected: &Expectations) -> String {
    let kinds: Vec<_> = kinds(expected).into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let mut text = format!("What happened: {}.\n", kinds.join(", "));
    for (currency, effects) in &expected.effects {
        let sums = columns(effects).into_iter().filter(|(_, sum)| *sum != 0).map(|(name, sum)| {
            let amount = events::money::to_major(sum, currency).map_or_else(|_| sum.to_string(), |sum| sum.to_string());
            format!("{} {amount}", name.trim_end_matches("_minor").replace('_', " "))
        });
        text.push_str(&format!("  {currency}: {}\n", sums.collect::<Vec<_>>().join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_by_kind_and_currency() {
        let mut stream = testkit::business::stream(&testkit::business::Options::new(1, 50)).expect("good options");
        stream.by_ref().for_each(drop);
        let expected = stream.expectations();
        let told = told(expected);
        assert!(told.contains(&format!("{} contract.activated", kinds(expected)["contract.activated"])), "{told}");
        assert!(told.contains("USD: billed ") && told.contains("owed "), "{told}");
        assert!(!told.contains(".v1"), "{told}");
    }
}
