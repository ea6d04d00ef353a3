//! When devices were last seen: collected in memory, written in batches.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::{DeviceId, Millis, limits::DEVICES_HEARD_MAX};

/// Devices seen since they were written last, each with its greatest time.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    devices: BTreeMap<DeviceId, Millis>,
    /// Where the next part begins.
    from: Option<DeviceId>,
}

impl Presence {
    /// Takes one lock for the whole batch.
    pub fn touch(&self, seen: impl IntoIterator<Item = (DeviceId, Millis)>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, at) in seen {
            if let Some(last) = state.devices.get_mut(&device) {
                *last = at.max(*last);
            } else if state.devices.len() < DEVICES_HEARD_MAX {
                state.devices.insert(device, at);
            }
        }
    }

    /// At most `devices_max` of them; the rest stays. Part after part it goes round through all ids in order, so that
    /// devices that lie together in the database are written together.
    pub fn take(&self, devices_max: usize) -> Vec<(DeviceId, Millis)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.devices.len() <= devices_max {
            state.from = None;
            return std::mem::take(&mut state.devices).into_iter().collect();
        }
        let from = state.from.unwrap_or(DeviceId::from_bytes([0; 16]));
        let (above, below) = (state.devices.range(from..), state.devices.range(..from));
        let mut part = above.chain(below).map(|(device, at)| (*device, *at));
        let taken: Vec<_> = part.by_ref().take(devices_max).collect();
        state.from = part.next().map(|(device, _)| device);
        for (device, _) in &taken {
            state.devices.remove(device);
        }
        taken
    }
}

#[cfg(test)]
mod tests;
