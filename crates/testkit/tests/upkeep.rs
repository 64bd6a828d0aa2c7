//! What a service does about its letters by itself: the caretaker beside the real machine, over a memory ledger. Time is an argument.

#[path = "jobs/rig.rs"]
mod rig;

use consumer::upkeep::{Auto, Policy, Upkeep};
use failure::Class;
use futures::executor::block_on;
use ledger::{
    Destination, ItemFilter, JobFilter, JobState, Ledger, LetterRule, NewAudit, Outlook, ParkedState, RuleAction, Verb,
    verify_audit,
};
use rig::{Rig, fact, poison};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000;

fn policy(default: Auto) -> Policy {
    Policy { default, special: BTreeMap::new(), every_ms: HOUR, sample: 2, rate: 1_000 }
}

fn upkeep(rig: &Rig, default: Auto) -> Upkeep {
    Upkeep::new(policy(default), 0, "build-1", rig.now())
}

/// Looks until nothing more comes of it: asks, hears, and lets the machine work off what was started.
fn look(rig: &mut Rig, upkeep: &mut Upkeep) {
    for _ in 0..4 {
        block_on(upkeep.tend(rig.ledger(), rig.now())).expect("memory");
        rig.settle();
    }
}

/// The next time that all causes are looked at.
fn later(rig: &mut Rig, upkeep: &mut Upkeep) {
    rig.wait(HOUR);
    look(rig, upkeep);
}

fn outlooks(rig: &Rig) -> Vec<Outlook> {
    block_on(rig.ledger().outlooks()).expect("memory")
}

fn jobs_by(rig: &Rig, who: &str) -> Vec<ledger::Job> {
    let filter = JobFilter { limit: 999, ..JobFilter::default() };
    let jobs = block_on(rig.ledger().jobs(&filter)).expect("memory");
    jobs.into_iter().filter(|job| job.spec.who == who && job.spec.verb != Verb::Predict).collect()
}

fn rule(id: &str, action: RuleAction, now: i64) -> LetterRule {
    LetterRule {
        id: id.into(),
        owner: "billing".into(),
        who: "ada".into(),
        reason: "known and harmless".into(),
        class: Some(Class::Contract),
        code: Some("FIELD_INVALID".into()),
        fingerprint: None,
        action,
        created_ms: now,
        ends_ms: now + 5 * HOUR,
    }
}

fn add(rig: &Rig, rule: &LetterRule) {
    let audit = NewAudit {
        at_ms: rig.now(),
        actor: "ada".into(),
        action: "rule.add".into(),
        subject: rule.id.clone(),
        reason: rule.reason.clone(),
        before: None,
        after: None,
    };
    block_on(rig.ledger().add_letter_rule(rule, &audit)).expect("a sound rule");
}

#[test]
fn what_would_end_now_is_proposed_and_nothing_is_changed() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("b", "b1", 666), poison("p")]);
    let mut upkeep = upkeep(&rig, Auto::Propose);
    look(&mut rig, &mut upkeep);
    assert!(outlooks(&rig).is_empty(), "the first look comes a moment after the take-over");
    let before = rig.everything();
    later(&mut rig, &mut upkeep);
    let said: Vec<_> = outlooks(&rig).iter().map(|one| (one.sampled, one.would_end, one.note.is_some())).collect();
    assert_eq!(said.len(), 2, "one for each cause");
    assert!(said.iter().all(|(sampled, would_end, has_note)| *sampled > 0 && *would_end == 0 && *has_note), "{said:?}");
    rig.mend();
    later(&mut rig, &mut upkeep);
    let gone: Vec<_> = outlooks(&rig).into_iter().filter(|one| one.would_end == one.sampled).collect();
    assert_eq!((gone.len(), gone[0].sampled, gone[0].build.as_str()), (1, 2, "build-1"));
    assert_eq!((rig.everything(), jobs_by(&rig, "auto").len()), (before, 0));
}

#[test]
fn where_policy_says_so_letters_of_a_cause_that_is_gone_are_retried_on_the_record() {
    let events = (0..20).map(|n| fact(&format!("k{n:02}"), &format!("k{n:02}"), 666)).chain([poison("p")]);
    let mut rig = Rig::new(events.collect());
    let mut upkeep = upkeep(&rig, Auto::Retry);
    later(&mut rig, &mut upkeep);
    assert_eq!(jobs_by(&rig, "auto").len(), 0, "the causes are there");
    rig.mend();
    rig.readable();
    later(&mut rig, &mut upkeep);
    rig.wait(HOUR / 2);
    assert_eq!(jobs_by(&rig, "auto").iter().map(|job| job.counts.done).sum::<u64>(), 21, "all, not only the sample");
    assert!((0..20).all(|n| rig.row(&format!("k{n:02}")).fate.state == ParkedState::Applied));
    assert_eq!(rig.taken("p"), ["poison-p"], "what became readable went on in its sequence");
    let audited = rig.audited();
    assert_eq!(audited.iter().filter(|(who, what, _)| who == "auto" && what == "job.retry").count(), 2);
    assert_eq!(verify_audit(&block_on(rig.ledger().audit(999)).expect("memory")), Ok(()));
    later(&mut rig, &mut upkeep);
    assert!(outlooks(&rig).is_empty(), "nothing is left to tell of");
}

#[test]
fn a_policy_for_one_code_leaves_the_others_alone_and_off_asks_nobody() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), poison("p")]);
    let special = BTreeMap::from([("poison".to_owned(), Auto::Retry)]);
    let mut upkeep = Upkeep::new(Policy { special, ..policy(Auto::Off) }, 0, "build-1", rig.now());
    rig.mend();
    rig.readable();
    later(&mut rig, &mut upkeep);
    rig.wait(1_000);
    assert_eq!(rig.fates()[0], "a1 letter");
    assert_eq!((rig.taken("p"), outlooks(&rig).len()), (vec!["poison-p".to_owned()], 1));
    let asked = rig.audited().len();
    let mut silent = Upkeep::new(policy(Auto::Off), 0, "build-1", rig.now());
    later(&mut rig, &mut silent);
    assert_eq!(rig.audited().len(), asked);
}

#[test]
fn a_new_owner_asks_again_because_it_may_be_another_build() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    let mut first = upkeep(&rig, Auto::Propose);
    later(&mut rig, &mut first);
    assert_eq!(outlooks(&rig)[0].would_end, 0);
    rig.mend();
    assert!(rig.take_over());
    let mut second = Upkeep::new(policy(Auto::Propose), 0, "build-2", rig.now());
    rig.wait(10_000);
    look(&mut rig, &mut second);
    let outlook = outlooks(&rig).remove(0);
    assert_eq!((outlook.would_end, outlook.build.as_str()), (1, "build-2"));
}

#[test]
fn letters_that_people_hold_are_left_to_them() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("b", "b1", 666)]);
    let held = rig.prepared(Verb::Discard, &["a1"]);
    let held = rig.create(held);
    let mut upkeep = upkeep(&rig, Auto::Retry);
    let audit = NewAudit {
        at_ms: rig.now(),
        actor: "ada".into(),
        action: "job.pause".into(),
        subject: held.clone(),
        reason: "wait".into(),
        before: None,
        after: None,
    };
    block_on(rig.ledger().set_job(&held, ledger::JobAction::Pause, &audit)).expect("paused");
    rig.mend();
    later(&mut rig, &mut upkeep);
    rig.wait(1_000);
    assert_eq!(rig.fates(), ["a1 letter", "b1 applied"]);
    assert_eq!(rig.state_of(&held).state, JobState::Paused);
}

#[test]
fn a_rule_retries_by_its_schedule_until_it_ends() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("b", "b1", 666)]);
    let mut upkeep = upkeep(&rig, Auto::Off);
    add(&rig, &rule("r1", RuleAction::Retry { every_ms: HOUR }, rig.now()));
    look(&mut rig, &mut upkeep);
    assert_eq!(jobs_by(&rig, "rule:r1").len(), 0, "what has just failed, fails");
    for hour in 1..=3 {
        later(&mut rig, &mut upkeep);
        assert_eq!(jobs_by(&rig, "rule:r1").len(), hour, "once an hour, however often it looks");
    }
    let attempts = rig.row("a1").fate.attempts;
    assert_eq!(attempts, 4, "the first one, and each hour");
    rig.wait(2 * HOUR);
    rig.mend();
    look(&mut rig, &mut upkeep);
    assert_eq!((rig.row("a1").fate.attempts, rig.fates()[0].as_str()), (4, "a1 letter"), "it has expired");
    assert_eq!(block_on(rig.ledger().letter_rules()).expect("memory").len(), 1, "and is still shown");
    let audited = rig.audited();
    assert_eq!(audited.iter().filter(|(who, what, _)| who == "rule:r1" && what == "job.retry").count(), 3);
}

#[test]
fn a_rule_fires_once_though_its_owner_changes() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    add(&rig, &rule("r1", RuleAction::Retry { every_ms: HOUR }, rig.now()));
    rig.wait(HOUR);
    for build in ["build-1", "build-2", "build-3"] {
        let mut upkeep = Upkeep::new(policy(Auto::Off), 0, build, rig.now());
        look(&mut rig, &mut upkeep);
    }
    assert_eq!((jobs_by(&rig, "rule:r1").len(), rig.row("a1").fate.attempts), (1, 2));
}

#[test]
fn a_rule_gives_up_what_it_selects_with_its_reason_and_nothing_else() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), poison("p")]);
    let mut upkeep = upkeep(&rig, Auto::Off);
    add(&rig, &rule("noise", RuleAction::Discard, rig.now()));
    rig.wait(60_000);
    look(&mut rig, &mut upkeep);
    assert_eq!(rig.fates(), ["a1 discarded", "a2 applied", "!0 letter"]);
    let job = jobs_by(&rig, "rule:noise").remove(0);
    assert_eq!(job.spec.reason, "known and harmless (rule of billing)");
    rig.publish(vec![fact("c", "c1", 666)]);
    rig.wait(60_000);
    look(&mut rig, &mut upkeep);
    assert_eq!(rig.row("c1").fate.state, ParkedState::Discarded, "also what came later");
    let items = block_on(rig.ledger().job_items(&job.id, &ItemFilter { limit: 9, ..ItemFilter::default() }));
    assert_eq!(items.expect("memory").len(), 1);
}

#[test]
fn a_rule_redirects_each_letter_once_in_the_commit_that_ends_it() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666), fact("a", "a2", 1), fact("b", "b1", 666)]);
    let to = Destination { topic: "elsewhere".into(), partitions: 4 };
    add(&rig, &rule("east", RuleAction::Redirect(to), rig.now()));
    rig.wait(60_000);
    for build in ["build-1", "build-2"] {
        let mut upkeep = Upkeep::new(policy(Auto::Off), 0, build, rig.now());
        look(&mut rig, &mut upkeep);
    }
    assert_eq!(rig.fates(), ["a1 moved", "a2 applied", "b1 moved"], "what was behind goes on");
    let copies = rig.put_on("elsewhere");
    let source = rig.row("a1");
    let copy = copies.iter().find(|copy| copy.key == source.key).expect("a copy");
    assert_eq!((copies.len(), &copy.value), (2, &source.value), "each once, whoever owns the slice");
    assert_eq!(copy.partition, events::partition::partition_for_key(b"a", 4), "where Java's clients put its key");
    assert_eq!(copy.headers.0[..source.headers.0.len()], source.headers.0[..], "I9");
    assert_eq!(copy.headers.text("dlq.moved.by"), Some("rule:east"));
    assert_eq!(copy.headers.text("dlq.moved.reason"), Some("known and harmless (rule of billing)"));
}

#[test]
fn a_rule_that_leads_back_to_where_letters_came_from_moves_none() {
    let mut rig = Rig::new(vec![fact("a", "a1", 666)]);
    let to = Destination { topic: rig.row("a1").topic, partitions: 1 };
    add(&rig, &rule("back", RuleAction::Redirect(to.clone()), rig.now()));
    rig.wait(60_000);
    let mut upkeep = upkeep(&rig, Auto::Off);
    look(&mut rig, &mut upkeep);
    assert_eq!((rig.fates(), rig.put_on(&to.topic).len()), (vec!["a1 letter".to_owned()], 0));
    let job = jobs_by(&rig, "rule:back").remove(0);
    assert_eq!((job.counts.refused, job.counts.done), (1, 0));
}
