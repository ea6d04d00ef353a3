//! Who each device index is: its source, its table and its window.
//!
//! What is needed for every payload ([`Route`]) lies apart from what only a rejected one needs.
//!
//! Stored as count u32, then per index: tag u8 (0 unbound, 1 device, 2 topic), a device: id 16 bytes, table u32, slot
//! u32; a topic: its source.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use model::wire::{Reader, Short, Writer};
use model::{DeviceId, DeviceIndex, Source};

use crate::plan::Plan;
use crate::tables::Tables;
use crate::window::Windows;

/// Where the payloads of an index go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Its table, or [`NO_TABLE`].
    pub table: u32,
    /// Its device's window.
    pub slot: u32,
}

/// Of a free topic and of an index that was never bound.
pub const NO_TABLE: u32 = u32::MAX;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Identity {
    Unbound,
    Device(DeviceId),
    /// Boxed: there are few, and the others are many.
    Topic(Box<Source>),
}

/// The indices of a partition.
#[derive(Debug, Default)]
pub struct Devices {
    routes: Vec<Route>,
    identities: Vec<Identity>,
    slots: HashMap<DeviceId, u32>,
}

impl Devices {
    /// Makes `index` stand for `source`; `false` if it did already. An index that stood for another source changes its
    /// meaning from here on.
    pub fn bind(
        &mut self,
        index: DeviceIndex,
        source: &Source,
        (tables, plan, windows): (&mut Tables, &Plan, &mut Windows),
    ) -> bool {
        if index.as_usize() >= self.routes.len() {
            self.routes.resize(index.as_usize() + 1, Route { table: NO_TABLE, slot: 0 });
            self.identities.resize(index.as_usize() + 1, Identity::Unbound);
        }
        let (identity, route) = match source {
            Source::Device { tenant, device, class } => {
                let slot = *self.slots.entry(*device).or_insert_with(|| windows.open());
                (Identity::Device(*device), Route { table: tables.open(*tenant, class, plan), slot })
            }
            Source::Topic { .. } => (Identity::Topic(Box::new(source.clone())), Route { table: NO_TABLE, slot: 0 }),
        };
        let at = index.as_usize();
        let is_new = self.identities[at] != identity || self.routes[at] != route;
        self.identities[at] = identity;
        self.routes[at] = route;
        is_new
    }

    /// Where the payloads of an index go; `None` if it was never bound.
    pub fn route(&self, index: DeviceIndex) -> Option<Route> {
        let route = *self.routes.get(index.as_usize())?;
        let bound = route.table != NO_TABLE || self.identities[index.as_usize()] != Identity::Unbound;
        bound.then_some(route)
    }

    /// What an index stands for.
    pub fn source(&self, index: DeviceIndex, tables: &Tables) -> Option<Source> {
        match self.identities.get(index.as_usize())? {
            Identity::Unbound => None,
            Identity::Topic(source) => Some(Source::clone(source)),
            Identity::Device(device) => {
                let table = &tables.list[self.routes[index.as_usize()].table as usize];
                Some(Source::Device { tenant: table.tenant, device: *device, class: table.class.clone() })
            }
        }
    }

    /// Every index up to the highest that was bound.
    pub fn indices(&self) -> impl Iterator<Item = DeviceIndex> + use<> {
        (0..self.routes.len() as u32).map(DeviceIndex)
    }

    /// Bytes taken, about: the maps' control bytes are counted as one per entry.
    pub fn bytes(&self) -> usize {
        self.routes.capacity() * size_of::<Route>()
            + self.identities.capacity() * size_of::<Identity>()
            + self.slots.capacity() * (size_of::<(DeviceId, u32)>() + 1)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.routes.len() as u32);
        for (identity, route) in self.identities.iter().zip(&self.routes) {
            match identity {
                Identity::Unbound => out.u8(0),
                Identity::Device(device) => {
                    out.u8(1);
                    out.extend_from_slice(device.as_bytes());
                    out.u32(route.table);
                    out.u32(route.slot);
                }
                Identity::Topic(source) => {
                    out.u8(2);
                    source.encode(out);
                }
            }
        }
    }

    /// Fails where a device's table or slot is not among these, or a device has two slots.
    pub fn decode(reader: &mut Reader<'_>, tables: usize, windows: usize) -> Result<Self, Short> {
        let mut devices = Self::default();
        let count = reader.u32()?;
        // Each takes at least a byte.
        let likely = reader.0.len().min(count as usize);
        devices.routes.reserve_exact(likely);
        devices.identities.reserve_exact(likely);
        devices.slots.reserve(windows);
        for _ in 0..count {
            let (identity, route) = match reader.u8()? {
                0 => (Identity::Unbound, Route { table: NO_TABLE, slot: 0 }),
                1 => {
                    let device = DeviceId::from_bytes(reader.array()?);
                    let route = Route { table: reader.u32()?, slot: reader.u32()? };
                    if route.table as usize >= tables || route.slot as usize >= windows {
                        return Err(Short);
                    }
                    devices.note_slot(device, route.slot)?;
                    (Identity::Device(device), route)
                }
                2 => {
                    let source = Box::new(Source::decode(&mut reader.0)?);
                    (Identity::Topic(source), Route { table: NO_TABLE, slot: 0 })
                }
                _ => return Err(Short),
            };
            devices.identities.push(identity);
            devices.routes.push(route);
        }
        Ok(devices)
    }

    fn note_slot(&mut self, device: DeviceId, slot: u32) -> Result<(), Short> {
        match self.slots.entry(device) {
            Entry::Vacant(entry) => {
                entry.insert(slot);
                Ok(())
            }
            Entry::Occupied(entry) if *entry.get() == slot => Ok(()),
            Entry::Occupied(_) => Err(Short),
        }
    }
}
