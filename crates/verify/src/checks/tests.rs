//! Each check says yes to what is whole and no to one thing that is broken: a check that cannot say no proves nothing.

use super::{Checks, Ranges};
use crate::{
    Check, Known,
    effects::Effect,
    input::Input,
    journal::{JournalView, Told},
    places::Place,
};
use events::{Headers, Record, Uid};
use ledger::Disposition;
use std::collections::BTreeMap;

const TOPIC: &str = "invoice.posted.v1";

fn known() -> Known {
    let mut journal = JournalView::default();
    journal.positions.insert((TOPIC.into(), 0), 3);
    Known {
        journal,
        effects: Some(Vec::new()),
        waiting: BTreeMap::new(),
        owed: None,
        access: None,
        course: None,
        service: "erp-sync".to_owned(),
    }
}

fn place(offset: i64) -> Place {
    Place { topic: TOPIC.into(), partition: 0, offset }
}

fn record(topic: &str, offset: i64, headers: Headers) -> Record {
    let value = Some(bytes::Bytes::from(format!("value {offset}")));
    Record { topic: topic.into(), partition: 0, offset, timestamp_ms: 0, key: None, value, headers }
}

fn input(offset: i64, count: u8) -> Input {
    let told = (count > 0).then_some(Told { first: Disposition::Applied, count });
    Input {
        place: place(offset),
        told,
        parked: None,
        uid: Some(Uid::derive("billing", &offset.to_string())),
        event_id: Some(format!("e{offset}")),
        key: "ACC-1".to_owned(),
        event: None,
    }
}

fn effect(seq: u64, event: &str, external_id: &str) -> Effect {
    Effect {
        seq,
        system: 0,
        operation: "create".to_owned(),
        object: "invoice".to_owned(),
        external_id: Some(external_id.to_owned()),
        event_id: Some(event.to_owned()),
        amount_minor: None,
        currency: None,
    }
}

/// Three records, each with one disposition and no effect: what all checks agree to.
fn whole() -> Vec<Input> {
    (0..3).map(|offset| input(offset, 1)).collect()
}

fn run(known: &Known, published: &[Record], inputs: &[Input], untold: &[Place]) -> Vec<Check> {
    let mut checks = Checks::new(known);
    for record in published {
        checks.published(known, record);
        if &*record.topic == "dlq.erp-sync" {
            checks.letter(record.clone());
        }
    }
    for input in inputs {
        checks.input(known, input, &record(TOPIC, input.place.offset, Headers::default()));
    }
    let ranges = Ranges::from([((TOPIC.into(), 0), (0, 3))]);
    checks.finish(known, &ranges, untold.iter().cloned())
}

/// Ids of the checks that said no.
fn broken(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().filter(|check| !check.ok).map(|check| check.id).collect()
}

#[test]
fn what_is_whole_passes_every_check() {
    let checks = run(&known(), &[], &whole(), &[]);
    assert_eq!(broken(&checks), [""; 0], "{checks:?}");
    assert_eq!(checks[0].counted, 3);
}

#[test]
fn an_offset_without_a_disposition_with_two_or_without_a_record_breaks_i1() {
    let mut inputs = whole();
    inputs[1] = input(1, 0);
    assert_eq!(broken(&run(&known(), &[], &inputs, &[])), ["I1"]);
    inputs[1] = input(1, 2);
    assert_eq!(broken(&run(&known(), &[], &inputs, &[])), ["I1"]);
    assert_eq!(broken(&run(&known(), &[], &whole(), &[place(7)])), ["I1"]);
}

#[test]
fn an_effect_that_took_place_twice_or_that_no_journal_holds_breaks_i2() {
    let mut known = known();
    known.effects = Some(vec![effect(1, "e0", "INV-1")]);
    known.journal.done.insert("e0".to_owned(), vec!["invoice/INV-1".to_owned()]);
    assert_eq!(broken(&run(&known, &[], &whole(), &[])), [""; 0]);
    known.effects = Some(vec![effect(1, "e0", "INV-1"), effect(2, "e0", "INV-1")]);
    assert_eq!(broken(&run(&known, &[], &whole(), &[])), ["I2"]);
    known.effects = Some(Vec::new());
    assert_eq!(
        broken(&run(&known, &[], &whole(), &[])),
        ["I2"],
        "the journal holds it and the outside system does not"
    );
}

#[test]
fn an_effect_after_one_of_a_later_event_of_its_key_breaks_i3() {
    let mut known = known();
    for event in ["e0", "e1"] {
        known.journal.done.insert(event.to_owned(), vec![event.to_owned()]);
    }
    known.effects = Some(vec![effect(1, "e0", "INV-1"), effect(2, "e1", "INV-2")]);
    assert_eq!(broken(&run(&known, &[], &whole(), &[])), [""; 0]);
    known.effects = Some(vec![effect(1, "e1", "INV-2"), effect(2, "e0", "INV-1")]);
    assert_eq!(broken(&run(&known, &[], &whole(), &[])), ["I3"]);
}

#[test]
fn what_is_unread_unknown_or_open_breaks_i6() {
    let mut behind = known();
    behind.journal.positions.insert((TOPIC.into(), 0), 2);
    let inputs = [input(0, 1), input(1, 1), input(2, 0)];
    assert_eq!(broken(&run(&behind, &[], &inputs, &[])), ["I6"]);
    for open in ["step", "intent", "entry"] {
        let mut known = known();
        match open {
            "step" => known.journal.open_steps.push("invoice/INV-1".to_owned()),
            "intent" => known.journal.intents.push("invoice/INV-1".to_owned()),
            _ => known.journal.open_entries = 1,
        }
        assert_eq!(broken(&run(&known, &[], &whole(), &[])), ["I6"], "an open {open}");
    }
}

#[test]
fn an_event_that_is_missing_late_or_unknown_breaks_i8_and_a_repeated_one_does_not() {
    let mut known = known();
    let numbers = known.journal.outgoing.entry((0, "order.accepted.v1".into(), 0)).or_default();
    (1..=3).for_each(|number| numbers.add(number));
    let outcome = |numbers: &[i64]| {
        let published = |(offset, number): (i64, &i64)| {
            let mut headers = Headers::default();
            headers.push(consumer::runtime::NUMBER_HEADER, format!("erp-sync/0/{number}"));
            record("order.accepted.v1", offset, headers)
        };
        let records: Vec<Record> = (0..).zip(numbers).map(published).collect();
        broken(&run(&known, &records, &whole(), &[])).len()
    };
    assert_eq!(outcome(&[1, 2, 3]), 0);
    assert_eq!(outcome(&[1, 2, 1, 2, 3]), 0, "a relay that lost an answer sends again");
    assert_eq!(outcome(&[1, 3]), 1);
    assert_eq!(outcome(&[1, 3, 2]), 1);
    assert_eq!(outcome(&[1, 2, 3, 4]), 1);
}

#[test]
fn a_letter_that_differs_from_its_source_or_has_none_breaks_i9() {
    let letter = |offset: &str| {
        let mut headers = Headers::default();
        for (name, value) in [("topic", TOPIC), ("partition", "0"), ("offset", offset)] {
            headers.push(format!("dlq.original.{name}"), value.to_owned());
        }
        let mut letter = record("dlq.erp-sync", 0, headers);
        letter.value = Some("value 1".into());
        letter
    };
    assert_eq!(broken(&run(&known(), &[letter("1")], &whole(), &[])), [""; 0]);
    assert_eq!(broken(&run(&known(), &[letter("2")], &whole(), &[])), ["I9"], "another record's bytes");
    assert_eq!(broken(&run(&known(), &[letter("9")], &whole(), &[])), ["I9"], "no such record");
    assert_eq!(broken(&run(&known(), &[letter("nine")], &whole(), &[])), ["I9"], "it does not say where it came from");
}

#[test]
fn an_event_that_was_taken_twice_breaks_i10_and_a_copy_does_not() {
    let mut inputs = whole();
    inputs[2].uid = inputs[0].uid;
    assert_eq!(broken(&run(&known(), &[], &inputs, &[])), ["I10"]);
    inputs[2].told = Some(Told { first: Disposition::Duplicate, count: 1 });
    assert_eq!(broken(&run(&known(), &[], &inputs, &[])), [""; 0]);
}
