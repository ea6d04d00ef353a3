//! Who sends: a few devices of two tenants and two classes, one for each way to say which message it is.

use std::sync::Arc;

use model::{DeviceId, Source, TenantId};
use uuid::Uuid;

/// The data directory.
pub const DIR: &str = "/data";
pub const CLASSES: [&str; 2] = ["pump", "valve"];
/// How long rows of [`CLASSES`] are kept, in milliseconds.
pub const RETENTION: [Option<i64>; 2] = [None, Some(3 * 3600 * 1000)];
/// The metric that messages carry, and the one that is computed from it.
pub const METRICS: [&str; 2] = ["v", "c"];
pub const DEVICES: usize = 12;

/// What a device says beside its values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// boot, seq and ts.
    Boot,
    /// seq and ts.
    Epoch,
    /// ts alone.
    TsAlone,
    /// seq alone.
    SeqAlone,
    /// Neither.
    Bare,
    /// Messages and events, with one counter for both.
    Events,
}

impl Style {
    pub fn of(device: usize) -> Self {
        [Self::Boot, Self::Epoch, Self::TsAlone, Self::SeqAlone, Self::Bare, Self::Events][device % 6]
    }
}

pub fn tenants() -> [TenantId; 2] {
    [TenantId(Uuid::from_u128(0xa)), TenantId(Uuid::from_u128(0xb))]
}

/// The places of a device's tenant and class.
pub fn table_of(device: usize) -> (usize, usize) {
    (usize::from(device.is_multiple_of(5)), device / 3 % 2)
}

pub fn device_id(device: usize) -> DeviceId {
    DeviceId::from_bytes([device as u8 + 1; 16])
}

pub fn source(device: usize) -> Source {
    let (tenant, class) = table_of(device);
    let class: Arc<str> = CLASSES[class].into();
    Source::Device { tenant: tenants()[tenant], device: device_id(device), class }
}
