//! Where readings rest: head in memory, then blocks; a catalog that says which blocks exist and which offsets they
//! cover; and the queries over both.
//!
//! The line through the crate: [`Writer::insert`] puts rows into the open chunk of their table (`head`), a frozen
//! chunk is sorted and written as a Parquet block (`seal`, `block`), the catalog names it together with the
//! addresses that it covers (`catalog`), and one view per table (`view`) is what queries read (`query`).
//!
//! It never knows HTTP, MQTT or the journal. Time comes from a [`model::Clock`], files are touched through a
//! [`model::Disk`].

mod config;
mod error;
mod key;

mod store;

mod writer;

mod head;

mod seal;
mod sorted;
mod write;

mod block;
mod catalog;
mod maintain;
mod shared;
mod view;

mod query;

pub use config::{Background, Retention, StoreConfig};
pub use error::Error;
pub use query::{
    Aggregate, Bucket, BucketCursor, BucketQuery, Buckets, Budget, Cursor, DeviceLatest, Event, EventQuery, Events,
    Latest, LatestMetric, LatestOfMany, Point, PointQuery, Points, Resolution, Scope, Series, SourceRead, Tier, Value,
};
pub use shared::Damaged;
pub use store::{Figures, Recovered, Store};
pub use writer::{Inserted, Writer};
