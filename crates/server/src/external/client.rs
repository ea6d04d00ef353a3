//! The HTTP side of an external schema registry: the few calls of Confluent's API that are needed of it.
//!
//! A call waits for seconds at most, takes a bounded answer, follows no redirect and goes through no proxy. What is not an answer
//! of a schema registry (a page of a proxy, a wrong path) is one that is out of reach, never one that does not know an id.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::limits::{SCHEMA_BYTES_MAX, SCHEMA_VERSIONS_MAX};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use registry::{NewSchema, SchemaReference, language_name};
use rustls::crypto::ring;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::{Request, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

#[cfg(test)]
mod tests;

/// How long connecting may take, and an answer as a whole.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(3);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// The largest answer: a schema with every character escaped, or a list of subjects.
const ANSWER_BYTES_MAX: u64 = 6 * SCHEMA_BYTES_MAX as u64 + (1 << 20);
/// Subjects of the whole registry.
const SUBJECTS_MAX: usize = 20_000;
/// Of a message that is passed on.
const MESSAGE_CHARS_MAX: usize = 500;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An external registry, as it is called. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    /// Without a slash at the end.
    url: Arc<str>,
    authorization: Option<Arc<str>>,
}

/// Why a call has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// It may have one later: why, for a person.
    #[error("{0}")]
    Unavailable(String),
    /// The registry says that there is no such thing.
    #[error("there is no such thing")]
    Unknown,
    /// The registry does not take what was sent.
    #[error("{message}")]
    Refused { status: u16, message: String },
}

/// A version of a subject.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub id: u32,
    #[serde(default)]
    pub schema_type: Option<String>,
    pub schema: String,
    #[serde(default)]
    pub references: Option<Vec<SchemaReference>>,
    #[serde(default)]
    pub metadata: Option<Value>,
    #[serde(default)]
    pub rule_set: Option<Value>,
}

/// A place of a schema.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct SubjectVersion {
    pub subject: String,
    pub version: u32,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// A failure in the API's words.
#[derive(Deserialize)]
struct Told {
    error_code: i64,
    #[serde(default)]
    message: String,
}

impl Client {
    /// `credentials` are `USER:PASSWORD`, or a token. Reads the system's certificates if the URL is one of https.
    pub fn new(url: &str, credentials: Option<&str>) -> Self {
        Self::with_wait(url, credentials, ANSWER_WAIT_MAX)
    }

    fn with_wait(url: &str, credentials: Option<&str>, answer_wait_max: Duration) -> Self {
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
        if url.starts_with("https:") {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "certificates of the system could not be read");
            }
            let certificates: Vec<_> =
                found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
            tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates)));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT_MAX))
            .timeout_global(Some(answer_wait_max))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls.build())
            .proxy(None)
            .build();
        let authorization = credentials.map(|text| match text.contains(':') {
            true => format!("Basic {}", STANDARD.encode(text)).into(),
            false => format!("Bearer {text}").into(),
        });
        Self { agent: config.into(), url: url.trim_end_matches('/').into(), authorization }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All subjects of the registry.
    pub async fn subjects(&self) -> Result<Vec<String>, Failure> {
        let subjects: Vec<String> = self.get("/subjects".to_owned()).await?;
        bounded(subjects, SUBJECTS_MAX, "subjects")
    }

    /// The numbers of a subject's versions.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, Failure> {
        let versions: Vec<u32> = self.get(format!("/subjects/{}/versions", escape(subject))).await?;
        bounded(versions, SCHEMA_VERSIONS_MAX, "versions of a subject")
    }

    pub async fn version(&self, subject: &str, version: u32) -> Result<Version, Failure> {
        self.get(format!("/subjects/{}/versions/{version}", escape(subject))).await
    }

    /// Where the schema with the id is registered.
    pub async fn places(&self, id: u32) -> Result<Vec<SubjectVersion>, Failure> {
        let places: Vec<SubjectVersion> = self.get(format!("/schemas/ids/{id}/versions")).await?;
        bounded(places, SUBJECTS_MAX, "places of a schema")
    }

    /// Makes the schema a version of the subject, and gives back its id.
    pub async fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, Failure> {
        let mut body = json!({"schemaType": language_name(schema.language), "schema": schema.text});
        if !schema.references.is_empty() {
            body["references"] = json!(schema.references);
        }
        if let Some(metadata) = &schema.metadata {
            body["metadata"] = metadata.clone();
        }
        let path = format!("/subjects/{}/versions", escape(subject));
        let registered: Registered = self.call("POST", path, Some(body.to_string())).await?;
        Ok(registered.id)
    }

    async fn get<T: DeserializeOwned + Send + 'static>(&self, path: String) -> Result<T, Failure> {
        self.call("GET", path, None).await
    }

    /// On a thread that may wait.
    async fn call<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        path: String,
        body: Option<String>,
    ) -> Result<T, Failure> {
        let client = self.clone();
        let called = tokio::task::spawn_blocking(move || client.send(method, &path, body)).await;
        called.unwrap_or_else(|error| Err(Failure::Unavailable(format!("the call was cut off: {error}"))))
    }

    fn send<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<String>) -> Result<T, Failure> {
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.url)).header("accept", MEDIA_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", &**authorization);
        }
        let unformed =
            |error: ureq::http::Error| Failure::Unavailable(format!("the request cannot be formed: {error}"));
        let sent = match body {
            Some(body) => self.agent.run(request.header("content-type", MEDIA_TYPE).body(body).map_err(unformed)?),
            None => self.agent.run(request.body(()).map_err(unformed)?),
        };
        let mut response = sent.map_err(|error| Failure::Unavailable(error.to_string()))?;
        let status = response.status();
        let text = body_of(&mut response)?;
        if !status.is_success() {
            return Err(refusal(status, &text));
        }
        let other = |error| Failure::Unavailable(format!("it answers {path} with what no registry says: {error}"));
        serde_json::from_str(&text).map_err(other)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

fn body_of(response: &mut Response<Body>) -> Result<String, Failure> {
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => {
            Failure::Unavailable(format!("an answer has more than {ANSWER_BYTES_MAX} bytes"))
        }
        error => Failure::Unavailable(format!("an answer broke off: {error}")),
    })
}

/// What an answer means that is no success.
fn refusal(status: StatusCode, text: &str) -> Failure {
    let told: Option<Told> = serde_json::from_str(text).ok();
    let message = |told: &Told| told.message.chars().take(MESSAGE_CHARS_MAX).collect::<String>();
    let (status, told) = (status.as_u16(), told.as_ref());
    match (status, told) {
        (404, Some(told)) if (40401..=40403).contains(&told.error_code) => Failure::Unknown,
        (404, _) => Failure::Unavailable("there is no schema registry at this URL (404): check its path".to_owned()),
        (401 | 403, _) => Failure::Unavailable(format!("it does not take the credentials ({status})")),
        (300..=399, _) => Failure::Unavailable(format!(
            "it redirects ({status}), which is not followed: use the URL that it leads to"
        )),
        (400..=499, Some(told)) if status != 429 => Failure::Refused { status, message: message(told) },
        (_, Some(told)) => Failure::Unavailable(format!("it answers {status}: {}", message(told))),
        _ => Failure::Unavailable(format!("it answers {status}")),
    }
}

/// A subject as a part of a path.
fn escape(subject: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(subject, NON_ALPHANUMERIC)
}

fn bounded<T>(list: Vec<T>, max: usize, what: &str) -> Result<Vec<T>, Failure> {
    if list.len() <= max {
        return Ok(list);
    }
    Err(Failure::Unavailable(format!("it has {} {what}; more than {max} are not followed", list.len())))
}
