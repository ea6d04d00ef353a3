//! The `Disk` contract's implementations.
//!
//! [`RealDisk`] is the machine's file system. [`FaultDisk`] is a file system in memory that loses on a crash what a real
//! one may lose, and fails where a test tells it to. [`InjectedDisk`] puts such failures in front of another disk.
//! Under the feature `sabotage` there is also `VolatileDisk`, real files whose unsynced bytes die with the process.
//!
//! Libraries never import this crate: they take an `Arc<dyn Disk>`. It never decides what is stored.

mod fault;
mod inject;
mod real;
#[cfg(feature = "sabotage")]
mod volatile;

pub use fault::{Change, CountDown, FaultDisk, Next, Watcher};
pub use inject::{Faults, InjectedDisk, Operation};
pub use real::RealDisk;
#[cfg(feature = "sabotage")]
pub use volatile::VolatileDisk;
