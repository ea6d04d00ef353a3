//! Wills: what the server publishes for a client whose connection ended without a proper DISCONNECT (MQTT 5.0 section
//! 3.1.2.5).
//!
//! A will is judged like any publish of its client: when it is given, and again when it is due. One with a delay waits
//! until its session ends or the delay has passed, whichever is first, and goes if the client comes back before. A
//! server that ends fires none: its clients are told, and what waits with it is not kept.

use std::time::Duration;

use model::{GroupKey, SessionKey, limits};
use mqtt::StoredWill;

use super::event_loop::EventLoop;
use super::identity::{Admitted, Identity, Verdict, admit};
use super::topic::{Target, parse};

#[cfg(test)]
mod tests;

/// Wills that wait; past it the one that is due first is published early.
const WAITING_MAX: usize = 100_000;

/// Wills whose delay has not passed. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Wills(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    due: Duration,
    session: SessionKey,
    identity: Identity,
    will: Box<StoredWill>,
}

impl Wills {
    /// The client is back.
    pub fn forget(&mut self, session: SessionKey) {
        self.0.retain(|waiting| waiting.session != session);
    }

    fn wait(&mut self, waiting: Waiting) {
        self.0.push(waiting);
    }

    /// Takes out what is due, the earliest first.
    fn take_due(&mut self, now: Duration) -> Vec<Waiting> {
        self.0.sort_by_key(|waiting| waiting.due);
        let due = self.0.partition_point(|waiting| waiting.due <= now);
        let excess = self.0.len().saturating_sub(WAITING_MAX);
        self.0.drain(..due.max(excess)).collect()
    }
}

impl EventLoop {
    /// A connection ended and left a will. `expiry` is how long its session goes on, in seconds.
    pub(super) fn leave_will(&mut self, session: SessionKey, identity: Identity, will: Box<StoredWill>, expiry: u32) {
        if self.stopping {
            return;
        }
        let delay = Duration::from_secs(will.delay.min(expiry).into());
        if delay.is_zero() {
            self.fire(&identity, &will);
        } else {
            self.wills.wait(Waiting { due: self.now + delay, session, identity, will });
        }
    }

    /// Publishes the wills whose time has come.
    pub(super) fn fire_due_wills(&mut self) {
        for Waiting { identity, will, .. } in self.wills.take_due(self.now) {
            self.fire(&identity, &will);
        }
    }

    fn fire(&mut self, identity: &Identity, will: &StoredWill) {
        let target = parse(&will.topic);
        let devices = self.appender.raw().devices();
        let (admitted, index) = match (identity.judge(target, &self.registry), identity, target) {
            (Verdict::Accept(admitted), ..) => {
                let index = devices.index_of(&admitted.source, &admitted.profile).ok();
                (admitted, index)
            }
            (Verdict::Refuse(why), ..) => return tracing::debug!(topic = will.topic, why, "a will was not published"),
            // Nobody can wait for the registry here: what the device was when it connected, unless more is known.
            (Verdict::LookUp(_), Identity::Device(auth), Target::Device { kind, .. }) => {
                let admitted = admit(auth, kind);
                let known = devices.find(&admitted.source);
                let index = known.or_else(|| devices.index_of(&admitted.source, &admitted.profile).ok());
                (admitted, index)
            }
            (Verdict::LookUp(device), ..) => {
                return tracing::warn!(%device, "a will was not published: its device is not in the cache any more");
            }
        };
        let open = self.refusal().is_none() && !self.at_quota(admitted.source.tenant());
        let fits = open && self.make_room(limits::MQTT_PACKET_BYTES_MAX);
        let Some(index) = index.filter(|_| fits) else {
            return tracing::warn!(topic = will.topic, "a will was not published: the line takes nothing in");
        };
        let Admitted { kind, format, flags, .. } = admitted;
        self.appender.push(GroupKey { device: index, kind, format, flags }, &will.payload);
        self.counts.add(&will.payload);
    }
}
