//! A sample in a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::contract::{Language, Verdict};
use model::{Format, TenantId};
use registry::{ClassSettings, TenantRef, format_from_name, rules_under};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Sample, as_registered, usual_format};
use crate::http::{App, Problem};

/// A payload, how it is encoded, and whose it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentSample {
    /// A message, or an array of them, taken as it is written.
    payload: Option<Box<RawValue>>,
    /// Bytes in `format`.
    base64: Option<String>,
    format: Option<String>,
    /// The name of a class of the tenant, or the settings of one.
    class: Option<Value>,
}

impl SentSample {
    /// What would become of it under this schema.
    pub async fn try_under(
        self,
        app: &App,
        tenant: TenantId,
        language: Language,
        verdict: Verdict,
    ) -> Result<Value, Problem> {
        let class = match &self.class {
            None => ClassSettings::defaults("sample"),
            Some(Value::String(name)) => app.registry.class(tenant, name).await?.settings,
            Some(settings) => class_settings(settings.clone()).map_err(|why| body_invalid("sample.class", &why))?,
        };
        let sample = self.sample(class.format.unwrap_or_else(|| usual_format(language)))?;
        let tenant = app.registry.tenant(&TenantRef::Id(tenant)).await?;
        let (schema, received) = (as_registered(verdict), app.clock.now_ms());
        let rules = rules_under(&class, &tenant.settings, &schema)?;
        let tried = tokio::task::spawn_blocking(move || sample.try_under(&schema, &rules, received));
        Ok(tried.await.expect("the pipeline does not panic on what is sent"))
    }

    /// `usual`: the format of bytes that nothing is said of.
    fn sample(self, usual: Format) -> Result<Sample, Problem> {
        let named = |name: String| {
            let why = format!("`{name}` is not a format: json, msgpack, cbor, avro or protobuf");
            format_from_name(&name).ok_or_else(|| body_invalid("sample.format", &why))
        };
        let format = self.format.map(named).transpose()?;
        let sample = match (self.payload, self.base64) {
            (Some(payload), None) if format.is_none_or(|format| format == Format::Json) => {
                Sample::new(payload.get().into(), Format::Json)
            }
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|why| body_invalid("sample.base64", &why.to_string()))?;
                Sample::new(bytes, format.unwrap_or(usual))
            }
            _ => Err("give either `payload`, which is JSON, or `base64` with its `format`".to_owned()),
        };
        sample.map_err(|why| body_invalid("sample", &why))
    }
}

/// The settings of a class that need not have a name.
pub fn class_settings(mut settings: Value) -> Result<ClassSettings, String> {
    if let Some(members) = settings.as_object_mut() {
        members.entry("name").or_insert_with(|| "sample".into());
    }
    serde_json::from_value(settings).map_err(|error| error.to_string())
}

fn body_invalid(member: &str, why: &str) -> Problem {
    Problem::invalid("body-invalid", format!("`{member}` does not fit: {why}."))
}
