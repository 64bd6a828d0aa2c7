//! A Confluent-compatible schema registry for development: Avro, in one process, with its memory in one file.
//!
//! A change is on disk before it is answered; a restart on the same folder continues with the same ids. The same
//! schema has the same id under every subject. Production points at any registry that speaks this API.

mod catalog;
mod compat;
mod error;
mod http;
mod level;
mod log;
mod state;
mod text;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use error::Error;
pub use level::{Level, Mode};

/// How a registry is to be run.
#[derive(Debug, Default)]
pub struct Config {
    /// Address to listen on; `None` is a free port on 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Folder for its log; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// User and password that callers must give.
    pub basic_auth: Option<(String, SecretString)>,
}

/// A registry that runs in this process. Dropping it stops it without waiting; [`Registry::stop`] waits.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Registry {
    /// Reads the log and listens. Requests are answered as soon as this returns.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let catalog = catalog::Catalog::open(config.data.as_deref())?;
        let listen = config.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let credentials = config.basic_auth.map(|(user, password)| digest(&user, &password));
        let shared = Arc::new(http::Shared { catalog: Mutex::new(catalog), credentials });
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, http::router(shared)).with_graceful_shutdown(async {
            // A dropped sender is a stop as well.
            let _ = stopped.await;
        });
        Ok(Self { address, stop: Some(stop), server: tokio::spawn(serve.into_future()) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients take as `schema.registry.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no new requests, answers those under way, and releases its folder.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        match self.server.await {
            Ok(result) => Ok(result?),
            Err(error) => Err(Error::Store(std::io::Error::other(error))),
        }
    }
}

fn digest(user: &str, password: &SecretString) -> [u8; 32] {
    let pair = format!("{user}:{}", password.expose_secret());
    Sha256::digest(format!("Basic {}", STANDARD.encode(pair))).into()
}
