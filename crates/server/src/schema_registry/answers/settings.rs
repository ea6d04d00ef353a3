//! `/config` and `/mode`, of a subject or of all.

use registry::{Compatibility, SchemaConfig, SchemaError, SchemaMode};
use serde_json::{Map, Value, json};

use super::Result;
use crate::schema_registry::call::Call;
use crate::schema_registry::failure::Failure;

impl Call {
    pub(super) async fn config(&self, subject: Option<&str>) -> Result<Value> {
        let registry = &self.app.registry;
        let mut config = match (registry.schema_config(self.tenant, subject).await?, subject) {
            (Some(config), _) => config,
            (None, None) => SchemaConfig::default(),
            (None, Some(subject)) if self.flag("defaultToGlobal") => {
                registry.schema_config_in_force(self.tenant, subject).await?
            }
            (None, Some(subject)) => return Err(SchemaError::NoConfig(subject.to_owned()).into()),
        };
        if config.compatibility.is_none() {
            config.compatibility = match subject {
                Some(subject) => registry.schema_config_in_force(self.tenant, subject).await?.compatibility,
                None => None,
            };
        }
        Ok(read(&config))
    }

    pub(super) async fn change_config(&self, subject: Option<&str>) -> Result<Value> {
        let Value::Object(change) = self.json()? else {
            return Err(Failure::new(422, "The body must be an object"));
        };
        let change = Change::of(change)?;
        let config =
            self.app.registry.change_schema_config(self.tenant, subject, |config| change.apply(config)).await?;
        Ok(json!(config))
    }

    pub(super) async fn delete_config(&self, subject: Option<&str>) -> Result<Value> {
        Ok(read(&self.app.registry.delete_schema_config(self.tenant, subject).await?))
    }

    pub(super) async fn mode(&self, subject: Option<&str>) -> Result<Value> {
        let registry = &self.app.registry;
        let mode = match (registry.schema_mode(self.tenant, subject).await?, subject) {
            (Some(mode), _) => mode,
            (None, None) => SchemaMode::default(),
            (None, Some(subject)) if self.flag("defaultToGlobal") => {
                registry.schema_mode_in_force(self.tenant, subject).await?
            }
            (None, Some(subject)) => return Err(SchemaError::NoMode(subject.to_owned()).into()),
        };
        Ok(json!({"mode": mode.name()}))
    }

    pub(super) async fn set_mode(&self, subject: Option<&str>) -> Result<Value> {
        let body = self.json()?;
        let mode = body["mode"].as_str().and_then(SchemaMode::from_name).ok_or_else(Failure::mode_invalid)?;
        self.app.registry.set_schema_mode(self.tenant, subject, mode, self.flag("force")).await?;
        Ok(json!({"mode": mode.name()}))
    }

    pub(super) async fn delete_mode(&self, subject: Option<&str>) -> Result<Value> {
        Ok(json!({"mode": self.app.registry.delete_schema_mode(self.tenant, subject).await?.name()}))
    }
}

/// As it is read: the level has another name there than where it is written.
fn read(config: &SchemaConfig) -> Value {
    let mut shown = json!(config);
    if let Value::Object(members) = &mut shown {
        members.remove("compatibility");
        members.insert("compatibilityLevel".to_owned(), json!(config.compatibility.unwrap_or_default()));
    }
    shown
}

/// What of a configuration is to change: the outer `Option` says whether, null takes it back.
#[derive(Default)]
struct Change {
    compatibility: Option<Option<Compatibility>>,
    normalize: Option<Option<bool>>,
    alias: Option<Option<String>>,
    others: Map<String, Value>,
}

impl Change {
    fn of(mut body: Map<String, Value>) -> Result<Self> {
        let mut change = Self::default();
        for name in ["compatibilityLevel", "compatibility"] {
            match body.remove(name) {
                None => {}
                Some(Value::Null) => change.compatibility = Some(None),
                Some(level) => {
                    let level = level.as_str().and_then(Compatibility::from_name).ok_or_else(Failure::level_invalid)?;
                    change.compatibility = Some(Some(level));
                }
            }
        }
        change.normalize = body.remove("normalize").map(|value| value.as_bool());
        change.alias = body.remove("alias").map(|value| value.as_str().map(str::to_owned));
        change.others = body;
        Ok(change)
    }

    fn apply(self, config: &mut SchemaConfig) {
        if let Some(level) = self.compatibility {
            config.compatibility = level;
        }
        if let Some(normalize) = self.normalize {
            config.normalize = normalize;
        }
        if let Some(alias) = self.alias {
            config.alias = alias;
        }
        config.others.extend(self.others);
    }
}
