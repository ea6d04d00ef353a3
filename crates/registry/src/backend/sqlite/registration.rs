//! The registration of devices: one transaction for a thousand of them, with few statements, because each one costs a
//! trip to SQLite's thread.

use std::collections::{HashMap, HashSet};

use model::{DeviceId, TenantId};
use sqlx::{QueryBuilder, Row};

use super::devices::{count, read};
use super::{Sqlite, Transaction, classes, tenants, to_json};
use crate::error::Resource;
use crate::resource::device::Device;
use crate::resource::tenant::TenantLimits;
use crate::secret::Digest;
use crate::{Error, Result};

const OTHER_CONTENT: &str = "exists with other content: change it with PATCH";
const TAKEN: &str = "is taken and is never given again: choose another device_id";
/// Rows of one statement; eight values each, of the 32,766 that SQLite takes.
const STATEMENT_ROWS: usize = 250;

/// A device that is to be registered.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub device: Device,
    pub token: Digest,
    /// The id came from outside, so it may be there already.
    pub id_given: bool,
    /// The status came from outside, so it is content that must agree with what is there.
    pub status_given: bool,
}

/// What became of a device that was to be registered.
#[derive(Debug)]
pub(crate) enum Admitted {
    New(Device),
    /// It was there with the same content; its token is not touched.
    Existing(Device),
}

/// A transaction that registers devices of one tenant.
struct Registration<'t> {
    tx: Transaction<'t>,
    tenant: TenantId,
    limits: TenantLimits,
    /// The tenant's devices, with those that were admitted.
    devices: u64,
    /// What is known of the ids that came from outside: `None` is taken (deleted, or another tenant's).
    known: HashMap<DeviceId, Option<Device>>,
    classes: HashSet<String>,
    new_classes: Vec<String>,
}

impl Sqlite {
    /// Registers devices of one tenant in one transaction. Each has an answer of its own; an error of the outer
    /// result means that none was registered. Also gives the classes that were created for them.
    pub async fn insert_devices(
        &self,
        tenant: TenantId,
        candidates: Vec<Candidate>,
    ) -> Result<(Vec<Result<Admitted>>, Vec<String>)> {
        let mut registration = Registration::begin(self, tenant).await?;
        registration.look_up(&candidates).await?;
        let (mut answers, mut new) = (Vec::with_capacity(candidates.len()), Vec::with_capacity(candidates.len()));
        for candidate in candidates {
            match registration.admit(&candidate).await {
                Ok(Some(existing)) => answers.push(Ok(Admitted::Existing(existing))),
                Ok(None) => {
                    answers.push(Ok(Admitted::New(candidate.device.clone())));
                    new.push(candidate);
                }
                Err(Error::Database(error)) => return Err(error.into()),
                Err(refused) => answers.push(Err(refused)),
            }
        }
        let new_classes = registration.commit(&new).await?;
        Ok((answers, new_classes))
    }
}

impl<'t> Registration<'t> {
    async fn begin(database: &'t Sqlite, tenant: TenantId) -> Result<Self> {
        let mut tx = database.begin().await?;
        let (limits, devices) = tenants::usage(&mut tx, tenant).await?;
        Ok(Self {
            tx,
            tenant,
            limits,
            devices,
            known: HashMap::new(),
            classes: HashSet::new(),
            new_classes: Vec::new(),
        })
    }

    /// Reads what is there under the ids that came from outside.
    async fn look_up(&mut self, candidates: &[Candidate]) -> Result<()> {
        let given: Vec<DeviceId> =
            candidates.iter().filter(|new| new.id_given).map(|new| new.device.device_id).collect();
        for ids in given.chunks(STATEMENT_ROWS) {
            let mut query = QueryBuilder::new("SELECT * FROM devices WHERE device_id IN (");
            let mut list = query.separated(", ");
            ids.iter().for_each(|id| {
                list.push_bind(id.as_bytes().to_vec());
            });
            query.push(")");
            for row in query.build().persistent(is_usual(ids.len())).fetch_all(&mut *self.tx).await? {
                let device = read(&row)?;
                let alive = row.try_get::<Option<i64>, _>("deleted_at")?.is_none();
                let id = device.device_id;
                self.known.insert(id, (alive && device.tenant_id == self.tenant).then_some(device));
            }
        }
        Ok(())
    }

    /// The device that is there with the same content, or nothing: then there is room for this one, and its class is
    /// there.
    async fn admit(&mut self, candidate: &Candidate) -> Result<Option<Device>> {
        if let Some(existing) = self.existing(candidate)? {
            return Ok(Some(existing));
        }
        if let Some(max) = self.limits.devices.filter(|max| self.devices >= *max) {
            return Err(Error::Limit { what: Resource::Device, max });
        }
        let device = &candidate.device;
        if !self.classes.contains(&device.settings.device_class) {
            let class = &device.settings.device_class;
            if classes::ensure(&mut self.tx, self.tenant, class, device.registered_at).await? {
                self.new_classes.push(class.clone());
            }
            self.classes.insert(class.clone());
        }
        if candidate.id_given {
            self.known.insert(device.device_id, Some(device.clone()));
        }
        self.devices += 1;
        Ok(None)
    }

    /// The device of this id, if it is this tenant's, alive and of the same content; a conflict if the id is taken
    /// otherwise. Another tenant's and a deleted one look the same.
    fn existing(&self, candidate: &Candidate) -> Result<Option<Device>> {
        let device = &candidate.device;
        let Some(found) = self.known.get(&device.device_id) else { return Ok(None) };
        let conflict = |why| Error::conflict(Resource::Device, device.device_id, why);
        let found = found.as_ref().ok_or_else(|| conflict(TAKEN))?;
        let mut asked = device.settings.clone();
        if !candidate.status_given {
            asked.status = found.settings.status;
        }
        if found.settings == asked { Ok(Some(found.clone())) } else { Err(conflict(OTHER_CONTENT)) }
    }

    async fn commit(mut self, new: &[Candidate]) -> Result<Vec<String>> {
        for rows in new.chunks(STATEMENT_ROWS) {
            self.insert(rows).await?;
        }
        if !new.is_empty() {
            count(&mut self.tx, self.tenant, new.len() as i64).await?;
        }
        self.tx.commit().await?;
        Ok(self.new_classes)
    }

    async fn insert(&mut self, rows: &[Candidate]) -> Result<()> {
        let mut query = QueryBuilder::new(
            "INSERT INTO devices \
             (device_id, tenant_id, device_class, schema_id, status, metadata, token_hash, registered_at) ",
        );
        let tenant = self.tenant.as_bytes().to_vec();
        query.push_values(rows, |mut row, Candidate { device, token, .. }| {
            let settings = &device.settings;
            row.push_bind(device.device_id.as_bytes().to_vec()).push_bind(tenant.clone());
            row.push_bind(settings.device_class.clone());
            row.push_bind(settings.schema_id.map(|id| id.as_bytes().to_vec())).push_bind(settings.status.name());
            row.push_bind(to_json(&settings.metadata)).push_bind(token.as_slice().to_vec());
            row.push_bind(device.registered_at);
        });
        query.build().persistent(is_usual(rows.len())).execute(&mut *self.tx).await?;
        Ok(())
    }
}

/// Whether a statement of so many rows will come again: only then it is worth a place among the prepared ones.
fn is_usual(rows: usize) -> bool {
    rows == 1 || rows == STATEMENT_ROWS
}
