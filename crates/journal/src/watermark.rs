//! The durable watermark, and who is told when it moves.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use model::Offset;

type Wake = Box<dyn Fn() + Send + Sync>;

/// All offsets below it are durable.
#[derive(Default)]
pub(crate) struct Watermark {
    durable: AtomicU64,
    /// Consumer threads that wait for a move.
    waiting: Mutex<usize>,
    moved: Condvar,
    wakes: Mutex<Vec<(u64, Wake)>>,
    wake_next: AtomicU64,
}

impl Watermark {
    pub(crate) fn new(durable: Offset) -> Self {
        Self { durable: AtomicU64::new(durable), ..Self::default() }
    }

    pub(crate) fn get(&self) -> Offset {
        self.durable.load(Ordering::Acquire)
    }

    /// Moves it. What readers find below `to` must be in place before.
    pub(crate) fn set(&self, to: Offset) {
        self.durable.store(to, Ordering::Release);
    }

    /// Tells everybody who waits or registered. Called without any lock of the log.
    pub(crate) fn announce(&self) {
        if *self.waiting() > 0 {
            self.moved.notify_all();
        }
        for (_, wake) in self.wakes().iter() {
            wake();
        }
    }

    /// Blocks until the watermark is above `from`, at most `timeout`. Whether it is.
    pub(crate) fn wait(&self, from: Offset, timeout: Duration) -> bool {
        let mut waiting = self.waiting();
        *waiting += 1;
        let below = |_: &mut usize| self.get() <= from;
        let (mut waiting, _) =
            self.moved.wait_timeout_while(waiting, timeout, below).expect("no holder of this lock panics");
        *waiting -= 1;
        self.get() > from
    }

    pub(crate) fn register(self: &Arc<Self>, wake: Wake) -> Registration {
        let id = self.wake_next.fetch_add(1, Ordering::Relaxed);
        self.wakes().push((id, wake));
        Registration { watermark: Arc::downgrade(self), id }
    }

    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().expect("no holder of this lock panics")
    }

    fn wakes(&self) -> MutexGuard<'_, Vec<(u64, Wake)>> {
        self.wakes.lock().expect("no holder of this lock panics")
    }
}

/// Keeps a wake-up registered; dropping it ends it. The wake-up itself must not drop it.
#[must_use = "dropping the registration ends it"]
pub struct Registration {
    watermark: Weak<Watermark>,
    id: u64,
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({})", self.id)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(watermark) = self.watermark.upgrade() {
            watermark.wakes().retain(|(id, _)| *id != self.id);
        }
    }
}
