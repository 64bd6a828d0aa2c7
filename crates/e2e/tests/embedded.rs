//! The whole path on embedded parts.

use devstack::Kind;
use e2e::Bench;
use std::time::Duration;
use testkit::business::{Item, Options, stream};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_business_reaches_the_erp_exactly_once() {
    let bench = Bench::start(Kind::Embedded, 1, "embedded").await.expect("the stack starts");
    let mut records = Vec::new();
    for generated in stream(&Options::new(1, 50)).expect("good options") {
        if let Item::Event { envelope, event } = generated.item {
            records.push(bench.record(&envelope, &event));
        }
    }
    bench.publish(&records).await.expect("published");
    let report = bench.verified(PATIENCE).await.expect("verified");
    println!("{} records: {report:#?}", records.len());
    bench.stop().await.expect("stopped");
}
