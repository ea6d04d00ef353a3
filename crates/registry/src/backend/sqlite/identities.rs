//! Who devices are, for authentication: one of them, or many in one statement.

use std::borrow::Cow;
use std::sync::Arc;

use model::{DeviceId, Millis, TenantId};
use serde::Deserialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Sqlite, damaged, id, json, optional_id};
use crate::Result;
use crate::cache::{DeviceAuth, Identity};
use crate::error::Resource;
use crate::resource::class::ClassSettings;
use crate::resource::device::Status;
use crate::secret::Digest;

/// The live devices among those whose ids stand one after the other in the parameter, as one JSON array of [`Found`]:
/// a row is copied value by value and sent from SQLite's thread, which costs more than to find it.
const OF_MANY: &str = "WITH RECURSIVE asked (at) AS \
    (SELECT 1 UNION ALL SELECT at + 16 FROM asked WHERE at + 16 < length(?1)) \
    SELECT json_group_array(json_array(hex(device_id), hex(tenant_id), device_class, status, hex(schema_id), \
    hex(token_hash), hex(previous_hash), previous_until)) \
    FROM asked CROSS JOIN devices ON device_id = substr(?1, at, 16) WHERE deleted_at IS NULL";

/// A device of [`OF_MANY`]. What is absent is an empty text.
#[derive(Deserialize)]
struct Found<'a> {
    device: &'a str,
    tenant: &'a str,
    #[serde(borrow)]
    class: Cow<'a, str>,
    status: Status,
    schema: &'a str,
    token: &'a str,
    previous: &'a str,
    previous_until: Option<Millis>,
}

/// A class as its devices need it; no settings if the tenant is deleted.
struct UsedClass {
    tenant: TenantId,
    name: Arc<str>,
    settings: Option<ClassSettings>,
}

impl Sqlite {
    pub async fn identity(&self, device: DeviceId) -> Result<Option<Identity>> {
        let sql = "SELECT d.*, c.settings FROM devices d \
                   JOIN tenants t ON t.tenant_id = d.tenant_id AND t.deleted_at IS NULL \
                   JOIN classes c ON c.tenant_id = d.tenant_id AND c.name = d.device_class \
                   WHERE d.device_id = ?1 AND d.deleted_at IS NULL";
        let row = sqlx::query(sql).bind(device.as_bytes().to_vec()).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// Those of the devices that are there, in no order: one statement for all, and one for each of their classes.
    pub async fn identities(&self, devices: &[DeviceId]) -> Result<Vec<Identity>> {
        let asked: Vec<u8> = devices.iter().flat_map(|device| *device.as_bytes()).collect();
        let row = sqlx::query(OF_MANY).bind(asked).fetch_one(&self.readers).await?;
        let found = serde_json::from_str::<Vec<Found<'_>>>(row.try_get(0)?)
            .map_err(|error| damaged(Resource::Device, "identity", error))?;
        let mut identities = Vec::with_capacity(found.len());
        let (mut classes, mut last) = (Vec::<UsedClass>::new(), 0);
        for found in found {
            let tenant = TenantId(found.id(found.tenant)?);
            let same = |class: &UsedClass| class.tenant == tenant && *class.name == *found.class;
            // Devices that are asked for together are mostly of one class.
            if !classes.get(last).is_some_and(same) {
                last = classes.iter().position(same).unwrap_or(classes.len());
            }
            if last == classes.len() {
                let settings = self.class_in_use(tenant, &found.class).await?;
                classes.push(UsedClass { tenant, name: (*found.class).into(), settings });
            }
            let UsedClass { name, settings, .. } = &classes[last];
            if let Some(settings) = settings {
                identities.push(found.identity(tenant, settings, name)?);
            }
        }
        Ok(identities)
    }

    async fn class_in_use(&self, tenant: TenantId, name: &str) -> Result<Option<ClassSettings>> {
        let sql = "SELECT c.settings FROM classes c JOIN tenants t ON t.tenant_id = c.tenant_id \
                   WHERE c.tenant_id = ?1 AND c.name = ?2 AND t.deleted_at IS NULL";
        let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(name).fetch_optional(&self.readers).await?;
        row.map(|row| json(&row, "settings", Resource::Class)).transpose()
    }
}

impl Found<'_> {
    fn identity(&self, tenant: TenantId, class: &ClassSettings, name: &Arc<str>) -> Result<Identity> {
        let schema = if self.schema.is_empty() { None } else { Some(self.id(self.schema)?) };
        Ok(Identity {
            auth: Arc::new(auth((tenant, DeviceId(self.id(self.device)?)), self.status, schema, class, name)),
            token: self.digest(self.token)?,
            previous: self.digest(self.previous)?.zip(self.previous_until),
        })
    }

    fn id(&self, text: &str) -> Result<Uuid> {
        Uuid::try_parse(text).map_err(|error| damaged(Resource::Device, "identity", error))
    }

    fn digest(&self, text: &str) -> Result<Option<Digest>> {
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || damaged(Resource::Device, "token_hash", "it is not 32 bytes");
        Digest::from_hex(text).ok_or_else(wrong).map(Some)
    }
}

fn read(row: &SqliteRow) -> Result<Identity> {
    let class: ClassSettings = json(row, "settings", Resource::Class)?;
    let tenant = TenantId(id(row, "tenant_id", Resource::Device)?);
    let device = DeviceId(id(row, "device_id", Resource::Device)?);
    let schema = optional_id(row, "schema_id", Resource::Device)?;
    let previous_until: Option<Millis> = row.try_get("previous_until")?;
    Ok(Identity {
        auth: Arc::new(auth(
            (tenant, device),
            super::devices::status(row)?,
            schema,
            &class,
            &class.name.as_str().into(),
        )),
        token: digest(row, "token_hash")?,
        previous: digest(row, "previous_hash")?.zip(previous_until),
    })
}

fn auth(
    (tenant, device): (TenantId, DeviceId),
    status: Status,
    schema: Option<Uuid>,
    class: &ClassSettings,
    name: &Arc<str>,
) -> DeviceAuth {
    DeviceAuth {
        tenant,
        device,
        class: name.clone(),
        status,
        schema_id: schema.or(class.schema_id),
        format: class.format,
        durability: class.durability,
        unknown_fields: class.unknown_fields,
        free_topics: class.free_topics,
        limits: class.limits.clone(),
    }
}

fn digest(row: &SqliteRow, column: &str) -> Result<Option<Digest>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    let read = |bytes| Digest::from_slice(bytes).ok_or_else(|| damaged(Resource::Device, column, "it is not 32 bytes"));
    bytes.map(read).transpose()
}
