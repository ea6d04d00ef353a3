//! The line under test, as the simulation sees it.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use model::{Clock, Control, Disk, Millis, Offset};

use super::check::Kept;
use super::client::Sent;

/// A line that works only when it is told to. It is called again in the middle of its own disk operations.
pub trait Subject: Send + Sync + Sized + 'static {
    /// Its workers and how often each gets a turn, relative to the others.
    const WORKERS: &'static [(&'static str, u64)];

    /// Opens the data directory [`super::fleet::DIR`]; on return everything durable is derived again.
    fn open(disk: Arc<dyn Disk>, clock: &Clock) -> Result<Self>;

    /// Hands in a batch; `None` if there is no room for it just now.
    fn append(&self, sent: &Sent) -> Result<Option<Range<Offset>>>;

    /// The offset below which everything is durable, so acknowledged.
    fn durable(&self) -> Offset;

    /// The offset that the next batch will have.
    fn end(&self) -> Offset;

    /// Gives the worker with this place in [`Subject::WORKERS`] a turn; a failure of a healthy disk's user is an error.
    fn turn(&self, worker: usize) -> Result<()>;

    /// Reads everything back.
    fn read(&self) -> Result<Kept>;

    /// Ends it in order.
    fn stop(&self) -> Result<()>;

    /// Lets the line forget which messages it has seen: a guard that is broken on purpose.
    fn forget_seen(&self) {}
}

/// A batch as it stands in `raw`.
#[derive(Clone, PartialEq, Debug)]
pub struct RawBatch {
    pub offsets: Range<Offset>,
    pub received: Millis,
    pub payloads: Vec<Vec<u8>>,
    /// Without those that bind devices.
    pub controls: Vec<Control>,
}
