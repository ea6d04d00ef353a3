//! The unit that an answer names: the one in force now, whatever it was when the values came in.
//!
//! The rules are in memory ([`crate::line::plans::Plans::units`]), and so are devices that were asked for lately. A tenant
//! whose rules name no unit costs nothing.

use std::sync::Arc;

use model::{DeviceId, TenantId};
use registry::{MetricUnits, Registry};
use store::Scope;
use uuid::Uuid;

use crate::http::{App, Context, Problem};

/// Who says a unit: a class, and the schema that a device of it names itself.
type Told = Option<(Arc<str>, Option<Uuid>)>;

/// The unit of one metric of a device or over a class. Over a class it is what the class says: a device with a schema of its
/// own may have sent in another unit if neither class nor tenant has one for the metric.
pub async fn of_scope(app: &App, context: &Context, scope: &Scope, metric: &str) -> Result<Option<String>, Problem> {
    let units = app.plans.units(context.tenant);
    if units.is_empty() {
        return Ok(None);
    }
    let told: Told = match scope {
        Scope::Class(class) | Scope::DevicesOfClass(class, _) => Some((class.as_str().into(), None)),
        Scope::Device(device) => app.registry.class_of(context.tenant, *device).await?,
        Scope::Devices(_) => None,
    };
    Ok(told.and_then(|(class, schema_id)| units.unit(&class, schema_id, metric).map(str::to_owned)))
}

/// The units of a device's metrics.
pub struct DeviceUnits<'u> {
    units: &'u MetricUnits,
    told: Told,
}

impl<'u> DeviceUnits<'u> {
    /// Of a device that is deleted nothing is known.
    pub async fn of(
        units: &'u MetricUnits,
        registry: &Registry,
        tenant: TenantId,
        device: DeviceId,
    ) -> registry::Result<Self> {
        let told = if units.is_empty() { None } else { registry.class_of(tenant, device).await? };
        Ok(Self { units, told })
    }

    pub fn unit(&self, metric: &str) -> Option<&'u str> {
        let (class, schema_id) = self.told.as_ref()?;
        self.units.unit(class, *schema_id, metric)
    }
}
