//! A wish to stop, seen by every loop that was given it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones share one wish.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everyone to come to an end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
