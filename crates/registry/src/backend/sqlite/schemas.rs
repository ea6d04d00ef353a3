//! Schemas in SQLite: texts, versions, majors, and who names them. What may be written the registry has decided; here
//! a contradiction that it did not see (ids, identities, places) fails on a constraint.

mod settings;
mod source;

use model::contract::Place;
use model::limits::SCHEMAS_PER_TENANT_MAX;
use model::{DeviceId, Millis, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Sqlite, Transaction, damaged, id, json, optional_json, tenants, to_json};
use crate::error::{Resource, Result, SchemaError};
use crate::resource::schema::{SchemaPlace, SchemaText, language_from_name, language_name};

/// Devices that a refusal to delete names; more are many.
const NAMED_MAX: i64 = 5;

/// Versions with the names of their majors.
macro_rules! places {
    ($which:literal) => {
        concat!(
            "SELECT v.*, m.schema_id FROM schema_versions v JOIN schema_majors m \
             ON m.tenant_id = v.tenant_id AND m.subject = v.subject AND m.major = v.major WHERE v.tenant_id = ?1 ",
            $which
        )
    };
}

/// A version to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewVersion {
    /// Its `schema_id` counts only if the subject does not have the major yet.
    pub place: Place,
    /// The id is the one that an import gives, else 0.
    pub text: SchemaText,
    pub identity: [u8; 32],
    /// A deleted version of the same text whose row goes.
    pub replaces: Option<u32>,
}

impl Sqlite {
    /// All versions of a subject, from the oldest.
    pub async fn schema_places(&self, tenant: TenantId, subject: &str) -> Result<Vec<SchemaPlace>> {
        let sql = places!("AND v.subject = ?2 ORDER BY v.version");
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject);
        query.fetch_all(&self.readers).await?.iter().map(place).collect()
    }

    /// All versions that have the id, in the order of subjects and versions.
    pub async fn schema_places_of(&self, tenant: TenantId, id: u32) -> Result<Vec<SchemaPlace>> {
        let sql = places!("AND v.id = ?2 ORDER BY v.subject, v.version");
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(id);
        query.fetch_all(&self.readers).await?.iter().map(place).collect()
    }

    /// All versions of the tenant, in the order of subjects and versions.
    pub async fn all_schema_places(&self, tenant: TenantId) -> Result<Vec<SchemaPlace>> {
        let sql = places!("ORDER BY v.subject, v.version");
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec());
        query.fetch_all(&self.readers).await?.iter().map(place).collect()
    }

    pub async fn schema_text(&self, tenant: TenantId, id: u32) -> Result<SchemaText> {
        let sql = "SELECT * FROM schema_texts WHERE tenant_id = ?1 AND id = ?2";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(id);
        let row = query.fetch_optional(&self.readers).await?;
        row.as_ref().map(text).transpose()?.ok_or_else(|| SchemaError::IdUnknown(id).into())
    }

    pub async fn schema_text_by_guid(&self, tenant: TenantId, guid: Uuid) -> Result<Option<SchemaText>> {
        let sql = "SELECT * FROM schema_texts WHERE tenant_id = ?1 AND guid = ?2 ORDER BY id";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(guid.as_bytes().to_vec());
        query.fetch_optional(&self.readers).await?.as_ref().map(text).transpose()
    }

    pub async fn schema_id_of(&self, tenant: TenantId, identity: [u8; 32]) -> Result<Option<u32>> {
        let sql = "SELECT id FROM schema_texts WHERE tenant_id = ?1 AND identity = ?2";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(identity.to_vec());
        Ok(query.fetch_optional(&self.readers).await?.map(|row| row.try_get("id")).transpose()?)
    }

    /// The greatest id given.
    pub async fn schema_id_max(&self, tenant: TenantId) -> Result<u32> {
        let sql = "SELECT last FROM schema_ids WHERE tenant_id = ?1";
        let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get("last")).transpose()?.unwrap_or(0))
    }

    /// The subject and the major that a `schema_id` names.
    pub async fn schema_major(&self, tenant: TenantId, schema_id: Uuid) -> Result<Option<(String, u32)>> {
        let sql = "SELECT subject, major FROM schema_majors WHERE schema_id = ?1 AND tenant_id = ?2";
        let query = sqlx::query(sql).bind(schema_id.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        Ok(Some((row.try_get("subject")?, row.try_get("major")?)))
    }

    /// The ids of schemas that refer to a version, in order.
    pub async fn schema_referrers(&self, tenant: TenantId, subject: &str, version: u32) -> Result<Vec<u32>> {
        let sql = "SELECT id FROM schema_references WHERE tenant_id = ?1 AND subject = ?2 AND version = ?3 ORDER BY id";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject).bind(version);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
    }

    /// Writes a version, with its text and its major where they are new. Gives back the version's id and place.
    pub async fn insert_schema(&self, tenant: TenantId, new: NewVersion) -> Result<SchemaPlace> {
        let mut tx = self.begin().await?;
        tenants::live(&mut tx, tenant).await?;
        let mut place = new.place.clone();
        place.schema_id = ensure_major(&mut tx, tenant, &new.place).await?;
        let id = ensure_text(&mut tx, tenant, &new).await?;
        let sql = "INSERT INTO schema_versions (tenant_id, subject, version, major, id, created_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(&place.subject).bind(place.version);
        query.bind(place.major).bind(id).bind(new.text.created_at).execute(&mut *tx).await?;
        if let Some(replaced) = new.replaces {
            remove_row(&mut tx, tenant, &place.subject, replaced).await?;
        }
        tx.commit().await?;
        Ok(SchemaPlace { place, id, created_at: new.text.created_at, deleted: false })
    }

    pub async fn soft_delete_schemas(
        &self,
        tenant: TenantId,
        subject: &str,
        versions: &[u32],
        unless_named: bool,
        now: Millis,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        for version in versions {
            let sql = "UPDATE schema_versions SET deleted_at = ?4 \
                       WHERE tenant_id = ?1 AND subject = ?2 AND version = ?3 AND deleted_at IS NULL";
            let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject).bind(version);
            query.bind(now).execute(&mut *tx).await?;
        }
        if unless_named {
            let sql = "SELECT schema_id FROM schema_majors m WHERE tenant_id = ?1 AND subject = ?2 AND NOT EXISTS \
                       (SELECT 1 FROM schema_versions v WHERE v.tenant_id = m.tenant_id AND v.subject = m.subject \
                       AND v.major = m.major AND v.deleted_at IS NULL)";
            refuse_named(&mut tx, tenant, subject, sql).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Removes versions, and with them majors and texts that have none left, and the subject's settings with its last.
    /// A major that a class or a device names stays.
    pub async fn remove_schemas(&self, tenant: TenantId, subject: &str, versions: &[u32]) -> Result<()> {
        let mut tx = self.begin().await?;
        for version in versions {
            remove_row(&mut tx, tenant, subject, *version).await?;
        }
        let empty = "SELECT schema_id FROM schema_majors m WHERE tenant_id = ?1 AND subject = ?2 AND NOT EXISTS \
                     (SELECT 1 FROM schema_versions v WHERE v.tenant_id = m.tenant_id AND v.subject = m.subject \
                     AND v.major = m.major)";
        refuse_named(&mut tx, tenant, subject, empty).await?;
        for sql in [
            "DELETE FROM schema_majors AS m WHERE tenant_id = ?1 AND subject = ?2 AND NOT EXISTS \
             (SELECT 1 FROM schema_versions v WHERE v.tenant_id = m.tenant_id AND v.subject = m.subject \
             AND v.major = m.major)",
            "DELETE FROM schema_settings WHERE tenant_id = ?1 AND subject = ?2 AND NOT EXISTS \
             (SELECT 1 FROM schema_versions WHERE tenant_id = ?1 AND subject = ?2)",
        ] {
            sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// The name of the subject's major, which is made if it is not there.
async fn ensure_major(tx: &mut Transaction<'_>, tenant: TenantId, place: &Place) -> Result<Uuid> {
    let sql = "INSERT INTO schema_majors (schema_id, tenant_id, subject, major) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (tenant_id, subject, major) DO NOTHING";
    let query = sqlx::query(sql).bind(place.schema_id.as_bytes().to_vec()).bind(tenant.as_bytes().to_vec());
    query.bind(&place.subject).bind(place.major).execute(&mut **tx).await?;
    let sql = "SELECT schema_id FROM schema_majors WHERE tenant_id = ?1 AND subject = ?2 AND major = ?3";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(&place.subject).bind(place.major);
    id(&query.fetch_one(&mut **tx).await?, "schema_id", Resource::Schema)
}

/// The id of the text, which is written if it is not there.
async fn ensure_text(tx: &mut Transaction<'_>, tenant: TenantId, new: &NewVersion) -> Result<u32> {
    let sql = "SELECT id FROM schema_texts WHERE tenant_id = ?1 AND identity = ?2";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(new.identity.to_vec());
    if let Some(row) = query.fetch_optional(&mut **tx).await? {
        let has: u32 = row.try_get("id")?;
        let given = new.text.id;
        return if given == 0 || given == has { Ok(has) } else { Err(SchemaError::IdDiffers { has, given }.into()) };
    }
    let sql = "SELECT count(*) AS n FROM schema_texts WHERE tenant_id = ?1";
    let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).fetch_one(&mut **tx).await?;
    if row.try_get::<i64, _>("n")? >= SCHEMAS_PER_TENANT_MAX as i64 {
        return Err(SchemaError::TooMany.into());
    }
    let id = give_id(tx, tenant, new.text.id).await?;
    let (text, refs) = (&new.text, to_json(&new.text.references));
    let sql = "INSERT INTO schema_texts (tenant_id, id, identity, guid, type, text, refs, metadata, rule_set, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(id).bind(new.identity.to_vec());
    let query =
        query.bind(text.guid.as_bytes().to_vec()).bind(language_name(text.language)).bind(&text.text).bind(refs);
    let query = query.bind(text.metadata.as_ref().map(to_json)).bind(text.rule_set.as_ref().map(to_json));
    query.bind(text.created_at).execute(&mut **tx).await?;
    for reference in &text.references {
        let sql = "INSERT INTO schema_references (tenant_id, subject, version, id) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(&reference.subject);
        query.bind(reference.version).bind(id).execute(&mut **tx).await?;
    }
    Ok(id)
}

/// The next id of the tenant, or the one that an import gives.
async fn give_id(tx: &mut Transaction<'_>, tenant: TenantId, given: u32) -> Result<u32> {
    if given > 0 {
        let sql = "SELECT 1 FROM schema_texts WHERE tenant_id = ?1 AND id = ?2";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(given);
        if query.fetch_optional(&mut **tx).await?.is_some() {
            return Err(SchemaError::IdTaken(given).into());
        }
    }
    let sql = "INSERT INTO schema_ids (tenant_id, last) VALUES (?1, max(?2, 1)) \
               ON CONFLICT (tenant_id) DO UPDATE SET last = CASE ?2 WHEN 0 THEN last + 1 ELSE max(last, ?2) END \
               RETURNING last";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(given);
    let last: u32 = query.fetch_one(&mut **tx).await?.try_get("last")?;
    Ok(if given > 0 { given } else { last })
}

/// Removes one version, and its text if nothing else has it.
async fn remove_row(tx: &mut Transaction<'_>, tenant: TenantId, subject: &str, version: u32) -> Result<()> {
    let sql = "DELETE FROM schema_versions WHERE tenant_id = ?1 AND subject = ?2 AND version = ?3 RETURNING id";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(subject).bind(version);
    let Some(row) = query.fetch_optional(&mut **tx).await? else { return Ok(()) };
    let sql = "DELETE FROM schema_texts WHERE tenant_id = ?1 AND id = ?2 AND NOT EXISTS \
               (SELECT 1 FROM schema_versions WHERE tenant_id = ?1 AND id = ?2)";
    let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(row.try_get::<u32, _>("id")?);
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Fails if a class or a device names one of the majors that `majors` selects.
async fn refuse_named(tx: &mut Transaction<'_>, tenant: TenantId, subject: &str, majors: &'static str) -> Result<()> {
    let query = sqlx::query(majors).bind(tenant.as_bytes().to_vec()).bind(subject);
    let mut who = Vec::new();
    for major in query.fetch_all(&mut **tx).await? {
        let schema_id = id(&major, "schema_id", Resource::Schema)?;
        let sql = "SELECT name FROM classes WHERE tenant_id = ?1 AND deleted_at IS NULL \
                   AND settings ->> 'schema_id' = ?2 ORDER BY name";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(schema_id.to_string());
        for row in query.fetch_all(&mut **tx).await? {
            who.push(format!("class `{}`", row.try_get::<&str, _>("name")?));
        }
        let sql = "SELECT device_id FROM devices WHERE tenant_id = ?1 AND schema_id = ?2 AND deleted_at IS NULL \
                   ORDER BY device_id LIMIT ?3";
        let query = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(schema_id.as_bytes().to_vec());
        for row in query.bind(NAMED_MAX).fetch_all(&mut **tx).await? {
            who.push(format!("device {}", DeviceId(id(&row, "device_id", Resource::Device)?)));
        }
    }
    if who.is_empty() { Ok(()) } else { Err(SchemaError::Named { who }.into()) }
}

fn place(row: &SqliteRow) -> Result<SchemaPlace> {
    let place = Place {
        subject: row.try_get("subject")?,
        version: row.try_get("version")?,
        major: row.try_get("major")?,
        schema_id: id(row, "schema_id", Resource::Schema)?,
    };
    let deleted = row.try_get::<Option<Millis>, _>("deleted_at")?.is_some();
    Ok(SchemaPlace { place, id: row.try_get("id")?, created_at: row.try_get("created_at")?, deleted })
}

fn text(row: &SqliteRow) -> Result<SchemaText> {
    let name: &str = row.try_get("type")?;
    let unknown = || damaged(Resource::Schema, "type", format!("{name} is no type"));
    Ok(SchemaText {
        id: row.try_get("id")?,
        guid: id(row, "guid", Resource::Schema)?,
        language: language_from_name(name).ok_or_else(unknown)?,
        text: row.try_get("text")?,
        references: json(row, "refs", Resource::Schema)?,
        metadata: optional_json(row, "metadata", Resource::Schema)?,
        rule_set: optional_json(row, "rule_set", Resource::Schema)?,
        created_at: row.try_get("created_at")?,
    })
}
