//! Who may speak, and in what shape: tenants, API keys, device classes, devices and their credentials.
//!
//! [`Registry`] is the one handle. It stores in SQLite (a closed set of backends, see [`backend`]), answers who a token
//! is from a cache in the process, and announces each [`Change`] that a live session or a plan depends on. Whatever a
//! method has returned `Ok` for is durable.
//!
//! It never knows MQTT or HTTP, never reads a clock but [`model::Clock`], never returns or logs a token again after it
//! was made, and never lets one tenant see that another one's resource exists.

mod backend;
mod cache;
mod change;
mod error;
mod metric_units;
mod presence;
mod registry;
mod resource;
pub mod schema;
mod secret;
pub mod units;

pub use cache::{Cached, DeviceAuth, KeyAuth, KnownProfile, Revision};
pub use change::Change;
pub use error::{Denial, Error, Resource, Result, SchemaError};
pub use metric_units::MetricUnits;
pub use registry::{Bootstrap, Compatible, Created, Mirrored, NewKey, Registered, Registry, Rotated, TenantRules};
pub use resource::class::{Class, ClassLimits, ClassSettings, Durability, Retention, format_from_name};
pub use resource::device::{DEFAULT_CLASS, Device, DeviceFilter, DeviceSettings, NewDevice, Status};
pub use resource::duration_text;
pub use resource::key::{ApiKey, KeySettings, Right, Rights};
pub use resource::rules::rules_under;
pub use resource::schema::{
    Compatibility, Deleted, Judge, LANGUAGES, NewSchema, SchemaConfig, SchemaMajor, SchemaMode, SchemaPlace,
    SchemaReference, SchemaText, SchemaVersion, VersionRef, language_from_name, language_name,
};
pub use resource::tenant::{DEFAULT_TENANT, DEV_TENANT, Tenant, TenantLimits, TenantRef, TenantSettings};
pub use resource::{Page, Paging, Patch};
pub use secret::{Secret, SecretKind};
