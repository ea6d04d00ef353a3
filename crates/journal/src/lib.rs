//! The durable partitioned log: the ground state from which everything else is derived.
//!
//! [`Journal::open`] recovers the logs below a directory; [`Journal::log`] gives one partition of one topic. A batch
//! that was appended takes the next offsets at once and becomes durable later; the *watermark* ([`Log::durable`]) says
//! up to where, moves only forward and only in order, and never again after a write or a sync failed. Readers see what
//! is below the watermark, from memory as long as it is recent, else from the disk.
//!
//! It never looks inside a batch's body, never acknowledges anything itself, never syncs again after a failed sync, and
//! never takes corruption for the end of a log.

mod config;
mod embedded;
mod error;
mod frame;
pub mod inspect;
mod log;
mod memory;
pub mod mend;
mod recovery;
mod retention;
mod scan;
mod segment;
mod tail;
mod topic;
mod watermark;

pub use config::{Background, JournalConfig};
pub use error::Error;
pub use log::{Append, Figures, Frame, Gap, Journal, Log, SegmentId};
pub use recovery::{LogRecovery, Recovery};
pub use topic::Topic;
pub use watermark::Registration;
