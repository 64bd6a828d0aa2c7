//! A process that is killed without warning, between any two statements, leaves whole entries only.

use crate::builders::*;
use crate::stage::Stage;
use ledger::{CommitOutcome, Config, Ledger, open};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const URL: &str = "LEDGER_TEST_CHILD_URL";
const SCHEMA: &str = "LEDGER_TEST_CHILD_SCHEMA";

/// What the killed process runs: it commits and says so, for ever. Without an address it is no test of its own.
#[tokio::test]
async fn child() {
    let (Ok(url), Ok(schema)) = (std::env::var(URL), std::env::var(SCHEMA)) else { return };
    let ledger = open(&Config::new(url, schema)).await.unwrap();
    let takeover = ledger.take_over(0, "child").await.unwrap();
    for entry in takeover.next_entry.. {
        let outcome = ledger.commit(&[full(0, takeover.epoch, entry)]).await.unwrap();
        assert_eq!(outcome, [CommitOutcome::Committed]);
        println!("committed {entry}");
    }
}

async fn kill_again_and_again(stage: Stage) {
    let ledger = stage.ledger().await;
    let mut last_told = 0;
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child", "--nocapture"])
            .envs([(URL, &stage.config().url), (SCHEMA, &stage.config().schema)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| line.split_once("committed ")?.1.parse::<i64>().ok());
        last_told = told.take(round * 3).last().unwrap_or(last_told);
        child.kill().unwrap();
        child.wait().unwrap();
        // A server may still be finishing what the dead process sent; the take-over waits for it.
        let takeover = ledger.take_over(0, "parent").await.unwrap();
        assert!(takeover.next_entry > last_told, "an answered commit is lost");
        assert_whole(&*ledger, takeover.next_entry - 1).await;
    }
}

/// Each table holds what exactly this many full commits of slice 0 leave.
async fn assert_whole(ledger: &dyn Ledger, entries: i64) {
    let status = ledger.slices().await.unwrap().remove(0);
    assert_eq!(ledger.entries(0, 0, 100_000).await.unwrap().len() as i64, entries);
    assert_eq!((status.timers, status.intents.len() as i64), (entries, entries));
    assert_eq!(status.positions, [position("contract.activated.v1", entries * 100 + 8)]);
    assert_eq!(ledger.sequences(None).await.unwrap().len() as i64, entries);
    let uids: Vec<_> = (1..=entries + 1).map(|entry| untimed(entry as u64)).collect();
    assert_eq!(hashes(ledger, &uids).await.iter().flatten().count() as i64, entries);
}

#[tokio::test]
async fn a_killed_process_leaves_whole_entries_in_sqlite() {
    kill_again_and_again(Stage::sqlite()).await;
}

#[tokio::test]
async fn a_killed_process_leaves_whole_entries_in_postgres() {
    kill_again_and_again(Stage::postgres()).await;
}
