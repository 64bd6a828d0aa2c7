//! Standing rules: each firing is a job of its own, named by rule, slice and number, so that two owners never fire twice.

use super::{MOST, Start, Upkeep};
use ledger::{Destination, Ledger, LetterRule, Millis, ParkedFilter, Result, RuleAction, Verb};

/// A rule that ends letters looks for them so often.
const ENDS_EVERY_MS: Millis = 60_000;

impl Upkeep {
    pub(super) async fn fire_rules(&mut self, ledger: &dyn Ledger, now: Millis) -> Result<()> {
        let rules = ledger.letter_rules().await?;
        self.fired.retain(|id, _| rules.iter().any(|rule| rule.id == *id));
        for rule in rules.iter().filter(|rule| !rule.is_expired(now)) {
            self.fire(ledger, rule, now).await?;
        }
        Ok(())
    }

    async fn fire(&mut self, ledger: &dyn Ledger, rule: &LetterRule, now: Millis) -> Result<()> {
        let (verb, number) = firing(rule, now);
        // The first try comes after the first interval: what has just failed, fails.
        let is_due = number >= i64::from(verb == Verb::Retry);
        if !is_due || self.fired.get(&rule.id).is_some_and(|last| *last >= number) {
            return Ok(());
        }
        let id = format!("rule-{}-{}-{number}", rule.id, self.slice);
        if ledger.job(&id).await?.is_none() {
            let filter = ParkedFilter {
                class: rule.class,
                code: rule.code.clone(),
                fingerprint: rule.fingerprint.clone(),
                limit: MOST,
                ..ParkedFilter::default()
            };
            let letters = self.open_letters(ledger, filter).await?;
            let who = format!("rule:{}", rule.id);
            let reason = format!("{} (rule of {})", rule.reason, rule.owner);
            let to = destination(&rule.action);
            self.start(ledger, Start { id: &id, verb, who: &who, reason: &reason, to }, &letters, now).await?;
        }
        self.fired.insert(rule.id.clone(), number);
        Ok(())
    }
}

/// What a rule does now, and how many times it could have done so before.
const fn firing(rule: &LetterRule, now: Millis) -> (Verb, i64) {
    let since = now - rule.created_ms;
    match &rule.action {
        RuleAction::Retry { every_ms } => (Verb::Retry, since.div_euclid(if *every_ms > 0 { *every_ms } else { 1 })),
        RuleAction::Discard => (Verb::Discard, since.div_euclid(ENDS_EVERY_MS)),
        RuleAction::Redirect(_) => (Verb::Move, since.div_euclid(ENDS_EVERY_MS)),
    }
}

const fn destination(action: &RuleAction) -> Option<&Destination> {
    match action {
        RuleAction::Redirect(to) => Some(to),
        RuleAction::Retry { .. } | RuleAction::Discard => None,
    }
}
