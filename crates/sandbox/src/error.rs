//! What can go wrong in starting and keeping a sandbox; wrong requests are answered, not errors.

use std::{io, net::SocketAddr, path::PathBuf};

/// The crate's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sandbox has no authentication of its own for `/__admin`, so it stays on loopback unless a token guards it.
    #[error("listen on {0}: the sandbox may leave loopback only with an admin token (--admin-token-file)")]
    NotLoopback(SocketAddr),
    #[error("listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("{operation} {}", path.display())]
    File { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("open {}: another sandbox is using this data folder", .0.display())]
    InUse(PathBuf),
    #[error("read line {line} of {}: {problem}; move the file away to start afresh", path.display())]
    Log { path: PathBuf, line: u64, problem: String },
    #[error("append to the log of changes")]
    Append(#[source] io::Error),
    #[error("the sandbox has been stopped")]
    Stopped,
    #[error("seed: {0}")]
    Seed(String),
    #[error("credentials: {0}")]
    Credentials(String),
}
