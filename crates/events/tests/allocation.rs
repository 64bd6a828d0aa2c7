//! Forged lengths and counts cost a few MiB at most. One test, so that nothing else allocates beside it.

mod support;

use events::{Event, EventSet, MAX_ALLOC_BYTES, WriterSchema, topics, wire};
use serde_json::{Value, json};

/// Peak resident memory of this process in bytes, where the system tells.
fn peak_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
}

fn long(mut value: u64, out: &mut Vec<u8>) {
    value <<= 1;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An invoice up to its lines, then what the attacker adds.
fn invoice_with(lines: &[u8]) -> Vec<u8> {
    let Event::InvoicePosted(mut invoice) = support::invoice() else { panic!("an invoice") };
    invoice.lines.clear();
    let empty = Event::InvoicePosted(invoice).encode_avro();
    // The end of the empty list stands right behind the currency and its two nullable companions.
    let at = empty.windows(6).position(|window| window == b"\x06GBP\0\0").expect("the currency") + 6;
    [&empty[..at], lines].concat()
}

/// A writer's schema of invoices with one more field in front, of the given type.
fn with_extra(kind: Value) -> WriterSchema {
    let mut schema: Value =
        serde_json::from_str(topics::find(topics::INVOICE_POSTED).expect("ours").schema).expect("JSON");
    schema["fields"].as_array_mut().expect("fields").insert(0, json!({"name": "extra", "type": kind}));
    WriterSchema::parse(2, None, &schema.to_string()).expect("a valid schema")
}

fn attacks() -> Vec<(&'static str, &'static str, WriterSchema, Vec<u8>)> {
    let own = |topic| WriterSchema::own(topic).expect("ours");
    let number = |value: u64| {
        let mut out = Vec::new();
        long(value, &mut out);
        out
    };
    let minimal_line = [0u8, 0, 0, 0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut many_lines = number(40_000);
    many_lines.extend(minimal_line.iter().cycle().take(40_000 * minimal_line.len()));
    let mut many_texts = number(900_000);
    many_texts.resize(900_000, 0);
    let nulls = json!({"type": "array", "items": "null"});
    let nested = json!({"type": "array", "items": nulls});
    let mut nested_counts = number(90_000);
    for _ in 0..90_000 {
        nested_counts.extend(number(1 << 40));
        nested_counts.push(0);
    }
    vec![
        ("a huge text", "DATUM_TRUNCATED", own(topics::INVOICE_POSTED), number(1 << 31)),
        ("a text longer than memory", "DATUM_TRUNCATED", own(topics::INVOICE_POSTED), number(1 << 62)),
        ("a huge count", "ALLOCATION_LIMIT", own(topics::INVOICE_POSTED), invoice_with(&number(1 << 40))),
        ("the largest negative count", "ALLOCATION_LIMIT", own(topics::INVOICE_POSTED), {
            invoice_with(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2])
        }),
        ("many tiny lines", "ALLOCATION_LIMIT", own(topics::INVOICE_POSTED), invoice_with(&many_lines)),
        ("many nulls", "ALLOCATION_LIMIT", with_extra(nulls), number(1 << 40)),
        ("lists of many nulls", "ALLOCATION_LIMIT", with_extra(nested), nested_counts),
        (
            "many empty texts",
            "ALLOCATION_LIMIT",
            own(topics::CONTRACT_ACTIVATED),
            contract_with_subscriptions(&many_texts),
        ),
    ]
}

fn contract_with_subscriptions(list: &[u8]) -> Vec<u8> {
    let head = events::ContractActivated { account_id: "a".into(), ..Default::default() };
    let whole = Event::from(head).encode_avro();
    // account_id (2 bytes), version, two times, entity, contract, order, opportunity: then the list.
    [&whole[..2 + 1 + 1 + 1 + 1 + 1 + 1 + 1], list].concat()
}

#[test]
fn forged_lengths_and_counts_cost_a_few_mebibytes_and_are_poison() {
    let attacks = attacks();
    let before = peak_bytes();
    for (name, code, schema, datum) in &attacks {
        assert!(datum.len() < wire::Limits::default().max_record_bytes, "{name}");
        let topic =
            topics::SUBJECTS.iter().find(|subject| schema.full_name() == subject.full_name).expect("ours").topic;
        let failure = Event::decode_avro(topic, schema, datum).expect_err(name);
        assert_eq!((failure.class, failure.code.as_ref()), (failure::Class::Poison, *code), "{name}: {failure}");
    }
    let mut bomb = support::record(&support::invoice());
    support::set_header(&mut bomb, "content-type", Some(b"application/cloudevents+json"));
    bomb.value = Some(format!("[{}0]", "{},".repeat(300_000)).into());
    let failure = wire::parse(&bomb, &wire::Limits::default()).expect_err("a JSON bomb");
    assert_eq!(failure.code, "ALLOCATION_LIMIT");
    if let (Some(before), Some(after)) = (before, peak_bytes()) {
        // Old and new list stand side by side while one grows; the bomb itself is 1 MiB.
        assert!(after - before < 2 * MAX_ALLOC_BYTES + (4 << 20), "{} KiB more", (after - before) / 1024);
    }
}
