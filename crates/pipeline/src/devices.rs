//! Who each device index is: its source, its table and its window.
//!
//! What is needed for every payload ([`Route`]) lies apart from what only a rejected one needs.
//!
//! A device takes 24 bytes here, beside its window, and about 7 in the hash table, which holds indices alone.
//!
//! Stored as topics u32, then per topic: index u32 and source | cohorts | count u32 | per index cohort u32 ([`NO_COHORT`] a
//! topic, [`UNBOUND`] none) and window slot u32 | per index the device's id, 16 bytes; as they are in memory, so that a snapshot
//! of a million devices is a copy of memory.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use model::wire::{Reader, Short, Writer};
use model::{DeviceId, DeviceIndex, IdHash, Profile, Source};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::cohorts::Cohorts;
use crate::tables::Tables;
use crate::window::Windows;

/// Where the payloads of an index go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Route {
    /// Its class and profile, or [`NO_COHORT`].
    pub cohort: u32,
    /// Its device's window.
    pub slot: u32,
}

/// Of a free topic.
pub const NO_COHORT: u32 = u32::MAX;
/// Of an index that was never bound.
const UNBOUND: u32 = u32::MAX - 1;

const NOWHERE: Route = Route { cohort: UNBOUND, slot: 0 };
const NOBODY: [u8; 16] = [0; 16];

/// The indices of a partition.
#[derive(Debug, Default)]
pub struct Devices {
    routes: Vec<Route>,
    pub cohorts: Cohorts,
    /// The device of each index that is one's.
    ids: Vec<[u8; 16]>,
    /// There are few, and the devices are many.
    topics: BTreeMap<DeviceIndex, Source>,
    /// One index of each device: it has one window under all its indices.
    by_device: HashTable<DeviceIndex>,
    hash: IdHash,
}

impl Devices {
    /// Makes each index stand for its device, with this table and profile, and hands over those that did not already. An
    /// index that stood for another device changes its meaning from here on.
    pub fn bind(
        &mut self,
        table: u32,
        profile: &Arc<Profile>,
        devices: &[(DeviceIndex, DeviceId)],
        windows: &mut Windows,
        mut new: impl FnMut(DeviceIndex, DeviceId),
    ) {
        let cohort = self.cohorts.open(table, profile);
        for (index, device) in devices {
            if self.bind_one(*index, *device, cohort, windows) {
                new(*index, *device);
            }
        }
        self.cohorts.close_if_empty(cohort);
    }

    /// `false` if the index stood for this device of this table before: a change of profile is no news to others.
    fn bind_one(&mut self, index: DeviceIndex, device: DeviceId, cohort: u32, windows: &mut Windows) -> bool {
        let (at, id) = (self.make_room(index), *device.as_bytes());
        // A repetition, which most bindings are, is known without the hash table.
        let before = self.routes[at].cohort;
        if self.ids[at] == id && before < UNBOUND {
            if before != cohort {
                self.cohorts.join(cohort);
                self.routes[at].cohort = cohort;
                let same = self.cohorts.get(before).table == self.cohorts.get(cohort).table;
                self.cohorts.leave(before);
                return !same;
            }
            return false;
        }
        let slot = self.slot_of(&id).unwrap_or_else(|| windows.open());
        self.cohorts.join(cohort);
        self.release(index);
        self.ids[at] = id;
        self.routes[at] = Route { cohort, slot };
        self.note(index);
        true
    }

    /// Makes `index` stand for a free topic; `false` if it did already.
    pub fn bind_topic(&mut self, index: DeviceIndex, topic: &Source) -> bool {
        let at = self.make_room(index);
        if self.routes[at].cohort == NO_COHORT && self.topics.get(&index) == Some(topic) {
            return false;
        }
        self.release(index);
        self.ids[at] = NOBODY;
        self.routes[at] = Route { cohort: NO_COHORT, slot: 0 };
        self.topics.insert(index, topic.clone());
        true
    }

    /// The place of an index in the arrays.
    fn make_room(&mut self, index: DeviceIndex) -> usize {
        let at = index.as_usize();
        if at >= self.routes.len() {
            self.routes.resize(at + 1, NOWHERE);
            self.ids.resize(at + 1, NOBODY);
        }
        at
    }

    /// Takes an index from what it stood for. Where the hash table names a device by it, it names it by another index of
    /// the device from then on, if there is one: else its window would be lost with the index.
    fn release(&mut self, index: DeviceIndex) {
        self.topics.remove(&index);
        let at = index.as_usize();
        if self.routes[at].cohort >= UNBOUND {
            return;
        }
        self.cohorts.leave(self.routes[at].cohort);
        self.routes[at] = NOWHERE;
        let id = self.ids[at];
        let hash = self.hash.hash_one(id);
        let Ok(entry) = self.by_device.find_entry(hash, |named| *named == index) else { return };
        entry.remove();
        self.ids[at] = NOBODY;
        let other = (0..self.ids.len()).find(|other| self.ids[*other] == id && self.routes[*other].cohort < UNBOUND);
        if let Some(other) = other {
            self.note(DeviceIndex(other as u32));
        }
    }

    /// The window of a device, if it has one.
    fn slot_of(&self, id: &[u8; 16]) -> Option<u32> {
        let named = self.by_device.find(self.hash.hash_one(id), |index| self.ids[index.as_usize()] == *id)?;
        Some(self.routes[named.as_usize()].slot)
    }

    /// Lets the device of an index be found, unless it can be already.
    fn note(&mut self, index: DeviceIndex) {
        let (ids, hash) = (&self.ids, &self.hash);
        let id = ids[index.as_usize()];
        let same = |other: &DeviceIndex| ids[other.as_usize()] == id;
        self.by_device.entry(hash.hash_one(id), same, |other| hash.hash_one(ids[other.as_usize()])).or_insert(index);
    }

    /// Where the payloads of an index go; `None` if it was never bound.
    #[inline]
    pub fn route(&self, index: DeviceIndex) -> Option<Route> {
        self.routes.get(index.as_usize()).copied().filter(|route| route.cohort != UNBOUND)
    }

    /// What an index stands for.
    pub fn source(&self, index: DeviceIndex, tables: &Tables) -> Option<Source> {
        let route = self.route(index)?;
        if route.cohort == NO_COHORT {
            return self.topics.get(&index).cloned();
        }
        let (device, table) = (
            DeviceId::from_bytes(self.ids[index.as_usize()]),
            &tables.list[self.cohorts.get(route.cohort).table as usize],
        );
        Some(Source::Device { tenant: table.tenant, device, class: table.class.clone() })
    }

    /// Every index up to the highest that was bound.
    pub fn indices(&self) -> impl Iterator<Item = DeviceIndex> + use<> {
        (0..self.routes.len() as u32).map(DeviceIndex)
    }

    /// Bytes taken, about: of the hash table, a byte beside each index.
    pub fn bytes(&self) -> usize {
        self.routes.capacity() * size_of::<Route>()
            + self.ids.capacity() * size_of::<[u8; 16]>()
            + self.by_device.capacity() * (size_of::<DeviceIndex>() + 1)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.topics.len() as u32);
        for (index, source) in &self.topics {
            out.u32(index.0);
            source.encode(out);
        }
        self.cohorts.encode(out);
        out.u32(self.routes.len() as u32);
        out.extend_from_slice(self.routes.as_bytes());
        out.extend_from_slice(self.ids.as_bytes());
    }

    /// Fails where a device's table or slot is not among these, or a device has two slots.
    pub fn decode(reader: &mut Reader<'_>, tables: usize, windows: usize) -> Result<Self, Short> {
        let mut devices = Self::default();
        for _ in 0..reader.u32()? {
            let index = DeviceIndex(reader.u32()?);
            devices.topics.insert(index, Source::decode(&mut reader.0)?);
        }
        devices.cohorts = Cohorts::decode(reader, tables)?;
        let count = reader.u32()? as usize;
        let routes = reader.take(count.checked_mul(size_of::<Route>()).ok_or(Short)?)?;
        let ids = reader.take(count.checked_mul(size_of::<[u8; 16]>()).ok_or(Short)?)?;
        devices.routes = vec![NOWHERE; count];
        devices.routes.as_mut_bytes().copy_from_slice(routes);
        devices.ids = vec![NOBODY; count];
        devices.ids.as_mut_bytes().copy_from_slice(ids);
        devices.find_devices(windows)?;
        Ok(devices)
    }

    /// Checks what was read and makes the hash table, which is not stored.
    fn find_devices(&mut self, windows: usize) -> Result<(), Short> {
        let (ids, hash) = (&self.ids, &self.hash);
        self.by_device.reserve(windows, |_| 0);
        let mut topics = 0;
        for (at, route) in self.routes.iter().enumerate() {
            match route.cohort {
                NO_COHORT => topics += usize::from(self.topics.contains_key(&DeviceIndex(at as u32))),
                UNBOUND => {}
                cohort if cohort as usize >= self.cohorts.len() || self.cohorts.is_free(cohort) => return Err(Short),
                _ if route.slot as usize >= windows => return Err(Short),
                cohort => {
                    self.cohorts.join(cohort);
                    let same = |other: &DeviceIndex| ids[other.as_usize()] == ids[at];
                    let rehash = |other: &DeviceIndex| hash.hash_one(ids[other.as_usize()]);
                    let entry = self.by_device.entry(hash.hash_one(ids[at]), same, rehash);
                    let index = *entry.or_insert(DeviceIndex(at as u32)).get();
                    if self.routes[index.as_usize()].slot != route.slot {
                        return Err(Short);
                    }
                }
            }
        }
        let nameless = self.routes.iter().filter(|route| route.cohort == NO_COHORT).count() - topics;
        let used =
            (0..self.cohorts.len() as u32).all(|number| self.cohorts.is_free(number) || self.cohorts.is_used(number));
        if nameless == 0 && topics == self.topics.len() && used { Ok(()) } else { Err(Short) }
    }
}
