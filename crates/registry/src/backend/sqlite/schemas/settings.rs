//! What is decided about subjects, and (under the subject '') about all of a tenant's.

use model::TenantId;
use sqlx::Row;

use super::super::{Sqlite, damaged, optional_json, tenants, to_json};
use crate::error::{Resource, Result};
use crate::resource::schema::{SchemaConfig, SchemaMode};

impl Sqlite {
    pub async fn schema_settings(
        &self,
        tenant: TenantId,
        subject: &str,
    ) -> Result<(Option<SchemaConfig>, Option<SchemaMode>)> {
        let sql = "SELECT config, mode FROM schema_settings WHERE tenant_id = ?1 AND subject = ?2";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject);
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok((None, None)) };
        let mode: Option<&str> = row.try_get("mode")?;
        let unknown = |name: &str| damaged(Resource::Schema, "mode", format!("{name} is no mode"));
        let mode = mode.map(|name| SchemaMode::from_name(name).ok_or_else(|| unknown(name))).transpose()?;
        Ok((optional_json(&row, "config", Resource::Schema)?, mode))
    }

    pub async fn set_schema_config(
        &self,
        tenant: TenantId,
        subject: &str,
        config: Option<&SchemaConfig>,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        tenants::live(&mut tx, tenant).await?;
        let sql = "INSERT INTO schema_settings (tenant_id, subject, config) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (tenant_id, subject) DO UPDATE SET config = excluded.config";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject);
        query.bind(config.map(to_json)).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    pub async fn set_schema_mode(&self, tenant: TenantId, subject: &str, mode: Option<SchemaMode>) -> Result<()> {
        let mut tx = self.begin().await?;
        tenants::live(&mut tx, tenant).await?;
        let sql = "INSERT INTO schema_settings (tenant_id, subject, mode) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (tenant_id, subject) DO UPDATE SET mode = excluded.mode";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject);
        query.bind(mode.map(SchemaMode::name)).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}
