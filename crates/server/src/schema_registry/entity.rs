//! How schemas are shown. What the first versions of the API did not have is shown to clients only that say they take it:
//! older ones fail on names that they do not know.

use registry::{SchemaText, SchemaVersion, language_name};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::failure::Failure;

impl Call {
    /// A version of a subject.
    pub async fn version_entity(&self, found: &SchemaVersion) -> Result<Value, Failure> {
        let place = &found.place;
        let mut entity = self.text_entity(&found.text, place.deleted).await?;
        entity.insert("subject".to_owned(), json!(place.place.subject));
        entity.insert("version".to_owned(), json!(place.place.version));
        entity.insert("id".to_owned(), json!(place.id));
        if self.modern {
            entity.insert("ts".to_owned(), json!(place.created_at));
        }
        Ok(Value::Object(entity))
    }

    /// What an id names.
    pub async fn text_entity(&self, text: &SchemaText, deleted: bool) -> Result<Map<String, Value>, Failure> {
        let mut entity = Map::new();
        let mut add = |name: &str, value: Value| entity.insert(name.to_owned(), value);
        let kind = language_name(text.language);
        // Without a type a schema is Avro.
        if self.modern || kind != "AVRO" {
            add("schemaType", json!(kind));
        }
        add("schema", json!(self.app.registry.schema_formatted(self.tenant, text, self.format()).await?));
        if !text.references.is_empty() {
            add("references", json!(text.references));
        }
        for (name, value) in [("metadata", &text.metadata), ("ruleSet", &text.rule_set)] {
            if let Some(value) = value {
                add(name, value.clone());
            }
        }
        if self.modern {
            add("guid", json!(text.guid));
            add("ts", json!(text.created_at));
            if deleted {
                add("deleted", json!(true));
            }
        }
        Ok(entity)
    }
}
