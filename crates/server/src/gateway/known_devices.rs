//! The devices that API keys publish for: what a topic leads to, without asking the registry again.
//!
//! One look-up for each message of an API key, so it is one hash of 16 bytes and one line of memory. Two generations
//! bound it: when the young one is full it becomes the old one and the old one goes; what is heard of again is moved to
//! the young one. Whatever the registry says changed is removed.

use model::{DeviceId, DeviceIndex, Format, GroupFlags, IdMap, TenantId, limits};

#[cfg(test)]
mod tests;

/// What a device's topics lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KnownDevice {
    pub tenant: TenantId,
    pub index: DeviceIndex,
    pub format: Format,
    pub flags: GroupFlags,
}

/// As in the table: 28 bytes with the id.
#[derive(Clone, Copy, Debug)]
struct Entry {
    index: DeviceIndex,
    /// Position in [`KnownDevices::tenants`].
    tenant: u16,
    format: Format,
    flags: GroupFlags,
    /// The round of [`KnownDevices::take_heard`] in which it was heard of last.
    heard: u8,
}

/// A generation of so many devices is near the processor anyway.
const NEAR: usize = 16 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct KnownDevices {
    young: IdMap<DeviceId, Entry>,
    old: IdMap<DeviceId, Entry>,
    young_max: usize,
    tenants: Vec<TenantId>,
    /// Devices heard of in this round.
    heard: Vec<DeviceId>,
    round: u8,
}

impl KnownDevices {
    pub fn new(young_max: usize) -> Self {
        Self {
            young: IdMap::default(),
            old: IdMap::default(),
            young_max,
            tenants: Vec::new(),
            heard: Vec::new(),
            round: 0,
        }
    }

    /// What is known of a device that is heard of now.
    #[inline]
    pub fn get(&mut self, device: DeviceId) -> Option<KnownDevice> {
        let entry = match self.young.get_mut(&device) {
            Some(entry) => entry,
            None => {
                let entry = self.old.remove(&device)?;
                self.put(device, entry);
                self.young.get_mut(&device)?
            }
        };
        if entry.heard != self.round && self.heard.len() < limits::DEVICES_HEARD_MAX {
            entry.heard = self.round;
            self.heard.push(device);
        }
        let Entry { index, tenant, format, flags, .. } = *entry;
        Some(KnownDevice { tenant: self.tenants[usize::from(tenant)], index, format, flags })
    }

    /// Brings what is known of devices that are about to be asked for near the processor. With a large fleet a look-up
    /// by itself is a wait for memory; the waits of many, one behind the other with nothing in between, overlap.
    pub fn bring_near(&self, devices: &[DeviceId]) {
        if self.young.len() < NEAR {
            return;
        }
        for device in devices {
            std::hint::black_box(self.young.get(device).map(|entry| entry.heard));
        }
    }

    pub fn contains(&self, device: DeviceId) -> bool {
        self.young.contains_key(&device) || self.old.contains_key(&device)
    }

    /// Remembers a device that is heard of now.
    pub fn insert(&mut self, device: DeviceId, known: KnownDevice) {
        let KnownDevice { tenant, index, format, flags } = known;
        let Some(tenant) = self.number_of(tenant) else { return };
        // Not of this round, so that the look-up notes it.
        let heard = self.round.wrapping_sub(1);
        self.put(device, Entry { index, tenant, format, flags, heard });
        self.get(device);
    }

    /// A tenant's number; nothing once there are too many, and then its devices are judged each time.
    fn number_of(&mut self, tenant: TenantId) -> Option<u16> {
        let at = self.tenants.iter().position(|known| *known == tenant).unwrap_or(self.tenants.len());
        let number = u16::try_from(at).ok()?;
        if at == self.tenants.len() {
            self.tenants.push(tenant);
        }
        Some(number)
    }

    fn put(&mut self, device: DeviceId, entry: Entry) {
        if self.young.len() >= self.young_max {
            // The memory of the generation that goes serves the next one.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(device, entry);
    }

    pub fn remove(&mut self, device: DeviceId) {
        self.young.remove(&device);
        self.old.remove(&device);
    }

    pub fn clear(&mut self) {
        *self = Self { heard: std::mem::take(&mut self.heard), round: self.round, ..Self::new(self.young_max) };
    }

    /// The devices heard of since the last time.
    pub fn take_heard(&mut self) -> Vec<DeviceId> {
        self.round = self.round.wrapping_add(1);
        std::mem::take(&mut self.heard)
    }
}
