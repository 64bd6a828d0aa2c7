//! A request and its answer without HTTP machinery, so that a call can be carried out now, later, or not at all.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header},
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A request, read completely.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    /// Path with its escapes decoded.
    pub path: String,
    /// Path segments, each decoded on its own: an external id may contain `/`.
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// Takes a request's head and body apart.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Call {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Call {
            method,
            path: decode(uri.path()),
            segments: uri.path().split('/').skip(1).map(decode).collect(),
            query: query.into_owned().collect(),
            headers,
            body,
        }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a `Prefer` header asks for `preference`.
    pub fn prefers(&self, preference: &str) -> bool {
        let values = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(preference))
    }

    /// Method and path with ids collapsed: the key under which requests are counted.
    pub fn route(&self) -> String {
        let mut route = format!("{} ", self.method);
        let after_type = self.segments.iter().position(|segment| segment == "record").map(|at| at + 3);
        for (index, segment) in self.segments.iter().enumerate() {
            let is_id = after_type == Some(index)
                || (self.segments.get(1).is_some_and(|second| second == "rest") && segment.parse::<u64>().is_ok());
            route.push('/');
            route.push_str(match segment {
                _ if is_id && segment.starts_with("eid:") => "eid:*",
                _ if is_id => "*",
                _ => segment,
            });
        }
        route
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A JSON answer of this content type.
    pub fn json(status: u16, content_type: &'static str, body: &Value) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_string().into() }
            .with(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// The same answer with one more header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Reply {
        self.headers.push((name, value));
        self
    }

    /// The same answer with a `Location`.
    pub fn located(self, location: &str) -> Reply {
        match HeaderValue::from_str(location) {
            Ok(value) => self.with(header::LOCATION, value),
            Err(_) => self,
        }
    }

    /// The value of the answer's `Location`.
    pub fn location(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == header::LOCATION).and_then(|(_, value)| value.to_str().ok())
    }

    /// The answer for the wire.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}
