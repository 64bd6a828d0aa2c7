//! Asking today's code about a sample of each cause, and what follows from the answer.
//!
//! A letter that the outside system refused says nothing when our code alone is asked: it would be sent again, and only the other side
//! can tell. Such letters are shown as that and never retried here; a standing rule may.

use super::{Auto, MOST, Start, Upkeep, is_final, key};
use failure::Class;
use ledger::{
    ItemFilter, ItemState, JobAction, JobItem, Ledger, Millis, NewAudit, Outlook, ParkedFilter, Prediction, Result,
    RowKey, Verb,
};
use std::collections::{BTreeMap, BTreeSet};

/// Causes that one look asks about.
const MOST_CAUSES: usize = 100;
/// An answer that takes longer than this is not waited for: live traffic goes first.
const PATIENCE_MS: Millis = 10 * 60_000;

/// A question that is under way.
pub(super) struct Asked {
    job: String,
    since: Millis,
    causes: BTreeMap<String, Cause>,
    of: BTreeMap<RowKey, String>,
}

struct Cause {
    class: Class,
    code: String,
}

/// What a sample said.
#[derive(Default)]
struct Said {
    sampled: u32,
    would_end: u32,
    would_ask: u32,
    note: Option<String>,
}

impl Upkeep {
    pub(super) async fn ask(&mut self, ledger: &dyn Ledger, now: Millis) -> Result<()> {
        let counted = ParkedFilter { slice: Some(self.slice), failed: true, limit: MOST_CAUSES, ..alive() };
        let mut asked = Asked { job: self.id("asks", now), since: now, causes: BTreeMap::new(), of: BTreeMap::new() };
        let mut rows = Vec::new();
        for count in ledger.letter_counts(&counted).await? {
            let Some(fingerprint) = count.fingerprint else { continue };
            if !is_final(count.class) || self.policy.of(count.class, &count.code) == Auto::Off {
                continue;
            }
            let filter = ParkedFilter { fingerprint: Some(fingerprint.clone()), limit: self.policy.sample, ..alive() };
            let sample = self.open_letters(ledger, filter).await?;
            asked.of.extend(sample.iter().map(|row| (key(row), fingerprint.clone())));
            asked.causes.insert(fingerprint, Cause { class: count.class, code: count.code });
            rows.extend(sample);
        }
        if rows.is_empty() {
            return self.tell(ledger, Vec::new()).await;
        }
        let reason = "which letters would end now";
        let start = Start { id: &asked.job, verb: Verb::Predict, who: "auto", reason, to: None };
        if self.start(ledger, start, &rows, now).await? > 0 {
            self.asked = Some(asked);
        }
        Ok(())
    }

    /// The answer, once it is complete.
    pub(super) async fn hear(&mut self, ledger: &dyn Ledger, now: Millis) -> Result<()> {
        let Some(asked) = &self.asked else { return Ok(()) };
        let is_over = ledger.job(&asked.job).await?.is_none_or(|job| !job.state.is_live());
        if !is_over && now < asked.since + PATIENCE_MS {
            return Ok(());
        }
        let Some(asked) = self.asked.take() else { return Ok(()) };
        if !is_over {
            let audit = NewAudit {
                at_ms: now,
                actor: "auto".to_owned(),
                action: "job.cancel".to_owned(),
                subject: asked.job.clone(),
                reason: "it takes too long beside live traffic".to_owned(),
                before: None,
                after: None,
            };
            ledger.set_job(&asked.job, JobAction::Cancel, &audit).await?;
            return Ok(());
        }
        let filter = ItemFilter { limit: asked.of.len(), ..ItemFilter::default() };
        let items = ledger.job_items(&asked.job, &filter).await?;
        let refused = self.refused_outside(ledger).await?;
        let mut outlooks = Vec::new();
        for (fingerprint, said) in said(&asked, &items, &refused) {
            let Some(cause) = asked.causes.get(&fingerprint) else { continue };
            outlooks.push(self.outlook(ledger, fingerprint, cause, said, now).await?);
        }
        self.tell(ledger, outlooks).await
    }

    /// What is written is what people see. Nothing is written while there is nothing to tell and nothing told.
    async fn tell(&self, ledger: &dyn Ledger, outlooks: Vec<Outlook>) -> Result<()> {
        let is_told = ledger.outlooks().await?.iter().any(|outlook| outlook.slice == self.slice);
        if outlooks.is_empty() && !is_told {
            return Ok(());
        }
        ledger.put_outlooks(self.slice, &outlooks).await
    }

    async fn outlook(
        &mut self,
        ledger: &dyn Ledger,
        fingerprint: String,
        cause: &Cause,
        said: Said,
        now: Millis,
    ) -> Result<Outlook> {
        let is_gone = said.sampled > 0 && said.would_end == said.sampled;
        let mut outlook = Outlook {
            slice: self.slice,
            fingerprint,
            checked_ms: now,
            build: self.build.clone(),
            sampled: said.sampled,
            would_end: said.would_end,
            would_ask: said.would_ask,
            job: None,
            note: said.note,
        };
        if !is_gone || self.policy.of(cause.class, &cause.code) != Auto::Retry {
            return Ok(outlook);
        }
        if let Some(earlier) = self.retried.get(&outlook.fingerprint) {
            let earlier = ledger.job(earlier).await?;
            if earlier.as_ref().is_some_and(|job| job.state.is_live()) {
                outlook.job = earlier.map(|job| job.id);
                return Ok(outlook);
            }
            if earlier.is_some_and(|job| job.counts.refailed > 0) {
                outlook.note = Some("retried by itself and failed again: somebody must look".to_owned());
                return Ok(outlook);
            }
        }
        let id = self.id(&format!("auto-{}", outlook.fingerprint.replace(':', "-")), now);
        let filter = ParkedFilter { fingerprint: Some(outlook.fingerprint.clone()), limit: MOST, ..alive() };
        let letters = self.open_letters(ledger, filter).await?;
        let reason = format!("the cause is gone: {} of {} asked about would end now", said.would_end, said.sampled);
        let start = Start { id: &id, verb: Verb::Retry, who: "auto", reason: &reason, to: None };
        if self.start(ledger, start, &letters, now).await? > 0 {
            self.retried.insert(outlook.fingerprint.clone(), id.clone());
            outlook.job = Some(id);
        }
        Ok(outlook)
    }

    fn id(&self, what: &str, now: Millis) -> String {
        format!("{what}-{}-{now}", self.slice)
    }

    /// Sequences with an effect that the outside system refused.
    async fn refused_outside(&self, ledger: &dyn Ledger) -> Result<BTreeSet<String>> {
        let slices = ledger.slices().await?;
        let own = slices.into_iter().filter(|status| status.slice == self.slice);
        let intents = own.flat_map(|status| status.intents).filter(|intent| intent.state == "refused");
        Ok(intents.map(|intent| intent.sequence).collect())
    }
}

fn alive() -> ParkedFilter {
    let states = ledger::ParkedState::ALL.into_iter().filter(|state| state.is_alive()).collect();
    ParkedFilter { states, ..ParkedFilter::default() }
}

fn said(asked: &Asked, items: &[JobItem], refused_outside: &BTreeSet<String>) -> BTreeMap<String, Said> {
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    for item in items.iter().filter(|item| item.result.state == ItemState::Predicted) {
        let Some(fingerprint) = asked.of.get(&item.row) else { continue };
        let said = all.entry(fingerprint.clone()).or_default();
        said.sampled += 1;
        match item.result.prediction {
            Some(Prediction::Apply) if refused_outside.contains(&item.row.sequence) => said.would_ask += 1,
            Some(Prediction::Apply | Prediction::AlreadyApplied | Prediction::Superseded) => said.would_end += 1,
            Some(Prediction::NeedsLookUp) => said.would_ask += 1,
            Some(Prediction::Refused | Prediction::Blocked) | None => said.note = item.result.note.clone(),
        }
    }
    all
}
