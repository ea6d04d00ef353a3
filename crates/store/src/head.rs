//! The head: what has come in and is not sealed yet, in memory, queryable as soon as it is published.
//!
//! A table's rows go into its open chunk; a full or old chunk is frozen and waits for the sealing thread. There is one
//! writer per partition. Readers take no lock that a writer holds for longer than it takes to add a device, a column or
//! a string.

mod chunk;
mod column;
mod devices;
mod latest;
mod pool;
mod texts;
mod totals;

pub use chunk::{Chunk, SpillCell, TEXT_BYTES_MAX, Visible};
pub use column::{CellPages, Cells, Column};
pub use devices::DeviceMap;
pub use latest::LatestRows;
pub use pool::PagePool;
pub use texts::TextNumbers;
