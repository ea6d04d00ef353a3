//! What a live session or a plan may have to act on.

use std::sync::Arc;

use model::{DeviceId, KeyId, TenantId};

/// Something changed. It is sent after the change is durable and after the cache has forgotten the old answer, so who
/// asks again on receiving it gets the new one. A receiver that lagged (`RecvError::Lagged`) takes it that everything
/// changed. What is new is not announced: nobody can depend on it yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Class, schema, status or token changed, or it was deleted, or an old token's overlap ended: its sessions end.
    Device(DeviceId),
    /// Its rights changed or it was deleted: its sessions end.
    Key(KeyId),
    /// Its settings changed or it was deleted.
    Class(TenantId, Arc<str>),
    /// A schema of the tenant was registered or deleted. It ends no session.
    Schema(TenantId),
    /// Its limits changed, or it was deleted and everything of it is revoked.
    Tenant(TenantId),
}
