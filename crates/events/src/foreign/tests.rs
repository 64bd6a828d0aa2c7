use super::*;
use bytes::Bytes;

fn headers(pairs: &[(&'static str, &[u8])]) -> Headers {
    Headers(pairs.iter().map(|(name, value)| ((*name).into(), Some(Bytes::copy_from_slice(value)))).collect())
}

/// Reads letters of `orders.DLT` that have a value.
fn read(pairs: &[(&'static str, &[u8])]) -> Origin {
    origin("orders.DLT", &headers(pairs), true)
}

/// Topic, partition and offset.
fn place(origin: &Origin) -> (Option<&str>, Option<i32>, Option<i64>) {
    (origin.topic.as_deref(), origin.partition, origin.offset)
}

const PLACE: (Option<&str>, Option<i32>, Option<i64>) = (Some("orders"), Some(3), Some(42));

#[test]
fn spring_dead_letters_have_binary_numbers_and_the_cause_before_its_wrapper() {
    let read = read(&[
        ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
        ("kafka_dlt-exception-message", b"no such order"),
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", &3_i32.to_be_bytes()),
        ("kafka_dlt-original-offset", &42_i64.to_be_bytes()),
        ("kafka_dlt-original-timestamp", &1_700_000_000_000_i64.to_be_bytes()),
        ("kafka_dlt-original-consumer-group", b"billing"),
    ]);
    assert_eq!((read.family, place(&read)), (Family::SpringDeadLetter, PLACE));
    assert_eq!(read.timestamp_ms, Some(1_700_000_000_000));
    assert_eq!(read.consumer.as_deref(), Some("billing"));
    assert_eq!(read.error.as_deref(), Some("java.lang.IllegalStateException"));
    assert_eq!(read.problems, [""; 0]);
}

#[test]
fn spring_numbers_that_a_bridge_wrote_as_digits_are_read_as_digits() {
    let read = read(&[
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", b"1234"),
        ("kafka_dlt-original-offset", b"12345678"),
    ]);
    assert_eq!(place(&read), (Some("orders"), Some(1_234), Some(12_345_678)));
}

#[test]
fn spring_retries_keep_their_attempts_and_the_group_under_its_other_name() {
    let read = read(&[
        ("kafka_original-topic", b"orders"),
        ("kafka_original-partition", &3_i32.to_be_bytes()),
        ("kafka_original-offset", &42_i64.to_be_bytes()),
        ("kafka_exception-message", b"later"),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("retry_topic-attempts", &2_i32.to_be_bytes()),
    ]);
    assert_eq!((read.family, place(&read), read.attempts), (Family::SpringRetry, PLACE, Some(2)));
    assert_eq!(read.consumer.as_deref(), Some("billing"));
}

#[test]
fn connect_has_text_and_of_two_failures_the_first_counts() {
    let read = read(&[
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"42"),
        ("__connect.errors.connector.name", b"jdbc-sink"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.message", b"first"),
        ("__connect.errors.exception.message", b"second"),
    ]);
    assert_eq!((read.family, place(&read)), (Family::KafkaConnect, PLACE));
    assert_eq!((read.stage.as_deref(), read.message.as_deref()), (Some("VALUE_CONVERTER"), Some("first")));
    assert_eq!(read.problems, ["`__connect.errors.exception.message` is there twice, with different values"]);
}

#[test]
fn streams_letters_name_exception_and_place() {
    let read = read(&[
        ("__streams.errors.exception", b"java.lang.ArithmeticException"),
        ("__streams.errors.message", b"/ by zero"),
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"3"),
        ("__streams.errors.offset", b"42"),
    ]);
    assert_eq!((read.family, place(&read)), (Family::KafkaStreams, PLACE));
    assert_eq!(read.error.as_deref(), Some("java.lang.ArithmeticException"));
}

#[test]
fn share_group_letters_say_that_they_carry_no_value() {
    let given = headers(&[
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"3"),
        ("__dlq.errors.offset", b"42"),
        ("__dlq.errors.group", b"shippers"),
        ("__dlq.errors.delivery.count", b"5"),
        ("__dlq.errors.message", b"Offset rejected by client."),
    ]);
    let read = origin("dlq.shippers", &given, false);
    assert_eq!((read.family, place(&read), read.attempts), (Family::ShareGroup, PLACE, Some(5)));
    assert!(read.problems[0].contains("copy no value"), "{:?}", read.problems);
    assert!(origin("dlq.shippers", &given, true).problems.is_empty());
}

#[test]
fn smallrye_letters_name_the_cause_before_the_wrapper() {
    let read = read(&[
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"3"),
        ("dead-letter-offset", b"42"),
        ("dead-letter-reason", b"boom"),
        ("dead-letter-exception-class-name", b"java.util.concurrent.CompletionException"),
        ("dead-letter-cause-class-name", b"java.lang.IllegalArgumentException"),
    ]);
    assert_eq!((read.family, place(&read)), (Family::SmallRye, PLACE));
    assert_eq!(read.error.as_deref(), Some("java.lang.IllegalArgumentException"));
}

#[test]
fn our_own_letters_are_read_like_any_other() {
    let read = read(&[
        ("dlq.id", b"orders/3/42/erp-sync"),
        ("dlq.class", b"poison"),
        ("dlq.code", b"BYTES_NOT_AVRO"),
        ("dlq.reason", b"the first byte is 9"),
        ("dlq.original.topic", b"orders"),
        ("dlq.original.partition", b"3"),
        ("dlq.original.offset", b"42"),
        ("dlq.consumer", b"erp-sync"),
        ("dlq.attempts", b"1"),
    ]);
    assert_eq!((read.family, place(&read)), (Family::Throughline, PLACE));
    assert_eq!((read.error.as_deref(), read.stage.as_deref()), (Some("BYTES_NOT_AVRO"), Some("poison")));
}

#[test]
fn headers_that_lie_are_told_and_never_believed() {
    for (pairs, said) in [
        (
            &[("dead-letter-topic", &b"orders"[..]), ("dead-letter-offset", b"-1")][..],
            "`dead-letter-offset` is no number",
        ),
        (
            &[("dead-letter-topic", b"orders"), ("dead-letter-offset", b"99999999999999999999")],
            "`dead-letter-offset` is no number",
        ),
        (
            &[("dead-letter-topic", b"orders"), ("dead-letter-partition", b"4000000000")],
            "`dead-letter-partition` is no number",
        ),
        (&[("dead-letter-topic", b"orders"), ("dead-letter-partition", b"")], "`dead-letter-partition` is no number"),
        (
            &[("kafka_dlt-original-topic", b"orders"), ("kafka_dlt-original-offset", &(-1_i64).to_be_bytes())],
            "no number",
        ),
        (&[("kafka_dlt-original-topic", b"orders"), ("kafka_dlt-original-partition", &[1, 2])], "no number"),
        (&[("dead-letter-topic", b"orders.DLT")], "names the topic it lies in"),
        (&[("dead-letter-reason", b"?")], "does not say which topic"),
        (&[("dead-letter-topic", &[0xff, 0xfe])], "`dead-letter-topic` is no text"),
        (&[("dead-letter-topic", b"a"), ("dead-letter-topic", b"b")], "twice, with different values"),
        (&[("dead-letter-topic", b"orders"), ("__connect.errors.topic", b"orders")], "headers of SmallRye as well"),
    ] {
        let read = read(pairs);
        assert!(read.problems.iter().any(|problem| problem.contains(said)), "{pairs:?}: {:?}", read.problems);
        assert!(read.partition.is_none_or(|partition| partition >= 0) && read.offset.is_none_or(|offset| offset >= 0));
    }
}

#[test]
fn a_record_without_such_headers_is_nobodys() {
    let read = read(&[("ce_id", b"e-1")]);
    assert_eq!((read.family, read.problems.len()), (Family::Unknown, 0));
}

const CLAIM: Claim<'_> = Claim {
    topic: "orders",
    partition: Some(3),
    offset: Some(42),
    timestamp_ms: Some(1_700_000_000_000),
    consumer: "erp-sync",
    attempts: 2,
    error: "PERIOD_CLOSED",
    message: "period `2026-01` is closed",
    is_unreadable: false,
};

const ROOM: usize = 16_384;

#[test]
fn what_is_written_for_a_family_its_reader_reads() {
    /// What a family has no header for stays unsaid.
    struct Said {
        word: &'static str,
        time: bool,
        consumer: bool,
        attempts: bool,
        error: bool,
    }
    let said = |word, [time, consumer, attempts, error]: [bool; 4]| Said { word, time, consumer, attempts, error };
    for said in [
        said("spring", [true, true, false, true]),
        said("spring-retry", [true, true, true, true]),
        said("connect", [false, true, false, true]),
        said("streams", [false, false, false, true]),
        said("share-group", [false, true, true, false]),
        said("smallrye", [false, false, false, true]),
    ] {
        let family = alias(said.word).unwrap();
        let mut letter = Headers::default();
        write(&[family], &CLAIM, &mut letter, ROOM);
        assert_eq!(letter.text(ALIASES), Some(said.word));
        let read = origin("dlq.erp-sync", &letter, true);
        assert_eq!((read.family, place(&read)), (family, PLACE));
        assert_eq!(read.message.as_deref(), Some(CLAIM.message), "{}", said.word);
        assert_eq!(read.timestamp_ms, CLAIM.timestamp_ms.filter(|_| said.time), "{}", said.word);
        assert_eq!(read.consumer.as_deref(), Some(CLAIM.consumer).filter(|_| said.consumer), "{}", said.word);
        assert_eq!(read.attempts, Some(2).filter(|_| said.attempts), "{}", said.word);
        assert_eq!(read.error.as_deref(), Some(CLAIM.error).filter(|_| said.error), "{}", said.word);
        assert_eq!(read.problems, [""; 0], "{}", said.word);
        assert_eq!(origin_topic(&letter).map(|(_, topic)| topic), Some("orders"), "and it can be replayed");
    }
    assert!(alias("karafka").is_err_and(|wrong| wrong.contains("spring, spring-retry, connect")));
}

#[test]
fn a_family_that_is_there_already_is_not_written_over_and_nothing_is_written_beyond_the_room() {
    let families = [Family::KafkaConnect, Family::SmallRye];
    let mut letter = headers(&[("__connect.errors.topic", b"earlier")]);
    write(&families, &CLAIM, &mut letter, ROOM);
    assert_eq!((letter.text("__connect.errors.topic"), letter.text(ALIASES)), (Some("earlier"), Some("smallrye")));
    let mut full = Headers::default();
    write(&families, &CLAIM, &mut full, 40);
    assert_eq!(full, Headers::default());
}

#[test]
fn what_we_wrote_for_others_is_taken_off_again_and_only_that() {
    let mut letter = headers(&[("dlq.id", b"orders/3/42/erp-sync"), ("ce_id", b"1"), ("dead-letter-topic", b"theirs")]);
    let before = letter.clone();
    write(&[Family::SpringDeadLetter, Family::KafkaConnect], &CLAIM, &mut letter, ROOM);
    let mut after = without_aliases(&letter);
    after.0.retain(|(name, _)| name != ALIASES);
    assert_eq!(after, before);
    let forged = headers(&[(ALIASES, b"smallrye"), ("dead-letter-topic", b"theirs")]);
    assert_eq!(without_aliases(&forged), forged, "it is no letter of ours");
}
