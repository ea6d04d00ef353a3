//! Who a credential is, remembered in the process.
//!
//! Look-ups are synchronous, so that a gateway loop can ask without waiting: a hit or a refusal is an answer, a miss
//! means to ask the database. A device's entry holds the digests of its tokens, so a wrong token for a device that is
//! in the cache costs no look-up either. What does not exist is remembered apart from what does, so that made-up ids
//! cannot push out real ones.
//!
//! An answer lives for [`ANSWER_AGE_MAX`]; a change in this process forgets it at once. An answer that was read while
//! its subject changed is not kept (see `answers`).

mod answers;

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, DeviceId, Format, KeyId, Millis, Profile, TenantId};

use crate::resource::class::{ClassLimits, Durability};
use crate::resource::device::Status;
use crate::resource::key::{Right, Rights};
use crate::secret::Digest;
use crate::{Denial, SecretKind};

use answers::Answers;

pub(crate) use answers::Stamp;

/// Bounds how long another process's change goes unnoticed.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(30);
/// Devices remembered, twice over: about 80 MiB when full.
const DEVICES_MAX: usize = 1 << 17;
/// Keys remembered, twice over.
const KEYS_MAX: usize = 1 << 12;
/// Ids and tokens remembered as unknown, twice over: 5 MiB.
const UNKNOWN_MAX: usize = 1 << 15;

/// What the cache says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cached<T> {
    Hit(T),
    Denied(Denial),
    /// Ask the database: call the method of the same name without `cached_`.
    Miss,
}

/// A device that may speak (or is quarantined: see its status), and how it is to be heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceAuth {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub class: Arc<str>,
    /// Active or quarantined: an inactive device is denied.
    pub status: Status,
    /// What its messages need beside the rules of its class.
    pub profile: KnownProfile,
    /// The format of payloads that do not say theirs; `None` is JSON.
    pub format: Option<Format>,
    pub durability: Durability,
    pub free_topics: bool,
    pub limits: ClassLimits,
}

impl DeviceAuth {
    pub fn quarantined(&self) -> bool {
        self.status == Status::Quarantined
    }
}

/// A device's profile as it was when the registry was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownProfile {
    pub profile: Arc<Profile>,
    pub revision: Revision,
}

/// Orders what this process knows of one device: what was read after a change is newer than everything that was read
/// before the change was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Revision(pub u32);

impl Revision {
    /// It counts round: no answer is kept for half of a round's changes.
    pub fn is_older_than(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }
}

/// An API key that may do what its rights say, within its tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyAuth {
    pub key: KeyId,
    pub tenant: TenantId,
    pub rights: Rights,
    /// Whether it has the right `admin` in the default tenant: it manages tenants.
    pub operator: bool,
}

impl KeyAuth {
    pub fn allows(&self, right: Right) -> bool {
        self.rights.allow(right)
    }
}

/// A device as authentication needs it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub auth: Arc<DeviceAuth>,
    pub token: Option<Digest>,
    /// The token before the last rotation, and until when it is good.
    pub previous: Option<(Digest, Millis)>,
}

impl Identity {
    /// The identity as an answer that was asked for at `stamp`.
    pub fn known_since(mut self, stamp: Stamp) -> Self {
        Arc::make_mut(&mut self.auth).profile.revision = stamp.revision();
        self
    }

    fn verdict(&self) -> Result<Arc<DeviceAuth>, Denial> {
        if self.auth.status == Status::Inactive { Err(Denial::Inactive) } else { Ok(self.auth.clone()) }
    }

    fn admits(&self, token: &Digest, now: Millis) -> bool {
        // Both are compared in any case: the time says nothing about which of them it was.
        let current = self.token.is_some_and(|digest| digest.same(token));
        let previous = self.previous.is_some_and(|(digest, until)| digest.same(token) && now < until);
        current | previous
    }
}

/// The cache of both kinds of credential.
#[derive(Debug)]
pub(crate) struct Cache {
    pub devices: Answers<DeviceId, Identity>,
    pub keys: Answers<Digest, Arc<KeyAuth>>,
    clock: Clock,
}

impl Cache {
    pub fn new(clock: Clock) -> Self {
        let devices = Answers::new(DEVICES_MAX, UNKNOWN_MAX, ANSWER_AGE_MAX, clock.clone());
        let keys = Answers::new(KEYS_MAX, UNKNOWN_MAX, ANSWER_AGE_MAX, clock.clone());
        Self { devices, keys, clock }
    }

    pub fn device_by_token(&self, device: DeviceId, token: &str) -> Cached<Arc<DeviceAuth>> {
        let Some(digest) = Digest::of_token(SecretKind::Device, token) else {
            return Cached::Denied(Denial::Credential);
        };
        match self.devices.get(&device) {
            None => Cached::Miss,
            Some(identity) => self.by_token(identity.as_ref(), &digest).into(),
        }
    }

    pub fn device_of_tenant(&self, tenant: TenantId, device: DeviceId) -> Cached<Arc<DeviceAuth>> {
        match self.devices.get(&device) {
            None => Cached::Miss,
            Some(identity) => of_tenant(identity.as_ref(), tenant).into(),
        }
    }

    pub fn key(&self, token: &str) -> Cached<Arc<KeyAuth>> {
        let Some(digest) = Digest::of_token(SecretKind::Key, token) else { return Cached::Denied(Denial::Credential) };
        match self.keys.get(&digest) {
            None => Cached::Miss,
            Some(key) => key.ok_or(Denial::Credential).into(),
        }
    }

    /// The one place where a token is judged. Unknown and wrong take the same steps.
    pub fn by_token(&self, identity: Option<&Identity>, token: &Digest) -> Result<Arc<DeviceAuth>, Denial> {
        let admitted = identity.filter(|identity| identity.admits(token, self.clock.now_ms()));
        admitted.ok_or(Denial::Credential)?.verdict()
    }
}

/// The one place where a device is judged that a key speaks for.
pub(crate) fn of_tenant(identity: Option<&Identity>, tenant: TenantId) -> Result<Arc<DeviceAuth>, Denial> {
    identity.filter(|identity| identity.auth.tenant == tenant).ok_or(Denial::Unknown)?.verdict()
}

impl<T> From<Result<T, Denial>> for Cached<T> {
    fn from(verdict: Result<T, Denial>) -> Self {
        verdict.map_or_else(Self::Denied, Self::Hit)
    }
}
