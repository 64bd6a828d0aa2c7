//! Health and metrics over HTTP. The probes answer anybody, but without the token they say only codes; everything else
//! needs the token where one is set.

use crate::{
    common::Http,
    health::{Health, Reason},
};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use secrecy::{ExposeSecret, SecretString};
use std::{net::SocketAddr, sync::Arc};
use telemetry::Metrics;
use tokio::net::TcpListener;

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl HttpServer {
    /// The address it is bound to, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct App {
    health: Health,
    metrics: Arc<Metrics>,
    token: Option<Arc<SecretString>>,
}

/// Binds and serves `/livez`, `/readyz`, `/startupz`, `/metrics` and, behind the token, the routes of `extra`.
pub async fn serve(http: &Http, health: Health, metrics: Arc<Metrics>, extra: Router) -> std::io::Result<HttpServer> {
    let listener = TcpListener::bind(http.bind).await?;
    let address = listener.local_addr()?;
    let app = App { health, metrics, token: http.token.clone().map(Arc::new) };
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(app, extra)).await {
            tracing::error!(%error, "the health server ended");
        }
    });
    Ok(HttpServer { address, task })
}

fn router(app: App, extra: Router) -> Router {
    let guarded = Router::new().route("/metrics", get(metrics)).with_state(app.clone()).merge(extra);
    let guarded = guarded.route_layer(middleware::from_fn_with_state(app.clone(), guard));
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .with_state(app)
        .merge(guarded)
}

async fn livez(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.health.is_live() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the event loop does not tick\n")
    }
}

async fn startupz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.health.is_started() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
}

async fn readyz(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut readiness = app.health.readiness();
    if !app.allows(&headers) {
        readiness.reasons.iter_mut().for_each(|reason: &mut Reason| reason.detail.clear());
    }
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.encode()).into_response()
}

async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.allows(request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "send Authorization: Bearer <token>\n").into_response()
}

impl App {
    fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| same(given, token.expose_secret().as_bytes()))
    }
}

/// Compares without telling by its time where two secrets differ.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn start(token: Option<&str>) -> (HttpServer, Health) {
        let token = token.map(SecretString::from);
        let http = Http { bind: SocketAddr::from(([127, 0, 0, 1], 0)), token, stall: Duration::from_secs(30) };
        let health = Health::new(http.stall);
        let extra = Router::new().route("/extra", get(|| async { "more" }));
        let server = serve(&http, health.clone(), Arc::new(Metrics::new("test")), extra).await.unwrap();
        (server, health)
    }

    async fn ask(server: &HttpServer, path: &str, token: Option<&str>) -> (u16, String) {
        crate::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("{}{path}", server.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn probes_follow_the_health_of_the_service() {
        let (server, health) = start(None).await;
        assert_eq!(ask(&server, "/startupz", None).await.0, 503);
        let (status, body) = ask(&server, "/readyz", None).await;
        let starting = r#"{"code":"STARTING","detail":"the service is starting","severity":"blocking"}"#;
        assert_eq!((status, body), (503, format!(r#"{{"ready":false,"reasons":[{starting}]}}"#)));
        health.started();
        assert_eq!(ask(&server, "/readyz", None).await, (200, r#"{"ready":true,"reasons":[]}"#.to_owned()));
        assert_eq!(ask(&server, "/livez", None).await.0, 200);
        let (status, text) = ask(&server, "/metrics", None).await;
        assert_eq!(status, 200);
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }

    #[tokio::test]
    async fn with_a_token_only_the_probes_answer_strangers_and_they_say_no_details() {
        let (server, _health) = start(Some("s3cret")).await;
        for path in ["/metrics", "/extra"] {
            assert_eq!(ask(&server, path, None).await.0, 401, "{path}");
            assert_eq!(ask(&server, path, Some("wrong!")).await.0, 401, "{path}");
            assert_eq!(ask(&server, path, Some("s3cret")).await.0, 200, "{path}");
        }
        let (status, body) = ask(&server, "/readyz", None).await;
        assert_eq!(status, 503);
        assert!(body.contains("STARTING") && !body.contains("is starting"), "{body}");
        assert!(ask(&server, "/readyz", Some("s3cret")).await.1.contains("is starting"));
        assert_eq!(ask(&server, "/nowhere", None).await.0, 404);
    }
}
