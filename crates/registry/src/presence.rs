//! When devices were last seen: collected in memory, written in batches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{DeviceId, Millis};

/// Devices remembered between two flushes: 6 MiB. One that does not fit is seen at its next message.
const DEVICES_MAX: usize = 1 << 18;

/// Devices seen since the last flush, each with its greatest time.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<HashMap<DeviceId, Millis>>);

impl Presence {
    /// Takes one lock for the whole batch.
    pub fn touch(&self, seen: impl IntoIterator<Item = (DeviceId, Millis)>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, at) in seen {
            if let Some(last) = map.get_mut(&device) {
                *last = at.max(*last);
            } else if map.len() < DEVICES_MAX {
                map.insert(device, at);
            }
        }
    }

    /// At most `devices_max` of them; the rest stays.
    pub fn take(&self, devices_max: usize) -> Vec<(DeviceId, Millis)> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() <= devices_max {
            return std::mem::take(&mut *map).into_iter().collect();
        }
        let some: Vec<_> = map.iter().take(devices_max).map(|(device, at)| (*device, *at)).collect();
        for (device, _) in &some {
            map.remove(device);
        }
        some
    }
}
