//! Waiting for conditions instead of for time.

use std::time::Duration;

use model::Clock;

/// How long anything may take before a test gives up. Far beyond what anything takes.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Looks until `look` finds something; fails with `what` if it never does.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock.monotonic() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// Looks until `look` gives `expected`; shows what it gave instead if it never does.
pub fn until_equal<T: PartialEq + std::fmt::Debug>(expected: &T, mut look: impl FnMut() -> T) {
    let clock = Clock::system();
    loop {
        let found = look();
        if found == *expected {
            return;
        }
        if clock.monotonic() >= PATIENCE {
            assert_eq!(found, *expected);
        }
        std::thread::park_timeout(LOOK);
    }
}
