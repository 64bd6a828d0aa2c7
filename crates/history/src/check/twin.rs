//! I11: the end of a run equals that of a run of the same input without faults, but for order between sequences and for copies.

use super::{Report, View};
use std::collections::{BTreeMap, BTreeSet};

/// Sets to compare, by what they are called.
fn ends<'a>(view: &View<'a>) -> Vec<(&'static str, BTreeMap<String, &'a str>)> {
    let by_place: BTreeMap<_, _> = view.published.iter().map(|published| (&published.place, published)).collect();
    let mut fates = BTreeMap::new();
    for decided in view.decided.iter().filter(|decided| decided.disposition != "duplicate") {
        let published = by_place.get(&decided.place);
        if let Some(event) = published.and_then(|published| published.event.as_ref()) {
            let digest = published.map_or("", |published| published.digest.as_str());
            fates.insert(format!("{event} {digest}"), view.fate(decided));
        }
    }
    let effects = view.effects.iter().map(|effect| (effect.key.clone(), effect.digest.as_str()));
    let documents = view.documents.iter().map(|(key, digest)| ((*key).to_owned(), *digest));
    vec![("the document", documents.collect()), ("the fate of event", fates), ("the effect", effects.collect())]
}

pub(super) fn equal(twin: &View<'_>, run: &View<'_>, report: &mut Report) {
    for ((what, calm), (_, rough)) in ends(twin).into_iter().zip(ends(run)) {
        let keys: BTreeSet<_> = calm.keys().chain(rough.keys()).collect();
        report.count("I11", keys.len());
        for key in keys {
            let (without, with) = (calm.get(key), rough.get(key));
            if without != with {
                report
                    .broken("I11", format!("{what} `{key}` differs: without faults {without:?}, with faults {with:?}"));
            }
        }
    }
}
