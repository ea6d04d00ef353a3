//! `/compatibility`: whether a schema could follow.

use registry::{Error, SchemaError};
use serde_json::{Value, json};

use super::Result;
use crate::schema_registry::call::{self, Call};

impl Call {
    /// After one version, or as at a registration.
    pub(super) async fn test(&self, subject: &str, version: Option<&str>) -> Result<Value> {
        let (verbose, normalize) = (self.flag("verbose"), self.flag("normalize"));
        let version = version.map(call::version).transpose()?;
        let new = self.schema()?.new;
        let messages = match self.app.registry.test_schema(self.tenant, subject, version, new, normalize).await {
            Ok(tested) => tested.messages,
            // Who asks for the reasons gets this one as well.
            Err(Error::Schema(error)) if verbose => match *error {
                SchemaError::Invalid(why) => vec![why],
                other => return Err(other.into()),
            },
            Err(error) => return Err(error.into()),
        };
        let mut answer = json!({"is_compatible": messages.is_empty()});
        if verbose {
            answer["messages"] = json!(messages);
        }
        Ok(answer)
    }
}
