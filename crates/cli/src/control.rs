//! The client of control's API. What it answers is shown; what it refuses becomes an exit code.

use crate::{
    exit::{Exit, Result, Trouble},
    stack::DEFAULT_DATA,
};
use clap::Args;
use devstack::Endpoints;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};
use std::{path::PathBuf, time::Duration};

/// Options of every command that speaks to control.
#[derive(Debug, Clone, Args)]
pub(crate) struct ControlArgs {
    /// URL of control; of the stack in --data if absent
    #[arg(long, value_name = "URL", env = "THROUGHLINE_CONTROL")]
    control: Option<String>,
    /// File whose first word is the bearer token; of the stack in --data if absent
    #[arg(long, value_name = "FILE", env = "THROUGHLINE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Folder of a stack that `throughline up` or `throughline demo` started
    #[arg(long, value_name = "DIR", env = "THROUGHLINE_DATA")]
    data: Option<PathBuf>,
}

/// A connection, with the caller's token.
pub(crate) struct Control {
    url: String,
    token: String,
    http: reqwest::Client,
}

/// Planning asks the service for predictions, which takes a while.
const PATIENCE: Duration = Duration::from_secs(330);

impl ControlArgs {
    pub(crate) fn connect(&self) -> Result<Control> {
        let known = self.of_stack()?;
        let url = self.control.clone().or_else(|| known.as_ref().map(|(url, _)| url.clone()));
        let file = self.token_file.clone().or_else(|| known.map(|(_, file)| file));
        let hint = "name it with --control and --token-file, or a stack's folder with --data";
        let url = url.ok_or_else(|| Trouble::failed("NO_CONTROL", "no control is known here").hint(hint))?;
        let file = file.ok_or_else(|| Trouble::failed("NO_TOKEN", "no token is known here").hint(hint))?;
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Trouble::failed("NO_TOKEN", format!("{}: {error}", file.display())))?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let token = lines.flat_map(str::split_whitespace).next().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(Trouble::failed("NO_TOKEN", format!("{} holds no token", file.display())));
        }
        // On one machine no proxy stands between; elsewhere the caller's settings hold.
        let http = reqwest::Client::builder().timeout(PATIENCE);
        let http = if url.starts_with("http://127.0.0.1") { http.no_proxy() } else { http };
        let http = http.build().map_err(|error| Trouble::failed("HTTP", error.to_string()))?;
        Ok(Control { url: url.trim_end_matches('/').to_owned(), token, http })
    }

    fn of_stack(&self) -> Result<Option<(String, PathBuf)>> {
        let folder = self.data.clone().or_else(|| Some(PathBuf::from(DEFAULT_DATA)).filter(|folder| folder.is_dir()));
        let Some(folder) = folder.filter(|_| self.control.is_none() || self.token_file.is_none()) else {
            return Ok(None);
        };
        let found = Endpoints::read(&folder).map_err(|error| {
            Trouble::failed("NO_STACK", error.to_string())
                .hint("start one: throughline up --detach, or throughline demo")
        })?;
        Ok(found.control.map(|control| (control.url, control.token_file)))
    }
}

impl Control {
    pub(crate) async fn get(&self, path: &str, query: &[(String, String)]) -> Result<Value> {
        let url = url::Url::parse(&format!("{}{path}", self.url));
        let mut url = url.map_err(|error| Trouble::usage(format!("{}: {error}", self.url)))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Map<String, Value>) -> Result<Value> {
        let request = self.http.request(Method::POST, format!("{}{path}", self.url));
        self.send(request.json(&body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let silent = |error: reqwest::Error| {
            Trouble::unavailable(
                "CONTROL_UNAVAILABLE",
                format!("{} does not answer: {}", self.url, error.without_url()),
            )
            .hint("is it running? `throughline up --detach` and `throughline demo` start it")
        };
        let answer = request.bearer_auth(&self.token).send().await.map_err(silent)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(silent)?;
        if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
    }
}

fn refusal(status: StatusCode, body: &Value) -> Trouble {
    let error = &body["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let exit = match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Exit::Usage,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Denied,
        StatusCode::CONFLICT => Exit::Stale,
        StatusCode::UNPROCESSABLE_ENTITY => Exit::Refused,
        _ => Exit::Failed,
    };
    let retryable = error["retryable"].as_bool().unwrap_or(false);
    Trouble { code: text("code"), message: text("message"), hint: text("hint"), retryable, exit }
}

/// One part of a path: an id may hold slashes.
pub(crate) fn part(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
