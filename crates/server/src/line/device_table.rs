//! Which [`DeviceIndex`] stands for which [`Source`] in this data directory.
//!
//! Shared by every gateway loop and HTTP. It is asked when a connection binds a topic, never per message. The log is
//! where a binding lives (`Control::Bind`); this table is rebuilt from snapshot and log at start, before anything is
//! accepted.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use model::{DeviceIndex, Source, limits};

#[cfg(test)]
mod tests;

/// The bindings in use. An index is never reused and never changes its meaning.
#[derive(Debug, Default)]
pub struct DeviceTable(RwLock<Bindings>);

#[derive(Debug, Default)]
struct Bindings {
    by_source: HashMap<Source, DeviceIndex>,
    /// By index. `None` where a log that was trimmed away had the binding.
    sources: Vec<Option<Source>>,
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
        if let Some(index) = self.0.read().unwrap_or_else(PoisonError::into_inner).by_source.get(source) {
            return Ok(*index);
        }
        let mut bindings = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = bindings.by_source.get(source) {
            return Ok(*index);
        }
        let index = bindings.sources.len() as u32;
        if index >= limits::DEVICE_INDICES_MAX {
            return Err(TableFull);
        }
        bindings.sources.push(Some(source.clone()));
        bindings.by_source.insert(source.clone(), DeviceIndex(index));
        Ok(DeviceIndex(index))
    }

    /// What an index stands for.
    pub fn source(&self, index: DeviceIndex) -> Option<Source> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).sources.get(index.as_usize())?.clone()
    }

    /// Takes over a binding that snapshot or log have.
    pub fn restore(&self, index: DeviceIndex, source: Source) {
        let mut bindings = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if bindings.sources.len() <= index.as_usize() {
            bindings.sources.resize(index.as_usize() + 1, None);
        }
        bindings.sources[index.as_usize()] = Some(source.clone());
        bindings.by_source.insert(source, index);
    }
}
