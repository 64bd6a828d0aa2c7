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

/// One call on its way.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub fate: Fate,
    /// When a late one takes effect.
    pub late_at: i64,
    /// From when on look-ups see its effect.
    pub visible_at: i64,
    /// Sent by an owner that had lost the slice: nobody can keep it from racing with the new one, so a second try under the same key is
    /// then the outside system's to refuse.
    pub by_zombie: bool,
}

/// Business rule of the model: what it refuses, whatever the network does.
pub type Rule<F> = fn(&F) -> Option<Failure>;

/// What a receipt says besides the id; it follows from the effect alone, like the id.
pub type Details<F> = fn(&F) -> BTreeMap<String, String>;

#[derive(Debug)]
struct Known {
    receipt: Receipt,
    visible_at: i64,
    by_zombie: bool,
}

#[derive(Debug)]
pub struct Outside<F: Effect> {
    pub log: Vec<Committed>,
    /// Effects as they were sent, beside `log`.
    pub effects: Vec<F>,
    known: HashMap<String, Known>,
    late: BTreeMap<i64, Vec<(F, String, Sent)>>,
    rule: Option<Rule<F>>,
    details: Details<F>,
    /// Effects that the owner sent again although they had taken place: only the outside system kept them from doing so twice.
    pub sent_again: Vec<String>,
    /// Effects that took place after their calls were given up.
    pub applied_late: u32,
}

impl<F: Effect> Outside<F> {
    #[must_use]
    pub fn new(rule: Rule<F>, details: Details<F>) -> Self {
        Self {
            log: Vec::new(),
            effects: Vec::new(),
            known: HashMap::new(),
            late: BTreeMap::new(),
            rule: Some(rule),
            details,
            sent_again: Vec::new(),
            applied_late: 0,
        }
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
            for (effect, event_id, sent) in entry.remove() {
                self.applied_late += 1;
                self.commit(&effect, &event_id, sent);
            }
        }
    }

    pub fn apply(&mut self, effect: &F, event_id: &str, sent: Sent) -> Result<Receipt, Failure> {
        if sent.fate == Fate::Unavailable {
            return Err(Failure::dependency("ERP_UNAVAILABLE", "refused before send"));
        }
        if let Some(refusal) = self.rule.and_then(|rule| rule(effect)) {
            let lost = matches!(sent.fate, Fate::AnswerLost | Fate::RequestLost | Fate::Late);
            return Err(if lost { unknown() } else { refusal });
        }
        match sent.fate {
            Fate::Answered => Ok(self.commit(effect, event_id, sent)),
            Fate::AnswerLost => {
                self.commit(effect, event_id, sent);
                Err(unknown())
            }
            Fate::Late => {
                self.late.entry(sent.late_at).or_default().push((effect.clone(), event_id.to_owned(), sent));
                Err(unknown())
            }
            Fate::RequestLost | Fate::Unavailable => Err(unknown()),
        }
    }

    /// What a question at `now` is told; an effect may be there and not be seen yet.
    #[must_use]
    pub fn look_up(&self, key: &str, now: i64) -> Option<Receipt> {
        self.known.get(key).filter(|known| known.visible_at <= now).map(|known| known.receipt.clone())
    }

    fn commit(&mut self, effect: &F, event_id: &str, sent: Sent) -> Receipt {
        let key = effect.key();
        let receipt = receipt(&key, (self.details)(effect));
        if let Some(known) = self.known.get(&key) {
            if !sent.by_zombie && !known.by_zombie {
                self.sent_again.push(key);
            }
            return receipt;
        }
        let payload = serde_json::to_string(effect).expect("effects are plain data");
        self.log.push(Committed { key: key.clone(), entity: effect.entity(), payload, event_id: event_id.to_owned() });
        self.effects.push(effect.clone());
        self.known
            .insert(key, Known { receipt: receipt.clone(), visible_at: sent.visible_at, by_zombie: sent.by_zombie });
        receipt
    }
}

/// The id follows from the key alone, because handlers keep ids and refer to them in later effects: a schedule that makes records in
/// another order must not end in other documents.
fn receipt(key: &str, details: BTreeMap<String, String>) -> Receipt {
    Receipt { external_id: format!("id-of-{key}"), details }
}

fn unknown() -> Failure {
    Failure::unknown("OUTCOME_UNKNOWN", "no answer came")
}
