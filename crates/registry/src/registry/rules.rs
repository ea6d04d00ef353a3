//! What the pipeline has to know of a tenant: its schemas, and the rules of its classes.

use std::sync::Arc;

use model::contract::{Contract, SchemaRecord, Verdict};
use model::{ClassRules, TenantId};
use uuid::Uuid;

use super::{Inner, Registry};
use crate::backend::on;
use crate::resource::class::ClassSettings;
use crate::resource::rules::{SentUnits, check_units_of, class_rules};
use crate::resource::tenant::TenantRef;
use crate::{Error, Result};

/// Classes read at once.
const CLASSES_AT_ONCE: usize = 1000;

/// Everything of a tenant that decides what a message becomes, beside the profiles of its devices.
#[derive(Clone, Default, Debug)]
pub struct TenantRules {
    /// Before the classes: what a class names is there.
    pub schemas: Vec<SchemaRecord>,
    /// In the order of their names.
    pub classes: Vec<(Arc<str>, ClassRules)>,
}

impl Registry {
    /// The rules as they are now; nothing of a tenant that is not there.
    pub async fn rules_of(&self, tenant: TenantId) -> Result<TenantRules> {
        let settings = match self.tenant(&TenantRef::Id(tenant)).await {
            Ok(tenant) => tenant.settings,
            Err(Error::NotFound { .. }) => return Ok(TenantRules::default()),
            Err(error) => return Err(error),
        };
        let schemas = self.schema_records(tenant).await?;
        let mut sent = SentUnits::default();
        schemas.iter().for_each(|schema| sent.add(schema));
        let (mut classes, mut after) = (Vec::new(), String::new());
        loop {
            let found = on!(self.0.backend, db => db.classes(tenant, &after, CLASSES_AT_ONCE))?;
            let Some(last) = found.last() else { return Ok(TenantRules { schemas, classes }) };
            after.clone_from(&last.settings.name);
            let rules = |class: &ClassSettings| (class.name.as_str().into(), class_rules(class, &settings, &sent));
            classes.extend(found.iter().map(|class| rules(&class.settings)));
        }
    }
}

impl Inner {
    /// Whether the schema can be given to devices.
    pub(super) async fn check_schema(&self, tenant: TenantId, schema_id: Uuid) -> Result<()> {
        self.usable(tenant, schema_id).await.map(drop)
    }

    /// Whether the class's schema can be given to devices, and its units become the class's.
    pub(super) async fn check_class_schema(&self, tenant: TenantId, class: &ClassSettings) -> Result<()> {
        let Some(id) = class.schema_id else { return Ok(()) };
        check_units_of(&self.usable(tenant, id).await?, class)
    }

    /// The contract of the newest version of a major: without one all that its devices sent would be dead letters.
    async fn usable(&self, tenant: TenantId, schema_id: Uuid) -> Result<Contract> {
        let wrong = |why: String| Error::invalid("schema_id", why);
        let unknown = || wrong(format!("names no schema here ({schema_id}): list them to see which there are"));
        let major = on!(self.backend, db => db.schema_major(tenant, schema_id))?;
        let (subject, _) = major.ok_or_else(unknown)?;
        let places = on!(self.backend, db => db.schema_places(tenant, &subject))?;
        let of_major = places.iter().filter(|place| !place.deleted && place.place.schema_id == schema_id);
        let newest = of_major.max_by_key(|place| place.place.version).ok_or_else(unknown)?.clone();
        match self.verdict(tenant, newest.id).await? {
            Verdict::Usable(contract) => Ok(contract),
            Verdict::Unusable(why) => {
                let (subject, version) = (newest.place.subject, newest.place.version);
                Err(wrong(format!(
                    "names a schema that messages cannot be checked by (version {version} of `{subject}`): {why}"
                )))
            }
            Verdict::Unknown => Err(unknown()),
        }
    }
}
