//! What calls are answered with.

mod compatibility;
mod schemas;
mod settings;
mod subjects;

use registry::LANGUAGES;
use serde_json::{Value, json};

use super::call::Call;
use super::failure::Failure;

/// An answer of success.
pub enum Answer {
    Json(Value),
    /// A schema's text as it is, not as a JSON string.
    Text(String),
    Nothing,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Call {
    /// Does what is asked.
    pub async fn answer(&self) -> Result<Answer> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        Ok(match (self.method.as_str(), &path[..]) {
            ("GET" | "POST", []) => json!({}).into(),
            ("GET", ["subjects"]) => self.subjects().await?.into(),
            ("POST", ["subjects", subject]) => self.look_up(subject).await?.into(),
            ("DELETE", ["subjects", subject]) => self.delete_subject(subject).await?.into(),
            ("GET", ["subjects", subject, "metadata"]) => self.latest_with_metadata(subject).await?.into(),
            ("GET", ["subjects", subject, "versions"]) => self.versions(subject).await?.into(),
            ("POST", ["subjects", subject, "versions"]) => self.register(subject).await?.into(),
            ("GET", ["subjects", subject, "versions", version]) => self.version(subject, version).await?.into(),
            ("DELETE", ["subjects", subject, "versions", version]) => {
                self.delete_version(subject, version).await?.into()
            }
            ("GET", ["subjects", subject, "versions", version, "schema"]) => {
                Answer::Text(self.version_text(subject, version).await?)
            }
            ("GET", ["subjects", subject, "versions", version, "referencedby"]) => {
                self.referenced_by(subject, version).await?.into()
            }
            ("GET", ["schemas"]) => self.schemas().await?.into(),
            ("GET", ["schemas", "types"]) => json!(LANGUAGES.map(|(name, _)| name)).into(),
            ("GET", ["schemas", "ids", id]) => self.by_id(id).await?.into(),
            ("GET", ["schemas", "ids", id, "schema"]) => Answer::Text(self.text_by_id(id).await?),
            ("GET", ["schemas", "ids", id, "subjects"]) => self.subjects_of(id).await?.into(),
            ("GET", ["schemas", "ids", id, "versions"]) => self.versions_of(id).await?.into(),
            ("GET", ["schemas", "guids", guid]) => self.by_guid(guid).await?.into(),
            ("GET", ["schemas", "guids", guid, "ids"]) => self.ids_of(guid).await?.into(),
            ("POST", ["compatibility", "subjects", subject, "versions"]) => self.test(subject, None).await?.into(),
            ("POST", ["compatibility", "subjects", subject, "versions", version]) => {
                self.test(subject, Some(version)).await?.into()
            }
            ("GET", ["config", scope @ ..]) if scope.len() < 2 => self.config(scope.first().copied()).await?.into(),
            ("PUT", ["config", scope @ ..]) if scope.len() < 2 => {
                self.change_config(scope.first().copied()).await?.into()
            }
            ("DELETE", ["config", scope @ ..]) if scope.len() < 2 => {
                self.delete_config(scope.first().copied()).await?.into()
            }
            ("GET", ["mode", scope @ ..]) if scope.len() < 2 => self.mode(scope.first().copied()).await?.into(),
            ("PUT", ["mode", scope @ ..]) if scope.len() < 2 => self.set_mode(scope.first().copied()).await?.into(),
            ("DELETE", ["mode", scope @ ..]) if scope.len() < 2 => {
                self.delete_mode(scope.first().copied()).await?.into()
            }
            ("GET", ["contexts"]) => json!(["."]).into(),
            ("DELETE", ["contexts", "." | ":.:"]) => self.delete_context().await?,
            // A context that has nothing is not there.
            ("DELETE", ["contexts", _]) => Answer::Nothing,
            ("GET", ["v1", "metadata", "id"]) => self.metadata_id().into(),
            ("GET", ["v1", "metadata", "version"]) => {
                json!({"version": env!("CARGO_PKG_VERSION"), "commitId": ""}).into()
            }
            ("GET", ["v1", "metadata", "deployment"]) => json!({"attributes": []}).into(),
            // Nothing is associated: serializers then take the subject that a topic's name makes.
            ("GET", ["associations", "resources", _, _] | ["associations", "subjects", _]) => json!([]).into(),
            ("GET", ["associations", "resources", resource]) => {
                return Err(Failure::new(40410, format!("Association for '{resource}' not found.")));
            }
            (_, path) if known(path) => return Err(Failure::new(405, "HTTP 405 Method Not Allowed")),
            _ => return Err(Failure::no_such_path()),
        })
    }

    fn metadata_id(&self) -> Value {
        let clusters = json!({"kafka-cluster": "", "schema-registry-cluster": self.tenant});
        json!({"id": "", "scope": {"path": [], "clusters": clusters}})
    }

    async fn delete_context(&self) -> Result<Answer> {
        let subjects = self.app.registry.subjects(self.tenant, "", registry::Deleted::With).await?;
        if subjects.is_empty() {
            return Ok(Answer::Nothing);
        }
        Err(Failure::new(42211, "The specified context '.' is not empty."))
    }
}

/// Whether the path takes another method.
fn known(path: &[&str]) -> bool {
    matches!(
        path,
        [] | ["subjects", ..]
            | ["schemas"]
            | ["schemas", "types"]
            | ["schemas", "ids" | "guids", _]
            | ["schemas", "ids", _, "schema" | "subjects" | "versions"]
            | ["schemas", "guids", _, "ids"]
            | ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _]
            | ["config" | "mode"]
            | ["config" | "mode", _]
            | ["contexts"]
    ) && match path {
        ["subjects", rest @ ..] => matches!(
            rest,
            [] | [_]
                | [_, "metadata" | "versions"]
                | [_, "versions", _]
                | [_, "versions", _, "schema" | "referencedby"]
        ),
        _ => true,
    }
}
