//! I2 and I4: what took effect in the outside system's own log, how often, and for how much.

use super::{Report, View, minor};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// I2: one committed effect per effect key, none sent again by the owner, none for an event that nobody published.
pub(super) fn once(view: &View<'_>, report: &mut Report) {
    report.count("I2", view.effects.len());
    let mut seen = BTreeSet::new();
    for effect in &view.effects {
        if !seen.insert(&effect.key) {
            report.broken("I2", format!("effect `{}` took place twice", effect.key));
        }
    }
    for key in &view.sent_again {
        report.broken("I2", format!("effect `{key}` was sent again although it had taken place"));
    }
}

/// I4: what was asked for by the events took effect exactly, or waits; never more.
pub(super) fn money(view: &View<'_>, report: &mut Report) {
    let fates: HashMap<_, _> = view.decided.iter().map(|decided| (&decided.place, view.fate(decided))).collect();
    let mut moved: BTreeMap<&str, i128> = BTreeMap::new();
    for effect in &view.effects {
        *moved.entry(&effect.event).or_default() += minor(effect.money.as_ref());
    }
    let mut compared = 0;
    for (event, published) in view.events() {
        let Some(money) = &published.money else { continue };
        let (asked, done) = (i128::from(money.minor), moved.get(event).copied().unwrap_or(0));
        let fate = fates.get(&published.place).copied().unwrap_or("unread");
        compared += 1;
        let holds = match fate {
            "applied" => done == asked,
            "superseded" | "skipped" | "duplicate" | "conflict" | "outside_horizon" | "unread" => done == 0,
            _ => done.abs() <= asked.abs(),
        };
        if !holds {
            let what = format!("event {event} ({fate}) asks for {asked} {}, {done} took effect", money.currency);
            report.broken("I4", what);
        }
    }
    report.count("I4", compared);
}
