//! One owner's open batch and the acknowledgements that wait for it.
//!
//! Commit policy *drain*: commit when no more input is ready and none of the owner's batches is on its way, or at
//! [`limits::BATCH_COMMIT_BYTES`], or at the age of [`limits::BATCH_COMMIT_WAIT`]: what comes while a commit is on its way
//! shares the next one, and a slow disk has several on its way. While no commit slot is free the batch grows to its limit,
//! then its owner stops reading. It never waits for a minimum: small windows would starve.
//!
//! An acknowledgement is a value of the owner's type `A`. It leaves in the order in which it came, and never before the
//! batch that it came with is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::{Batch, BatchBuilder, BatchPool, Clock, Control, GroupKey, Offset, limits};
use registry::Durability;

use super::raw_log::{RawLog, Refused};

#[cfg(test)]
mod tests;

/// See the module.
pub struct Appender<A> {
    raw: Arc<RawLog>,
    clock: Clock,
    pool: BatchPool,
    open: BatchBuilder,
    open_since: Duration,
    open_acks: Vec<A>,
    /// Acks that leave once the log has taken the open batch in, for classes whose durability is `memory`.
    open_early: Vec<A>,
    early: Vec<A>,
    /// Batches on their way, oldest first.
    waiting: VecDeque<OnItsWay<A>>,
    /// Told of each batch how long it took from its last payload to its durability.
    durable_after: Box<dyn Fn(Duration) + Send>,
    /// A closed batch that the log could not take yet; it goes first.
    held_back: Option<(Batch, Acks<A>)>,
    spare: Vec<Vec<A>>,
    abandoned: bool,
}

/// A batch that the log has taken in.
struct OnItsWay<A> {
    end: Offset,
    acks: Vec<A>,
    since: Duration,
}

/// What a batch owes before the log has taken it in.
struct Acks<A> {
    durable: Vec<A>,
    early: Vec<A>,
}

/// A batch that the journal refused, and why. The acks that it was to release are gone.
#[derive(Debug)]
pub struct NotAppended {
    pub error: journal::Error,
    pub batch: Batch,
}

impl<A> Appender<A> {
    pub fn new(raw: Arc<RawLog>, clock: Clock, durable_after: impl Fn(Duration) + Send + 'static) -> Self {
        let pool = BatchPool::default();
        let open = pool.builder();
        Self {
            raw,
            clock,
            pool,
            open,
            open_since: Duration::ZERO,
            open_acks: Vec::new(),
            open_early: Vec::new(),
            early: Vec::new(),
            waiting: VecDeque::new(),
            durable_after: Box::new(durable_after),
            held_back: None,
            spare: Vec::new(),
            abandoned: false,
        }
    }

    /// Whether the open batch takes one more payload of `len` bytes. If not, commit first or wait for a slot.
    pub fn has_room(&self, len: usize) -> bool {
        self.open.has_room(len) && self.open.groups() < self.raw.devices().indices_per_batch()
    }

    /// Adds a payload to the open batch.
    pub fn push(&mut self, key: GroupKey, payload: &[u8]) {
        self.begin();
        self.open.push(key, payload);
    }

    /// Adds a control record to the open batch. After [`Appender::abandon`] there is nothing to add it to.
    pub fn control(&mut self, control: &Control) {
        if self.abandoned {
            return;
        }
        self.begin();
        self.open.control(control);
    }

    /// Lets `ack` leave once everything pushed so far is durable at this level. Acks of one level keep their order.
    pub fn ack(&mut self, ack: A, durability: Durability) {
        #[cfg(feature = "sabotage")]
        let durability = crate::sabotage::durability(durability);
        match durability {
            Durability::Persisted => self.open_acks.push(ack),
            Durability::Memory => self.open_early.push(ack),
        }
    }

    /// The ack of this level that was added last, while it waits for the open batch.
    #[inline]
    pub fn last_ack(&mut self, durability: Durability) -> Option<&mut A> {
        #[cfg(feature = "sabotage")]
        let durability = crate::sabotage::durability(durability);
        match durability {
            Durability::Persisted => self.open_acks.last_mut(),
            Durability::Memory => self.open_early.last_mut(),
        }
    }

    fn begin(&mut self) {
        if self.open.is_empty() {
            self.open_since = self.clock.monotonic();
        }
    }

    /// Whether there is something to commit and a slot for it.
    pub fn can_commit(&self) -> bool {
        !(self.open.is_empty() && self.held_back.is_none()) && self.raw.log().slot_free()
    }

    /// Whether the open batch should be committed now; `idle` says that no more input is ready.
    pub fn is_due(&self, idle: bool) -> bool {
        self.due_in(idle) == Some(Duration::ZERO)
    }

    /// How long until the open batch should be committed, if nothing else happens until then; `None`: not by itself.
    pub fn due_in(&self, idle: bool) -> Option<Duration> {
        if !self.can_commit() {
            return None;
        }
        let now = (idle && self.waiting.is_empty())
            || self.held_back.is_some()
            || self.open.bytes() >= limits::BATCH_COMMIT_BYTES;
        if now {
            return Some(Duration::ZERO);
        }
        let age = self.clock.monotonic().saturating_sub(self.open_since);
        Some(limits::BATCH_COMMIT_WAIT.saturating_sub(age))
    }

    /// Gives what is open to the log. On an error nothing of it is stored, and its acks will not leave.
    pub fn commit(&mut self) -> Result<(), NotAppended> {
        if let Some((batch, acks)) = self.held_back.take() {
            self.append(batch, acks)?;
        }
        if self.held_back.is_some() {
            return Ok(());
        }
        if self.open.is_empty() {
            self.keep_without_batch();
            return Ok(());
        }
        let durable = std::mem::replace(&mut self.open_acks, self.spare.pop().unwrap_or_default());
        let acks = Acks { durable, early: std::mem::take(&mut self.open_early) };
        let open = std::mem::replace(&mut self.open, self.pool.builder());
        self.append(open.seal(self.clock.now_ms()), acks)
    }

    fn append(&mut self, batch: Batch, mut acks: Acks<A>) -> Result<(), NotAppended> {
        match self.raw.append(batch) {
            Ok(range) => {
                self.early.append(&mut acks.early);
                let since = self.clock.monotonic();
                self.waiting.push_back(OnItsWay { end: range.end, acks: acks.durable, since });
            }
            Err(Refused { batch, error }) if error.passes() => self.held_back = Some((batch, acks)),
            Err(Refused { batch, error }) => return Err(NotAppended { error, batch }),
        }
        Ok(())
    }

    /// Takes back what the log has not taken in, with its acks, which have not left: the log has been unable to take more for
    /// too long, so their senders are to be refused. What is on its way stays.
    pub fn take_back(&mut self) -> (Vec<Batch>, Vec<A>) {
        let (mut batches, mut owed) = (Vec::new(), Vec::new());
        if let Some((batch, mut acks)) = self.held_back.take() {
            batches.push(batch);
            owed.append(&mut acks.early);
            owed.append(&mut acks.durable);
        }
        if !self.open.is_empty() {
            let open = std::mem::replace(&mut self.open, self.pool.builder());
            batches.push(open.seal(self.clock.now_ms()));
            owed.append(&mut self.open_early);
            owed.append(&mut self.open_acks);
        }
        (batches, owed)
    }

    /// The log has failed: what waits for it will never be durable, so none of it is acknowledged, and nothing more goes
    /// in. Acks that are owed from now on are refusals, which wait for nobody.
    pub fn abandon(&mut self) {
        self.open = self.pool.builder();
        self.open_acks.clear();
        self.open_early.clear();
        self.waiting.clear();
        self.held_back = None;
        self.abandoned = true;
    }

    /// Acks that came with no payload keep their place behind those that wait already.
    fn keep_without_batch(&mut self) {
        self.early.append(&mut self.open_early);
        match self.waiting.back_mut() {
            Some(last) => last.acks.append(&mut self.open_acks),
            None => self.early.append(&mut self.open_acks),
        }
    }

    /// Takes every ack that may leave now, in order.
    pub fn release(&mut self, mut leave: impl FnMut(A)) {
        if self.open.is_empty()
            && self.held_back.is_none()
            && !(self.open_acks.is_empty() && self.open_early.is_empty())
        {
            self.keep_without_batch();
        }
        self.early.drain(..).for_each(&mut leave);
        let durable = self.raw.log().durable();
        if self.waiting.front().is_none_or(|first| first.end > durable) {
            return;
        }
        let now = self.clock.monotonic();
        while self.waiting.front().is_some_and(|first| first.end <= durable) {
            let OnItsWay { mut acks, since, .. } = self.waiting.pop_front().expect("just seen");
            (self.durable_after)(now.saturating_sub(since));
            acks.drain(..).for_each(&mut leave);
            if self.spare.len() < limits::COMMITS_IN_FLIGHT_MAX {
                self.spare.push(acks);
            }
        }
    }

    /// Whether anything is open or on its way.
    pub fn is_settled(&self) -> bool {
        let nothing_owed = self.open_acks.is_empty() && self.open_early.is_empty() && self.early.is_empty();
        self.open.is_empty() && nothing_owed && self.waiting.is_empty() && self.held_back.is_none()
    }

    pub fn raw(&self) -> &Arc<RawLog> {
        &self.raw
    }
}
