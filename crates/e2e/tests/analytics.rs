//! The real invoices of the repository on their way to data teams: published twice, the service killed again and again, and still each
//! line is there once, to the penny.

use devstack::Kind;
use e2e::Bench;
use events::{
    Dataset, EventSet, WriterSchema,
    common::{DocumentKind, LineKind},
    topics::ANALYTICS_INVOICE_LINE,
};
use kafka::{Admin, Outgoing, drain::Drain};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use testkit::{
    eventually, retail,
    scratch::{online_retail_file, online_retail_slice},
};

const PATIENCE: Duration = Duration::from_secs(300);
const FEED: &str = "analytics-feed";

/// A file of real invoices, with what its rows must come to: lines and gross amount of invoices and of credit notes.
struct Invoices {
    file: PathBuf,
    invoiced: (u64, i64),
    credited: (u64, i64),
}

impl Invoices {
    /// The slice in the repository; its figures are pinned in tests/data/README.md.
    fn slice() -> Self {
        Self { file: online_retail_slice(), invoiced: (6_945, 14_908_389), credited: (514, -1_195_218) }
    }

    /// The whole file, where this machine has it; its figures are pinned in the tests of `retail`.
    fn whole() -> Option<Self> {
        let file = online_retail_file()?;
        Some(Self { file, invoiced: (240_273, 482_646_649), credited: (4_494, -42_851_573) })
    }

    fn lines(&self) -> i64 {
        i64::try_from(self.invoiced.0 + self.credited.0).expect("few enough")
    }

    /// What an importer can read of it: rows that are no sale and no return are refused before they become events.
    fn records(&self, bench: &Bench) -> Vec<Outgoing> {
        let events = retail::Events::open(&self.file).expect("a file of invoices");
        let events = events.filter_map(|event| event.expect("readable").ok());
        events.map(|(envelope, event)| bench.record(&envelope, &event)).collect()
    }
}

/// Records in the topic so far, repeated ones too.
async fn published(bench: &Bench) -> i64 {
    let admin = Admin::connect(bench.kafka()).expect("a broker");
    let mut count = 0;
    for partition in 0..admin.partitions(ANALYTICS_INVOICE_LINE).await.expect("a topic") {
        let (start, end) = admin.watermarks(ANALYTICS_INVOICE_LINE, partition).await.expect("watermarks");
        count += end - start;
    }
    count
}

async fn until_published(bench: &Bench, least: i64) {
    let enough = async || match published(bench).await {
        count if count >= least => Ok(()),
        count => Err(format!("{count} rows")),
    };
    eventually(&format!("{least} rows"), PATIENCE, enough).await.expect("the work goes on");
}

/// Rows and their gross amounts by kind of document; what came again after a crash counts once.
async fn told(bench: &Bench) -> BTreeMap<DocumentKind, (u64, i64)> {
    let records = Drain::new(bench.kafka().clone(), PATIENCE).collect(ANALYTICS_INVOICE_LINE).await.expect("read");
    let schema = WriterSchema::own(ANALYTICS_INVOICE_LINE).expect("ours");
    let mut rows = BTreeMap::new();
    for record in records {
        let value = record.value.expect("a fact has a value");
        let row = Dataset::decode_avro(ANALYTICS_INVOICE_LINE, &schema, &value[5..]).expect("readable");
        let Dataset::AnalyticsInvoiceLine(row) = row else { panic!("a row of an invoice") };
        let again = rows.insert(row.event_id.clone(), row.clone());
        assert!(again.is_none_or(|again| again == row), "an id stands for one row");
    }
    let mut sums: BTreeMap<DocumentKind, (u64, i64)> = BTreeMap::new();
    for row in rows.values() {
        assert_eq!((row.line_kind, row.currency.as_str()), (LineKind::Line, "GBP"));
        let sum = sums.entry(row.document_kind).or_default();
        *sum = (sum.0 + 1, sum.1 + row.gross_minor);
    }
    sums
}

async fn add_up_after_kills(kind: Kind, name: &str, invoices: &Invoices) {
    let bench = Bench::start_with(kind, &[(FEED, 1)], name, |config| config).await.expect("the stack starts");
    let records = invoices.records(&bench);
    let expected =
        BTreeMap::from([(DocumentKind::Invoice, invoices.invoiced), (DocumentKind::CreditNote, invoices.credited)]);
    for round in 0..2 {
        let kill_amid_work = async {
            for part in 1..=3 {
                if round == 0 {
                    until_published(&bench, invoices.lines() * part / 4).await;
                }
                bench.stack.kill(FEED).await.expect("it can be killed");
            }
        };
        let publish = async {
            for chunk in records.chunks(40) {
                bench.publish(chunk).await.expect("published");
            }
        };
        tokio::join!(publish, kill_amid_work);
        let report = bench.verified_of(FEED, PATIENCE).await.expect("verified");
        let sums = report.checks.iter().find(|check| check.id == "I4").expect("checked");
        println!("round {round}: {} rows in the topic, {}", published(&bench).await, sums.detail);
        assert_eq!(told(&bench).await, expected, "round {round}");
    }
    bench.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_invoices_published_twice_with_kills_reach_analytics_once() {
    add_up_after_kills(Kind::Embedded, "feed-embedded", &Invoices::slice()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_invoices_published_twice_with_kills_reach_analytics_once_on_real_parts() {
    add_up_after_kills(Kind::Real, "feed-real", &Invoices::slice()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_file_of_real_invoices_published_twice_with_kills_reaches_analytics_once() {
    match Invoices::whole() {
        Some(invoices) => add_up_after_kills(Kind::Real, "feed-whole", &invoices).await,
        None => println!("the whole file is not on this machine: only its slice is tested"),
    }
}
