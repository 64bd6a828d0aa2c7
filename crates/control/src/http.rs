//! The server: one way in for every route. It finds out who asks, whether they may, and whether the input can be meant; only then
//! does a handler see the request.

use crate::{
    app::{App, Session, forbidden},
    error::{Error, Kind, Result},
    openapi, ops,
    params::{from_json, from_texts},
    routes::{Method, ROUTES, Route},
};
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{RawPathParams, Request, State},
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::{MethodRouter, get, post},
};
use serde_json::{Map, Value};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// The longest body that is read: a plan of a hundred thousand letters.
pub const MAX_BODY: usize = 64 << 20;

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// As a URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds and serves the API.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(bind: SocketAddr, app: Arc<App>) -> std::io::Result<Server> {
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    let router = router(app);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the API ended");
        }
    });
    Ok(Server { address, task })
}

fn router(app: Arc<App>) -> Router {
    let mut router = Router::new().route("/openapi.json", get(|| async { Json(openapi::document()) }));
    for route in ROUTES {
        router = router.route(route.path, method(route));
    }
    let nowhere = || async {
        let error = Error::not_found("there is no such path").hint("GET /openapi.json lists all");
        error.response(&request_id())
    };
    router.fallback(nowhere).with_state(app)
}

fn method(route: &'static Route) -> MethodRouter<Arc<App>> {
    let handler = move |State(app): State<Arc<App>>, path: RawPathParams, request: Request| async move {
        let id = request_id();
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut response = match answer(&app, route, path, request).await {
            Ok(value) => Json(value).into_response(),
            Err(error) => {
                tracing::info!(path = route.path, code = error.code, request_id = id, "refused a request");
                error.response(&id)
            }
        };
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", value);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    };
    match route.method {
        Method::Get => get(handler),
        Method::Post => post(handler),
    }
}

fn request_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

async fn answer(app: &App, route: &Route, path: Vec<(String, String)>, request: Request) -> Result<Value> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = app.auth.caller(authorization, app.now_ms()).await?;
    let what = format!("{:?} {}", route.method, request.uri().path());
    if !caller.may_somewhere(route.right) {
        app.refused(&caller, route.right, &what).await;
        return Err(forbidden(&caller, route.right, None));
    }
    let input = input(route, path, request).await?;
    let session = Session { app, caller, right: route.right, what };
    let mut value = ops::dispatch(&session, route.op, Value::Object(input)).await?;
    if let Value::Object(fields) = &mut value {
        fields.insert("v".to_owned(), Value::from(1));
    }
    Ok(value)
}

async fn input(route: &Route, path: Vec<(String, String)>, request: Request) -> Result<Map<String, Value>> {
    let params = route.all_params();
    if route.method == Method::Get {
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let query = url::form_urlencoded::parse(query).map(|(name, value)| (name.into_owned(), value.into_owned()));
        return from_texts(&params, path.into_iter().chain(query).collect());
    }
    let Value::Object(mut body) = body(request.into_body()).await? else {
        return Err(Error::invalid("the body is no JSON object"));
    };
    for (name, value) in path {
        body.insert(name, Value::String(value));
    }
    from_json(&params, Value::Object(body))
}

async fn body(body: Body) -> Result<Value> {
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| {
        Error::new(Kind::TooLarge, "BODY_TOO_LARGE", format!("the body is longer than {MAX_BODY} bytes, or broke off"))
    })?;
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::invalid(format!("the body is no JSON (line {}, column {})", error.line(), error.column()))
    })
}
