//! I8 and I9: what was published is what was committed, and a dead letter is its source.

use super::{Report, View};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// I8: published numbers are the committed ones, their first appearances in order.
pub(super) fn published(view: &View<'_>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    let mut first: BTreeMap<(i32, &str, i32), Vec<i64>> = BTreeMap::new();
    for appeared in &view.appeared {
        let place = (appeared.slice, appeared.place.topic.as_str(), appeared.place.partition);
        if seen.insert((place, appeared.number)) {
            first.entry(place).or_default().push(appeared.number);
        }
    }
    let mut committed: BTreeMap<(i32, &str, i32), Vec<i64>> = BTreeMap::new();
    for (slice, topic, partition, number) in &view.committed {
        committed.entry((*slice, topic, *partition)).or_default().push(*number);
    }
    report.count("I8", view.committed.len());
    for (place, numbers) in &committed {
        let found = first.remove(place).unwrap_or_default();
        if found != *numbers {
            let at = found.iter().zip(numbers).take_while(|(found, wanted)| found == wanted).count();
            let what = format!(
                "{}/{} of slice {}: committed and published differ from the {}. event on: {:?} and {:?}",
                place.1,
                place.2,
                place.0,
                at + 1,
                numbers.get(at),
                found.get(at)
            );
            report.broken("I8", what);
        }
    }
    for (place, numbers) in first {
        let what =
            format!("{}/{}: {} events of slice {} that no journal holds", place.1, place.2, numbers.len(), place.0);
        report.broken("I8", what);
    }
}

/// I9: a dead letter equals its source byte for byte, and each dead-lettered record has one.
pub(super) fn letters(view: &View<'_>, report: &mut Report) {
    let sources: HashMap<_, _> = view.published.iter().map(|published| (&published.place, &published.digest)).collect();
    let mut told = BTreeSet::new();
    for letter in &view.appeared {
        let Some(source) = &letter.letter_of else { continue };
        told.insert(source);
        report.count("I9", 1);
        let name = || format!("letter {}@{}", letter.place.topic, letter.place.offset);
        match sources.get(source) {
            None => {
                report.broken("I9", format!("{}: its source {}@{} is not there", name(), source.topic, source.offset))
            }
            Some(digest) if **digest != letter.digest => {
                report.broken("I9", format!("{} differs from {}@{}", name(), source.topic, source.offset));
            }
            Some(_) => {}
        }
    }
    report.count("I9", 0);
    for (place, state) in &view.parked {
        if *state == "dead_lettered" && !told.contains(place) {
            report.broken("I9", format!("{}@{} counts as dead-lettered without a letter", place.topic, place.offset));
        }
    }
}
