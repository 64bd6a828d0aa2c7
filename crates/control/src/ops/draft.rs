//! A plan in the making: of each letter it keeps what the plan will say of it, and nothing else.

use super::estimate;
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    letters::{LetterId, Money, Seen, Selection, State, time},
    plan::{Item, Pace, Plan, UNPREDICTED},
};
use ledger::{Ledger, ParkedState, Verb};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Letters that one plan may hold.
const MOST_ITEMS: usize = 200_000;

pub(super) struct Draft {
    verb: Verb,
    selection: Selection,
    pace: Pace,
    pub items: Vec<Item>,
    services: BTreeSet<String>,
    at_risk: Money,
    by_code: BTreeMap<String, u64>,
    /// Items of each sequence.
    own: HashMap<(i32, String), i64>,
    /// Topics that the letters came from.
    pub topics: BTreeSet<String>,
    /// Letters that were tried more often than first and so many times again are left out.
    max_replays: Option<i32>,
    left_out: u64,
}

impl Draft {
    pub fn new(verb: Verb, selection: Selection, pace: Pace, max_replays: Option<i32>) -> Self {
        Self {
            verb,
            selection,
            pace,
            items: Vec::new(),
            services: BTreeSet::new(),
            at_risk: Money::default(),
            by_code: BTreeMap::new(),
            own: HashMap::new(),
            topics: BTreeSet::new(),
            max_replays,
            left_out: 0,
        }
    }

    /// Takes a letter up, if the verb can do anything to it.
    ///
    /// # Errors
    /// `TOO_MANY`.
    pub fn take(&mut self, letter: &Seen) -> Result<()> {
        let is_fit = match self.verb {
            Verb::Restore => letter.record.fate.state == ParkedState::Discarded,
            Verb::Erase => letter.state != State::Ended || letter.record.fate.state == ParkedState::Discarded,
            _ => letter.state != State::Ended,
        };
        if !is_fit {
            return Ok(());
        }
        if self.max_replays.is_some_and(|most| letter.record.fate.attempts > most) {
            self.left_out += 1;
            return Ok(());
        }
        self.must_have_room()?;
        if !self.topics.contains(&letter.record.topic) {
            self.topics.insert(letter.record.topic.clone());
        }
        self.services.insert(letter.id.service.clone());
        self.at_risk.add_all(&letter.money);
        let code = letter.record.fate.failure.as_ref().map(|failure| failure.code.to_string());
        *self.by_code.entry(code.clone().unwrap_or_else(|| "BLOCKED".to_owned())).or_default() += 1;
        *self.own.entry((letter.id.slice, letter.id.sequence.clone())).or_default() += 1;
        let version = letter.record.fate.version;
        self.items.push(Item {
            id: letter.id.to_string(),
            version,
            code,
            predicted: UNPREDICTED.to_owned(),
            note: None,
        });
        Ok(())
    }

    fn must_have_room(&self) -> Result<()> {
        let refused = |message: String, hint| Err(Error::new(Kind::Policy, "TOO_MANY", message).hint(hint));
        if let Some(max) = self.pace.max.filter(|max| self.items.len() >= *max as usize) {
            let message = format!("more letters match than --max {max}");
            return refused(message, "narrow the selection or raise --max");
        }
        if self.items.len() >= MOST_ITEMS {
            let message = format!("more than {MOST_ITEMS} letters match");
            return refused(message, "narrow the selection, such as by --until");
        }
        Ok(())
    }

    /// The one service that the letters are of: a job belongs to one.
    ///
    /// # Errors
    /// `NOTHING_MATCHES`; `Invalid` for letters of several.
    pub fn service(&self) -> Result<String> {
        let mut services = self.services.iter();
        match (services.next(), services.next()) {
            (None, _) if self.left_out > 0 => {
                let message = format!("{} letters match, all tried more often than --max-replays", self.left_out);
                Err(Error::new(Kind::Policy, "REPLAY_LIMIT", message)
                    .hint("find out why they fail; edit or discard them, or raise --max-replays"))
            }
            (None, _) => Err(Error::new(Kind::NotFound, "NOTHING_MATCHES", "no letter matches")),
            (Some(one), None) => Ok(one.clone()),
            _ => {
                let named: Vec<_> = self.services.iter().map(String::as_str).collect();
                Err(Error::invalid(format!("letters of {} match", named.join(" and ")))
                    .hint("plan one service at a time: --service"))
            }
        }
    }

    /// The plan, as of now, by the caller.
    pub async fn plan(self, session: &Session<'_>, ledger: &dyn Ledger) -> Result<Plan> {
        let service = self.service()?;
        let mut predicted: BTreeMap<String, u64> = BTreeMap::new();
        for item in &self.items {
            *predicted.entry(item.predicted.clone()).or_default() += 1;
        }
        let sequences = ledger.sequences(None).await?.into_iter();
        let followers = sequences
            .filter_map(|sequence| Some(sequence.depth - self.own.get(&(sequence.slice, sequence.sequence))?))
            .sum();
        let (estimate_seconds, estimated_by) = estimate::of(self.items.len() as u64, self.pace.rate, ledger).await?;
        Ok(Plan {
            v: 1,
            action: self.verb,
            service,
            selection: self.selection,
            cut_off: time(session.app.now_ms()).unwrap_or_default(),
            made_by: session.caller.name.clone(),
            items: self.items,
            followers,
            at_risk: self.at_risk,
            by_code: self.by_code,
            predicted,
            pace: self.pace,
            estimate_seconds,
            estimated_by,
            edit: None,
            left_out: self.left_out,
            target: None,
        })
    }
}

/// The letter of an item of a plan that control made itself.
pub(super) fn letter_of(item: &Item) -> Result<LetterId> {
    item.id.parse()
}
