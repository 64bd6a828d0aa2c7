//! What every `main` shares: configuration, health, signals, HTTP, exit codes.
//!
//! ```no_run
//! use clap::Parser;
//!
//! fn main() -> std::process::ExitCode {
//!     service::run("erp-sync", &service::Args::parse(), |cx: service::Context<()>| async move {
//!         cx.health.started();
//!         cx.shutdown.draining().await;
//!         Ok(())
//!     })
//! }
//! ```

pub mod common;
pub mod config;
pub mod health;
pub mod http;
mod run;
pub mod shutdown;

pub use common::Common;
pub use config::{Bytes, Config, Section};
pub use health::Health;
pub use run::{Args, Context, Stop, Whole, install_tls, run};
pub use shutdown::{Phase, Shutdown, Trigger};

/// A service runs for months within a bound on its memory. The system's allocator keeps an arena for each thread, and records that
/// are made on one thread and dropped on another leave holes in all of them: half of a service's resident memory was such holes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
