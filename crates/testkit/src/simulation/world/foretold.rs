//! What a prediction said of letters must be what their retry then does, where nothing came in between.

use super::{World, now_or_never};
use crate::simulation::sometimes::Window;
use consumer::Handler;
use failure::Class;
use ledger::{ItemFilter, ItemState, JobItem, Ledger as _, ParkedState, Prediction};

/// A prediction that people wait for, and the retry they started on its word.
pub struct Foretold {
    pub predict: String,
    pub retry: Option<String>,
    /// Made when no fault was left to come: only then must it hold.
    pub is_calm: bool,
    /// Effects outside when the retry began.
    pub effects: usize,
}

impl<H: Handler> World<'_, H> {
    /// Compares a prediction with what its retry did, item by item.
    pub(super) fn compare(&mut self, foretold: &Foretold) -> Result<(), String> {
        let Some(retry) = foretold.retry.as_deref().filter(|_| foretold.is_calm) else { return Ok(()) };
        let (said, done) = (self.items(&foretold.predict)?, self.items(retry)?);
        let mut may_send = false;
        for (said, done) in said.iter().zip(&done) {
            let Some(prediction) = said.result.prediction else {
                return Err(format!("a prediction without a word: {said:?}"));
            };
            if said.row != done.row || !comes_true(prediction, said, done) {
                return Err(format!("predicted {said:?}, came to {done:?}"));
            }
            may_send |= prediction != Prediction::AlreadyApplied && prediction != Prediction::Superseded;
            self.sometimes.hit_if(prediction == Prediction::Apply, Window::ForetoldEffect);
        }
        if !may_send && self.outside.log.len() != foretold.effects {
            return Err(format!("predicted that nothing is sent: {said:?}"));
        }
        Ok(())
    }

    fn items(&self, job: &str) -> Result<Vec<JobItem>, String> {
        let filter = ItemFilter { limit: usize::MAX, ..ItemFilter::default() };
        let mut items = now_or_never(self.ledger.job_items(job, &filter)).map_err(|error| error.to_string())?;
        items.sort_by(|a, b| (&a.row.sequence, a.row.no).cmp(&(&b.row.sequence, b.row.no)));
        Ok(items)
    }
}

/// What the service decides is foretold; what the outside system says of it is its own business.
fn comes_true(prediction: Prediction, said: &JobItem, done: &JobItem) -> bool {
    let result = &done.result;
    match prediction {
        Prediction::AlreadyApplied => result.ended == Some(ParkedState::Applied),
        Prediction::Apply | Prediction::NeedsLookUp => {
            result.ended == Some(ParkedState::Applied)
                || result.state == ItemState::Refailed && class_of(result.code.as_deref()) != Some(Class::Contract)
        }
        Prediction::Superseded => matches!(result.ended, Some(ParkedState::Skipped | ParkedState::Superseded)),
        Prediction::Refused => result.state == ItemState::Refailed && result.code == said.result.code,
        Prediction::Blocked => result.state == ItemState::Blocked,
    }
}

fn class_of(code: Option<&str>) -> Option<Class> {
    failure::explain(code?).map(|entry| entry.class)
}
