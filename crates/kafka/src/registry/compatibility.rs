//! Whether a schema may be registered, with the registry's reasons; and the level that decides it.

use super::error::by_code;
use super::{Registry, RegistryError};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// The registry's verdict on a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    Compatible,
    /// Nothing to compare with: the subject has no versions.
    FirstVersion,
    /// In the registry's own words, which may be none.
    Incompatible(Vec<String>),
}

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

#[derive(Deserialize)]
struct Fault {
    error_code: u32,
    #[serde(default)]
    message: String,
}

enum Answer<T> {
    Yes(T),
    Fault { status: StatusCode, error: RegistryError },
}

impl Registry {
    /// Asks whether `schema` could be registered under `subject`, against all the versions that the subject's level names.
    pub async fn check_compatibility(&self, subject: &str, schema: &str) -> Result<Compatibility, RegistryError> {
        let body = json!({"schema": schema, "schemaType": "AVRO"});
        let all = format!("compatibility/subjects/{}/versions?verbose=true", escape(subject));
        let mut answer = self.call::<Verdict>(Method::POST, subject, &all, &body).await?;
        // Some registries compare with one version only.
        if let Answer::Fault { status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, error } = &answer
            && !matches!(error, RegistryError::NotFound { .. })
        {
            let latest = format!("compatibility/subjects/{}/versions/latest?verbose=true", escape(subject));
            answer = self.call::<Verdict>(Method::POST, subject, &latest, &body).await?;
        }
        match answer {
            Answer::Yes(verdict) if verdict.is_compatible => Ok(Compatibility::Compatible),
            Answer::Yes(verdict) => Ok(Compatibility::Incompatible(verdict.messages)),
            Answer::Fault { error: RegistryError::NotFound { .. }, .. } => Ok(Compatibility::FirstVersion),
            Answer::Fault { error, .. } => Err(error),
        }
    }

    /// Sets the compatibility level of a subject, such as `BACKWARD_TRANSITIVE`.
    pub async fn set_compatibility(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let path = format!("config/{}", escape(subject));
        let body = json!({"compatibility": level});
        match self.call::<serde_json::Value>(Method::PUT, subject, &path, &body).await? {
            Answer::Yes(_) => Ok(()),
            Answer::Fault { error, .. } => Err(error),
        }
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        subject: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Answer<T>, RegistryError> {
        let mut last = RegistryError::Unavailable("no URL".to_owned());
        for url in self.inner.config.urls() {
            match self.call_one(method.clone(), subject, &format!("{url}/{path}"), body).await {
                Err(error) => last = error,
                answered => return answered,
            }
        }
        Err(last)
    }

    async fn call_one<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        subject: &str,
        url: &str,
        body: &serde_json::Value,
    ) -> Result<Answer<T>, RegistryError> {
        let unavailable = |error: reqwest::Error| RegistryError::Unavailable(error.without_url().to_string());
        let response = self.inner.http.request(method, url).json(body).send().await.map_err(unavailable)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map(Answer::Yes).map_err(unavailable);
        }
        let fault: Option<Fault> = response.json().await.ok();
        let (code, message) = fault.map_or((u32::from(status.as_u16()), String::new()), |f| (f.error_code, f.message));
        Ok(Answer::Fault { status, error: by_code(subject, code, &message) })
    }
}

/// Subjects hold letters, digits, dots and dashes; what else there is must not become part of the path.
fn escape(subject: &str) -> String {
    url::form_urlencoded::byte_serialize(subject.as_bytes()).collect::<String>().replace('+', "%20")
}
