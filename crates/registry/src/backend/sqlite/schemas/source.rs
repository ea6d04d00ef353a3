//! Where the schemas come from.

use model::contract::SchemaSource;
use sqlx::Row;

use super::super::{Sqlite, damaged};
use crate::error::{Resource, Result};

const EXTERNAL: &str = "external";
const BUILT_IN: &str = "built-in";

impl Sqlite {
    pub async fn schema_source(&self) -> Result<SchemaSource> {
        let row = sqlx::query("SELECT source FROM schema_source").fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(SchemaSource::BuiltIn) };
        match row.try_get("source")? {
            EXTERNAL => Ok(SchemaSource::External),
            BUILT_IN => Ok(SchemaSource::BuiltIn),
            other => Err(damaged(Resource::Schema, "source", format!("{other} is no source"))),
        }
    }

    pub async fn set_schema_source(&self, source: SchemaSource) -> Result<()> {
        let name = if source == SchemaSource::External { EXTERNAL } else { BUILT_IN };
        let sql = "INSERT INTO schema_source (only_row, source) VALUES (1, ?1) \
                   ON CONFLICT (only_row) DO UPDATE SET source = ?1";
        sqlx::query(sql).bind(name).execute(&self.writer).await?;
        Ok(())
    }

    /// A tenant that has schemas, and how many.
    pub async fn tenant_with_schemas(&self) -> Result<Option<(String, u64)>> {
        let sql = "SELECT t.name, count(*) AS n FROM schema_texts s JOIN tenants t ON t.tenant_id = s.tenant_id \
                   WHERE t.deleted_at IS NULL GROUP BY t.tenant_id ORDER BY t.name LIMIT 1";
        let Some(row) = sqlx::query(sql).fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some((row.try_get("name")?, row.try_get::<i64, _>("n")? as u64)))
    }
}
