//! The stored form of a pipeline's state.
//!
//! ```text
//! snapshot = magic "TWPS" | format u16 = 4 | partition u16 | position u64 | plan blob | tables | windows | devices
//!          | tallies
//! ```
//!
//! It has no checksum: the file that holds it has one, which is made on another thread than the one that derives.
//!
//! The parts' layouts are in the headers of `plan`, `tables`, `window`, `devices` and `tallies`. All integers are little-endian.

use model::wire::{Reader, Short, Writer};
use model::{ErrorKind, Partition};

use super::Pipeline;
use crate::devices::Devices;
use crate::plan::Plan;
use crate::tables::Tables;
use crate::tallies::Tallies;
use crate::window::Windows;

const MAGIC: [u8; 4] = *b"TWPS";
const FORMAT: u16 = 4;

/// A snapshot that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the bytes are not a pipeline snapshot")]
    NotASnapshot,
    #[error("the snapshot has format {found}, this version reads {FORMAT}")]
    Format { found: u16 },
    #[error("the snapshot's parts contradict each other")]
    Inconsistent,
}

impl RestoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Format { .. } => ErrorKind::Conflict,
            Self::NotASnapshot | Self::Inconsistent => ErrorKind::Corrupt,
        }
    }
}

impl Pipeline {
    /// Appends the whole state, so that processing from it gives the same outputs as going on. Whoever keeps the bytes
    /// sees to it that they come back as they were.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.u16(FORMAT);
        out.u16(self.partition.0);
        out.u64(self.position);
        let mut plan = Vec::new();
        self.plan.encode(&mut plan);
        out.blob(&plan);
        self.tables.encode(out);
        self.windows.encode(out);
        self.devices.encode(out);
        self.tallies.encode(out);
    }

    /// The state that [`Pipeline::snapshot`] wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = Reader(bytes);
        let head = (reader.array(), reader.u16());
        let (Ok(MAGIC), Ok(found)) = head else { return Err(RestoreError::NotASnapshot) };
        if found != FORMAT {
            return Err(RestoreError::Format { found });
        }
        Self::decode(&mut reader).map_err(|Short| RestoreError::Inconsistent)
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let (partition, position) = (Partition(reader.u16()?), reader.u64()?);
        let plan = Plan::decode(reader.blob()?)?;
        let tables = Tables::decode(reader, &plan)?;
        let windows = Windows::decode(reader)?;
        let devices = Devices::decode(reader, tables.list.len(), windows.len())?;
        let tallies = Tallies::decode(reader, windows.len())?;
        if !reader.0.is_empty() {
            return Err(Short);
        }
        Ok(Self { position, devices, tables, windows, tallies, ..Self::new(partition, plan) })
    }
}
