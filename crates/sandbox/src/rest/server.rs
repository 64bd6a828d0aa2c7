//! Starting and stopping a stand-in.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    admin,
    app::{Api, App},
    config::Config,
    pipeline,
    store::State,
    token::Credentials,
};
use crate::{
    Error,
    connection::{Cut, CutListener},
    faults::Rule,
};

/// A running stand-in. Dropping it stops listening and closes its log; [`Sandbox::stop`] lets requests in progress finish first.
#[derive(Debug)]
pub struct Sandbox {
    /// The address it listens on.
    pub addr: SocketAddr,
    app: Arc<App>,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

/// How long [`Sandbox::stop`] waits for requests in progress.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Starts a stand-in; it serves when this returns.
///
/// # Errors
/// The address is not loopback and there is no admin token; the address or the data folder cannot be used.
pub async fn start(api: Api, config: Config) -> Result<Sandbox, Error> {
    let Config { listen, data, admin_token, settings } = config;
    if !listen.ip().is_loopback() && admin_token.is_none() {
        return Err(Error::NotLoopback(listen));
    }
    let state = State::open(data.as_deref())?;
    let credentials = match &data {
        Some(directory) => Credentials::in_directory(directory, api.name)?,
        None => Credentials::random(),
    };
    let failed = |source| Error::Listen { addr: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let app = Arc::new(App::new(api, format!("http://{addr}"), state, settings, credentials, admin_token));
    let router = Router::new()
        .nest("/__admin", admin::router(&app))
        .route("/livez", get(|| async { "ok" }))
        .fallback(pipeline::serve)
        .with_state(app.clone())
        .into_make_service_with_connect_info::<Cut>();
    let (shutdown, asked) = oneshot::channel::<()>();
    let serve = axum::serve(CutListener(listener), router).with_graceful_shutdown(async move {
        // A dropped sender asks as well.
        let _ = asked.await;
    });
    let server = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "a stand-in stopped serving");
        }
    });
    Ok(Sandbox { addr, app, shutdown: Some(shutdown), server })
}

impl Sandbox {
    /// `http://host:port`, without a slash at the end.
    pub fn url(&self) -> String {
        self.app.base_url.clone()
    }

    /// What a connector needs to sign in.
    pub fn credentials(&self) -> &Credentials {
        &self.app.credentials
    }

    /// Adds a fault rule, as `POST /__admin/faults` does; returns its id.
    ///
    /// # Errors
    /// What is wrong with the rule.
    pub fn add_fault(&self, rule: Rule) -> Result<String, String> {
        self.app.faults().add(rule)
    }

    /// Stops listening, lets requests in progress finish for up to two seconds, then closes the log.
    ///
    /// # Errors
    /// The log cannot be synced to the disk.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(shutdown) = self.shutdown.take() {
            // An error means that the server has ended by itself.
            let _ = shutdown.send(());
        }
        if tokio::time::timeout(STOP_WITHIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.app.state().close()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
        // Connections may outlive the server's task for a moment; they must not write to a folder that is free again.
        if let Err(error) = self.app.state().close() {
            tracing::error!(%error, "could not close the log of changes");
        }
    }
}
