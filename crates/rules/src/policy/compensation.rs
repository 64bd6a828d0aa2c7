//! `compensation.yaml`: how often a step of an order that failed is tried again, and what follows when that was in vain.

use crate::reader::{Reader, Table};
use rust_decimal::prelude::ToPrimitive;
use std::{collections::BTreeMap, time::Duration};

pub const FILE: &str = "compensation.yaml";

/// What follows the last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// What was begun is taken back.
    Cancel,
    /// Its case waits for its owner.
    Wait,
}

const THENS: [(&str, Then); 2] = [("cancel", Then::Cancel), ("wait", Then::Wait)];

/// Steps that a plan may be about.
pub const STEPS: [&str; 8] = [
    "determine_tax",
    "commit_tax",
    "billing_customer",
    "billing_schedule",
    "change_schedule",
    "provisioning",
    "cancel_schedule",
    "void_tax",
];

/// Steps with nothing to take back: they take something back themselves, or change a contract that stands.
const KEPT: [&str; 3] = ["change_schedule", "cancel_schedule", "void_tax"];

/// The longest wait that a plan may have.
const MOST: Duration = Duration::from_secs(366 * 24 * 3_600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Waits before the second attempt, the third, and so on.
    pub retry: Vec<Duration>,
    pub then: Then,
}

impl Plan {
    /// How long to wait after so many attempts, from 1; `None`: it was the last.
    #[must_use]
    pub fn delay_after(&self, attempts: u32) -> Option<Duration> {
        let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
        self.retry.get(index).copied()
    }

    /// How long all attempts take.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.retry.iter().sum()
    }
}

/// A plan for some reasons only.
#[derive(Debug)]
struct Exception {
    codes: Vec<String>,
    steps: Vec<String>,
    plan: Plan,
}

#[derive(Debug, Default)]
pub struct Compensation {
    steps: BTreeMap<String, Plan>,
    exceptions: Vec<Exception>,
}

impl Compensation {
    /// The first exception for the reason, else the step's own plan. An exception that takes back says nothing about steps with nothing to
    /// take back.
    #[must_use]
    pub fn plan(&self, step: &str, code: &str) -> Option<&Plan> {
        let fits = |exception: &&Exception| {
            let is_kept = exception.plan.then == Then::Cancel && KEPT.contains(&step);
            exception.codes.iter().any(|known| known == code)
                && (exception.steps.is_empty() && !is_kept || exception.steps.iter().any(|known| known == step))
        };
        let exception = self.exceptions.iter().find(fits).map(|exception| &exception.plan);
        exception.or_else(|| self.steps.get(step))
    }

    pub(crate) fn read(reader: &mut Reader<'_>, text: &str) -> Self {
        let mut all = Self::default();
        let Some(mut root) = reader.root(text) else { return all };
        let at = root.at("steps");
        for (step, mut table) in reader.named(&mut root, "steps", true) {
            known(reader, &table, &step);
            let plan = plan(reader, &mut table, std::slice::from_ref(&step));
            reader.end(table);
            all.steps.insert(step, plan);
        }
        for step in STEPS.iter().filter(|step| !all.steps.contains_key(**step)) {
            reader.problem(format!("{at}.{step}"), "is missing", "such as {retry: [5m, 1h], then: wait}");
        }
        for mut table in reader.tables(&mut root, "exceptions", false) {
            let codes = reader.texts(&mut table, "codes");
            if codes.is_empty() {
                reader.problem(table.at("codes"), "is missing", "the reasons it is about, such as [CARD_DECLINED]");
            }
            let steps = reader.texts(&mut table, "steps");
            steps.iter().for_each(|step| known(reader, &table, step));
            let plan = plan(reader, &mut table, &steps);
            reader.end(table);
            all.exceptions.push(Exception { codes, steps, plan });
        }
        reader.end(root);
        all
    }
}

fn known(reader: &mut Reader<'_>, table: &Table, step: &str) {
    if !STEPS.contains(&step) {
        let hint = format!("one of {}", STEPS.join(", "));
        reader.problem(table.at("step"), format!("`{step}` is no step"), &hint);
    }
}

fn plan(reader: &mut Reader<'_>, table: &mut Table, steps: &[String]) -> Plan {
    let path = table.at("retry");
    let mut retry = Vec::new();
    // What is no text has been told.
    for text in reader.texts(table, "retry").into_iter().filter(|text| !text.is_empty()) {
        match duration(&text) {
            Some(wait) => retry.push(wait),
            None => reader.problem(&*path, format!("`{text}` is no wait"), "such as 30s, 15m, 2h or 7d, at most 366d"),
        }
    }
    let then = reader.word(table, "then", &THENS).unwrap_or(Then::Wait);
    if then == Then::Cancel && steps.iter().any(|step| KEPT.contains(&step.as_str())) {
        reader.problem(table.at("then"), "cannot be cancel: there is nothing to take back of the step", "wait");
    }
    Plan { retry, then }
}

/// A whole number and its unit.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: rust_decimal::Decimal = text.strip_suffix(unit)?.parse().ok()?;
    let number = number.is_integer().then(|| number.to_u64()).flatten()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let wait = Duration::from_secs(number.checked_mul(seconds)?);
    (!wait.is_zero() && wait <= MOST).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    fn read(text: &str) -> (Compensation, Vec<Problem>) {
        let mut problems = Vec::new();
        let read = Compensation::read(&mut Reader::new(FILE, &mut problems), text);
        (read, problems)
    }

    fn all_steps() -> String {
        let steps = STEPS.map(|step| format!("  {step}: {{retry: [5m, 1h], then: wait}}\n"));
        format!("version: 1\nsteps:\n{}", steps.concat())
    }

    #[test]
    fn an_exception_for_the_reason_goes_before_the_plan_of_the_step() {
        let text =
            format!("{}exceptions:\n  - {{codes: [REFUSED], steps: [billing_schedule], then: cancel}}\n", all_steps());
        let (read, problems) = read(&text);
        assert_eq!(problems, []);
        let of = |step, code| read.plan(step, code).expect("a plan");
        assert_eq!(
            (of("billing_schedule", "REFUSED").then, of("billing_schedule", "REFUSED").delay_after(1)),
            (Then::Cancel, None)
        );
        assert_eq!(of("determine_tax", "REFUSED").delay_after(2), Some(Duration::from_secs(3_600)));
        assert_eq!(
            (of("determine_tax", "REFUSED").delay_after(3), of("determine_tax", "REFUSED").whole().as_secs()),
            (None, 3_900)
        );
    }

    #[test]
    fn an_exception_that_takes_back_leaves_alone_what_cannot_be_taken_back() {
        let text = format!("{}exceptions:\n  - {{codes: [REFUSED], then: cancel}}\n", all_steps());
        let (read, problems) = read(&text);
        assert_eq!(problems, []);
        for (step, then) in
            [("billing_schedule", Then::Cancel), ("change_schedule", Then::Wait), ("void_tax", Then::Wait)]
        {
            assert_eq!(read.plan(step, "REFUSED").map(|plan| plan.then), Some(then), "{step}");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = "version: 1\nsteps:\n  bake: {retry: [5m], then: wait}\n  void_tax: {retry: [0s, 5, 400d, 1.5h], then: cancel}\n  \
                    change_schedule: {retry: [], then: cancel}\n  commit_tax: {retry: [], then: perhaps}\nexceptions:\n  - {then: wait}\n";
        let (_, problems) = read(text);
        let told: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        for expected in [
            "steps.bake.step: `bake` is no step",
            "steps.void_tax.retry: `0s` is no wait",
            "steps.void_tax.retry[1]: must be a text that is not empty",
            "steps.void_tax.retry: `400d` is no wait",
            "steps.void_tax.retry: `1.5h` is no wait",
            "steps.void_tax.then: cannot be cancel: there is nothing to take back of the step",
            "steps.change_schedule.then: cannot be cancel: there is nothing to take back of the step",
            "steps.commit_tax.then: `perhaps` is no word for this",
            "steps.determine_tax: is missing",
            "exceptions[0].codes: is missing",
        ] {
            assert!(told.iter().any(|known| known == expected), "`{expected}` is not in {told:#?}");
        }
    }
}
