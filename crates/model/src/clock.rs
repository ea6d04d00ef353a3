//! The one place where time is read.
//!
//! Two clocks behind one handle: wall time (Unix milliseconds, may jump) for what is stored, and monotonic time for
//! what is waited for. A test holds a manual clock and turns both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds, signed: dates before 1970 are negative.
pub type Millis = i64;

/// A handle on the clocks. Cheap to clone; clones of a manual clock turn together.
#[derive(Clone, Debug)]
pub struct Clock(Inner);

#[derive(Clone, Debug)]
enum Inner {
    System { start: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    wall_ms: AtomicI64,
    monotonic_us: AtomicU64,
}

impl Clock {
    /// The machine's clocks.
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn system() -> Self {
        Self(Inner::System { start: Instant::now() })
    }

    /// A clock that stands still at `wall_ms` until it is turned.
    pub fn manual(wall_ms: Millis) -> Self {
        Self(Inner::Manual(Arc::new(Manual { wall_ms: AtomicI64::new(wall_ms), monotonic_us: AtomicU64::new(0) })))
    }

    /// Wall time. May jump either way; use it for what is stored, never for waiting.
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now_ms(&self) -> Millis {
        match &self.0 {
            Inner::System { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_millis() as Millis,
                Err(before) => -(before.duration().as_millis() as Millis),
            },
            Inner::Manual(manual) => manual.wall_ms.load(Ordering::Acquire),
        }
    }

    /// Time since this clock was made. Never goes back.
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Inner::System { start } => start.elapsed(),
            Inner::Manual(manual) => Duration::from_micros(manual.monotonic_us.load(Ordering::Acquire)),
        }
    }

    /// Turns both clocks of a manual clock forward; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Inner::Manual(manual) = &self.0 {
            manual.wall_ms.fetch_add(by.as_millis() as i64, Ordering::AcqRel);
            manual.monotonic_us.fetch_add(by.as_micros() as u64, Ordering::AcqRel);
        }
    }

    /// Makes the wall clock of a manual clock jump, as an operator or NTP would; monotonic time is not touched.
    pub fn set_wall(&self, wall_ms: Millis) {
        if let Inner::Manual(manual) = &self.0 {
            manual.wall_ms.store(wall_ms, Ordering::Release);
        }
    }
}
