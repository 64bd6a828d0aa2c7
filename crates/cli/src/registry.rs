//! The part of Confluent's schema registry API that people need: list, look up, check, register. Decoding in services goes
//! through the cached client of crate `kafka`; here every answer is asked for anew.

use crate::{
    exit::{Result, Trouble},
    stack,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use events::topics::{SUBJECTS, Subject};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
pub(crate) struct Registry {
    client: reqwest::Client,
    base: String,
}

/// What the registry says of one of our schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Registered {
    pub(crate) id: u32,
    pub(crate) version: u32,
}

/// Whether a schema may follow those that are registered, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Compatibility {
    pub(crate) is_compatible: bool,
    #[serde(default)]
    pub(crate) messages: Vec<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error_code: u32,
    message: String,
}

/// "Subject not found", "version not found" and "schema not found" of the API.
const ABSENT: [u32; 3] = [40401, 40402, 40403];

impl Registry {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let client = stack::http(authorization().as_deref())?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned() })
    }

    pub(crate) async fn subjects(&self) -> Result<Vec<String>> {
        self.call(self.client.get(self.url("subjects"))).await?.ok_or_else(|| self.odd("subjects: 404"))
    }

    /// The id and version of exactly this schema under its subject; `None` if it is not registered there.
    pub(crate) async fn look_up(&self, subject: &Subject) -> Result<Option<Registered>> {
        let request = self.client.post(self.url(&format!("subjects/{}", subject.subject)));
        self.call(request.json(&schema_body(subject))).await
    }

    /// Newest version of a subject, whatever schema it holds.
    pub(crate) async fn latest(&self, subject: &str) -> Result<Option<Registered>> {
        self.call(self.client.get(self.url(&format!("subjects/{subject}/versions/latest")))).await
    }

    /// Registers a schema; the same one again is answered with its id.
    pub(crate) async fn register(&self, subject: &Subject) -> Result<u32> {
        #[derive(Deserialize)]
        struct Id {
            id: u32,
        }
        let request = self.client.post(self.url(&format!("subjects/{}/versions", subject.subject)));
        let id: Option<Id> = self.call(request.json(&schema_body(subject))).await?;
        id.map(|id| id.id).ok_or_else(|| self.odd("registering was answered with 404"))
    }

    /// Holds our schema against all registered versions; a subject that is new has nothing to disagree.
    pub(crate) async fn check(&self, subject: &Subject) -> Result<Compatibility> {
        let url = self.url(&format!("compatibility/subjects/{}/versions?verbose=true", subject.subject));
        let answer = self.call(self.client.post(url).json(&schema_body(subject))).await?;
        Ok(answer.unwrap_or(Compatibility { is_compatible: true, messages: Vec::new() }))
    }

    /// Sets the compatibility level of a subject.
    pub(crate) async fn set_level(&self, subject: &Subject) -> Result<()> {
        let request = self.client.put(self.url(&format!("config/{}", subject.subject)));
        let _: Option<Value> =
            self.call(request.json(&json!({ "compatibility": subject.kind.compatibility() }))).await?;
        Ok(())
    }

    /// The difference of the registry's clock to ours in seconds, as far as its answer tells.
    pub(crate) async fn clock_skew(&self, now: jiff::Timestamp) -> Result<Option<i64>> {
        let answer = self.client.get(self.url("subjects")).send().await.map_err(|error| self.silent(&error))?;
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        Ok(date.map(|date| date.timestamp().as_second() - now.as_second()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    async fn call<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<Option<T>> {
        let answer = request.send().await.map_err(|error| self.silent(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.silent(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map(Some).map_err(|error| self.odd(&error.to_string()));
        }
        let said = serde_json::from_slice::<ErrorBody>(&body).ok();
        if said.as_ref().is_some_and(|said| ABSENT.contains(&said.error_code)) {
            return Ok(None);
        }
        let reason =
            said.map_or_else(|| format!("HTTP {status}"), |said| format!("{} ({})", said.message, said.error_code));
        let message = format!("schema registry at {}: {reason}", self.base);
        Err(match status.as_u16() {
            401 | 403 => Trouble::failed("REGISTRY_DENIED", message).hint("check the credentials of the registry"),
            409 => Trouble::failed("SCHEMA_INCOMPATIBLE", message).hint("throughline schemas check shows the reasons"),
            429 | 500.. => Trouble::unavailable("REGISTRY_UNAVAILABLE", message).hint("try again later"),
            _ => Trouble::failed("REGISTRY_REFUSED", message),
        })
    }

    fn silent(&self, error: &reqwest::Error) -> Trouble {
        let reason = if error.is_timeout() { "no answer in time" } else { "cannot be reached" };
        let message = format!("schema registry at {}: {reason}", self.base);
        Trouble::unavailable("REGISTRY_UNAVAILABLE", message)
            .hint("is it up, and is the URL right? try `throughline doctor`")
    }

    fn odd(&self, what: &str) -> Trouble {
        let message = format!("{} answers, but not like a schema registry: {what}", self.base);
        Trouble::failed("REGISTRY_ODD", message).hint("check the URL")
    }
}

/// Credentials come from the environment: `THROUGHLINE_REGISTRY_TOKEN`, or `THROUGHLINE_REGISTRY_BASIC` as `user:password`.
fn authorization() -> Option<String> {
    let given = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let token = given("THROUGHLINE_REGISTRY_TOKEN").map(|token| format!("Bearer {token}"));
    token.or_else(|| given("THROUGHLINE_REGISTRY_BASIC").map(|pair| format!("Basic {}", STANDARD.encode(pair))))
}

fn schema_body(subject: &Subject) -> Value {
    json!({ "schema": subject.schema, "schemaType": "AVRO" })
}

/// The subjects asked for by topic or subject name; all if none is named.
pub(crate) fn subjects(named: &[String]) -> Result<Vec<&'static Subject>> {
    if named.is_empty() {
        return Ok(SUBJECTS.iter().collect());
    }
    let find = |name: &String| {
        let known = SUBJECTS.iter().find(|subject| subject.topic == name || subject.subject == name);
        known.ok_or_else(|| {
            let topics: Vec<_> = SUBJECTS.iter().map(|subject| subject.topic).collect();
            Trouble::usage(format!("there is no topic `{name}`")).hint(format!("topics: {}", topics.join(", ")))
        })
    };
    named.iter().map(find).collect()
}
