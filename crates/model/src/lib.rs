//! The words of Tidewater as types.
//!
//! Every other library may import this crate and no other one of ours. It holds what they must agree on: who speaks
//! ([`ids`], [`source`]), in what shape ([`contract`], [`rules`], [`expression`]), what travels ([`batch`], [`rows`], [`dead_letter`]), how much is too much ([`limits`]), what
//! went wrong ([`error`]), and the two contracts that make the world replaceable in a test ([`clock`], [`disk`]), with the
//! bytes that a disk takes best ([`blocks`]).
//!
//! It never does I/O, never spawns, and never holds configuration.

pub mod batch;
pub mod blocks;
pub mod clock;
pub mod contract;
pub mod dead_letter;
pub mod disk;
pub mod error;
pub mod expression;
pub mod ids;
pub mod limits;
pub mod normalized;
pub mod rows;
pub mod rules;
pub mod source;
pub mod wire;

pub use batch::{Batch, BatchBuilder, BatchPool, BatchView, Control, Format, GroupFlags, GroupKey, PayloadKind};
pub use blocks::Blocks;
pub use clock::{Clock, Millis};
pub use dead_letter::{DeadLetter, Reason, Rejection, Replay, Replayed, SchemaOf};
pub use disk::{Disk, DiskFile, OpenMode};
pub use error::ErrorKind;
pub use expression::Expression;
pub use ids::{Address, DeviceId, DeviceIndex, IdHash, IdMap, KeyId, Offset, Partition, SessionKey, TenantId};
pub use rows::{ColumnKey, RowColumn, RowFlags, Rows, Table, TableKind, TableLayout, ValueKind};
pub use rules::{ClassRules, Profile, UnknownFields};
pub use source::Source;
