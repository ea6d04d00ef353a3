//! Who devices are, for authentication: one of them, or many in one statement.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use model::{DeviceId, Millis, Profile, TenantId};
use serde::Deserialize;
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Sqlite, damaged, id, json, optional_id};
use crate::Result;
use crate::cache::{DeviceAuth, Identity, KnownProfile, Revision};
use crate::error::Resource;
use crate::resource::class::ClassSettings;
use crate::resource::device::Status;
use crate::resource::rules;
use crate::secret::Digest;

/// The live devices among those whose ids stand one after the other in the parameter, as one JSON array of [`Found`]:
/// a row is copied value by value and sent from SQLite's thread, which costs more than to find it.
const OF_MANY: &str = "WITH RECURSIVE asked (at) AS \
    (SELECT 1 UNION ALL SELECT at + 16 FROM asked WHERE at + 16 < length(?1)) \
    SELECT json_group_array(json_array(hex(device_id), hex(tenant_id), device_class, status, hex(schema_id), \
    hex(token_hash), hex(previous_hash), previous_until)) \
    FROM asked CROSS JOIN devices ON device_id = substr(?1, at, 16) WHERE deleted_at IS NULL";

/// The metadata of the devices whose ids stand one after the other in the parameter. Only classes that make tags of it
/// need it, and it may be long.
const METADATA_OF_MANY: &str = "WITH RECURSIVE asked (at) AS \
    (SELECT 1 UNION ALL SELECT at + 16 FROM asked WHERE at + 16 < length(?1)) \
    SELECT json_group_array(json_array(hex(device_id), json(metadata))) \
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

/// A class as its devices need it.
struct UsedClass {
    name: Arc<str>,
    settings: ClassSettings,
    /// The tenant's metadata.
    metadata: Map<String, Value>,
    /// Of devices about which nothing of their own is to be said.
    profile: Arc<Profile>,
}

/// A class that was asked for; nothing if the tenant is deleted.
struct AskedClass {
    tenant: TenantId,
    name: Arc<str>,
    used: Option<UsedClass>,
}

impl Sqlite {
    pub async fn identity(&self, device: DeviceId) -> Result<Option<Identity>> {
        let sql = "SELECT d.*, c.settings, t.metadata AS tenant_metadata FROM devices d \
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
        let mut of_class = Vec::with_capacity(found.len());
        let (mut classes, mut last) = (Vec::<AskedClass>::new(), 0);
        for found in &found {
            let tenant = TenantId(found.id(found.tenant)?);
            let same = |class: &AskedClass| class.tenant == tenant && *class.name == *found.class;
            // Devices that are asked for together are mostly of one class.
            if !classes.get(last).is_some_and(same) {
                last = classes.iter().position(same).unwrap_or(classes.len());
            }
            if last == classes.len() {
                let name: Arc<str> = (*found.class).into();
                classes.push(AskedClass { tenant, used: self.class_in_use(tenant, &name).await?, name });
            }
            of_class.push(last);
        }
        let class_of = |at: usize| classes[of_class[at]].used.as_ref();
        let with_tags = |at: &usize| class_of(*at).is_some_and(|class| rules::has_device_tags(&class.settings));
        let with_tags: Vec<&str> = (0..found.len()).filter(with_tags).map(|at| found[at].device).collect();
        let metadata = self.metadata_of_many(&with_tags).await?;
        let mut identities = Vec::with_capacity(found.len());
        for (at, found) in found.iter().enumerate() {
            if let Some(class) = class_of(at) {
                identities.push(found.identity(classes[of_class[at]].tenant, class, metadata.get(found.device))?);
            }
        }
        Ok(identities)
    }

    /// By id in hexadecimal, as [`Found`] has it.
    async fn metadata_of_many(&self, devices: &[&str]) -> Result<HashMap<String, Map<String, Value>>> {
        if devices.is_empty() {
            return Ok(HashMap::new());
        }
        let wrong = |error: &dyn std::fmt::Display| damaged(Resource::Device, "metadata", error);
        let mut asked = Vec::with_capacity(devices.len() * 16);
        for device in devices {
            asked.extend_from_slice(Uuid::try_parse(device).map_err(|error| wrong(&error))?.as_bytes());
        }
        let row = sqlx::query(METADATA_OF_MANY).bind(asked).fetch_one(&self.readers).await?;
        let found: Vec<(String, Map<String, Value>)> =
            serde_json::from_str(row.try_get(0)?).map_err(|error| wrong(&error))?;
        Ok(found.into_iter().collect())
    }

    async fn class_in_use(&self, tenant: TenantId, name: &Arc<str>) -> Result<Option<UsedClass>> {
        let sql = "SELECT c.settings, t.metadata FROM classes c JOIN tenants t ON t.tenant_id = c.tenant_id \
                   WHERE c.tenant_id = ?1 AND c.name = ?2 AND t.deleted_at IS NULL";
        let row = sqlx::query(sql).bind(tenant.as_bytes().to_vec()).bind(&**name).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let settings: ClassSettings = json(&row, "settings", Resource::Class)?;
        Ok(Some(UsedClass::new(name.clone(), settings, json(&row, "metadata", Resource::Tenant)?)))
    }
}

impl UsedClass {
    fn new(name: Arc<str>, settings: ClassSettings, metadata: Map<String, Value>) -> Self {
        let profile = Arc::new(rules::profile(&settings, &metadata, None, &Map::new()));
        Self { name, settings, metadata, profile }
    }

    fn auth(
        &self,
        (tenant, device): (TenantId, DeviceId),
        status: Status,
        schema: Option<Uuid>,
        metadata: Option<&Map<String, Value>>,
    ) -> DeviceAuth {
        let class = &self.settings;
        let profile = match metadata.filter(|_| rules::has_device_tags(class)) {
            Some(metadata) => Arc::new(rules::profile(class, &self.metadata, schema, metadata)),
            None if schema.is_some() => Arc::new(Profile { schema_id: schema, ..(*self.profile).clone() }),
            None => self.profile.clone(),
        };
        DeviceAuth {
            tenant,
            device,
            class: self.name.clone(),
            status,
            // Who reads it knows when it was read.
            profile: KnownProfile { profile, revision: Revision::default() },
            format: class.format,
            durability: class.durability,
            free_topics: class.free_topics,
            limits: class.limits.clone(),
        }
    }
}

impl Found<'_> {
    fn identity(&self, tenant: TenantId, class: &UsedClass, metadata: Option<&Map<String, Value>>) -> Result<Identity> {
        let schema = if self.schema.is_empty() { None } else { Some(self.id(self.schema)?) };
        let device = DeviceId(self.id(self.device)?);
        Ok(Identity {
            auth: Arc::new(class.auth((tenant, device), self.status, schema, metadata)),
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
    let class = UsedClass::new(class.name.as_str().into(), class, json(row, "tenant_metadata", Resource::Tenant)?);
    let tenant = TenantId(id(row, "tenant_id", Resource::Device)?);
    let device = DeviceId(id(row, "device_id", Resource::Device)?);
    let schema = optional_id(row, "schema_id", Resource::Device)?;
    let metadata = json(row, "metadata", Resource::Device)?;
    let previous_until: Option<Millis> = row.try_get("previous_until")?;
    Ok(Identity {
        auth: Arc::new(class.auth((tenant, device), super::devices::status(row)?, schema, Some(&metadata))),
        token: digest(row, "token_hash")?,
        previous: digest(row, "previous_hash")?.zip(previous_until),
    })
}

fn digest(row: &SqliteRow, column: &str) -> Result<Option<Digest>> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    let read = |bytes| Digest::from_slice(bytes).ok_or_else(|| damaged(Resource::Device, column, "it is not 32 bytes"));
    bytes.map(read).transpose()
}
