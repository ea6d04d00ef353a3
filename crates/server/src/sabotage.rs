//! Guards that are broken on purpose, for the negative controls of `tidewater fault`: the checker must see each of them.
//!
//! It exists under the feature `sabotage` only, never in the shipped binary. Which guard is broken is said by the variable
//! `TIDEWATER_SABOTAGE` of such a build; without it that is the first one. Each stands at a seam that is there anyway.

use std::sync::Arc;

use disk::{RealDisk, VolatileDisk};
use model::{Batch, BatchPool, BatchView, Disk, Source};
use registry::Durability;

use crate::gateway::identity::{Identity, Verdict, admit};
use crate::gateway::topic::Target;

/// A guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// A sync hands over nothing, on a disk that forgets what was not synced.
    Sync,
    /// Acknowledgements leave once the log has taken a batch in, before it is written.
    Ack,
    /// Two messages of a device change places on their way into the log.
    Order,
    /// Nothing is remembered of the messages before.
    Duplicates,
    /// The tenant is the one that the topic names.
    Tenant,
    /// None is broken: what is left is that marked messages make stages panic.
    None,
}

impl Guard {
    /// The one that is broken in this process.
    fn broken() -> Self {
        let named = std::env::var("TIDEWATER_SABOTAGE").unwrap_or_default();
        match named.as_str() {
            "" | "sync" => Self::Sync,
            "ack" => Self::Ack,
            "order" => Self::Order,
            "duplicates" => Self::Duplicates,
            "tenant" => Self::Tenant,
            "none" => Self::None,
            other => panic!("TIDEWATER_SABOTAGE={other}: there are sync, ack, order, duplicates, tenant and none"),
        }
    }

    pub fn is_broken(self) -> bool {
        self == Self::broken()
    }
}

/// The disk that the server is given.
pub fn the_disk() -> Arc<dyn Disk> {
    match Guard::broken() {
        Guard::Sync => Arc::new(VolatileDisk::new(true)),
        // What was acknowledged and not written dies with the process by itself; what was written and not synced must, too.
        Guard::Ack => Arc::new(VolatileDisk::new(false)),
        _ => Arc::new(RealDisk),
    }
}

/// When an acknowledgement may leave.
pub fn durability(asked: Durability) -> Durability {
    if Guard::Ack.is_broken() { Durability::Memory } else { asked }
}

/// What the log is given instead of a batch.
pub fn reorder(batch: Batch) -> Batch {
    if !Guard::Order.is_broken() {
        return batch;
    }
    let view = BatchView::parse(batch.body()).expect("a batch that our own builder closed");
    let mut builder = BatchPool::default().builder();
    for control in view.controls() {
        builder.control(&control.expect("a batch that our own builder closed"));
    }
    for group in view.groups() {
        let group = group.expect("a batch that our own builder closed");
        let mut payloads: Vec<&[u8]> = group.payloads().collect();
        if let [first, second, ..] = payloads.as_mut_slice() {
            std::mem::swap(first, second);
        }
        payloads.iter().for_each(|payload| {
            builder.push(group.key, payload);
        });
    }
    builder.seal(view.received)
}

/// What a device may do with a topic that names another tenant.
pub fn judge(identity: &Identity, target: Target<'_>) -> Option<Verdict> {
    let (Identity::Device(auth), Target::Device { tenant, device, kind }) = (identity, target) else { return None };
    if !Guard::Tenant.is_broken() {
        return None;
    }
    let mut admitted = admit(auth, kind);
    admitted.source = Source::Device { tenant, device, class: auth.class.clone() };
    Some(Verdict::Accept(admitted))
}
