//! What is asked: who asks, the path in parts, the query, the body.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use model::TenantId;
use model::limits::SCHEMA_BYTES_MAX;
use percent_encoding::percent_decode_str;
use registry::{Deleted, KeyAuth, NewSchema, Right, SchemaReference, VersionRef, language_from_name};
use serde::Deserialize;
use serde_json::Value;

use super::BASE;
use super::failure::Failure;
use crate::http::App;
use crate::http::body::media_type;

/// A text of the greatest size with every character escaped, and what comes with it.
const BODY_BYTES_MAX: usize = 6 * SCHEMA_BYTES_MAX + (256 << 10);
/// What a request's body may be called; some clients do not call it anything.
const BODY_TYPES: [&str; 5] = [
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
    "application/octet-stream",
    "",
];
/// The context that every schema is in, as subjects may spell it, and the wildcard.
const CONTEXTS: [&str; 2] = [":.:", ":*:"];

/// A call whose caller may make it.
pub struct Call {
    pub app: App,
    pub tenant: TenantId,
    pub method: Method,
    /// The path behind the base, decoded part by part.
    pub path: Vec<String>,
    query: Vec<(String, String)>,
    body: Bytes,
    /// The client takes what is newer than the first versions of the API.
    pub modern: bool,
}

/// A schema in a request. Names that are not here come from newer clients.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Sent {
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<SchemaReference>>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    rule_set: Option<Value>,
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    id: Option<i64>,
}

/// A schema that was sent.
pub struct SentSchema {
    pub new: NewSchema,
    /// What an importer asks for.
    pub id: Option<u32>,
    pub version: Option<u32>,
}

impl Call {
    /// Reads the request, once its credential allows it.
    pub async fn of(app: &App, request: Request) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let path = path_of(parts.uri.path())?;
        let key = credential(&parts.headers).ok_or_else(Failure::unauthorized)?;
        let key = app.registry.authenticate_key(&key).await?;
        if !may(&key, &parts.method, &path) {
            return Err(Failure::forbidden());
        }
        if let Some(external) = &app.external {
            return Err(Failure::elsewhere(external.url()));
        }
        let query = axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| query);
        if !BODY_TYPES.contains(&media_type(&parts.headers).as_str()) {
            return Err(Failure::new(415, "HTTP 415 Unsupported Media Type"));
        }
        let modern = parts.headers.get("confluent-accept-unknown-properties");
        Ok(Self {
            app: app.clone(),
            tenant: key.tenant,
            method: parts.method,
            path,
            query: query.unwrap_or_default(),
            body: read(body).await?,
            modern: modern.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")),
        })
    }

    /// The first value of a parameter that is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(field, value)| field == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// "true" in any capitals; anything else is false.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// `deleted` and `deletedOnly`. Python's client spells the second one differently.
    pub fn deleted(&self) -> Deleted {
        if self.flag("deletedOnly") || self.flag("deleted_only") {
            Deleted::Only
        } else if self.flag("deleted") {
            Deleted::With
        } else {
            Deleted::Without
        }
    }

    /// What subjects have to begin with. Python's client calls it `subject`.
    pub fn prefix(&self) -> &str {
        let prefix = self.text("subjectPrefix").or(self.text("subject")).unwrap_or_default();
        CONTEXTS.iter().find_map(|context| prefix.strip_prefix(context)).unwrap_or(prefix)
    }

    /// The rows that `offset` and `limit` ask for; without a limit above 0 all of them.
    pub fn page<T>(&self, rows: Vec<T>) -> Vec<T> {
        let number = |name: &str| self.text(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let limit = usize::try_from(number("limit")).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        rows.into_iter().skip(usize::try_from(number("offset")).unwrap_or(0)).take(limit).collect()
    }

    /// The form in which a text is to be shown.
    pub fn format(&self) -> &str {
        self.text("format").unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        if self.body.trim_ascii().is_empty() {
            return Err(Failure::new(422, "The request has no body"));
        }
        let value = serde_json::from_slice(&self.body)
            .map_err(|error| Failure::new(400, format!("The body is not valid JSON: {error}")))?;
        if value == Value::Null { Err(Failure::new(422, "The body must not be null")) } else { Ok(value) }
    }

    /// The body as a schema.
    pub fn schema(&self) -> Result<SentSchema, Failure> {
        let sent: Sent = serde_json::from_value(self.json()?)
            .map_err(|error| Failure::new(400, format!("The body does not fit: {error}")))?;
        let kind = sent.schema_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("AVRO");
        let language =
            language_from_name(kind).ok_or_else(|| Failure::new(42201, format!("Invalid schema type {kind}")))?;
        let text = sent.schema.unwrap_or_default();
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(Failure::too_large());
        }
        let positive = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok()).filter(|n| *n > 0);
        let new = NewSchema {
            references: sent.references.unwrap_or_default(),
            metadata: sent.metadata,
            rule_set: sent.rule_set,
            ..NewSchema::new(language, text)
        };
        Ok(SentSchema { new, id: positive(sent.id), version: positive(sent.version) })
    }
}

/// A version in a path.
pub fn version(text: &str) -> Result<VersionRef, Failure> {
    if text.eq_ignore_ascii_case("latest") || text == "-1" {
        return Ok(VersionRef::Latest);
    }
    let number = text.parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number));
    number.map(VersionRef::Number).ok_or_else(|| Failure::version_invalid(text))
}

/// An id in a path.
pub fn id(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::no_such_path())
}

/// The parts of a path, each decoded by itself; empty ones (a slash at the end) do not count.
fn path_of(path: &str) -> Result<Vec<String>, Failure> {
    let rest = path.strip_prefix(BASE).unwrap_or(path);
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().map(|part| part.into_owned());
    let parts = rest.split('/').filter(|part| !part.is_empty()).map(decoded);
    parts.collect::<Result<_, _>>().map_err(|_| Failure::no_such_path())
}

/// The API key of `Basic` (as the password) or `Bearer`.
fn credential(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

/// Looking up and testing read, though they are posted.
fn may(key: &KeyAuth, method: &Method, path: &[String]) -> bool {
    let reads = match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["subjects", _] | ["compatibility", ..] | [] if method == Method::POST => true,
        _ => method == Method::GET || method == Method::HEAD,
    };
    key.allows(Right::Schemas) || (reads && key.allows(Right::Query))
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::too_large()),
        Err(error) => Err(Failure::new(400, format!("The body could not be read: {error}"))),
    }
}
