//! Who a connection is, and what it may publish to.
//!
//! The tenant comes from the credential alone. A topic, a client id or a payload that names another tenant is refused,
//! never followed.

use std::sync::Arc;

use model::{DeviceId, Format, GroupFlags, PayloadKind, SessionKey, Source, TenantId};
use registry::{Cached, DeviceAuth, Durability, KeyAuth, KnownProfile, Registry, Right};
use xxhash_rust::xxh3::Xxh3;

use super::topic::Target;

#[cfg(test)]
mod tests;

/// The MQTT user name under which an API key connects.
pub const KEY_USER: &str = "key";

/// An authenticated sender.
#[derive(Clone, Debug)]
pub enum Identity {
    Device(Arc<DeviceAuth>),
    Key(Arc<KeyAuth>),
    /// Whoever connects to the loopback listener of `--dev-anonymous`: free topics of one tenant.
    Anonymous {
        tenant: TenantId,
    },
}

/// Where a publish goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Accept(Admitted),
    /// The device is not in the cache: ask the registry, then try again.
    LookUp(DeviceId),
    /// For the peer: what is wrong with the topic.
    Refuse(&'static str),
}

/// A topic that its sender may publish to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    pub source: Source,
    /// What the device has beside its class.
    pub profile: KnownProfile,
    pub kind: PayloadKind,
    /// What a payload without a content type is in.
    pub format: Format,
    pub flags: GroupFlags,
}

/// The credential of a CONNECT, before it was looked at.
#[derive(Clone, Debug)]
pub enum Credential {
    Device(DeviceId, String),
    Key(String),
}

impl Credential {
    /// Reads user name and password. `None`: they can be no credential of ours.
    pub fn read(user: Option<&str>, password: Option<&[u8]>) -> Option<Self> {
        let password = std::str::from_utf8(password?).ok()?.to_owned();
        match user? {
            KEY_USER => Some(Self::Key(password)),
            user => Some(Self::Device(user.parse().ok()?, password)),
        }
    }

    /// The answer, if it can be given without waiting.
    pub fn cached(&self, registry: &Registry) -> Cached<Identity> {
        match self {
            Self::Device(device, token) => match registry.cached_device_auth(*device, token) {
                Cached::Hit(auth) => Cached::Hit(Identity::Device(auth)),
                Cached::Denied(denial) => Cached::Denied(denial),
                Cached::Miss => Cached::Miss,
            },
            Self::Key(token) => match registry.cached_key(token) {
                Cached::Hit(auth) => Cached::Hit(Identity::Key(auth)),
                Cached::Denied(denial) => Cached::Denied(denial),
                Cached::Miss => Cached::Miss,
            },
        }
    }
}

impl Identity {
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Device(auth) => auth.tenant,
            Self::Key(auth) => auth.tenant,
            Self::Anonymous { tenant } => *tenant,
        }
    }

    /// When its acknowledgements may leave. A key speaks for devices of several classes, so for it the strongest holds.
    pub fn durability(&self) -> Durability {
        match self {
            Self::Device(auth) => auth.durability,
            Self::Key(_) | Self::Anonymous { .. } => Durability::Persisted,
        }
    }

    /// The session that a client id means for this identity. Another identity with the same client id has another
    /// session, so nobody can take over what is not theirs.
    pub fn session(&self, client_id: &str) -> SessionKey {
        let mut hash = Xxh3::new();
        hash.update(self.tenant().as_bytes());
        match self {
            Self::Device(auth) => hash.update(auth.device.as_bytes()),
            Self::Key(auth) => hash.update(auth.key.as_bytes()),
            Self::Anonymous { .. } => hash.update(&[0; 16]),
        }
        hash.update(client_id.as_bytes());
        SessionKey(hash.digest128())
    }

    /// Whether this identity may publish to `target`, and as what.
    pub fn judge(&self, target: Target<'_>, registry: &Registry) -> Verdict {
        #[cfg(feature = "sabotage")]
        if let Some(verdict) = crate::sabotage::judge(self, target) {
            return verdict;
        }
        match (self, target) {
            (_, Target::Refused(why)) => Verdict::Refuse(why),
            (Self::Key(auth), _) if !auth.allows(Right::Ingest) => {
                Verdict::Refuse("the API key does not have the right `ingest`")
            }
            (Self::Device(auth), Target::Device { tenant, device, kind }) => {
                // What it was when it connected may have changed without ending the session.
                if tenant == auth.tenant && device == auth.device {
                    known(registry, tenant, device, kind)
                } else {
                    Verdict::Refuse("a device publishes below its own prefix only")
                }
            }
            (Self::Key(auth), Target::Device { tenant, device, kind }) if tenant == auth.tenant => {
                known(registry, tenant, device, kind)
            }
            (Self::Key(_), Target::Device { .. }) => Verdict::Refuse("the topic names another tenant than the key's"),
            (Self::Anonymous { .. }, Target::Device { .. }) => Verdict::Refuse(
                "this listener takes free topics only; devices connect with their token to the other one",
            ),
            (Self::Device(auth), Target::Free(_)) if !auth.free_topics => {
                Verdict::Refuse("the device's class does not allow free topics")
            }
            (_, Target::Free(topic)) => Verdict::Accept(Admitted {
                source: Source::Topic { tenant: self.tenant(), topic: topic.into() },
                profile: KnownProfile::default(),
                kind: PayloadKind::Free,
                format: Format::Json,
                flags: GroupFlags::default(),
            }),
        }
    }
}

/// What the registry's cache says of a device.
fn known(registry: &Registry, tenant: TenantId, device: DeviceId, kind: PayloadKind) -> Verdict {
    match registry.cached_device_of(tenant, device) {
        Cached::Hit(auth) => Verdict::Accept(admit(&auth, kind)),
        Cached::Denied(_) => Verdict::Refuse("there is no such device, or it is inactive"),
        Cached::Miss => Verdict::LookUp(device),
    }
}

/// A device's topic, for one that is known.
pub fn admit(auth: &DeviceAuth, kind: PayloadKind) -> Admitted {
    Admitted {
        source: Source::Device { tenant: auth.tenant, device: auth.device, class: auth.class.clone() },
        profile: auth.profile.clone(),
        kind,
        format: auth.format.unwrap_or(Format::Json),
        flags: if auth.quarantined() { GroupFlags::QUARANTINED } else { GroupFlags::default() },
    }
}
