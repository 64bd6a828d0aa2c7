//! How Throughline is seen from outside: log lines, metrics under one list of names, W3C trace context.

pub mod failpoint;
mod json;
pub mod labels;
mod logging;
mod memory;
mod metrics;
pub mod names;
#[cfg(feature = "otlp")]
mod otlp;
mod trace;

pub use logging::{Error, Format, Guard, init};
pub use memory::resident_bytes;
pub use metrics::{Family, Histograms, Metrics};
pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
pub use trace::{TraceContext, adopt};
