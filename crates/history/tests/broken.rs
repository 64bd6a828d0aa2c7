//! A whole history keeps everything; each way of breaking one is found, and by its name.

use history::{Appeared, Decided, Effect, Line, Money, Place, Published, check};

fn place(topic: &str, offset: i64) -> Place {
    Place { topic: topic.into(), partition: 0, offset }
}

fn published(offset: i64, event: &str, sequence: &str) -> Line {
    Line::Published(Published {
        place: place("in", offset),
        event: Some(event.into()),
        sequence: Some(sequence.into()),
        version: None,
        digest: format!("bytes of {event}"),
        money: Some(Money { currency: "EUR".into(), minor: 10 }),
    })
}

fn decided(entry: i64, offset: i64, disposition: &str) -> Line {
    Line::Decided(Decided { entry, place: place("in", offset), disposition: disposition.into() })
}

fn effect(key: &str, event: &str) -> Line {
    let money = Some(Money { currency: "EUR".into(), minor: 10 });
    Line::Effect(Effect { key: key.into(), event: event.into(), digest: "sent".into(), money })
}

fn appeared(offset: i64, number: i64, letter_of: Option<Place>, digest: &str) -> Line {
    Line::Appeared(Appeared { place: place("out", offset), slice: 0, number, digest: digest.into(), letter_of })
}

fn entry(entry: i64, epoch: i64) -> Line {
    Line::Entry { slice: 0, entry, epoch }
}

fn committed(number: i64) -> Line {
    Line::Committed { slice: 0, topic: "out".into(), partition: 0, number }
}

/// Two events of one sequence are applied, a third is a copy of the first, a fourth of another sequence is a dead letter.
fn whole() -> Vec<Line> {
    vec![
        published(0, "a", "one"),
        published(1, "b", "one"),
        published(2, "a", "one"),
        published(3, "c", "two"),
        Line::Position { topic: "in".into(), partition: 0, next: 4 },
        entry(1, 1),
        entry(2, 2),
        decided(1, 0, "applied"),
        decided(1, 1, "applied"),
        decided(2, 2, "duplicate"),
        decided(2, 3, "parked"),
        Line::Parked { place: place("in", 3), state: "dead_lettered".into() },
        committed(1),
        committed(2),
        appeared(0, 1, None, "told"),
        appeared(1, 1, None, "told"),
        appeared(2, 2, Some(place("in", 3)), "bytes of c"),
        effect("a:1", "a"),
        effect("b:1", "b"),
        Line::Document { key: "account/one".into(), digest: "2 events".into() },
        Line::Crash { slice: 0, redone: 3, limit: 10 },
        Line::Reread { records: 4, documents_changed: 0, effects_added: 0, published_added: 0 },
    ]
}

fn position(of: &[Line], line: &Line) -> usize {
    of.iter().position(|found| found == line).expect("the line is in the history")
}

/// The invariants that a changed history breaks.
fn broken(change: impl FnOnce(&mut Vec<Line>)) -> Vec<&'static str> {
    let mut lines = whole();
    change(&mut lines);
    let mut found: Vec<_> = check(&lines, Some(&whole())).broken.into_iter().map(|broken| broken.invariant).collect();
    found.dedup();
    found
}

#[test]
fn a_whole_history_keeps_everything_and_every_invariant_was_compared() {
    let report = check(&whole(), Some(&whole()));
    assert_eq!(report.broken, []);
    let empty: Vec<_> = report.compared.iter().filter(|compared| compared.count == 0).collect();
    assert!(empty.is_empty() && report.compared.len() == 11, "{report}");
}

#[test]
fn what_a_history_has_no_lines_for_is_not_called_kept() {
    let text = check(&[], None).to_string();
    assert_eq!(text.lines().count(), text.matches("not compared").count());
    assert!(!text.contains("kept"));
}

#[test]
fn a_lost_record_and_one_that_was_decided_twice_break_i1() {
    assert!(broken(|lines| lines.retain(|line| *line != decided(1, 1, "applied"))).contains(&"I1"));
    assert!(broken(|lines| lines.push(decided(2, 1, "duplicate"))).contains(&"I1"));
    assert_eq!(broken(|lines| lines.push(decided(2, 17, "duplicate"))), ["I1"]);
}

#[test]
fn an_effect_that_took_place_or_was_sent_twice_breaks_i2() {
    assert!(broken(|lines| lines.push(effect("a:1", "a"))).contains(&"I2"));
    assert_eq!(broken(|lines| lines.push(Line::SentAgain { key: "a:1".into() })), ["I2"]);
}

#[test]
fn effects_out_of_order_break_i3() {
    let found = broken(|lines| {
        let (a, b) = (position(lines, &effect("a:1", "a")), position(lines, &effect("b:1", "b")));
        lines.swap(a, b);
    });
    assert_eq!(found, ["I3"]);
}

#[test]
fn a_record_decided_before_a_parked_one_of_its_sequence_breaks_i3() {
    let found = broken(|lines| {
        let at = position(lines, &decided(1, 0, "applied"));
        lines[at] = decided(1, 0, "parked");
        lines.push(Line::Parked { place: place("in", 0), state: "waiting".into() });
    });
    assert!(found.contains(&"I3"), "{found:?}");
}

#[test]
fn money_that_is_missing_or_moved_too_much_breaks_i4() {
    assert!(broken(|lines| lines.retain(|line| *line != effect("b:1", "b"))).contains(&"I4"));
    assert!(broken(|lines| lines.push(effect("b:2", "b"))).contains(&"I4"));
    assert!(broken(|lines| lines.push(effect("c:1", "c"))).iter().all(|found| *found != "I4"), "part of a dead letter");
}

#[test]
fn a_write_under_an_older_epoch_and_a_gap_in_the_journal_break_i5() {
    assert_eq!(broken(|lines| lines.push(entry(3, 1))), ["I5"]);
    assert_eq!(broken(|lines| lines.push(entry(9, 2))), ["I5"]);
}

#[test]
fn unread_records_and_open_intents_break_i6() {
    assert_eq!(broken(|lines| lines.push(published(4, "d", "two"))).first(), Some(&"I6"));
    assert_eq!(broken(|lines| lines.push(Line::Open { what: "intent a:1".into() })), ["I6"]);
}

#[test]
fn too_much_work_after_a_crash_breaks_i7() {
    assert_eq!(broken(|lines| lines.push(Line::Crash { slice: 0, redone: 11, limit: 10 })), ["I7"]);
}

#[test]
fn events_that_are_missing_out_of_order_or_nobodys_break_i8() {
    assert_eq!(broken(|lines| lines.push(committed(3))), ["I8"]);
    assert_eq!(broken(|lines| lines.push(appeared(3, 9, None, "told"))), ["I8"]);
    let swapped = broken(|lines| {
        lines.extend([committed(3), committed(4)]);
        lines.extend([appeared(3, 4, None, "told"), appeared(4, 3, None, "told")]);
    });
    assert_eq!(swapped, ["I8"]);
}

#[test]
fn a_letter_that_differs_from_its_source_or_is_missing_breaks_i9() {
    let altered = broken(|lines| {
        let at = position(lines, &appeared(2, 2, Some(place("in", 3)), "bytes of c"));
        lines[at] = appeared(2, 2, Some(place("in", 3)), "other bytes");
    });
    assert_eq!(altered, ["I9"]);
    let missing = broken(|lines| {
        let at = position(lines, &appeared(2, 2, Some(place("in", 3)), "bytes of c"));
        lines[at] = appeared(2, 2, None, "bytes of c");
    });
    assert_eq!(missing, ["I9"]);
}

#[test]
fn a_copy_that_is_taken_and_a_reread_that_changes_something_break_i10() {
    let taken = broken(|lines| {
        let at = position(lines, &decided(2, 2, "duplicate"));
        lines[at] = decided(2, 2, "applied");
    });
    assert!(taken.contains(&"I10"), "{taken:?}");
    let changed = Line::Reread { records: 4, documents_changed: 1, effects_added: 0, published_added: 0 };
    assert_eq!(broken(|lines| lines.push(changed)), ["I10"]);
}

#[test]
fn another_end_than_the_twins_breaks_i11() {
    let other = Line::Document { key: "account/one".into(), digest: "3 events".into() };
    assert_eq!(broken(|lines| lines.push(other)), ["I11"]);
    assert_eq!(broken(|lines| lines.retain(|line| !matches!(line, Line::Document { .. }))), ["I11"]);
}

#[test]
fn a_history_reads_back_from_its_files_and_a_bad_line_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.ndjson");
    let mut bytes = Vec::new();
    history::write(&whole(), &mut bytes).expect("written to memory");
    std::fs::write(&path, &bytes).expect("written");
    assert_eq!(history::read_folder(folder.path()).expect("reads back"), whole());
    bytes.extend(b"{\"kind\":\"gossip\"}\n");
    std::fs::write(&path, &bytes).expect("written");
    let error = history::read_folder(folder.path()).expect_err("no such kind").to_string();
    assert!(error.contains(&format!("line {}", whole().len() + 1)), "{error}");
}
