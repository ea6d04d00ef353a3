//! Guards that are broken on purpose, for the negative controls: what they break, the simulation must see.

use disk::{FaultDisk, Operation};

/// Which guards are broken. Outside the feature `sabotage` there is only the value that breaks none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Broken {
    /// fdatasync only says that it did.
    pub(super) data_sync: bool,
    /// Syncing a directory only says that it did.
    pub(super) directory_sync: bool,
    /// What the log has taken in counts as acknowledged.
    pub(super) early_ack: bool,
    /// Two payloads of one device change places on their way into the log.
    pub(super) swapped: bool,
    /// No re-send is recognised.
    pub(super) forgetful: bool,
}

impl Broken {
    /// Every guard that can be broken, by name.
    #[cfg(feature = "sabotage")]
    pub const ALL: [(&'static str, Self); 5] = {
        const NONE: Broken =
            Broken { data_sync: false, directory_sync: false, early_ack: false, swapped: false, forgetful: false };
        [
            ("data-sync", Self { data_sync: true, ..NONE }),
            ("directory-sync", Self { directory_sync: true, ..NONE }),
            ("early-ack", Self { early_ack: true, ..NONE }),
            ("swapped-records", Self { swapped: true, ..NONE }),
            ("no-dedup", Self { forgetful: true, ..NONE }),
        ]
    };

    /// An empty disk.
    pub(super) fn disk(self) -> FaultDisk {
        let disk = FaultDisk::new();
        if self.data_sync {
            disk.lie_about(Operation::SyncData);
        }
        if self.directory_sync {
            disk.lie_about(Operation::SyncDir);
        }
        disk
    }
}
