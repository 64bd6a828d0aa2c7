//! One HTTP client for all vendors: bounded in time and bytes, and honest about whether a request left this process.

use reqwest::{Client, RequestBuilder, StatusCode, header, redirect};
use std::{error::Error as _, time::Duration};
use url::{Host, Url};

/// Bounds of every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub connect_timeout: Duration,
    /// From sending to the last byte of the answer. Shorter makes more outcomes unknown, longer holds a sequence up.
    pub request_timeout: Duration,
    /// Longer answers count as unreadable.
    pub max_response_bytes: usize,
    /// Rows of one page of a query. NetSuite gives at most 1 000.
    pub page_rows: usize,
    /// Rows of a query in all pages, beyond which NetSuite gives none: 100 000.
    pub query_rows: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            max_response_bytes: 4 << 20,
            page_rows: 1_000,
            query_rows: 100_000,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    max_response_bytes: usize,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body came whole and within the bound.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why nothing came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection: the request certainly was not sent.
    NotSent(String),
    /// Sent, or perhaps sent.
    Lost(String),
}

impl Http {
    pub(crate) fn try_new(bounds: Bounds) -> Result<Self, String> {
        // Installing fails only if a provider is there already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(bounds.connect_timeout)
            .timeout(bounds.request_timeout)
            // A redirected POST would be repeated elsewhere, credentials and all.
            .redirect(redirect::Policy::none())
            // A repeated write is for those who know what it does.
            .retry(reqwest::retry::never())
            .user_agent(concat!("throughline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("HTTP client: {}", cause(error)))?;
        Ok(Self { client, max_response_bytes: bounds.max_response_bytes })
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let response = request.send().await.map_err(|error| {
            let never_sent = error.is_connect() || error.is_builder();
            let reason = if error.is_timeout() && !never_sent { "no answer in time".into() } else { cause(error) };
            if never_sent { NoAnswer::NotSent(reason) } else { NoAnswer::Lost(reason) }
        })?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answer = Answer {
            status: response.status(),
            location: text(header::LOCATION).map(str::to_owned),
            retry_after: text(header::RETRY_AFTER).and_then(|wait| wait.parse().ok()).map(Duration::from_secs),
            headers: response.headers().clone(),
            body: Vec::new(),
            is_whole: false,
        };
        answer.is_whole = self.read_body(response, &mut answer.body).await;
        Ok(answer)
    }

    /// Whether the body was read to its end.
    async fn read_body(&self, mut response: reqwest::Response, body: &mut Vec<u8>) -> bool {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= self.max_response_bytes => {
                    body.extend_from_slice(&chunk)
                }
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }
}

/// Whether credentials may go to this address: TLS, or this machine, or somebody said so.
pub(crate) fn check_address(url: &Url, allow_plain_http: bool) -> Result<(), String> {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" if url.host().is_some() => Ok(()),
        "http" if is_loopback || allow_plain_http => Ok(()),
        "http" => Err(format!(
            "{url}: plain http carries credentials in the clear; use https, or allow it in the configuration"
        )),
        scheme => Err(format!("{url}: `{scheme}` is not an address of an API; use https://host")),
    }
}

/// The innermost reason, without the address (which may hold ids).
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.to_string() {
        reason if error.source().is_none() => reason,
        reason => crate::text::shown(&reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_needs_loopback_or_permission() {
        let check = |url: &str, allowed| check_address(&Url::parse(url).expect("a URL"), allowed);
        assert!(check("https://1234567.suitetalk.api.netsuite.com", false).is_ok());
        assert!(check("http://127.0.0.1:8080", false).is_ok());
        assert!(check("http://[::1]:8080", false).is_ok());
        assert!(check("http://erp.example:8080", true).is_ok());
        assert!(check("http://erp.example:8080", false).is_err_and(|reason| reason.contains("use https")));
        assert!(check("ftp://erp.example", true).is_err());
    }

    #[tokio::test]
    async fn a_refused_connection_is_known_not_to_be_sent() {
        let http = Http::try_new(Bounds::default()).expect("a client");
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        let sent = http.send(http.client().get(format!("http://{free}/"))).await;
        assert!(matches!(sent, Err(NoAnswer::NotSent(_))), "{sent:?}");
    }
}
