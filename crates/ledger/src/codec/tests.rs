use super::*;
use crate::journal::{Cause, EffectRow, SourceRecord, Staged, Step};
use crate::types::{DocumentChange, DocumentKey, TimerChange, TimerRow};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn blob() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..20).prop_map(Bytes::from))
}

fn headers() -> impl Strategy<Value = Headers> {
    vec((".{0,6}".prop_map(Into::into), blob()), 0..4).prop_map(Headers)
}

fn uid() -> impl Strategy<Value = Option<Uid>> {
    option::of(any::<[u8; 16]>().prop_map(Uid))
}

fn record(topics: u16) -> impl Strategy<Value = EntryRecord> {
    (0..topics, any::<i64>(), uid(), any::<i64>(), 0..8usize).prop_map(|(topic, offset, uid, hash, disposition)| {
        EntryRecord { topic, offset, uid, hash: PayloadHash(hash), disposition: Disposition::ALL[disposition] }
    })
}

fn event() -> impl Strategy<Value = NewOutgoing> {
    (".{0,8}", any::<i32>(), blob(), blob(), headers(), any::<i64>()).prop_map(
        |(topic, partition, key, value, headers, timestamp_ms)| NewOutgoing {
            topic,
            partition,
            key,
            value,
            headers,
            timestamp_ms,
        },
    )
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (event(), any::<i64>(), uid(), any::<i64>()).prop_map(|(event, offset, uid, hash)| {
            Cause::Record(SourceRecord {
                topic: event.topic,
                partition: event.partition,
                offset,
                timestamp_ms: event.timestamp_ms,
                key: event.key,
                value: event.value,
                headers: event.headers,
                uid,
                hash: PayloadHash(hash),
            })
        }),
        any::<i64>().prop_map(|no| Cause::Parked { no }),
        (".{0,5}", ".{0,5}").prop_map(|(id, payload)| Cause::Timer { id, payload }),
    ]
}

fn staged() -> impl Strategy<Value = Staged> {
    let document = (".{0,5}", ".{0,5}", option::of(".{0,9}")).prop_map(|(kind, key, body)| DocumentChange {
        key: DocumentKey { kind, key },
        status: "open".into(),
        account_id: "A-1".into(),
        body,
    });
    let timer = prop_oneof![
        (".{0,5}", any::<i64>()).prop_map(|(id, due_ms)| TimerChange::Set(TimerRow {
            id,
            due_ms,
            sequence: "s".into(),
            payload: "{}".into()
        })),
        ".{0,5}".prop_map(|id| TimerChange::Clear { id }),
    ];
    (vec(document, 0..3), vec(event(), 0..3), vec(timer, 0..3)).prop_map(|(documents, outgoing, timers)| Staged {
        documents,
        outgoing,
        timers,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let effect = (".{0,5}", ".{0,5}", ".{0,9}", option::of(".{0,5}"), any::<bool>())
        .prop_map(|(key, entity, payload, receipt, look_up)| EffectRow { key, entity, payload, receipt, look_up });
    (".{0,5}", vec(cause(), 1..3), vec(effect, 0..3), staged()).prop_map(|(sequence, causes, effects, staged)| Step {
        sequence,
        causes,
        effects,
        staged,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let result = prop_oneof![
        ".{0,9}".prop_map(|receipt| EffectResult::Done { receipt }),
        ".{0,9}".prop_map(|code| EffectResult::Refused { code }),
        Just(EffectResult::Unknown),
    ];
    (any::<i64>(), any::<i32>(), any::<i32>(), result).prop_map(|(entry, index, effect, result)| Outcome {
        step: StepId { entry, index },
        effect,
        result,
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let outgoing = (any::<i64>(), event(), option::of((".{0,5}", any::<i64>())))
        .prop_map(|(number, event, letter_of)| Outgoing { number, event, letter_of });
    (vec(".{0,9}", 1..4), vec(step(), 0..3), vec(outcome(), 0..4), vec(outgoing, 0..4)).prop_flat_map(
        |(topics, steps, outcomes, outgoing)| {
            vec(record(topics.len() as u16), 0..40).prop_map(move |records| Entry {
                topics: topics.clone(),
                records,
                steps: steps.clone(),
                outcomes: outcomes.clone(),
                outgoing: outgoing.clone(),
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_entry_reads_back_as_it_was_and_any_avro_library_reads_it_by_the_schema_file(entry in entry()) {
        let bytes = encode(&entry);
        prop_assert_eq!(&decode(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?, &entry);
        let schema = Schema::parse_str(SCHEMA_V1).unwrap();
        let mut rest = &bytes[1..];
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap(), &bytes[1..]);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_entry_but_never_a_panic(entry in entry(), cut in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let mut bytes = encode(&entry);
        let place = cut.index(bytes.len());
        prop_assert!(decode(&bytes[..place]).is_err());
        bytes[place] ^= flip;
        let _ = decode(&bytes);
    }

    #[test]
    fn noise_never_panics(mut noise in vec(any::<u8>(), 0..200)) {
        let _ = decode(&noise);
        noise.insert(0, VERSION);
        let _ = decode(&noise);
    }
}

#[test]
fn a_record_in_a_full_batch_takes_28_bytes() {
    let records = (0..1_000).map(|n| EntryRecord {
        topic: 0,
        offset: 5_000_000_000 + n,
        uid: Some(Uid([7; 16])),
        hash: PayloadHash(-1),
        disposition: Disposition::Applied,
    });
    let entry = Entry { topics: vec!["contract.activated.v1".into()], records: records.collect(), ..Entry::default() };
    assert_eq!(encode(&entry).len() / 1_000, 28);
}

#[test]
fn another_format_version_and_an_empty_body_are_named() {
    let mut bytes = encode(&Entry::default());
    bytes[0] = 2;
    assert_eq!(
        decode(&bytes).unwrap_err().to_string(),
        "ledger content is damaged: journal body: format version 2, this binary reads 1"
    );
    assert!(matches!(decode(&[]), Err(Error::Corrupt(_))));
}
