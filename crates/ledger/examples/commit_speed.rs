//! What a ledger takes: records a second of commits of 1 000 records, journal and position only, then with documents.
//!
//! `cargo run --release -p ledger --example commit_speed -- postgres://postgres@127.0.0.1:5432/postgres [ca.pem]`

use events::{PayloadHash, Uid};
use ledger::{
    Config, Disposition, DocumentChange, DocumentKey, Entry, EntryRecord, Ledger, Position, SliceCommit, open,
};
use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const RECORDS: i64 = 1_000;
const COMMITS: i64 = 300;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "memory:".into());
    let tls_ca_file = std::env::args().nth(2).map(Into::into);
    let ledger = open(&Config { tls_ca_file, ..Config::new(url, "commit_speed") }).await?;
    for documents in [0, 100, 1_000] {
        for slices in [1, 2, 4] {
            let start = Instant::now();
            futures::future::try_join_all((0..slices).map(|slice| run(&*ledger, slice, documents))).await?;
            let rate = (slices as i64 * COMMITS * RECORDS) as f64 / start.elapsed().as_secs_f64();
            println!("{documents:>5} documents a commit, {slices} slices at once: {rate:>10.0} records/s");
        }
    }
    Ok(())
}

async fn run(ledger: &dyn Ledger, slice: i32, documents: i64) -> ledger::Result<()> {
    let takeover = ledger.take_over(slice, "commit_speed").await?;
    for entry in takeover.next_entry..takeover.next_entry + COMMITS {
        let commit = SliceCommit {
            slice,
            epoch: takeover.epoch,
            entry,
            at_ms: now_ms(),
            body: body(entry),
            positions: vec![Position { topic: "t".into(), topic_id: None, next_offset: entry * RECORDS }],
            documents: (0..documents).map(|n| document(slice, n)).collect(),
            closed_entry: Some(entry),
            ..SliceCommit::default()
        };
        ledger.commit(&[commit]).await?;
    }
    Ok(())
}

fn body(entry: i64) -> Entry {
    let record = |n: i64| EntryRecord {
        topic: 0,
        offset: entry * RECORDS + n,
        uid: Some(Uid(((u128::from(entry as u64) << 64) + n as u128).to_be_bytes())),
        hash: PayloadHash(n),
        disposition: Disposition::Applied,
    };
    Entry { topics: vec!["t".into()], records: (0..RECORDS).map(record).collect(), ..Entry::default() }
}

fn document(slice: i32, n: i64) -> DocumentChange {
    DocumentChange {
        key: DocumentKey::new("contract", format!("{slice}-{n}")),
        status: "open".into(),
        account_id: format!("A-{n}"),
        body: Some(format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(250))),
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
