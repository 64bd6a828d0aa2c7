//! What only a server can do: lose the connection in the middle.

use crate::builders::*;
use crate::server::{Server, fresh_schema};
use ledger::{CommitOutcome, Config, DocumentKey, Error, Ledger, LoadRequest, SliceCommit, open};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Passes connections on to the server, and cuts them once so many bytes have gone to it or when it answers a COMMIT.
struct Proxy {
    port: u16,
    budget: Arc<AtomicUsize>,
    loses_commits: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let budget = Arc::new(AtomicUsize::new(usize::MAX));
        let loses_commits = Arc::new(AtomicBool::new(false));
        let (left, loses) = (Arc::clone(&budget), Arc::clone(&loses_commits));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(Server::get().socket()).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&left), Arc::clone(&loses)));
            }
        });
        Self { port, budget, loses_commits, task }
    }

    fn cut_after(&self, bytes: usize) {
        self.budget.store(bytes, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, server: UnixStream, left: Arc<AtomicUsize>, loses_commits: Arc<AtomicBool>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Both directions end with the first of them, whatever is under way.
    tokio::select! {
        () = ask(from_client, to_server, left) => {}
        () = answer(from_server, to_client, loses_commits) => {}
    }
}

async fn ask(mut client: impl AsyncRead + Unpin, mut server: impl AsyncWrite + Unpin, left: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = client.read(&mut buffer).await {
        let allowed = left.load(Ordering::SeqCst);
        let pass = read.min(allowed);
        if allowed != usize::MAX {
            left.store(allowed - pass, Ordering::SeqCst);
        }
        if server.write_all(&buffer[..pass]).await.is_err() || pass < read {
            return;
        }
    }
}

async fn answer(mut server: impl AsyncRead + Unpin, mut client: impl AsyncWrite + Unpin, loses: Arc<AtomicBool>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut held = Vec::new();
    while let Ok(read @ 1..) = server.read(&mut buffer).await {
        held.extend_from_slice(&buffer[..read]);
        if loses.load(Ordering::SeqCst) {
            // Nothing is answered any more; the connection ends when the server has committed.
            if held.windows(7).any(|window| window == b"COMMIT\0") {
                return;
            }
        } else if client.write_all(&std::mem::take(&mut held)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_cut_anywhere_in_a_commit_leaves_all_or_nothing_and_a_repeat_heals() {
    let config = fresh_schema();
    let direct = open(&config).await.unwrap();
    let proxy = Proxy::start().await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port);
    let through = open(&Config { url, connections: 1, ..config.clone() }).await.unwrap();
    let epoch = through.take_over(0, "me").await.unwrap().epoch;
    through.commit(&[full(0, epoch, 1)]).await.unwrap();
    let mut cuts = 0;
    for (entry, bytes) in (2..).zip((0..6_000).step_by(97)) {
        let commit = full(0, epoch, entry);
        proxy.cut_after(bytes);
        let answer = through.commit(std::slice::from_ref(&commit)).await;
        proxy.cut_after(usize::MAX);
        match answer {
            Ok(outcome) => assert_eq!(outcome, [CommitOutcome::Committed]),
            Err(Error::Unavailable(_)) => cuts += 1,
            Err(error) => panic!("cut after {bytes} bytes: {error}"),
        }
        assert_whole_or_absent(&*direct, entry).await;
        assert_eq!(through.commit(std::slice::from_ref(&commit)).await.unwrap(), [CommitOutcome::Committed]);
        assert_eq!(direct.entries(0, entry, 9).await.unwrap().len(), 1);
        let key = ledger::DocumentKey::new("contract", "C-0");
        let request = ledger::LoadRequest { slice: 0, uids: Vec::new(), documents: vec![key.clone()] };
        assert_eq!(direct.load(&request).await.unwrap().documents[&key].version, entry);
    }
    assert!(cuts > 10, "only {cuts} commits were cut");
}

/// Every table tells the same story about an entry.
async fn assert_whole_or_absent(ledger: &dyn Ledger, entry: i64) {
    let status = ledger.slices().await.unwrap().remove(0);
    let is_there = status.next_entry == entry + 1;
    assert_eq!(ledger.entries(0, entry, 9).await.unwrap().len() == 1, is_there);
    assert_eq!(status.timers == entry, is_there);
    assert_eq!(status.intents.len() as i64 == entry, is_there);
    assert_eq!(ledger.sequences(None).await.unwrap().len() as i64 == entry, is_there);
    assert_eq!(hashes(ledger, &[untimed(entry as u64)]).await == [Some(2)], is_there);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_was_done_once() {
    let config = fresh_schema();
    let proxy = Proxy::start().await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port);
    let ledger = open(&Config { url, ..config }).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    ledger.take_over(1, "me").await.unwrap();
    ledger.commit(&[full(0, 1, 1)]).await.unwrap();
    let commit = full(0, 1, 2);
    proxy.loses_commits.store(true, Ordering::SeqCst);
    let error = ledger.commit(std::slice::from_ref(&commit)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    proxy.loses_commits.store(false, Ordering::SeqCst);
    let before = everything(&*ledger).await;
    assert_eq!(ledger.commit(std::slice::from_ref(&commit)).await.unwrap(), [CommitOutcome::Committed]);
    assert_eq!(everything(&*ledger).await, before);
    assert_eq!(ledger.entries(0, 2, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn connections_that_the_server_ends_are_replaced() {
    let config = fresh_schema();
    let ledger = open(&config).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    let (client, driver) = tokio_postgres::connect(&config.url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    for entry in 1..=4 {
        client.query(kill, &[&format!("throughline {}", config.schema)]).await.unwrap();
        // The call that meets the dead connection fails; the next one finds a new one.
        let mut tries = 0;
        while let Err(error) = ledger.commit(&[full(0, 1, entry)]).await {
            tries += 1;
            assert!(matches!(error, Error::Unavailable(_)) && tries < 5, "{error}");
        }
    }
    assert_eq!(ledger.entries(0, 1, 9).await.unwrap().len(), 4);
    driver.abort();
}

#[tokio::test]
async fn an_abandoned_call_leaves_a_ledger_that_works() {
    let ledger = open(&Config { connections: 1, ..fresh_schema() }).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    for entry in 1..=30 {
        let commit = [full(0, 1, entry)];
        let call = ledger.commit(&commit);
        // Dropped at another place each time: after some number of polls.
        let mut call = Box::pin(call);
        for _ in 0..entry % 6 {
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(ledger.commit(&commit).await.unwrap(), [CommitOutcome::Committed]);
    }
    assert_eq!(ledger.entries(0, 1, 99).await.unwrap().len(), 30);
}

#[tokio::test]
async fn somebody_who_reads_for_long_does_not_stop_commits_of_a_new_day() {
    let config = fresh_schema();
    let ledger = open(&config).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    let (reader, driver) = tokio_postgres::connect(&config.url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    let schema = &config.schema;
    reader.batch_execute(&format!("BEGIN; LOCK TABLE {schema}.journal IN ACCESS SHARE MODE")).await.unwrap();
    assert_eq!(ledger.commit(&[full(0, 1, 1)]).await.unwrap(), [CommitOutcome::Committed]);
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ledger.entries(0, 1, 9).await.unwrap().len(), 1);
    driver.abort();
}

/// The plan of a statement is made once, while its table is empty. It must not read whole tables when they have grown, or a service
/// becomes slower with every document until the server's statistics catch up.
#[tokio::test]
async fn documents_are_looked_up_by_index_though_the_plan_is_from_an_empty_table() {
    const ROWS: i64 = 3_000;
    const LOADS: i64 = 50;
    let config = fresh_schema();
    let ledger = open(&Config { connections: 1, ..config.clone() }).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    let wanted = |n: i64| LoadRequest {
        slice: 0,
        uids: vec![timed(TODAY, n as u64), untimed(n as u64)],
        documents: vec![DocumentKey::new("contract", format!("C-{n}"))],
    };
    ledger.load(&wanted(0)).await.unwrap();
    let documents = (0..ROWS).map(|n| document("contract", &format!("C-{n}"), Some("{}"))).collect();
    let identities = (0..ROWS as u64).flat_map(|n| [identity(timed(TODAY, n), 1), identity(untimed(n), 1)]).collect();
    let commit = SliceCommit { documents, identities, ..batch(0, 1, 1) };
    assert_eq!(ledger.commit(&[commit]).await.unwrap(), [CommitOutcome::Committed]);
    for n in 0..LOADS {
        let loaded = ledger.load(&wanted(n)).await.unwrap();
        assert_eq!((loaded.documents.len(), loaded.identities.len()), (1, 2));
    }
    let (client, driver) = tokio_postgres::connect(&config.url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    // The server counts with a delay: what has to come is waited for.
    let counts =
        "SELECT coalesce(sum(idx_scan), 0)::bigint, coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables
        WHERE schemaname = $1 AND (relname = 'document' OR relname LIKE 'identity%')";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let read_whole: i64 = loop {
        let row = client.query_one(counts, &[&config.schema]).await.unwrap();
        if row.get::<_, i64>(0) >= 3 * LOADS {
            break row.get(1);
        }
        assert!(std::time::Instant::now() < deadline, "{row:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(read_whole, 0, "rows read by going through whole tables");
    driver.abort();
}
