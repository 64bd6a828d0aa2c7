//! The page of a run: fault × invariant, with what was counted. Never green by omission: what was not run or not compared is said.

use crate::{
    cases::{Case, cases},
    elsewhere::{ELSEWHERE, NOT_SHOWN},
    outcome::{Outcome, State, Verdict},
};
use std::fmt::Write as _;

const INVARIANTS: [&str; 10] = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I11"];

/// The page of what the state file has.
#[must_use]
pub fn page(state: &State) -> String {
    let mut page = String::from(
        "# Chaos on real parts\n\n\
         Written by `make chaos`: Apache Kafka (KRaft; one broker, three in the cases `brokers-…`), PostgreSQL, the dev stack's registry, the stand-ins for ERP, CRM and platforms, and the services, each a process of \
         its own on one machine. Every case starts a stack of its own, publishes a business (with copies and disorder) while its fault goes on, and ends with \
         `verify`, the ERP's own effect log compared with what the business must come to (I11), and the history checker. \
         A case whose probes did not see what they must is void, never kept. [proof.md](proof.md) has the whole story.\n\n",
    );
    let outcomes: Vec<(&Case, Option<&Outcome>)> = cases().map(|case| (case, state.newest(case.name))).collect();
    summary(&mut page, &outcomes);
    matrix(&mut page, &outcomes);
    counts(&mut page, &outcomes);
    elsewhere(&mut page);
    not_covered(&mut page, &outcomes);
    page
}

fn summary(page: &mut String, outcomes: &[(&Case, Option<&Outcome>)]) {
    let run = || outcomes.iter().filter_map(|(_, outcome)| *outcome);
    let kept = run().filter(|one| one.verdict == Verdict::Kept).count();
    let broken = run().filter(|one| matches!(one.verdict, Verdict::Broken(_))).count();
    let void = run().filter(|one| matches!(one.verdict, Verdict::Void(_))).count();
    let sum = |of: fn(&Outcome) -> u64| run().map(of).sum::<u64>();
    let mut revisions: Vec<&str> = run().map(|one| one.revision.as_str()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    writeln!(
        page,
        "**{kept} cases kept every promise, {broken} broke one, {void} void, {} not run.** {} records, {} effects, {} processes killed, stopped or cut off; \
         {} minutes; code {}.\n",
        outcomes.len() - kept - broken - void,
        sum(|one| one.records),
        sum(|one| one.effects),
        sum(|one| one.faults),
        sum(|one| one.seconds) / 60,
        revisions.join(", ")
    )
    .ok();
}

fn matrix(page: &mut String, outcomes: &[(&Case, Option<&Outcome>)]) {
    writeln!(page, "## Fault × invariant\n\nThe number of things compared, by `verify` and the books; `–`: nothing was compared. I7: how often what a process held was looked at, none held more than its settings allow. F-numbers are those of the fault matrix.\n").ok();
    writeln!(page, "| case | fault | what | verdict | {} | history checker |", INVARIANTS.join(" | ")).ok();
    writeln!(page, "|---|---|---|---|{}---|", "---|".repeat(INVARIANTS.len())).ok();
    for (case, outcome) in outcomes {
        let Some(outcome) = outcome.filter(|one| !matches!(one.verdict, Verdict::NotRun(_))) else { continue };
        let verdict = match &outcome.verdict {
            Verdict::Kept => "kept".to_owned(),
            Verdict::Broken(why) => format!("**BROKEN** {}", short(why)),
            Verdict::Void(why) => format!("**void** {}", short(why)),
            Verdict::NotRun(_) => continue,
        };
        let number = |name: &str| match outcome.compared.get(name) {
            Some(count @ 1..) => count.to_string(),
            Some(0) | None => "–".to_owned(),
        };
        let cells: Vec<String> = INVARIANTS.iter().map(|name| number(name)).collect();
        let history = outcome.compared.iter().filter(|(name, count)| name.starts_with("history") && **count > 0);
        let history: Vec<&str> = history.filter_map(|(name, _)| name.strip_prefix("history ")).collect();
        let history = if history.is_empty() { "–".to_owned() } else { history.join(" ") };
        writeln!(
            page,
            "| {} | {} | {} | {verdict} | {} | {history} |",
            case.name,
            case.faults,
            case.what,
            cells.join(" | ")
        )
        .ok();
    }
}

fn counts(page: &mut String, outcomes: &[(&Case, Option<&Outcome>)]) {
    page.push_str(
        "\n## What was counted\n\nIn flight: records that services held when they were hit, by their own metric a moment before; at most so many were read again. Held: the most undecided records that any look saw in one process, of what its settings allow (I7). \
         Recovered: the longest time from a fault, or its end where it lasts, to the next committed journal entry; with a session timeout of 6 s in the classic group protocol. \
         Resident, files and connections to PostgreSQL: the most that one process of a service took, built without optimisation; transaction: the longest that one was seen open.\n\n\
         | case | seed | records | effects | faults | in flight | held | recovered | resident | files | connections | transaction | s | probes |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (case, outcome) in outcomes {
        let Some(one) = outcome.filter(|one| !matches!(one.verdict, Verdict::NotRun(_))) else { continue };
        let recovered = one.recovered_ms.map_or("–".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1_000.0));
        let probes: Vec<String> = one.probes.iter().map(|(probe, count)| format!("{probe} {count}")).collect();
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} of {} | {recovered} | {} MB | {} | {} | {} ms | {} | {} |",
            case.name,
            one.seed,
            one.records,
            one.effects,
            one.faults,
            one.in_flight,
            one.held,
            one.held_limit,
            one.resident >> 20,
            one.files,
            one.connections,
            one.transaction_ms,
            one.seconds,
            probes.join(", ")
        )
        .ok();
    }
}

fn elsewhere(page: &mut String) {
    page.push_str("\n## Faults that tests elsewhere make\n\n| fault | what | test |\n|---|---|---|\n");
    for one in ELSEWHERE {
        writeln!(page, "| {} | {} | `{}` in [{}](../{}) |", one.fault, one.what, one.test, one.file, one.file).ok();
    }
}

fn not_covered(page: &mut String, outcomes: &[(&Case, Option<&Outcome>)]) {
    page.push_str("\n## What is not covered\n\n| fault | what is not shown |\n|---|---|\n");
    for (fault, why) in NOT_SHOWN {
        writeln!(page, "| {fault} | {why} |").ok();
    }
    for (case, outcome) in outcomes {
        let why = match outcome.map(|one| &one.verdict) {
            None => "not run yet",
            Some(Verdict::NotRun(why)) => why,
            Some(_) => continue,
        };
        writeln!(page, "| {} | the case {}: {} |", case.faults, case.name, short(why)).ok();
    }
    page.push_str(
        "\nNothing here looks at I10 by reading everything again but the case `copies` (end-to-end tests do), nor at I12 or I14. The seed decides what is published and which choices are \
         made; the moment at which a process is hit is the machine's, so a seed repeats a case, not a schedule.\n",
    );
}

fn short(text: &str) -> String {
    let line: String = text.replace(['\n', '|'], " ");
    line.chars().take(200).collect()
}
