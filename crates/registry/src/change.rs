//! What a live session or a plan may have to act on.

use std::sync::Arc;

use model::{DeviceId, KeyId, TenantId};

/// Something changed. It is sent after the change is durable and after the cache has forgotten the old answer, so who
/// asks again on receiving it gets the new one. A receiver that lagged (`RecvError::Lagged`) takes it that everything
/// changed. New devices, keys and tenants are not announced: nobody can depend on them yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Class, status or token changed, or it was deleted, or an old token's overlap ended: its sessions end.
    Device(DeviceId),
    /// Its schema or metadata changed: its sessions go on.
    Profile(DeviceId),
    /// Its rights changed or it was deleted: its sessions end.
    Key(KeyId),
    /// Its durability, limits or free topics changed, or it was deleted: its devices' sessions end.
    Class(TenantId, Arc<str>),
    /// Something else of a class changed, or it is new; without a class: the tenant's units. Sessions go on.
    Rules(TenantId, Option<Arc<str>>),
    /// Tags or the format of a class changed, or metadata that may be a tag, so that devices are heard in another way.
    /// Sessions go on.
    Profiles(TenantId),
    /// A schema of the tenant was registered or deleted. It ends no session.
    Schema(TenantId),
    /// Its limits changed, or it was deleted and everything of it is revoked.
    Tenant(TenantId),
}
