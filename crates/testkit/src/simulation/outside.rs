//! A model of an outside system: it keeps what took effect, refuses a second record under one key (as external ids do), can be
//! asked by key, and fails in every way a real one does.

use consumer::{Effect, Receipt};
use failure::Failure;
use std::collections::{BTreeMap, HashMap};

/// One committed effect, in the order of the outside system's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub key: String,
    pub entity: String,
    pub payload: String,
    /// Identity of the event it was for.
    pub event_id: String,
    /// Whether a newer one on the same entity replaces it: which of those in between are sent is chance.
    pub coalesces: bool,
}

/// How one call fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Refused before it was looked at.
    Unavailable,
    /// Took effect, the answer was lost.
    AnswerLost,
    /// Lost on the way, no answer.
    RequestLost,
    /// No answer; takes effect a little later.
    Late,
}

/// Business rule of the model: what it refuses, whatever the network does.
pub type Rule<F> = fn(&F) -> Option<Failure>;

#[derive(Debug)]
pub struct Outside<F: Effect> {
    pub log: Vec<Committed>,
    known: HashMap<String, usize>,
    late: BTreeMap<i64, Vec<(F, String)>>,
    rule: Option<Rule<F>>,
    /// Calls that would have taken effect twice if the outside system did not refuse the second record.
    pub second_attempts: usize,
}

impl<F: Effect> Outside<F> {
    #[must_use]
    pub fn new(rule: Rule<F>) -> Self {
        Self { log: Vec::new(), known: HashMap::new(), late: BTreeMap::new(), rule: Some(rule), second_attempts: 0 }
    }

    /// What was refused by the rule is taken from now on.
    pub fn mend(&mut self) {
        self.rule = None;
    }

    /// Late effects whose time has come.
    pub fn advance(&mut self, now: i64) {
        while let Some(entry) = self.late.first_entry() {
            if *entry.key() > now {
                break;
            }
            for (effect, event_id) in entry.remove() {
                self.commit(&effect, &event_id);
            }
        }
    }

    pub fn apply(&mut self, effect: &F, event_id: &str, fate: Fate, late_at: i64) -> Result<Receipt, Failure> {
        if fate == Fate::Unavailable {
            return Err(Failure::dependency("ERP_UNAVAILABLE", "refused before send"));
        }
        if let Some(refusal) = self.rule.and_then(|rule| rule(effect)) {
            let lost = matches!(fate, Fate::AnswerLost | Fate::RequestLost | Fate::Late);
            return Err(if lost { unknown() } else { refusal });
        }
        match fate {
            Fate::Answered => Ok(self.commit(effect, event_id)),
            Fate::AnswerLost => {
                self.commit(effect, event_id);
                Err(unknown())
            }
            Fate::Late => {
                self.late.entry(late_at).or_default().push((effect.clone(), event_id.to_owned()));
                Err(unknown())
            }
            Fate::RequestLost | Fate::Unavailable => Err(unknown()),
        }
    }

    #[must_use]
    pub fn look_up(&self, key: &str) -> Option<Receipt> {
        self.known.contains_key(key).then(|| receipt(key))
    }

    fn commit(&mut self, effect: &F, event_id: &str) -> Receipt {
        let key = effect.key();
        let receipt = receipt(&key);
        if self.known.contains_key(&key) {
            self.second_attempts += 1;
            return receipt;
        }
        let at = self.log.len();
        let payload = serde_json::to_string(effect).expect("effects are plain data");
        self.log.push(Committed {
            key: key.clone(),
            entity: effect.entity(),
            payload,
            event_id: event_id.to_owned(),
            coalesces: effect.coalesces(),
        });
        self.known.insert(key, at);
        receipt
    }
}

/// The id follows from the key alone, because handlers keep ids and refer to them in later effects: a schedule that makes records in
/// another order must not end in other documents.
fn receipt(key: &str) -> Receipt {
    Receipt { external_id: format!("id-of-{key}"), details: BTreeMap::new() }
}

fn unknown() -> Failure {
    Failure::unknown("OUTCOME_UNKNOWN", "no answer came")
}
