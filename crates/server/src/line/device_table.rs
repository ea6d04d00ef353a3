//! Which [`DeviceIndex`] stands for which [`Source`] in this data directory.
//!
//! Shared by every gateway loop and HTTP. It is asked when a connection binds a topic, never per message. The log is
//! where a binding lives (`Control::BindDevices`); this table is rebuilt from snapshot and log at start, before anything is
//! accepted. A device takes 24 bytes, and about 7 in the hash table, which holds indices alone.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;
use model::{Control, DeviceId, DeviceIndex, IdHash, Source, TenantId, limits};

#[cfg(test)]
mod tests;

/// The bindings in use. An index is never reused and never changes its meaning.
#[derive(Debug, Default)]
pub struct DeviceTable(RwLock<Bindings>);

#[derive(Debug, Default)]
struct Bindings {
    by_entry: HashTable<DeviceIndex>,
    /// By index.
    entries: Vec<Entry>,
    classes: Vec<(TenantId, Arc<str>)>,
    class_numbers: HashMap<(TenantId, Arc<str>), u32>,
    hash: IdHash,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Entry {
    /// A log that was trimmed away had the binding.
    Unbound,
    Device {
        device: DeviceId,
        /// Position in [`Bindings::classes`].
        class: u32,
    },
    /// Boxed: there are few, and the others are many.
    Topic(Box<Source>),
}

/// Every index is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "this data directory has seen {} devices and free topics, as many as it can number; start a new data directory",
    limits::DEVICE_INDICES_MAX
)]
pub struct TableFull;

impl DeviceTable {
    /// The index that stands for `source`; a new one if it has none yet.
    pub fn index_of(&self, source: &Source) -> Result<DeviceIndex, TableFull> {
        if let Some(index) = self.0.read().unwrap_or_else(PoisonError::into_inner).find(source) {
            return Ok(index);
        }
        let mut bindings = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = bindings.find(source) {
            return Ok(index);
        }
        let index = bindings.entries.len() as u32;
        if index >= limits::DEVICE_INDICES_MAX {
            return Err(TableFull);
        }
        bindings.bind(DeviceIndex(index), source);
        Ok(DeviceIndex(index))
    }

    /// The records that bind these indices, one for each class and topic. An index that was not given out is left out.
    pub fn bindings(&self, indices: &[DeviceIndex]) -> Vec<Control> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).records(indices)
    }

    /// Takes over bindings that snapshot or log have.
    pub fn restore(&self, bindings: impl IntoIterator<Item = (DeviceIndex, Source)>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let bindings = bindings.into_iter();
        table.reserve(bindings.size_hint().1.unwrap_or(0));
        for (index, source) in bindings {
            if table.find(&source) != Some(index) {
                table.bind(index, &source);
            }
        }
    }
}

impl Bindings {
    fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let (entries, hasher) = (&self.entries, &self.hash);
        self.by_entry.reserve(more, |index| hasher.hash_one(&entries[index.as_usize()]));
    }

    fn find(&self, source: &Source) -> Option<DeviceIndex> {
        let entry = match source {
            Source::Device { tenant, device, class } => {
                Entry::Device { device: *device, class: self.class_number(*tenant, class)? }
            }
            Source::Topic { .. } => Entry::Topic(Box::new(source.clone())),
        };
        let same = |index: &DeviceIndex| self.entries[index.as_usize()] == entry;
        self.by_entry.find(self.hash.hash_one(&entry), same).copied()
    }

    fn class_number(&self, tenant: TenantId, class: &Arc<str>) -> Option<u32> {
        // Devices that come together are mostly of one class, the one that came last.
        let last = self.classes.len().checked_sub(1)?;
        let (of, name) = &self.classes[last];
        if *of == tenant && name == class {
            return Some(last as u32);
        }
        self.class_numbers.get(&(tenant, class.clone())).copied()
    }

    /// Makes an index stand for a source that no index stands for.
    fn bind(&mut self, index: DeviceIndex, source: &Source) {
        let entry = match source {
            Source::Device { tenant, device, class } => {
                let number = self.class_number(*tenant, class).unwrap_or_else(|| {
                    let number = self.classes.len() as u32;
                    self.class_numbers.insert((*tenant, class.clone()), number);
                    self.classes.push((*tenant, class.clone()));
                    number
                });
                Entry::Device { device: *device, class: number }
            }
            Source::Topic { .. } => Entry::Topic(Box::new(source.clone())),
        };
        if self.entries.len() <= index.as_usize() {
            self.entries.resize(index.as_usize() + 1, Entry::Unbound);
        }
        let hash = self.hash.hash_one(&entry);
        self.entries[index.as_usize()] = entry;
        let (entries, hasher) = (&self.entries, &self.hash);
        self.by_entry.insert_unique(hash, index, |index| hasher.hash_one(&entries[index.as_usize()]));
    }

    fn records(&self, indices: &[DeviceIndex]) -> Vec<Control> {
        let mut records = Vec::new();
        // The classes that have a record, and its devices. There are few, and neighbours are mostly of one.
        let mut by_class: Vec<(u32, Vec<(DeviceIndex, DeviceId)>)> = Vec::new();
        for index in indices {
            match self.entries.get(index.as_usize()) {
                Some(Entry::Device { device, class }) => {
                    match by_class.iter_mut().rev().find(|(number, _)| number == class) {
                        Some((_, devices)) => devices.push((*index, *device)),
                        None => by_class.push((*class, vec![(*index, *device)])),
                    }
                }
                Some(Entry::Topic(source)) => records.push(Control::bind(*index, Source::clone(source))),
                Some(Entry::Unbound) | None => {}
            }
        }
        records.extend(by_class.into_iter().map(|(class, devices)| {
            let (tenant, class) = &self.classes[class as usize];
            Control::BindDevices { tenant: *tenant, class: class.clone(), profile: Arc::default(), devices }
        }));
        records
    }
}
